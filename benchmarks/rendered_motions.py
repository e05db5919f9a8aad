"""Held-back motions rendered as keypoints before random phones: how far the estimated angles are from the true ones.

For each way of estimating (the network alone, the fit with the hand-made prior, the fit with the learned one) the mean
absolute error by angle and by view, and how much of the truth the 90 % bands hold. Motions are captured ones of people
that nothing was trained on (``--motions``, the file that ``motorque.synthesis.motions`` makes; its split ``--split``),
or generated ones without. Same seed, same recordings, whatever is compared::

    python benchmarks/rendered_motions.py --motions MOTIONS.npz [--recordings 12] [--seconds 3] [--methods network …]
        [--errors 1.0] [--weights FILE] [--json FILE]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from motorque.estimators.keypoint_prior.examples import on_generic
from motorque.estimators.keypoint_prior.prior import LearnedPrior
from motorque.estimators.keypoint_prior.weights import SHIPPED
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.detector_errors import scaled_errors
from motorque.synthesis.keypoint_sequences import RATE, KeypointSequences, seen_by_phones
from motorque.synthesis.random_movements import random_movements
from motorque.synthesis.world_landmarks import world_landmarks

# The fifteen angles by which video systems are compared.
ANGLES = (
    *(f"{a}_{s}" for s in "rl" for a in ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")),
    "lumbar_extension", "lumbar_bending", "lumbar_rotation", "pelvis_tilt", "pelvis_list",
)  # fmt: skip
VIEWS = {"front": (0.0,), "oblique": (-45.0, 45.0), "side": (-90.0, 90.0), "back": (135.0, 180.0, -135.0)}
"""Direction from the person to the camera against where the person faces [degrees], give or take 15."""
BAND = 1.645
"""A 90 % band in standard deviations."""


@dataclass(frozen=True)
class Estimate:
    """Angles of :data:`ANGLES` [rad], shape [T, 15], and their standard deviations or None; and what it took [s]."""

    angles: np.ndarray
    std: np.ndarray | None
    seconds: float


def facing_x(pelvis: np.ndarray) -> np.ndarray:
    """The pelvis' rotations in ground, turned about Y so that the mean forward direction is +X; shape [T, 3, 3]."""
    ahead = pelvis[:, :, 0].mean(0)
    return Rotation.from_euler("y", np.arctan2(ahead[2], ahead[0])).as_matrix() @ pelvis


def tilt_and_list(pelvis: np.ndarray) -> np.ndarray:
    """Tilt and list [rad], shape [T, 2], of a person who faces +X."""
    return Rotation.from_matrix(facing_x(pelvis)).as_euler("ZXY")[:, :2]


def pelvis_of(names: tuple[str, ...], values: np.ndarray) -> np.ndarray:
    columns = [names.index(f"pelvis_{n}") for n in ("tilt", "list", "rotation")]
    return Rotation.from_euler("ZXY", values[:, columns]).as_matrix()


def angles_of(names: tuple[str, ...], values: np.ndarray) -> np.ndarray:
    """The fifteen angles from coordinates of the skeleton."""
    plain = [values[:, names.index(name)] for name in ANGLES[:-2]]
    return np.column_stack([*plain, tilt_and_list(pelvis_of(names, values))])


def by_network(prior: LearnedPrior, keypoints: Keypoints, height: float) -> Estimate:
    """What the network says, frame by frame; the pelvis against the up direction that it found."""
    began = time.perf_counter()
    guess = prior(keypoints)
    up = guess.up
    ahead = np.cross(up, (1.0, 0.0, 0.0))
    ahead /= np.linalg.norm(ahead)
    ground = np.stack([ahead, up, np.cross(ahead, up)])  # rows: ground's axes in the camera's
    pelvis = ground @ guess.pelvis
    # About ground's Z and X a turn of the pelvis is a change of tilt and list; the up direction's error adds to it.
    ahead_of_person = facing_x(pelvis) @ np.linalg.inv(pelvis) @ ground
    turned = np.sqrt((ahead_of_person**2 @ (guess.pelvis_std**2)[..., None])[..., 0] + 0.5 * guess.up_std**2)
    columns = [guess.names.index(name) for name in ANGLES[:-2]]
    angles = np.column_stack([guess.mean[:, columns], tilt_and_list(pelvis)])
    std = np.column_stack([guess.std[:, columns], turned[:, 2], turned[:, 0]])
    return Estimate(angles, std, time.perf_counter() - began)


