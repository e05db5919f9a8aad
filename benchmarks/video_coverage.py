"""What the error bars of a video's angles, torques and ground forces hold, on rendered motions whose truth is known.

Captured motions of people that nothing was trained on are rendered before random phones (`rendered_motions`), each by
a random person, whose height and mass are given; then the chain of ``motorque analyze VIDEO`` runs behind the
detector. The truth is what the same chain makes of the true motion with the person's true lengths: low-pass filter at
6 Hz, ground forces estimated by the same rules, inverse dynamics. What these rules themselves get wrong is no part of
the score. Motions are compared after the ground's heading, which no picture tells, was aligned; centres of pressure
under the foot.

A 90 % bar is 1.645 standard deviations to either side. ``--split validation`` is what the way was chosen on, the
default what it was not::

    python benchmarks/video_coverage.py --motions MOTIONS.npz [--recordings 16] [--seconds 3] [--split held-back]
        [--no-height] [--json FILE]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rendered_motions import BAND, VIEWS, motions, rendered
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from motorque.estimators.keypoint_prior.prior import LearnedPrior
from motorque.fitting.ground_loads import GroundEstimate, ground_estimate
from motorque.fitting.keypoint_fit import KeypointFit, fit_keypoints
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Motion
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.fullbody_tables import GENERIC_HEIGHT
from motorque.skeleton.scaling import scale_lengths, set_mass
from motorque.skeleton.skeleton import Skeleton
from motorque.synthesis.keypoint_sequences import RATE, KeypointSequences
from motorque.synthesis.world_landmarks import world_landmarks
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.motion_bands import bands_of_motion
from motorque.uncertainty.torque_gain import generalized_forces
from motorque.workflows.smoothing import DEFAULT_CUTOFF, smooth

Array = np.ndarray
OUTPUT = 60.0
CARRYING = 20.0
"""Vertical force of a foot from which it counts, in the truth or in the result [N]."""
LEFT_OUT = ("pelvis_", "pro_sup", "knee_angle_r_beta", "knee_angle_l_beta", "subtalar", "mtp")
"""Coordinates that are not scored: the root's, coupled ones, those that no keypoint or next to nothing tells."""
OF_BODY = {"patella_r": "femur_r", "patella_l": "femur_l", "hand_r": "radius_r", "hand_l": "radius_l"}
"""Bodies without landmarks, and those whose lengths they go with."""


@dataclass(frozen=True)
class Analysis:
    """A motion smoothed, with its ground forces and torques; at the times of the motion."""

    skeleton: Skeleton
    motion: Motion
    rate: Array
    acceleration: Array
    ground: GroundEstimate
    torques: Array

    def under_foot(self, load: int) -> Array:
        """A centre of pressure from its foot [m], shape [T, 2 (x, z)]."""
        one = self.ground.loads.loads[load]
        poses = forward_kinematics(self.skeleton, torch.as_tensor(self.motion.values))
        return (one.point - poses.position[:, self.skeleton.body(one.body)].numpy())[:, [0, 2]]


def analysed(skeleton: Skeleton, motion: Motion) -> Analysis:
    """What the chain makes of a motion at even times."""
    smoothed, rate, acceleration, _ = smooth(skeleton, motion, DEFAULT_CUTOFF, True, Journal())
    ground = ground_estimate(skeleton, smoothed, cutoff=None, journal=Journal())
    wrenches = {x.body: np.concatenate([x.force, x.moment_about_origin], axis=1) for x in ground.loads.loads}
    torques = generalized_forces(skeleton, np.stack([smoothed.values, rate, acceleration]), wrenches)
    return Analysis(skeleton, smoothed, rate, acceleration, ground, torques)


def at_even_times(motion: Motion) -> Motion:
    """The motion at the times of results, as the workflow has it."""
    count = int((motion.times[-1] - motion.times[0]) * OUTPUT + 1e-6) + 1
    even = motion.times[0] + np.arange(count) / OUTPUT
    std = None if motion.std is None else np.stack([np.interp(even, motion.times, x) for x in motion.std.T], axis=1)
    return Motion(even, CubicSpline(motion.times, motion.values)(even), motion.names, std)


