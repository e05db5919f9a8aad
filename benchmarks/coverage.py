"""Do 90 % bands hold 90 % of the truth? Prints a table and writes JSON.

    python benchmarks/coverage.py [--data FOLDER] [--draws 50] [--only NAME ...] [--method linear] [--json FILE]

Noise that the program is not told is added to markers and plates of recordings whose truth is known, and the chain of
`analyze` runs on them (inverse kinematics, smoothing at the cutoff that it chooses itself, loads, inverse dynamics),
bands included. A sample is one frame of one curve in one draw; it counts as covered if the truth lies within 1.645
standard deviations of the result. Every frame counts, the first and the last too.

Noise: markers 1 or 5 mm per axis, white, AR(1) with a correlation of 0.9 from frame to frame, or a constant offset of
each marker in its body's axes (drawn anew in every draw); plates alike, 1 or 5 N in each force and half as many N·m in
each moment about the middle of the plate.

Truth: `arnold_synthetic` fits its model exactly, so that the unfiltered chain without noise is the truth (its stored
moments agree to 0.4 N·m, the way Simbody turns the knees' axes included). `rajagopal_walk` is a real recording: truth
is what the same chain makes of the clean markers. That truth has the recording's own soft tissue and misplaced markers
in it, so that they are no error here and are switched off in the bands; and unfiltered it has the recording's own noise
in it, twice differentiated. Torques are therefore compared three times:

- with the unfiltered truth as it is, which no band can hold: its noise lies mostly above every cutoff, 40 N·m at the
  lumbar joint, whose moment itself has 20;
- with the same, the truth's own standard deviation, as the program finds it for the clean recording, added in squares;
- with the truth at the cutoff that the program chooses for the clean recording.

For offsets the markers of the model are first put where the clean recording has them on average, as a static trial
does; otherwise what the program finds is the model's misfit of 6 mm, not the offset.

Intervals are those of the mean over draws (90 %, from the spread between draws: samples within a draw are not
independent). Coordinates that follow others (the knees' beta) are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import lfilter

from motorque.files.external_loads import read_plates
from motorque.files.osim import load_skeleton
from motorque.files.trc import read_trc
from motorque.fitting.ik import inverse_kinematics
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Kinetics, Load, Loads, Markers, Motion
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import SOURCES, Bands, bands_of_analysis
from motorque.uncertainty.cutoff import choose_cutoff
from motorque.uncertainty.evidence import MarkerEvidence, marker_evidence
from motorque.workflows.analyze import kinetics_of
from motorque.workflows.smoothing import smooth
from motorque.workflows.trial_loads import loads_from_plates

WITHIN = 1.6449
"""Standard deviations of a 90 % band."""
START = 6.0
"""Cutoff of the first look, from which the program chooses its own [Hz]."""
MEMORY = 0.9
STANDING = 50.0
"""Vertical force above which centres of pressure are compared [N]."""


@dataclass(frozen=True)
class Case:
    """A recording and what is known of it."""

    name: str
    skeleton: Skeleton
    markers: Markers
    plates: Loads
    exact: bool


@dataclass(frozen=True)
class Result:
    """What the chain makes of markers and plates."""

    found: Motion
    motion: Motion
    rate: np.ndarray
    acceleration: np.ndarray
    loads: Loads
    kinetics: Kinetics


def cases(data: Path) -> list[Case]:
    quiet = Journal()
    result = []
    for subject in ("subject01", "subject02"):
        folder = data / "arnold_synthetic" / subject
        skeleton = load_skeleton(folder / f"{subject}.osim", journal=quiet)
        markers = read_trc(folder / "markers.trc", journal=quiet)
        result.append(
            Case(f"arnold {subject}", skeleton, markers, read_plates(folder / "grf.mot", journal=quiet), True)
        )
    folder = data / "rajagopal_walk"
    skeleton = load_skeleton(folder / "subject_walk_scaled.osim", journal=quiet)
    markers = read_trc(folder / "markers_walk.trc", journal=quiet)
    plates = read_plates(folder / "grf_walk.mot", journal=quiet)
    return [*result, Case("rajagopal walk", skeleton, markers, plates, False)]


def chain(case: Case, found: Motion, plates: Loads, cutoff: float | None) -> Result:
    quiet = Journal()
    # A cutoff that the recording can't carry leaves the motion unfiltered.
    motion, rate, acceleration, applied = smooth(case.skeleton, found, cutoff or 1e9, cutoff is not None, quiet)
    loads = loads_from_plates(plates, case.skeleton, motion, turn=np.eye(3), cutoff=applied, journal=quiet)
    return Result(
        found, motion, rate, acceleration, loads, kinetics_of(case.skeleton, motion, rate, acceleration, loads)
    )


def drawn(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of variance 1 over time, shape [T, ...]."""
    if kind == "white":
        return rng.standard_normal(shape)
    if kind == "ar1":
        noise = rng.standard_normal((shape[0] + 200, *shape[1:]))
        return np.asarray(lfilter([np.sqrt(1 - MEMORY**2)], [1, -MEMORY], noise, axis=0)[200:])
    return np.broadcast_to(rng.standard_normal((1, *shape[1:])), shape)