def by_fit(prior: LearnedPrior | None, keypoints: Keypoints, height: float) -> Estimate:
    """The whole-recording fit, with the learned prior or with the hand-made one."""
    from motorque.fitting.keypoint_fit import fit_keypoints

    began = time.perf_counter()
    motion = fit_keypoints(fullbody(), [keypoints], height=height, prior=prior, journal=Journal()).motion
    seconds = time.perf_counter() - began
    angles = angles_of(motion.names, motion.values)
    std = None if motion.std is None else motion.std[:, [motion.names.index(name) for name in ANGLES]]
    if len(motion.times) != len(keypoints.times):
        angles, std = (
            None if table is None
            else np.column_stack([np.interp(keypoints.times, motion.times, column) for column in table.T])
            for table in (angles, std)
        )  # fmt: skip
    return Estimate(angles, std, seconds)


def methods(weights: Path) -> dict[str, Callable[[Keypoints, float], Estimate]]:
    """Every way of estimating that there is."""
    prior = LearnedPrior.load(weights)
    known = {"network": lambda k, h: by_network(prior, k, h)}
    try:
        import motorque.fitting.keypoint_fit  # noqa: F401
    except ImportError:
        return known
    known["fit_habits"] = lambda k, h: by_fit(None, k, h)
    known["fit_learned"] = lambda k, h: by_fit(prior, k, h)
    return known


