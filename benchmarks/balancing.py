"""Four cameras around a person on a beam: the angles of the fit against Pose2Sim's own, and one camera against four.

The recording is Pose2Sim's demo (100 frames at 60 Hz, Qualisys calibration). Pose2Sim's angles come from other
detectors and are no truth: its two files, from augmented markers (LSTM) and from the keypoints themselves (body25b),
differ too. Mean absolute differences stand both after each angle's constant (median) offset and as they are; pelvis
tilt and list are compared in Pose2Sim's own ground, since they depend on heading. Reprojection is compared on the
joints that both name, against the same keypoints. A camera alone gets its keypoints as they were detected, sides
exchanged or not::

    python benchmarks/balancing.py [--data ../shared/data] [--keep FOLDER] [--fps 60] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from motorque import Journal, LearnedPrior, fullbody, read_motion, read_trc
from motorque.files.calibration import cameras_for_videos, read_cameras
from motorque.fitting.keypoint_fit import KeypointFit, fit_keypoints
from motorque.series import Camera, Keypoints
from motorque.vision.keypoints import find_keypoints
from motorque.vision.projection import project
from motorque.vision.several_cameras import agreeing_views, triangulate_keypoints

SIDED = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")
ANGLES = (*(f"{name}_{side}" for side in "rl" for name in SIDED), "pelvis_tilt", "pelvis_list")
PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")

PARTS = {"Hip": "hip", "Knee": "knee", "Ankle": "ankle", "Heel": "heel", "BigToe": "toe"}
PARTS |= {"Shoulder": "shoulder", "Elbow": "elbow", "Wrist": "wrist"}
MARKERS = {"Nose": "nose"} | {f"{s}{m}": f"{name}_{s.lower()}" for s in "RL" for m, name in PARTS.items()}
"""Our keypoints by Pose2Sim's markers."""

TO_POSE2SIM = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""Pose2Sim turns the calibration's axes, Z up, into Y, Z, X; ours are X, Z, -Y."""

FIRST_TIME = 1 / 60
"""Pose2Sim counts its first frame as 1."""


@dataclass(frozen=True)
class Angles:
    """Angles over time [deg]."""

    times: np.ndarray
    values: dict[str, np.ndarray]


def fit(views: Sequence[Keypoints], cameras: Sequence[Camera]) -> KeypointFit:
    """The fit as it is used: the built-in skeleton, nothing known of the person."""
    return fit_keypoints(
        fullbody(), views, cameras=cameras, prior=LearnedPrior.load() if len(views) == 1 else None, journal=Journal()
    )


def angles_of(result: KeypointFit, camera: Camera) -> Angles:
    """The fit's angles, its pelvis in Pose2Sim's ground; ``camera`` is the first view's as it was read."""
    column = result.motion.column
    values = {name: np.degrees(column(name)) for name in ANGLES}
    turned = TO_POSE2SIM @ camera.rotation.T @ result.cameras[0].rotation  # from the fit's ground
    pelvis = Rotation.from_euler("ZXY", np.stack([column(name) for name in PELVIS], axis=1))
    tilt, lean, _ = (Rotation.from_matrix(turned) * pelvis).as_euler("ZXY", degrees=True).T
    return Angles(result.motion.times + FIRST_TIME, values | {"pelvis_tilt": tilt, "pelvis_list": lean})


def reference_angles(path: Path) -> Angles:
    """Pose2Sim's angles."""
    motion = read_motion(path, fullbody(), journal=Journal())
    return Angles(motion.times, {name: np.degrees(motion.column(name)) for name in ANGLES})


def differences(one: Angles, other: Angles) -> dict[str, tuple[float, float, float]]:
    """By angle: median offset of the other [deg], mean absolute difference after that, and as it is."""
    inside = (one.times >= other.times[0] - 1e-6) & (one.times <= other.times[-1] + 1e-6)
    table = {}
    for name in ANGLES:
        there = np.interp(one.times[inside], other.times, np.unwrap(other.values[name], period=360))
        off = (there - one.values[name][inside] + 180) % 360 - 180
        middle = float(np.median(off))
        table[name] = middle, float(np.abs(off - middle).mean()), float(np.abs(off).mean())
    return table


def reprojection(
    views: Sequence[Keypoints], cameras: Sequence[Camera], times: np.ndarray, names: Sequence[str], points: np.ndarray
) -> float:
    """Mean distance between points in the calibration's ground, shape [T, K, 3], and the keypoints [px]."""
    errors = []
    for view, camera in zip(views, cameras, strict=True):
        seen = view.select(tuple(names))
        at = np.stack([np.interp(seen.times, times, c) for c in points.reshape(len(times), -1).T], axis=1)
        inside = (seen.times >= times[0] - 1e-6) & (seen.times <= times[-1] + 1e-6)
        off = project(camera, at.reshape(len(seen.times), -1, 3)) - seen.points
        errors.append(np.linalg.norm(off, axis=-1)[inside])
    return float(np.nanmean(np.concatenate(errors)))


