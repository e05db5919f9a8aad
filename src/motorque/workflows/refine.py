"""`refine`: from a noisy motion, on SMPL's tree or of an OpenSim model, to one without most of its noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, MotorqueError
from motorque.files.motion_files import motion_table, read_motion, write_motion
from motorque.files.osim import load_skeleton
from motorque.files.output import OutputFolder, write_text
from motorque.files.smpl_model import read_smpl_model
from motorque.files.smpl_poses import Sex, write_poses
from motorque.files.storage import write_storage
from motorque.fitting.load_poses import load_poses
from motorque.fitting.pose_chart import vectors_of
from motorque.fitting.pose_smoothing import SmoothedPoses, smooth_poses
from motorque.fitting.refine import RefineSettings, refine_poses
from motorque.fitting.refine_adam import refine_adam
from motorque.fitting.refine_motion import refine_motion
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series.poses import Poses, Up
from motorque.skeleton.smpl import SMPL_JOINTS

Array = NDArray[np.float64]
Method = Literal["mechanics", "smooth", "adam"]
METHODS: tuple[Method, ...] = ("mechanics", "smooth", "adam")
"""``mechanics``: the most probable motion, given noise, smoothness and mechanics. ``smooth``: of these, inertia alone.
``adam``: as SMPL-Dynamics has it."""

MOTIONS = (".mot", ".sto")
REFINED = {"poses": "poses.npz", "motion": "motion.mot", "std": "kinematics_std.sto", "summary": "refinement.json"}
"""Names of what is written."""


def refine_step(
    path: str | Path,
    out: str | Path,
    *,
    method: Method = "mechanics",
    model: str | Path | None = None,
    skeleton: str | Path | None = None,
    fps: float | None = None,
    up: Up | None = None,
    sex: Sex | None = None,
    height: float | None = None,
    mass: float | None = None,
    start: float | None = None,
    end: float | None = None,
    journal: Journal,
    progress: Progress = silent,
) -> Path:
    """`motorque refine`: a file in, a folder out.

    Args:
        path: Poses, as :func:`motorque.fitting.load_poses.load_poses` reads them, or a motion, ``.mot`` or ``.sto``.
        out: Folder for ``poses.npz``, or ``motion.mot`` and ``kinematics_std.sto``, and ``refinement.json``.
        method: One of `METHODS`.
        model: The ``.osim`` of a motion, or the body model of poses' shape parameters.
        skeleton: The ``.asf`` of an ``.amc``.
        fps: Frames per second of poses; the file's own if None.
        up: What is up in the poses' world; found if None.
        sex: Whose proportions.
        height: Stature [m].
        mass: Body mass [kg].
        start: First time [s].
        end: Last time [s].
        journal: What was found, assumed or left out.
        progress: Hears how far it is.

    Returns:
        The refined file.

    Raises:
        MotorqueError: Any of the errors of the readers, of the method, or of writing; then nothing is written.
    """
    path, out = Path(path), Path(out)
    if method not in METHODS:
        raise DataError(f"there is no method {method!r}; there are {', '.join(METHODS)}")
    if path.suffix.lower() in MOTIONS:
        given = {"--skeleton": skeleton, "--fps": fps, "--up": up, "--height": height, "--mass": mass, "--sex": sex}
        for name, value in given.items():
            if value is not None:
                raise DataError(f"{name}: goes with poses, not with a motion of a model ({path.name}); leave it out")
        return _motion(path, out, method, model, start, end, journal, progress)
    if model is not None and Path(model).suffix.lower() == ".osim":
        raise DataError(f"{model}: an OpenSim model goes with a motion (.mot), not with {path.name}; leave it out")
    body = None if model is None else read_smpl_model(model)
    poses = load_poses(
        path, skeleton=skeleton, fps=fps, up=up, sex=sex, height=height, mass=mass, model=body, journal=journal
    ).between(start, end)
    try:
        found = _refined(poses, method, journal, progress)
    except MotorqueError as error:
        raise type(error)(f"{path}: {error}") from None
    with OutputFolder(out) as folder:
        write_poses(folder.path / REFINED["poses"], found[0])
        _write_summary(folder.path, _about_poses(poses, *found, method), journal)
    return out / REFINED["poses"]


def _refined(poses: Poses, method: Method, journal: Journal, progress: Progress) -> tuple[Poses, SmoothedPoses | None]:
    if method == "adam":
        return refine_adam(poses, progress=progress), None
    smoothed = (
        smooth_poses(poses, journal=journal)
        if method == "smooth"
        else refine_poses(poses, journal=journal, progress=progress)
    )
    return smoothed.poses, smoothed


def _about_poses(given: Poses, refined: Poses, found: SmoothedPoses | None, method: Method) -> dict[str, Any]:
    turned = np.linalg.norm(vectors_of(refined.rotations @ given.rotations.swapaxes(-1, -2)), axis=-1)
    summary: dict[str, Any] = {
        "method": method,
        "frames": len(given.times),
        "rate_hz": given.rate,
        "mean_change_rad": float(turned.mean()),
        "mean_change_rad_by_joint": dict(zip(SMPL_JOINTS, turned.mean(0).tolist(), strict=True)),
        "mean_change_of_translation_m": float(np.linalg.norm(refined.translation - given.translation, axis=-1).mean()),
    }
    if found is not None:
        noise = found.noise
        summary["noise"] = {
            "std_rad_by_joint": dict(zip(SMPL_JOINTS, noise.joints.tolist(), strict=True)),
            "std_of_translation_m": noise.translation.tolist(),
            "share_new_in_every_frame": noise.white_share,
            "rest_lasts_s": noise.lasts,
            "axis_in_world": noise.axis.tolist(),
            "along_over_across_axis": noise.ratio,
        }
        summary["mean_std_after_smoothing_rad"] = float(found.std.mean())
    return summary


def _motion(
    path: Path,
    out: Path,
    method: Method,
    model: str | Path | None,
    start: float | None,
    end: float | None,
    journal: Journal,
    progress: Progress,
) -> Path:
    if model is None:
        raise DataError(f"{path}: a motion needs its model; give the .osim with --model")
    if method == "adam":
        raise DataError("--method adam: is the paper's way for poses; a motion takes 'mechanics' or 'smooth'")
    skeleton = load_skeleton(model, journal=journal)
    motion = read_motion(path, skeleton, journal=journal).between(start, end)
    settings = RefineSettings(bend=0.0, stand=False) if method == "smooth" else None
    try:
        found = refine_motion(skeleton, motion, settings=settings, journal=journal, progress=progress)
    except MotorqueError as error:
        raise type(error)(f"{path}: {error}") from None
    change = np.sqrt(np.mean((found.motion.values - motion.values) ** 2, axis=0))
    summary = {
        "method": method,
        "frames": len(motion.times),
        "rate_hz": motion.rate,
        "rms_change_rad_or_m": dict(zip(motion.names, change.tolist(), strict=True)),
        "noise": {
            "std_rad_or_m": dict(zip(motion.names, found.noise.tolist(), strict=True)),
            "share_new_in_every_frame": found.white_share,
            "rest_lasts_s": found.lasts,
        },
    }
    with OutputFolder(out) as folder:
        write_motion(folder.path / REFINED["motion"], found.motion, skeleton)
        write_storage(folder.path / REFINED["std"], motion_table(found.motion, skeleton, name="std", std=True))
        _write_summary(folder.path, summary, journal)
    return out / REFINED["motion"]


def _write_summary(folder: Path, summary: dict[str, Any], journal: Journal) -> None:
    notices = [{"kind": n.kind, "text": n.text, "about": n.about} for n in journal.notices]
    write_text(folder / REFINED["summary"], json.dumps({**summary, "notices": notices}, indent=1) + "\n")