def true_skeleton(made: KeypointSequences, index: int, mass: float) -> Skeleton:
    generic, bodies = fullbody(), made.people.skeleton.body_names
    factors = made.people.factors[index].double()
    rows = [factors[bodies.index(OF_BODY.get(name, name))] for name in generic.body_names]
    return set_mass(scale_lengths(generic, torch.stack(rows)), mass)


def with_heading(q: Array, like: Motion) -> Array:
    """True coordinates, shape [T, nq] at 30 Hz, turned about the vertical to the heading of what was found."""

    def pelvis(values: Array) -> Array:
        return Rotation.from_euler("ZXY", values[:, :3]).as_matrix()

    at = np.rint(like.times * RATE).astype(int)
    off = pelvis(like.values) @ pelvis(q[at]).swapaxes(-1, -2)
    angles = np.arctan2(off[:, 0, 2] - off[:, 2, 0], off[:, 0, 0] + off[:, 2, 2])
    turn = Rotation.from_euler("Y", np.angle(np.exp(1j * angles).mean())).as_matrix()
    result = q.copy()
    result[:, :3] = np.unwrap(Rotation.from_matrix(turn @ pelvis(q)).as_euler("ZXY"), axis=0)
    result[:, 3:6] = q[:, 3:6] @ turn.T
    return result


@dataclass(frozen=True)
class Scored:
    """Shares inside the bars: by kind, and of angles and torques by coordinate; errors and bars, root mean square."""

    inside: dict[str, float]
    by_coordinate: dict[str, dict[str, float]]
    error: dict[str, float]
    bar: dict[str, float]


def score(found: Analysis, truth: Analysis, bands: Bands) -> Scored:
    """Compare a result with the truth at its times."""
    at = np.rint((found.motion.times - truth.motion.times[0]) * OUTPUT).astype(int)
    names = found.motion.names
    columns = [n for n, name in enumerate(names) if not name.startswith(LEFT_OUT)]
    off = {
        "angles": np.angle(np.exp(1j * (found.motion.values - truth.motion.values[at])))[:, columns],
        "torques": (found.torques - truth.torques[at])[:, columns],
    }
    bars = {"angles": BAND * bands.angles[:, columns], "torques": BAND * bands.torques[:, columns]}
    by_coordinate = {
        kind: {names[c]: float(x) for c, x in zip(columns, (np.abs(off[kind]) <= bars[kind]).mean(0), strict=True)}
        for kind in off
    }
    parts: dict[str, list[tuple[Array, Array]]] = {
        "vertical force": [],
        "horizontal force": [],
        "centre of pressure": [],
    }
    for number, (own, true) in enumerate(zip(found.ground.loads.loads, truth.ground.loads.loads, strict=True)):
        there = (own.force[:, 1] > CARRYING) | (true.force[at, 1] > CARRYING)
        force, bar = (own.force - true.force[at])[there], BAND * bands.loads[own.name].force[there]
        parts["vertical force"].append((force[:, 1], bar[:, 1]))
        parts["horizontal force"].append((force[:, [0, 2]].ravel(), bar[:, [0, 2]].ravel()))
        point, bar = (
            found.under_foot(number) - truth.under_foot(number)[at],
            BAND * bands.loads[own.name].point[:, [0, 2]],
        )
        known = np.isfinite(point).all(1) & np.isfinite(bar).all(1)
        parts["centre of pressure"].append((point[known].ravel(), bar[known].ravel()))
    for kind, pairs in parts.items():
        off[kind], bars[kind] = (np.concatenate(x) for x in zip(*pairs, strict=True))
    return Scored(
        {kind: float((np.abs(off[kind]) <= bars[kind]).mean()) for kind in off},
        by_coordinate,
        {kind: float(np.sqrt((off[kind] ** 2).mean())) for kind in off},
        {kind: float(np.sqrt((bars[kind] ** 2).mean())) for kind in off},
    )