def motions(
    path: Path | None, split: str, count: int, frames: int, seed: int, unseen_by: Path | None = None
) -> tuple[torch.Tensor, list[str]]:
    """``count`` stretches of motions, shape [N, frames, nq], and their names; each recording once before any twice."""
    generator = torch.Generator().manual_seed(seed)
    if path is None:
        return random_movements(count, frames, generator), ["generated"] * count
    from motorque.synthesis.motions import load_motions

    learned = {m.source for m in load_motions(unseen_by) if m.split == "train"} if unseen_by else set()
    held = [m for m in load_motions(path) if m.split == split and len(m.q) >= frames and m.source not in learned]
    if not held:
        raise SystemExit(f"{path}: no motion of split {split} has {frames} frames")
    order = [i for _ in range(-(-count // len(held))) for i in torch.randperm(len(held), generator=generator).tolist()]
    cut, names = [], []
    for index in order[:count]:
        begin = int(torch.randint(len(held[index].q) - frames + 1, (), generator=generator))
        cut.append(on_generic(held[index])[begin : begin + frames])
        names.append(f"{held[index].name}@{begin / RATE:.1f}")
    return torch.stack(cut), names


def rendered(q: torch.Tensor, view: str, errors: float, seed: int) -> KeypointSequences:
    """These motions before phones that stand in one view's directions."""
    generator = torch.Generator().manual_seed(seed)
    names = fullbody().coordinate_names
    headings = []
    for one in q.double().numpy():
        ahead = pelvis_of(names, one)[:, :, 0].mean(0)
        headings.append(np.arctan2(-ahead[2], ahead[0]))
    chosen = torch.tensor(VIEWS[view])[torch.randint(len(VIEWS[view]), (len(q),), generator=generator)]
    chosen = chosen + 30 * (torch.rand(len(q), generator=generator) - 0.5)
    azimuth = torch.tensor(headings, dtype=torch.float32) + torch.deg2rad(chosen)
    return seen_by_phones(q, generator, azimuth=azimuth, errors=scaled_errors(errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", type=Path)
    parser.add_argument("--split", default="held-back")
    parser.add_argument("--unseen-by", type=Path, help="leave out what another library has in its train split")
    parser.add_argument("--recordings", type=int, default=12, help="motions, each before a phone in every view")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each recording; shorter motions are left out")
    parser.add_argument("--errors", type=float, default=1.0, help="factor on the detector's errors")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = {n: f for n, f in methods(options.weights).items() if options.methods is None or n in options.methods}
    frames = round(options.seconds * RATE)
    q, labels = motions(options.motions, options.split, options.recordings, frames, options.seed, options.unseen_by)
    names = fullbody().coordinate_names
    errors: dict[str, dict[str, list[np.ndarray]]] = {way: {view: [] for view in VIEWS} for way in ways}
    held: dict[str, dict[str, list[np.ndarray]]] = {way: {view: [] for view in VIEWS} for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    rows = []
    for order, view in enumerate(VIEWS):
        made = rendered(q, view, options.errors, options.seed + 1 + order)
        # Depth as a detector gives it: the fit with the hand-made prior starts from it; the network does not look.
        world = world_landmarks(made, torch.Generator().manual_seed(options.seed + 11 + order))
        for index, label in enumerate(labels):
            keypoints, height = made.keypoints(index, world=world), float(made.people.height[index])
            truth = angles_of(names, made.q[index].double().numpy())
            row = {"motion": label, "view": view}
            for way, estimate in ways.items():
                try:
                    found = estimate(keypoints, height)
                except Exception as error:  # one recording that fails must not hide the others
                    print(f"{label} {view} {way}: {type(error).__name__}: {error}", file=sys.stderr)
                    continue
                off = np.abs(np.remainder(found.angles - truth + np.pi, 2 * np.pi) - np.pi)
                errors[way][view].append(np.degrees(off.mean(0)))
                row[way] = float(errors[way][view][-1].mean())
                seconds[way] += found.seconds
                if found.std is not None:
                    held[way][view].append((off <= BAND * found.std).mean(0))
            rows.append(row)
            if sys.stderr.isatty():
                print(" ".join(f"{k} {v:.2f}" if isinstance(v, float) else v for k, v in row.items()), file=sys.stderr)
    report = {
        way: summary(errors[way], held[way])
        | {"seconds_of_video_per_second": len(rows) * options.seconds / max(s, 1e-9)}
        for way, s in seconds.items()
        if any(errors[way].values())
    }
    source = "generated movements" if options.motions is None else f"{options.motions.name}, split {options.split}"
    print(f"{len(rows)} recordings of {options.seconds:g} s, {source}, detector's errors x {options.errors:g}")
    for way, table in report.items():
        show(way, table)
    if options.json:
        about = {k: str(v) for k, v in vars(options).items()}
        options.json.write_text(json.dumps({"options": about, "methods": report, "recordings": rows}, indent=1))


def summary(errors: dict[str, list[np.ndarray]], held: dict[str, list[np.ndarray]]) -> dict:
    """Mean absolute error [degrees] and share inside the 90 % bands, by angle and view."""

    def table(values: dict[str, list[np.ndarray]]) -> dict:
        everything = [row for rows in values.values() for row in rows]
        if not everything:
            return {}
        columns = {view: np.mean(rows, 0) for view, rows in values.items() if rows} | {"all": np.mean(everything, 0)}
        return {
            view: {name: float(v) for name, v in zip(ANGLES, column, strict=True)} | {"mean": float(column.mean())}
            for view, column in columns.items()
        }

    means = [float(row.mean()) for rows in errors.values() for row in rows]
    return {
        "error": table(errors),
        "inside": table(held),
        "recording": {"median": float(np.median(means)), "worst_tenth": float(np.quantile(means, 0.9))},
    }


def show(way: str, table: dict) -> None:
    views = list(table["error"])
    print(f"\n{way}: mean absolute error [degrees] by view, and share inside the 90 % band")
    print(f"  {'':18s}" + "".join(f"{view:>9s}" for view in views) + "   inside")
    for name in (*ANGLES, "mean"):
        inside = f"{100 * table['inside']['all'][name]:7.0f} %" if table["inside"] else ""
        print(f"  {name:18s}" + "".join(f"{table['error'][view][name]:9.2f}" for view in views) + inside)
    middle, most, speed = *table["recording"].values(), table["seconds_of_video_per_second"]
    print(f"  recordings: median {middle:.2f}, nine tenths below {most:.2f}; {speed:.1f} s of video a second")


if __name__ == "__main__":
    main()