def noisy_markers(case: Case, clean: Motion, kind: str, size: float, rng: np.random.Generator) -> Markers:
    """The markers with noise; offsets stay the same in the axes of the marker's body."""
    noise = size * drawn(kind, rng, case.markers.positions.shape)
    if kind == "offset":
        rotation = forward_kinematics(case.skeleton, torch.as_tensor(clean.values)).rotation.numpy()
        for column, name in enumerate(case.markers.names):
            if name in case.skeleton.marker_names:
                body = int(case.skeleton.marker_body[case.skeleton.marker_names.index(name)])
                noise[:, column] = np.einsum("tij,tj->ti", rotation[:, body], noise[:, column])
    return Markers(case.markers.times, case.markers.positions + noise, case.markers.names)


def noisy_plates(plates: Loads, kind: str, size: float, rng: np.random.Generator) -> Loads:
    """Plates with noise in all six channels; AR(1) remembers as long as at the markers' rate of 100 to 200 Hz."""
    result = []
    step = max(1, round(0.005 / float(np.median(np.diff(plates.times)))))
    for load in plates.loads:
        count = len(plates.times)
        channels = drawn(kind, rng, (count // step + 2, 6)) if kind == "ar1" else drawn(kind, rng, (count, 6))
        if kind == "ar1":
            coarse = np.arange(len(channels)) * step
            channels = np.stack([np.interp(np.arange(count), coarse, c) for c in channels.T], axis=1)
        force, moment = size * channels[:, :3], 0.5 * size * channels[:, 3:]
        standing = np.isfinite(load.point).all(1) & (load.force[:, 1] > STANDING)
        middle, point = load.point[standing].mean(0), np.nan_to_num(load.point)
        about_origin = load.moment_about_origin + moment + np.cross(middle, force)
        total = load.force + force
        result.append(Load(load.name, load.body, total, load.point, about_origin - np.cross(point, total)))
    return Loads(plates.times, tuple(result))


def placed(case: Case, found: Motion) -> Case:
    """The model's markers moved to where the recording has them on average."""
    skeleton = case.skeleton
    poses = forward_kinematics(skeleton, torch.as_tensor(found.values))
    position = skeleton.marker_position.clone()
    for name in case.markers.names:
        if name in skeleton.marker_names:
            number = skeleton.marker_names.index(name)
            body = int(skeleton.marker_body[number])
            here = torch.as_tensor(case.markers.positions[:, case.markers.names.index(name)])
            local = (poses.rotation[:, body].mT @ (here - poses.position[:, body])[..., None])[..., 0]
            position[number] = local[torch.isfinite(local[:, 0])].mean(0)
    moved = skeleton.with_markers(list(skeleton.markers), position)
    return Case(case.name + ", markers placed", moved, case.markers, case.plates, case.exact)


def z_scores(
    case: Case, result: Result, truth: Result, kinetics: Kinetics, bands: Bands
) -> dict[str, dict[str, np.ndarray]]:
    """Errors over standard deviations by kind and curve, each [T]."""
    tiny = 1e-12
    names = result.motion.names
    out: dict[str, dict[str, np.ndarray]] = {"angles": {}, "torques": {}, "loads": {}}
    for number in case.skeleton.free_coordinates:
        name = names[number]
        angle = (result.motion.values - truth.motion.values)[:, number] / (bands.angles[:, number] + tiny)
        own = 0.0 if kinetics.std is None else kinetics.std[:, number]
        torque = (result.kinetics.values - kinetics.values)[:, number]
        torque = torque / (np.hypot(bands.torques[:, number], own) + tiny)
        out["angles"][name], out["torques"][name] = angle, torque
    true_loads = {load.name: load for load in truth.loads.loads}
    for load in result.loads.loads:
        band, true = bands.loads[load.name], true_loads[load.name]
        standing = (true.force[:, 1] > STANDING) & np.isfinite(load.point).all(1)
        for axis, letter in enumerate("xyz"):
            error = (load.force - true.force)[:, axis] / (band.force[:, axis] + tiny)
            out["loads"][f"{load.name} f{letter}"] = error
            if letter != "y":
                error = (load.point - true.point)[:, axis] / (band.point[:, axis] + tiny)
                out["loads"][f"{load.name} p{letter}"] = error[standing]
        error = (load.moment - true.moment)[:, 1] / (band.moment[:, 1] + tiny)
        out["loads"][f"{load.name} my"] = error[standing]
    return out


def interval(per_draw: np.ndarray) -> list[float]:
    """Mean over draws with its 90 % interval."""
    mean = float(per_draw.mean())
    half = WITHIN * float(per_draw.std(ddof=1)) / np.sqrt(len(per_draw)) if len(per_draw) > 1 else float("nan")
    return [mean, mean - half, mean + half]


def covered(scores: list[dict[str, dict[str, np.ndarray]]]) -> dict[str, object]:
    """Coverage of each kind and curve, with intervals over draws."""
    out: dict[str, object] = {}
    for kind in scores[0]:
        curves = {c: np.array([float((np.abs(s[kind][c]) < WITHIN).mean()) for s in scores]) for c in scores[0][kind]}
        every = np.array([np.mean(np.concatenate([np.abs(x) for x in s[kind].values()]) < WITHIN) for s in scores])
        out[kind] = {"all": interval(every), "curves": {c: interval(x) for c, x in curves.items()}}
    return out


def chosen_cutoff(case: Case, markers: Markers, found: Motion, plates: Loads) -> tuple[MarkerEvidence, float]:
    """The markers' noise and the cutoff that the program takes."""
    first = chain(case, found, plates, START)
    evidence = marker_evidence(case.skeleton, markers, found)
    choice = choose_cutoff(
        case.skeleton, evidence=evidence, motion=first.motion, rate=first.rate, acceleration=first.acceleration,
        loads=first.loads, plates=plates, cutoff=START,
    )  # fmt: skip
    return evidence, choice.cutoff


def bands_of(
    case: Case, markers: Markers, result: Result, plates: Loads, cutoff: float | None, evidence: MarkerEvidence,
    sources: tuple[str, ...], method: str, draws: int = 500,
) -> Bands:  # fmt: skip
    return bands_of_analysis(
        case.skeleton, markers=markers, found=result.found, motion=result.motion, rate=result.rate,
        acceleration=result.acceleration, loads=result.loads, plates=plates, cutoff=cutoff, evidence=evidence,
        sources=sources, method=method, draws=draws,
    )  # fmt: skip


def run(case: Case, kind: str, size: float, draws: int, method: str, seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    clean = inverse_kinematics(case.skeleton, case.markers).motion
    if kind == "offset" and not case.exact:
        case = placed(case, clean)
        clean = inverse_kinematics(case.skeleton, case.markers).motion
    truth = chain(case, clean, case.plates, None)
    truths = {"unfiltered": truth.kinetics}
    if not case.exact:
        evidence, own = chosen_cutoff(case, case.markers, clean, case.plates)
        noise = bands_of(
            case, case.markers, truth, case.plates, None, evidence, ("marker noise", "plate noise"), method
        )
        truths["its noise counted"] = noise.on_kinetics(truth.kinetics)
        truths[f"filtered at {own:g} Hz"] = chain(case, clean, case.plates, own).kinetics
    sources = SOURCES
    if not case.exact:
        sources = tuple(s for s in SOURCES if s != "soft tissue" and (s != "marker placement" or kind == "offset"))
    scores: dict[str, list[dict[str, dict[str, np.ndarray]]]] = {name: [] for name in truths}
    chosen, errors, seconds = [], [], []
    for _ in range(draws):
        markers = noisy_markers(case, clean, kind, size, rng)
        plates = noisy_plates(case.plates, kind, 1e3 * size, rng)
        found = inverse_kinematics(case.skeleton, markers).motion
        began = time.perf_counter()
        evidence, cutoff = chosen_cutoff(case, markers, found, plates)
        result = chain(case, found, plates, cutoff)
        bands = bands_of(case, markers, result, plates, cutoff, evidence, sources, method)
        seconds.append(time.perf_counter() - began)
        chosen.append(cutoff)
        for name, kinetics in truths.items():
            scores[name].append(z_scores(case, result, truth, kinetics, bands))
        joints = [i for i, c in enumerate(case.skeleton.coordinates) if c.rotational]
        gap = result.kinetics.values - list(truths.values())[-1].values
        errors.append(float(np.sqrt((gap[:, joints] ** 2).mean())))
    rows = []
    for name, found_scores in scores.items():
        rows.append(
            {
                "data": case.name, "noise": kind, "size_mm": 1e3 * size, "truth": name, "draws": draws,
                "cutoff_hz": float(np.mean(chosen)), "torque_rms_nm": float(np.mean(errors)),
                "seconds": float(np.median(seconds)), "coverage": covered(found_scores),
            }
        )  # fmt: skip
    return rows


def worst(part: dict[str, dict[str, list[float]]]) -> str:
    name = min(part["curves"], key=lambda c: part["curves"][c][0])
    return f"{100 * part['curves'][name][0]:.0f} {name}"


def line(row: dict) -> str:
    cells = []
    for kind in ("angles", "torques", "loads"):
        part = row["coverage"][kind]
        mean, low, high = (100 * x for x in part["all"])
        cells.append(f"{mean:5.1f} [{low:.0f}-{high:.0f}] ({worst(part)})")
    head = (
        f"{row['data']:32s} {row['noise']:6s} {row['size_mm']:.0f} mm  {row['truth']:20s} {row['cutoff_hz']:4.1f} Hz "
    )
    return head + f"{row['torque_rms_nm']:5.2f} N·m  " + "  ".join(f"{c:42s}" for c in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MOTORQUE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--only", nargs="*", default=[], help="words that the name, noise or size must hold")
    parser.add_argument("--method", choices=("linear", "monte carlo"), default="linear")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print("coverage in % of 90 % bands: mean over all curves [90 % interval] (worst curve)")
    for case in cases(options.data):
        for kind in ("white", "ar1", "offset"):
            for size in (1e-3, 5e-3):
                label = f"{case.name} {kind} {1e3 * size:.0f}mm"
                if all(word in label for word in options.only):
                    for row in run(case, kind, size, options.draws, options.method, options.seed):
                        rows.append(row)
                        print(line(row), flush=True)
                    if options.json:  # after each case: the whole takes half an hour
                        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
