"""Rotations learned as six numbers against all nine of their matrices: jitter of samples (the paper's Figure 5).

    python benchmarks/inpose_representation.py --data LIBRARY --out DIR [--steps 600] [--size small] [--samples 256]

Two priors alike (data, seed, steps, network, batch) that are told nothing, one of six numbers, one of nine; windows of
both sampled from noise in 50 steps, neither guided nor smoothed. Three kinds of bodies come of them: of six numbers by
Gram and Schmidt; of nine by forward kinematics with the matrices as they are; of nine by Gram and Schmidt on the first
two columns. Places are the default body's from the pelvis, which stands still, also those of the recordings that were
learned from, as they were recorded and at the pace at which windows are learned (played faster or slower).

Prints medians over windows, their 95 % intervals (bootstrap over windows: of this one training, not of others) and the
range of 90 % of the windows: jitter; how far matrices are from unitary as sampled (Frobenius norm of RᵀR - 1, of six
numbers that of the two columns); by how much bones' lengths change; ratios of jitter, of the same samples window by
window; how many samples jitter more than 95 % of the recordings. Writes `windows.csv`, `representation.json` and
`representation.png`.
Trainings killed at any moment and samples that are there are not done again; other settings train in other folders.
A library of movements comes from `python -m motorque.estimators.inpose.library`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.estimators.inpose.conditions import CHANNELS, Conditions
from motorque.estimators.inpose.folds import default_split
from motorque.estimators.inpose.library import Library, load_library
from motorque.estimators.inpose.long_sampling import TOGETHER
from motorque.estimators.inpose.recipe import diffusion_of
from motorque.estimators.inpose.sampling import sample
from motorque.estimators.inpose.train import PriorTraining, train_prior
from motorque.estimators.inpose.tree import JOINTS, PARENTS, WINDOW, matrices
from motorque.estimators.inpose.windows import PACE, Windows
from motorque.files.output import write_text
from motorque.studies.drawing import BLUE, GREY, ORANGE, RED, figure
from motorque.studies.inpose.baseline_weights import load_diffusion
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.measures import jitter
from motorque.studies.inpose.regression_loss import hung
from motorque.studies.inpose.representation import NINE, SIX, off_unitary, raw_matrices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
RECORDED, PLAYED = "recordings", "recordings, at the paces learned"
COLUMNS6, RAW, POST = "6D", "matrices, raw", "matrices, orthonormalised"
COLOURS = {RECORDED: GREY, PLAYED: GREY, COLUMNS6: BLUE, RAW: RED, POST: ORANGE}
MEASURES = {"jitter": "jitter [m/s³]", "off_unitary": "off unitary", "bones": "bones change by [%]"}
RESAMPLES = 2000


def sampled(numbers: int, options: argparse.Namespace, library: Library) -> Tensor:
    """Windows of a training, float64, shape [samples, 41, 22, numbers]; trained and drawn as far as not there."""
    recipe = {6: SIX, 9: NINE}[numbers]
    run = options.out / f"{recipe.name}_{options.size}_{options.steps}_{options.seed}"
    training = PriorTraining(options.size, steps=options.steps, seed=options.seed, method=recipe.name)
    weights = train_prior(
        [library.folder],
        run,
        training,
        resume=True,
        recipes={recipe.name: recipe},
        workers=0,
        save_every=60.0,
        watch_every=100,
        tell=lambda text: print(text, flush=True) if text.startswith("step") else None,
    )
    path = run / f"samples_{options.samples}_{options.sampling_steps}.npy"
    if not path.is_file():
        network, _ = load_diffusion(weights, recipe.name)
        generator, drawn = torch.Generator().manual_seed(options.seed), []
        for first in range(0, options.samples, TOGETHER):
            some = min(TOGETHER, options.samples - first)
            flags = torch.zeros(2, some, WINDOW, len(JOINTS), dtype=torch.bool)
            nothing = Conditions(torch.zeros(some, WINDOW, len(JOINTS), CHANNELS), *flags)
            start = torch.randn(some, WINDOW, len(JOINTS), numbers, generator=generator)
            drawn.append(sample(network, diffusion_of(network), nothing, steps=options.sampling_steps, start=start))
        part = path.with_suffix(".part.npy")
        np.save(part, torch.cat(drawn).numpy())
        part.replace(path)
    return torch.from_numpy(np.load(path)).double()


def measured(turns: Tensor, off: Tensor) -> dict[str, Array]:
    """By window: jitter, how far from unitary, and how much bones change.

    Args:
        turns: Matrices that joints are placed by, shape [N, 41, 22, 3, 3].
        off: How far they were from unitary as they were sampled, shape [N, 41, 22].
    """
    rest, parents = default_body(), list(PARENTS[1:])
    at = hung(turns, rest)
    at = at - at[..., :1, :]
    true = (rest[1:] - rest[parents]).norm(dim=-1)
    change = 100.0 * ((at[..., 1:, :] - at[..., parents, :]).norm(dim=-1) / true - 1.0).abs()
    found = {"jitter": jitter(at), "off_unitary": off.mean(dim=(1, 2)), "bones": change.mean(dim=(1, 2))}
    return {name: values.numpy() for name, values in found.items()}


def recordings(library: Library, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """So many windows that were learned from, evenly, as recorded and at other paces; six numbers, [N, 41, 22, 6]."""
    windows = Windows(library, default_split(library.movements).train)
    numbers = np.linspace(0, len(windows) - 1, count).round().astype(np.int64)
    pace = torch.exp(PACE * torch.randn(count, generator=torch.Generator().manual_seed(seed)))
    return windows.read(numbers)[0].double(), windows.read(numbers, pace)[0].double()


def two_columns(numbers: Tensor) -> Tensor:
    """How far the two columns of six numbers are from orthonormal, [..., 6] → [...]."""
    return off_unitary(numbers.unflatten(-1, (2, 3)).mT)


def summed_up(values: Array, draws: Array) -> dict[str, float]:
    """The median over windows, its interval, and between what 90 % of the windows are.

    Args:
        values: Shape [N].
        draws: Which windows each resample has, shape [R, N].
    """
    low, high = np.percentile(np.median(values[draws], axis=1), [2.5, 97.5])
    least, most = np.percentile(values, [5, 95])
    parts = {"median": np.median(values), "low": low, "high": high, "from": least, "to": most}
    return {name: float(f"{part:.5g}") for name, part in parts.items()}


def ratios(rows: dict[str, dict[str, Array]], draws: Array, others: Array) -> dict[str, dict[str, float]]:
    """Jitter of one kind over another's: medians, with intervals; of the same samples window by window."""
    found = {}
    for one, other in ((POST, RAW), (RAW, COLUMNS6), (POST, COLUMNS6)):
        a, b = rows[one]["jitter"], rows[other]["jitter"]
        if other == RAW:  # the same samples: the median of the windows' ratios
            found[f"{one} / {other}"] = summed_up(a / b, draws)
            continue
        low, high = np.percentile(np.median(a[draws], axis=1) / np.median(b[others], axis=1), [2.5, 97.5])
        parts = {"median": np.median(a) / np.median(b), "low": low, "high": high}
        found[f"{one} / {other}"] = {name: float(f"{part:.5g}") for name, part in parts.items()}
    return found


