"""Estimated ground forces against force plates: prints a table and writes JSON.

    python benchmarks/ground_loads.py [--data FOLDER] [--json FILE] [--sensitivity]

Three masses where they differ: what the plates weigh in the static trial (60.2 kg for opencap_subject4), the model's,
and what the plates weigh in the trial itself: the impulse of all plates over gravity's, less the change of the body's
momentum, ∫F dt = m (g T + Δv). In the two walks the plates weigh 63.6 kg, so that any estimate that obeys Newton's law
with 60.2 kg is 5.5 %BW below them on average, whatever its method.

Frames that count: from either end of a recording frames are dropped as long as the plates lack over 5 % of the body
weight of the force that Newton's law asks for, if anywhere in that stretch they lack over 20 % (a foot beside the
plates, a box).
The sit-to-stand keeps all of its frames: plates and estimate both speak of the feet, and the chair is no plate.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from motorque.files.external_loads import interpolate_loads, read_plates
from motorque.files.motion_files import read_motion
from motorque.files.osim import load_skeleton
from motorque.fitting import contact_detection, contact_points, load_sharing
from motorque.fitting.ground_loads import GroundEstimate, ground_estimate
from motorque.fitting.plates_to_feet import assign_plates
from motorque.journal import Journal
from motorque.series import Motion
from motorque.signals import NaturalSpline
from motorque.skeleton.skeleton import Skeleton

GRAVITY = 9.80665
STATIC_MASS = 60.2
LACKING, SURELY_LACKING = 0.05, 0.20
LOADED = 0.20


@dataclass(frozen=True)
class Recording:
    name: str
    skeleton: Skeleton
    motion: Motion
    force: np.ndarray  # of the plates under the right and the left foot [N], shape [2, T, 3]
    moment: np.ndarray  # about the ground origin [N·m], shape [2, T, 3]
    keep_all: bool

    @property
    def mass(self) -> float:
        return self.skeleton.total_mass()


def recordings(data: Path) -> list[tuple[str, Path, Path, Path]]:
    opencap, walk = data / "opencap_subject4", data / "rajagopal_walk"
    found = [
        (name, opencap / "models/manually_scaled.osim", opencap / f"ik/{name}_manual_scaling_ik.mot",
         opencap / f"grf/{name}_grf.mot")
        for name in ("walking1", "walkingTS1", "squats1", "DJ1", "STS1")
    ]  # fmt: skip
    found.append(("rajagopal_walk", walk / "subject_walk_scaled.osim", walk / "coordinates.sto", walk / "grf_walk.mot"))
    for subject in ("subject01", "subject02"):
        folder = data / "arnold_synthetic" / subject
        found.append((f"arnold {subject}", folder / f"{subject}.osim", folder / "coordinates.sto", folder / "grf.mot"))
    return found


def load(name: str, model: Path, motion: Path, plates: Path) -> Recording:
    quiet = Journal()
    skeleton = load_skeleton(model, journal=quiet)
    moved = read_motion(motion, skeleton, journal=quiet)
    measured = interpolate_loads(read_plates(plates, journal=quiet), moved.times)
    on_feet = assign_plates(measured, skeleton, moved.values, journal=quiet)
    force = np.zeros((2, len(moved.times), 3))
    moment = np.zeros_like(force)
    for item in on_feet.loads:
        foot = 0 if item.body.endswith("_r") else 1
        force[foot] += item.force
        moment[foot] += item.moment_about_origin
    return Recording(name, skeleton, moved, force, moment, keep_all=name.startswith("STS"))


def counted_frames(recording: Recording, estimate: GroundEstimate) -> np.ndarray:
    """Frames in which the plates carry the whole body, shape [T]; see the module's docstring."""
    newton = estimate.loads.total_force()[:, 1] + estimate.residual_force[:, 1]
    lack = (newton - recording.force.sum(0)[:, 1]) / estimate.weight
    keep = np.ones(len(lack), dtype=bool)
    if recording.keep_all:
        return keep
    for order in (slice(None), slice(None, None, -1)):
        length = int(np.argmax(lack[order] < LACKING)) if (lack < LACKING).any() else len(lack)
        if length and lack[order][:length].max() > SURELY_LACKING:
            keep[order][:length] = False
    return keep