def recording(
    made: KeypointSequences, index: int, world: torch.Tensor, prior: LearnedPrior, height_known: bool
) -> tuple[Scored, float]:
    """One recording's score and what its bars took [s of this processor]."""
    height = float(made.people.height[index])
    mass = fullbody().total_mass() * (height / GENERIC_HEIGHT) ** 2
    fit: KeypointFit = fit_keypoints(
        fullbody(),
        [made.keypoints(index, world=world)],
        height=height if height_known else None,
        prior=prior,
        journal=Journal(),
    )
    found = analysed(set_mass(fit.skeleton, mass), at_even_times(fit.motion))
    q = with_heading(made.q[index].double().numpy(), fit.motion)
    names = fullbody().coordinate_names
    truth = analysed(true_skeleton(made, index, mass), at_even_times(Motion(np.arange(len(q)) / RATE, q, names)))
    began = time.process_time()
    bands = bands_of_motion(
        found.skeleton,
        motion=found.motion,
        rate=found.rate,
        acceleration=found.acceleration,
        loads=found.ground.loads,
        estimated=True,
        cutoff=DEFAULT_CUTOFF,
        posterior=fit.posterior,
        ground=found.ground,
        height_known=height_known,
    )
    return score(found, truth, bands), time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", type=Path)
    parser.add_argument("--split", default="held-back")
    parser.add_argument("--recordings", type=int, default=16, help="motions, each before a phone in one view in turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each recording; shorter motions are left out")
    parser.add_argument("--no-height", action="store_true", help="do not tell the person's height")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prior = LearnedPrior.load()
    q, labels = motions(options.motions, options.split, options.recordings, round(options.seconds * RATE), options.seed)
    rows, scored = [], []
    for order, view in enumerate(VIEWS):
        made = rendered(q, view, 1.0, options.seed + 1 + order)
        world = world_landmarks(made, torch.Generator().manual_seed(options.seed + 11 + order))
        for index in range(order, len(labels), len(VIEWS)):
            one, seconds = recording(made, index, world, prior, not options.no_height)
            scored.append(one)
            rows.append({"motion": labels[index], "view": view, "seconds": seconds} | vars(one))
    report = summary(scored)
    show(report, len(rows), options)
    if options.json:
        about = {k: str(v) for k, v in vars(options).items()}
        options.json.write_text(json.dumps({"options": about, "report": report, "recordings": rows}, indent=1))


def summary(scored: list[Scored]) -> dict:
    """Means over recordings, with the standard error of the share inside and the least of them."""
    result: dict = {"kinds": {}, "coordinates": {}}
    for kind in scored[0].inside:
        inside = np.array([s.inside[kind] for s in scored])
        result["kinds"][kind] = {
            "inside": float(inside.mean()),
            "standard error": float(inside.std(ddof=1) / np.sqrt(len(inside))) if len(inside) > 1 else 0.0,
            "least": float(inside.min()),
            "error": float(np.median([s.error[kind] for s in scored])),
            "bar": float(np.median([s.bar[kind] for s in scored])),
        }
    for name in scored[0].by_coordinate["angles"]:
        result["coordinates"][name] = {
            kind: float(np.mean([s.by_coordinate[kind][name] for s in scored])) for kind in ("angles", "torques")
        }
    return result


def show(report: dict, count: int, options: argparse.Namespace) -> None:
    units = {"angles": (180 / np.pi, "°"), "torques": (1, "N·m"), "centre of pressure": (100, "cm")}
    source = "generated movements" if options.motions is None else f"{options.motions.name}, split {options.split}"
    told = "not told" if options.no_height else "told"
    print(f"{count} recordings of {options.seconds:g} s, {source}, height {told}: share inside 90 % bars")
    print(f"  {'':20s}{'inside':>9s}{'± s.e.':>9s}{'least':>9s}{'error':>9s}{'bar':>9s}  median root mean square")
    for kind, row in report["kinds"].items():
        factor, unit = units.get(kind, (1, "N"))
        shares = "".join(f"{100 * row[x]:7.1f} %" for x in ("inside", "standard error", "least"))
        print(f"  {kind:20s}{shares}{factor * row['error']:9.3g}{factor * row['bar']:9.3g}  {unit}")
    print(f"  {'':20s}{'angle':>9s}{'torque':>9s}")
    for name, row in report["coordinates"].items():
        print(f"  {name:20s}{100 * row['angles']:7.1f} %{100 * row['torques']:7.1f} %")


if __name__ == "__main__":
    main()
