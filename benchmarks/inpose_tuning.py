"""Learning rate and dropout of InPose and of what it is compared with: the same four trials for each, of equal steps.

Each trial is a short training; it is judged as the method is judged in the end, by places of joints of the people who
are only watched, on the default body. Nobody who is tested is looked at. A library of movements comes from
``python -m motorque.estimators.inpose.library``. What is there is not done again::

    python benchmarks/inpose_tuning.py --data LIBRARY --out DIR [--steps 600] [--methods regression,…]

``DIR`` then has a folder for each trial, ``trials.csv`` and ``curves.csv``: all rows of all trials' metrics.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
from pathlib import Path

import torch

from motorque.estimators.inpose.library import Library, load_library
from motorque.estimators.inpose.train import PriorTraining, train_prior
from motorque.estimators.inpose.weights import load_weights
from motorque.files.output import write_text
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.bodiffusion import BoDiffusion
from motorque.studies.inpose.measures import measures
from motorque.studies.inpose.methods import InPoseMethod, MeanPose, Method
from motorque.studies.inpose.protocol import DEFAULT, Trial, trials
from motorque.studies.inpose.recipes import RECIPES
from motorque.studies.inpose.regression import Regression

RATES, DROPOUTS = (1e-3, 2e-3), (0.1, 0.3)


def method_of(name: str, weights: Path) -> Method:
    """What is compared in the end, with a trial's weights."""
    if name == "regression":
        return Regression.load(weights)
    if name == "inpose":
        return InPoseMethod(name, load_weights(weights)[0], head=True)
    return BoDiffusion.load(weights, local=name == "bodiffusion-local")


def judged(method: Method, people: list[Trial]) -> dict[str, float]:
    """Errors over recordings, each counting alike."""
    rest, found = default_body(), []
    for one in people:
        turns = method.pose(one.measured(DEFAULT), seed=one.seed())
        found.append(measures(one.rotations, turns, rest, one.pelvis))
    means = {name: sum(getattr(m, name) for m in found) / len(found) for name in ("mpjpe", "mpjre", "upe", "lpe")}
    return {name: round(value, 3) for name, value in means.items()}


def trial(name: str, rate: float, dropout: float, library: Library, options: argparse.Namespace) -> Path:
    """Train; returns the folder, and writes how long it took beside the weights the first time."""
    run = Path(options.out) / f"{name}_{rate:g}_{dropout:g}"
    if (run / "seconds").is_file():
        return run
    training = PriorTraining(
        size=options.size, steps=options.steps, rate=rate, dropout=dropout, method=name, seed=options.seed
    )
    began = time.process_time()
    train_prior(
        [library.folder], run, training, resume=True, recipes=RECIPES, workers=0, watch_every=options.watch_every
    )
    write_text(run / "seconds", f"{time.process_time() - began:.1f}\n")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--size", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each watched recording")
    parser.add_argument("--watch-every", type=int, default=100)
    parser.add_argument("--methods", default=",".join(RECIPES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    library, rows, curves = load_library(options.data), [], []
    for name in options.methods.split(","):
        for rate in RATES:
            for dropout in DROPOUTS:
                run = trial(name, rate, dropout, library, options)
                watched = json.loads((run / "settings.json").read_text())["data"]["validation"]
                people = trials(library, watched, seconds=options.seconds)
                about = {"method": name, "rate": rate, "dropout": dropout, "steps": options.steps}
                found = judged(method_of(name, run / "weights.safetensors"), people)
                rows.append({**about, "cpu_s": float((run / "seconds").read_text()), **found})
                with open(run / "metrics.csv", newline="") as stream:
                    curves += [{**about, **row} for row in csv.DictReader(stream)]
                print(rows[-1], flush=True)
                write_table(options.out / "trials.csv", rows)
                write_table(options.out / "curves.csv", curves)
        best = min((row for row in rows if row["method"] == name), key=lambda row: row["mpjpe"])
        print(f"{name}: learning rate {best['rate']:g}, dropout {best['dropout']:g}: {best['mpjpe']} cm")
        if name == "inpose":
            reference = judged(MeanPose("", load_weights(run / "weights.safetensors")[0]), people)
            print(f"mean pose + IK: {reference['mpjpe']} cm")


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    """Rows whose columns need not be the same."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


if __name__ == "__main__":
    main()