def trial_mass(recording: Recording, estimate: GroundEstimate, frames: np.ndarray) -> float:
    """What the plates weigh in the trial [kg]: impulse over (g T + Δv), Δv from the motion."""
    times = recording.motion.times
    newton = (estimate.loads.total_force() + estimate.residual_force)[:, 1] / estimate.weight * GRAVITY
    measured = NaturalSpline(times, recording.force.sum(0)[:, 1], degree=3)
    asked = NaturalSpline(times, newton, degree=3)
    inside = np.flatnonzero(frames)
    fine = np.linspace(times[inside[0]], times[inside[-1]], 20 * len(inside))
    return float(np.trapezoid(measured(fine), fine) / np.trapezoid(asked(fine), fine))


def errors(recording: Recording, estimate: GroundEstimate, frames: np.ndarray) -> dict[str, float]:
    """Mean absolute errors: forces in % of body weight, centre of pressure in mm, free moment in N·m."""
    percent = 100 / estimate.weight
    feet = estimate.loads.loads
    gap = estimate.loads.total_force()[frames] - recording.force.sum(0)[frames]
    out = {"total": float(np.abs(gap[:, 1]).mean() * percent), "bias": float(gap[:, 1].mean() * percent)}
    for foot, side in enumerate("rl"):
        gap = np.abs(feet[foot].force - recording.force[foot])[frames].mean(axis=0) * percent
        out[f"fore-aft {side}"], out[f"foot {side}"], out[f"sideways {side}"] = (float(x) for x in gap)
        force, moment = recording.force[foot], recording.moment[foot]
        on = frames & (force[:, 1] > LOADED * estimate.weight)
        point = np.stack([moment[:, 2], -moment[:, 0]], axis=1)[on] / force[on, 1:2]
        away = np.linalg.norm(feet[foot].point[on][:, [0, 2]] - point, axis=1)
        out[f"point {side}"] = float(np.nanmean(away) * 1000) if on.any() else float("nan")
        out[f"no point {side}"] = float(np.isnan(away).mean()) if on.any() else 0.0
        free = moment[on, 1] - (point[:, 1] * force[on, 0] - point[:, 0] * force[on, 2])
        out[f"free moment {side}"] = float(np.nanmean(np.abs(feet[foot].moment[on, 1] - free))) if on.any() else 0.0
    return out


def evaluate(
    recording: Recording, mass: float | None = None, *, cutoff: float = 6.0, journal: Journal | None = None
) -> tuple[dict[str, float], GroundEstimate, np.ndarray]:
    journal = Journal() if journal is None else journal
    estimate = ground_estimate(recording.skeleton, recording.motion, cutoff=cutoff, mass=mass, journal=journal)
    frames = counted_frames(recording, estimate)
    return errors(recording, estimate, frames), estimate, frames


PARAMETERS: list[tuple[ModuleType, str]] = [
    (contact_detection, "SOFTNESS"),
    (contact_detection, "DEEPEST"),
    (contact_detection, "FAST"),
    (contact_detection, "FAST_WIDTH"),
    (contact_detection, "SLOW"),
    (contact_detection, "UNEVEN"),
    (load_sharing, "TOTAL_ERROR"),
    (load_sharing, "PRESSURE_POINT_ERROR"),
    (load_sharing, "PRESSURE_POINT_SPREAD"),
    (load_sharing, "LOADING_RATE"),
    (load_sharing, "FRICTION"),
    (load_sharing, "LEG_SPREAD"),
    (load_sharing, "TWIST_ARM"),
]


