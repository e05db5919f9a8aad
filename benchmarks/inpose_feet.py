"""What feet on the ground change, person by person, each sampled by a prior that never saw them. Prints a table.

    python benchmarks/inpose_feet.py --data LIBRARY [--people 07,131=RUN 05,35=RUN2 …] [--seconds 3] [--most 12]
        [--samples 4] [--json FILE]

RUN is a weights file or a training's folder that did not learn from these people; the shipped weights, if there is
none. By default the watched people 07 and 131. The middle of each recording on the default body, from head and
wrists, default settings: of single samples, and of their mean, without feet on the ground and with them, the lower
body's error (LPE), that of rotations (MPJRE), how fast soles that truly stand slide, and how deep soles are under the
floor beyond a centimetre, on average. Means count people alike; ratios of LPE with 95 % intervals over people and
recordings, recordings weighed by their frames. Which foot stands is told by the package's table, which was learned from
01, 03, 05, 35 and others, by samples of a prior in the middle of its training.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.contact_chance import SOLES, STANDS, sole_heights, unit_length
from motorque.estimators.inpose.contact_guidance import stances
from motorque.estimators.inpose.drawing import FAST, USUAL, Drawn, drawn_from, finished
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.library import load_library
from motorque.estimators.inpose.tree import HEAD, RATE, columns, places
from motorque.studies.inpose.intervals import resamples
from motorque.studies.inpose.measures import measures
from motorque.studies.inpose.protocol import DEFAULT, Trial, trials


@dataclass(frozen=True)
class Row:
    """One recording, without feet on the ground or with them.

    Args:
        person: Whose.
        recording: Its name.
        activity: What is done.
        frames: How many.
        feet: Whether they are on the ground.
        mean: Whether it is the mean of samples, or single ones on average.
        lpe: [cm].
        mpjre: [deg].
        slide: [m/s]; NaN where nothing stands.
        sinking: [cm].
    """

    person: str
    recording: str
    activity: str
    frames: int
    feet: bool
    mean: bool
    lpe: float
    mpjre: float
    slide: float
    sinking: float


def rows_of(trial: Trial, prior: InPose, samples: int) -> list[Row]:
    """A recording's four rows; samples are the same without feet and with them."""
    told = trial.measured(DEFAULT, seed=0)
    bare = replace(FAST, close=False)
    raw = drawn_from(prior.network, told, bare, seeds=list(range(samples)))
    found = []
    for settings in (FAST, USUAL):
        feet = settings.feet is not None
        stands = stances(raw.turns, raw.measured) if feet else None
        turns = finished(raw.turns, raw.measured, settings, stands)
        drawn = Drawn(turns, raw.measured, settings, None if stands is None else stands.mean(axis=0))
        for mean, each in ((False, turns), (True, drawn.mean)):
            numbers = np.nanmean([_numbers(trial, one) for one in each], axis=0)
            head = (trial.subject, trial.name, trial.activity, len(trial.pelvis), feet, mean)
            found.append(Row(*head, *(float(x) for x in numbers)))
    return found


def _numbers(trial: Trial, turns: Tensor) -> tuple[float, float, float, float]:
    rest = DEFAULT.shape.rest
    errors = measures(trial.rotations, turns, rest, trial.pelvis)
    true, found = (_soles(trial, x) for x in (trial.rotations, turns))
    unit = unit_length(rest.numpy())
    speed, true_speed = (RATE * np.linalg.norm(np.diff(x, axis=0), axis=-1) for x in (found, true))
    stands = true_speed < STANDS * unit
    slide = float(speed[stands].mean()) if stands.any() else np.nan
    deep = np.maximum(sole_heights(rest.numpy()) - 0.01 - found[..., 1], 0)
    return errors.lpe, errors.mpjre, slide, 100 * float(deep.mean())


def _soles(trial: Trial, turns: Tensor) -> np.ndarray:
    """Where soles are with the head in its true place [m], shape [T, 4, 3]."""
    rest = DEFAULT.shape.rest
    true = places(_six(trial.rotations), rest, trial.pelvis)
    found = places(_six(turns), rest, 0 * trial.pelvis)
    return np.asarray((found + (true - found)[:, HEAD : HEAD + 1])[:, list(SOLES)])


def _six(turns: Tensor) -> Tensor:
    return turns.new_tensor(columns(turns.numpy())).double()


def table(rows: list[Row]) -> list[str]:
    """By person, then everybody."""
    people = list(dict.fromkeys(row.person for row in rows))
    lines = []
    for mean in (False, True):
        lines.append(
            f"{'means of samples' if mean else 'single samples'}: LPE [cm], MPJRE [deg], slide [m/s], sinking [cm]"
        )
        of = {feet: [row for row in rows if row.mean is mean and row.feet is feet] for feet in (False, True)}
        each = {feet: {p: _mean([r for r in own if r.person == p]) for p in people} for feet, own in of.items()}
        for person in people:
            what = ", ".join(sorted({row.activity for row in of[True] if row.person == person}))
            lines.append(f"{person:>8s}  {_text(each[False][person])}  →  {_text(each[True][person])}  {what}")
        both = [np.nanmean(list(each[feet].values()), axis=0) for feet in (False, True)]
        drawn = resamples([row.person for row in of[True]], [row.frames for row in of[True]])
        ratio = drawn.ratio(*(np.array([row.lpe for row in of[feet]]) for feet in (True, False)))
        lines.append(f"{'people':>8s}  {_text(both[0])}  →  {_text(both[1])}  LPE × {both[1][0] / both[0][0]:.3f}")
        lines.append(f"{'frames':>8s}  LPE × {ratio.mean:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
    return lines


def _mean(rows: list[Row]) -> np.ndarray:
    return np.asarray(np.nanmean([[row.lpe, row.mpjre, row.slide, row.sinking] for row in rows], axis=0))


def _text(numbers: np.ndarray) -> str:
    return "{:5.2f} {:5.2f} {:4.2f} {:4.2f}".format(*numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", nargs="+", default=["07,131"])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--most", type=int, default=12)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    library, rows = load_library(options.data), []
    for text in options.people:
        names, _, weights = text.partition("=")
        prior = InPose.load(weights or None)
        for trial in trials(library, names.split(","), seconds=options.seconds, most=options.most):
            if trial.subject not in (*prior.about["data"]["validation"], *prior.about["data"]["test"]):
                raise DataError(f"{trial.subject}: these weights learned from them; name weights that did not")
            rows += rows_of(trial, prior, options.samples)
    print("\n".join(table(rows)))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