def in_calibration(result: KeypointFit, camera: Camera, names: Sequence[str]) -> np.ndarray:
    """The fit's keypoints in the ground of the calibration, shape [T, K, 3]."""
    pick = [result.keypoint_names.index(name) for name in names]
    fitted = result.cameras[0]
    local = result.keypoints[:, pick] @ fitted.rotation.T + fitted.translation
    return np.asarray((local - camera.translation) @ camera.rotation)


def show(title: str, table: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    """Print a table; its medians over the angles, after the constant offset and as they are [deg]."""
    print(f"\n{title}\n{'angle':20s}{'offset':>8s}{'after it':>10s}{'as it is':>10s}")
    for name, (offset, after, plain) in table.items():
        print(f"{name:20s}{offset:8.1f}{after:10.1f}{plain:10.1f}")
    middle = {
        "after_offset": float(np.median([row[1] for row in table.values()])),
        "as_it_is": float(np.median([row[2] for row in table.values()])),
    }
    print(f"{'median':20s}{'':8s}{middle['after_offset']:10.1f}{middle['as_it_is']:10.1f}")
    return middle


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MOTORQUE_DATA", "../shared/data")))
    parser.add_argument("--keep", type=Path, help="folder for the keypoints that were found")
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.data / "video" / "pose2sim_balancing"
    reference = folder / "reference"
    journal = Journal(listener=lambda notice: print(f"{notice.kind}: {notice.about} {notice.text}"))
    videos = sorted((folder / "videos").glob("cam*.mp4"))
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    found = [
        find_keypoints(
            video,
            fps=options.fps,
            cache=None if options.keep is None else options.keep / f"{video.stem}.npz",
            journal=journal,
        ).as_shown()
        for video in videos
    ]
    cameras = read_cameras(folder / "calibration" / "Calib.qca.txt", journal=journal)
    cameras = cameras_for_videos(cameras, [(v, k.size) for v, k in zip(videos, found, strict=True)], journal)
    views = agreeing_views(found, cameras, journal)
    lstm = reference_angles(reference / "S00_P00_T01_BalancingTrial_filt_butterworth_0-100_LSTM.mot")
    body25b = reference_angles(reference / "S00_P00_T01_BalancingTrial_filt_butterworth_0-100_body25b.mot")
    results = {"Pose2Sim's two files": show("body25b against LSTM, both Pose2Sim's", differences(lstm, body25b))}
    four = fit(views, cameras)
    all_four = angles_of(four, cameras[0])
    results["LSTM"] = show("four cameras against Pose2Sim's LSTM", differences(lstm, all_four))
    results["body25b"] = show("four cameras against Pose2Sim's body25b", differences(body25b, all_four))
    for view, camera in zip(found, cameras, strict=True):
        alone = angles_of(fit([view], [camera]), camera)
        results[f"{camera.name} alone"] = show(f"{camera.name} alone against four", differences(all_four, alone))

    trc = read_trc(reference / "S00_P00_T01_BalancingTrial_0-100.trc", journal=journal)
    shared = [m for m in MARKERS if m in trc.names and MARKERS[m] in four.keypoint_names]
    names = [MARKERS[m] for m in shared]
    markers = trc.positions[:, [trc.names.index(m) for m in shared]] @ TO_POSE2SIM  # its inverse, on rows
    ours = in_calibration(four, cameras[0], names)
    space = triangulate_keypoints(views, cameras)
    points = space.position[:, [views[0].names.index(name) for name in names]]
    pixels = {
        "fit": reprojection(views, cameras, four.motion.times, names, ours),
        "triangulated": reprojection(views, cameras, views[0].times, names, points),
        "pose2sim": reprojection(views, cameras, trc.times - FIRST_TIME, names, markers),
    }
    print("\nmean reprojection error of the shared joints [px]:", {k: round(v, 1) for k, v in pixels.items()})
    apart = {}
    for k, name in enumerate(names):
        there = np.stack([np.interp(views[0].times, trc.times - FIRST_TIME, markers[:, k, c]) for c in range(3)], -1)
        apart[name] = 1000 * float(np.nanmean(np.linalg.norm(points[:, k] - there, axis=-1)))
    print("triangulated keypoints from Pose2Sim's markers [mm]:", {k: round(v) for k, v in apart.items()})
    results |= {"reprojection_px": pixels, "from_pose2sim_mm": apart}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
