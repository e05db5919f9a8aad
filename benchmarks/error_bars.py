"""How long do error bars take? Prints a table and writes JSON.

    python benchmarks/error_bars.py [--data FOLDER] [--seconds 10] [--draws 500] [--threads 2] [--json FILE]

Ten seconds at 100 Hz of `arnold_synthetic` and `rajagopal_walk`, walked to and fro, with 1 mm of noise. Timed are the
steps that `analyze` adds to a recording: the markers' evidence, the choice of the cutoff, linear propagation, and Monte
Carlo (with the linear sizes of the sources that it lists); wall time and processor time, the best of some runs.
Beside them, how well linear propagation and Monte Carlo agree: medians of their ratios over all frames.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from coverage import START, Case, bands_of, cases, chain

from motorque.fitting.ik import inverse_kinematics
from motorque.series import Load, Loads, Markers
from motorque.uncertainty.bands import SOURCES
from motorque.uncertainty.cutoff import choose_cutoff
from motorque.uncertainty.evidence import marker_evidence

RATE = 100.0
NOISE = 1e-3
REPEATS = 3


def to_and_fro(count: int, samples: int) -> np.ndarray:
    """Rows of a recording of so many samples, walked forward and backward again and again."""
    place = np.arange(count) % (2 * samples - 2)
    return np.where(place < samples, place, 2 * samples - 2 - place)


def lengthened(case: Case, seconds: float) -> Case:
    """The recording made so long, at 100 Hz, with noise."""
    step = max(1, round(case.markers.rate / RATE))
    positions = case.markers.positions[::step]
    count = round(seconds * RATE)
    rows = to_and_fro(count, len(positions))
    noise = NOISE * np.random.default_rng(0).standard_normal((count, *positions.shape[1:]))
    markers = Markers(np.arange(count) / RATE, positions[rows] + noise, case.markers.names)
    rate = 1 / float(np.median(np.diff(case.plates.times)))
    span = round((len(positions) - 1) / RATE * rate) + 1
    plate = to_and_fro(round((count - 1) / RATE * rate) + 1, span)
    loads = tuple(Load(x.name, x.body, x.force[plate], x.point[plate], x.moment[plate]) for x in case.plates.loads)
    return Case(case.name, case.skeleton, markers, Loads(np.arange(len(plate)) / rate, loads), case.exact)


def timed(job: Callable[[], object]) -> tuple[object, float, float]:
    """The job's result, wall time and processor time of its best run [s]."""
    best, busy = np.inf, np.inf
    for _ in range(REPEATS):
        wall, own = time.perf_counter(), time.process_time()
        result = job()
        best, busy = min(best, time.perf_counter() - wall), min(busy, time.process_time() - own)
    return result, best, busy


def measure(case: Case, seconds: float, draws: int) -> dict[str, object]:
    case = lengthened(case, seconds)
    found = inverse_kinematics(case.skeleton, case.markers).motion
    first = chain(case, found, case.plates, START)
    evidence, *looking = timed(lambda: marker_evidence(case.skeleton, case.markers, found))
    choice, *choosing = timed(
        lambda: choose_cutoff(
            case.skeleton, evidence=evidence, motion=first.motion, rate=first.rate, acceleration=first.acceleration,
            loads=first.loads, plates=case.plates, cutoff=START,
        )
    )  # fmt: skip
    result = chain(case, found, case.plates, choice.cutoff)

    def bands(method: str) -> Callable[[], object]:
        return lambda: bands_of(
            case, case.markers, result, case.plates, choice.cutoff, evidence, SOURCES, method, draws
        )  # fmt: skip

    linear, *propagating = timed(bands("linear"))
    drawn, *drawing = timed(bands("monte carlo"))
    steps = {"evidence": looking, "cutoff": choosing, "linear": propagating, "monte carlo": drawing}
    told = (linear.torques > 0) & (drawn.torques > 0)
    return {
        "data": case.name, "frames": len(case.markers.times), "draws": draws, "threads": torch.get_num_threads(),
        "cutoff_hz": choice.cutoff, "wall_s": {k: v[0] for k, v in steps.items()},
        "processor_s": {k: v[1] for k, v in steps.items()},
        "linear_over_monte_carlo": {
            "angles": float(np.nanmedian(linear.angles / drawn.angles)),
            "torques": float(np.median(linear.torques[told] / drawn.torques[told])),
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MOTORQUE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for case in cases(options.data):
        row = measure(case, options.seconds, options.draws)
        rows.append(row)
        wall, busy = row["wall_s"], row["processor_s"]
        cells = "  ".join(f"{name} {wall[name]:.2f} ({busy[name]:.2f})" for name in wall)
        agree = row["linear_over_monte_carlo"]
        print(
            f"{row['data']:18s} {row['frames']} frames, {row['draws']} draws, {row['cutoff_hz']:g} Hz: {cells} s wall "
            f"(processor); linear / Monte Carlo {agree['angles']:.3f} angles, {agree['torques']:.3f} torques",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