def draw(panels: Sequence[Axes], rows: dict[str, dict[str, Array]]) -> None:
    """Boxes over windows: the middle half, 90 % and the median."""
    for panel, name in zip(panels, ("jitter", "off_unitary"), strict=True):
        kinds = [kind for kind in rows if name == "jitter" or kind in (COLUMNS6, RAW)]
        panel.boxplot(
            [rows[kind][name] for kind in kinds],
            orientation="horizontal",
            whis=(5, 95),
            showfliers=False,
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": "none"},
            medianprops={"color": "black", "linewidth": 2},
        )
        for patch, kind in zip(panel.patches, kinds, strict=True):
            patch.set_facecolor(COLOURS[kind] + "66")
        panel.set_yticks(range(1, len(kinds) + 1), kinds)
        panel.invert_yaxis()
    panels[0].set_xscale("log")
    panels[0].set_xlabel("jitter of a window's joints [m/s³]")
    panels[1].set_xlim(left=0)
    panels[1].set_xlabel("‖RᵀR − 1‖ as sampled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--size", default="small")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--sampling-steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    library = load_library(options.data)
    six, nine = sampled(6, options, library), sampled(9, options, library)
    true, played = recordings(library, options.samples, options.seed)
    rows = {
        RECORDED: measured(matrices(true), two_columns(true)),
        PLAYED: measured(matrices(played), two_columns(played)),
        COLUMNS6: measured(matrices(six), two_columns(six)),
        RAW: measured(raw_matrices(nine), off_unitary(raw_matrices(nine))),
        POST: measured(matrices(nine[..., :6]), off_unitary(matrices(nine[..., :6]))),
    }
    draws, others = np.random.default_rng(options.seed).integers(options.samples, size=(2, RESAMPLES, options.samples))
    table = {kind: {name: summed_up(values, draws) for name, values in own.items()} for kind, own in rows.items()}
    for kind, own in rows.items():
        above = float((own["jitter"] > table[RECORDED]["jitter"]["to"]).mean())
        table[kind]["jitter"]["above_recordings"] = round(above, 4)
    for name, title in MEASURES.items():
        print(f"\n{title:34s}  median  [95 %]               90 % of windows")
        for kind, own in table.items():
            s = {part: f"{round(value, 4):.4g}" for part, value in own[name].items()}
            print(f"{kind:34s} {s['median']:>8s}  [{s['low']}, {s['high']}]".ljust(65) + f"{s['from']} to {s['to']}")
    over = ratios(rows, draws, others)
    print()
    for kind in (COLUMNS6, RAW, POST):
        print(f"{kind}: {table[kind]['jitter']['above_recordings']:.1%} jitter more than 95 % of the recordings")
    for name, s in over.items():
        print(f"jitter, {name}: {s['median']:.3g} times [{s['low']:.3g}, {s['high']:.3g}]")
    told = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    summary = {"settings": told, "data": library.fingerprint, "by_kind": table, "jitter_ratios": over}
    write_text(options.out / "representation.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["kind", "window", *MEASURES])
    for kind, own in rows.items():
        for number, values in enumerate(zip(*own.values(), strict=True)):
            out.writerow([kind, number, *(f"{value:.6g}" for value in values)])
    write_text(options.out / "windows.csv", text.getvalue())
    made = ", ".join(f"{name} {value}" for name, value in told.items() if name not in ("data", "out"))
    figure(
        lambda panels: draw(panels, rows),
        options.out / "representation.png",
        width=8.4,
        height=2.8,
        columns=2,
        told=made,
        width_ratios=[1.4, 1],
    )


if __name__ == "__main__":
    main()