def sensitivity(all_of_them: list[Recording]) -> list[dict[str, object]]:
    """The figures with every main parameter 30 % smaller and larger."""
    rows: list[dict[str, object]] = []

    def one(label: str) -> None:
        found = [evaluate(r, STATIC_MASS if r.keep_all or _opencap(r) else None)[0] for r in all_of_them]
        row: dict[str, object] = {"changed": label}
        for recording, error in zip(all_of_them, found, strict=True):
            row[recording.name] = [max(error["foot r"], error["foot l"]), _both(error, "point")]
        rows.append(row)
        cells = "  ".join(f"{row[r.name][0]:4.1f}/{row[r.name][1]:2.0f}" for r in all_of_them)  # type: ignore[index]
        print(f"{label:32s} {cells}", flush=True)

    print("\nworst foot [%BW] / centre of pressure [mm] with each parameter 30 % off")
    print(" " * 33 + "  ".join(f"{r.name[:7]:7s}" for r in all_of_them))
    one("as they are")
    for module, name in PARAMETERS:
        before = getattr(module, name)
        for factor in (0.7, 1.3):
            setattr(module, name, before * factor)
            one(f"{name} × {factor}")
        setattr(module, name, before)
    before_loads = contact_points.REGION_LOADS
    for region, label in enumerate(("heel", "midfoot", "forefoot", "toes")):
        for factor in (0.7, 1.3):
            changed = list(before_loads)
            changed[region] *= factor
            contact_points.REGION_LOADS = tuple(x / sum(changed) for x in changed)  # type: ignore[assignment]
            one(f"load on {label} × {factor}")
    contact_points.REGION_LOADS = before_loads
    return rows


def _opencap(recording: Recording) -> bool:
    return recording.name in ("walking1", "walkingTS1", "squats1", "DJ1", "STS1")


def _both(error: dict[str, float], key: str) -> float:
    return float(np.nanmean([error[f"{key} r"], error[f"{key} l"]]))


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("MOTORQUE_DATA", root.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--cutoff", type=float, default=6.0)
    parser.add_argument("--sensitivity", action="store_true", help="also with every parameter 30 %% off")
    options = parser.parse_args()
    loaded = [load(*paths) for paths in recordings(options.data)]
    rows: list[dict[str, object]] = []
    print("mean absolute errors: forces %BW, centre of pressure mm, free moment N·m")
    print(f"{'recording':17s} {'mass kg':>8s}  total  bias     foot r/l      fore-aft    sideways    point r/l  free  "
          "frames")  # fmt: skip
    for recording in loaded:
        _, rough, frames = evaluate(recording)
        masses = {"model": recording.mass, "trial": trial_mass(recording, rough, frames)}
        if _opencap(recording):
            masses = {"static": STATIC_MASS, **masses}
        if recording.keep_all or recording.name == "DJ1":
            del masses["trial"]  # chair and box are not weighed
        for source, mass in masses.items():
            start = time.perf_counter()
            journal = Journal()
            error, _, frames = evaluate(recording, mass, cutoff=options.cutoff, journal=journal)
            seconds = time.perf_counter() - start
            times = recording.motion.times[frames]
            feet = "".join(
                f"   {error[f'{key} r']:{form}} {error[f'{key} l']:{form}}"
                for key, form in (("foot", "5.2f"), ("fore-aft", "4.1f"), ("sideways", "4.1f"), ("point", "4.0f"))
            )
            print(
                f"{recording.name:17s} {mass:5.1f} {source[0]}   {error['total']:5.2f} {error['bias']:+5.2f}{feet}  "
                f"{_both(error, 'free moment'):4.1f}  {times[0]:.2f}-{times[-1]:.2f} s  ({seconds:.2f} s)",
                flush=True,
            )
            warnings = [n.text for n in journal.notices if n.kind == "warning"]
            rows.append({"recording": recording.name, "mass": mass, "mass of": source, "from": times[0],
                         "to": times[-1], "seconds": seconds, "warnings": warnings, **error})  # fmt: skip
    for row in rows:
        for text in row["warnings"] if row["mass of"] == "model" else ():  # type: ignore[union-attr]
            print(f"{row['recording']}: {text}")
    result: dict[str, object] = {"cutoff": options.cutoff, "figures": rows}
    if options.sensitivity:
        result["sensitivity"] = sensitivity(loaded)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, default=float))
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()
