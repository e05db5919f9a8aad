"""`refine`: from a noisy motion, on SMPL's tree or of an OpenSim model, to one without most of its noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, MotorqueError
from motorque.files.motion_files import motion_table, read_motion, write_motion
from motorque.files.osim import load_skeleton
from motorque.files.output import OutputFolder
from motorque.files.smpl_model import read_smpl_model
from motorque.files.smpl_poses import Sex, write_poses
from motorque.files.storage import write_storage
from motorque.fitting.load_poses import load_poses
from motorque.fitting.pose_chart import vectors_of
from motorque.fitting.pose_smoothing import SmoothedPoses, smooth_poses
from motorque.fitting.refine import RefineSettings, refine_poses
from motorque.fitting.refine_adam import ITERATIONS, RATE, WEIGHTS, refine_adam
from motorque.fitting.refine_motion import MOTION_SETTINGS, refine_motion
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.report.refinement import Refinement
from motorque.series import Motion
from motorque.series.poses import Poses, Up
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.workflows.clock import Clock
from motorque.workflows.error_bars import TITLE
from motorque.workflows.refine_report import Origin, refined_motion_told, refined_poses_told, write_refinement

Array = NDArray[np.float64]
Method = Literal["mechanics", "smooth", "adam"]
METHODS: tuple[Method, ...] = ("mechanics", "smooth", "adam")
"""``mechanics``: the most probable motion, given noise, smoothness and mechanics. ``smooth``: of these, inertia alone.
``adam``: as SMPL-Dynamics has it."""

MOTIONS = (".mot", ".sto")
FARTHEST = 1e5
"""Values of coordinates beyond this [rad or m] are slips of a file: no one walks 100 km in a recording."""
REFINED = {
    "poses": "poses.npz",
    "coordinates": "kinematics.mot",
    "motion": "motion.mot",
    "std": "kinematics_std.sto",
    "summary": "summary.json",
    "report": "report.html",
}
"""Names of what is written: ``poses`` and ``coordinates`` for poses, ``motion`` for a motion, the rest for both."""


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
    command: str = "",
) -> Path:
    """`motorque refine`: a file in, a folder out.

    Args:
        path: Poses, as :func:`motorque.fitting.load_poses.load_poses` reads them, or a motion, ``.mot`` or ``.sto``.
        out: Folder for ``poses.npz`` and the same as coordinates of the skeleton of `torques`, ``kinematics.mot``, or
            for ``motion.mot``; and for ``kinematics_std.sto``, ``summary.json`` and ``report.html``.
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
        command: The command that repeats it, for the report.

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
        return _motion(path, out, method, model, (start, end), journal, progress, command)
    if model is not None and Path(model).suffix.lower() == ".osim":
        raise DataError(
            f"{path}: is no motion; with an OpenSim model ({Path(model).name}) refine takes a .mot or .sto; give "
            "one, or leave --model out"
        )
    clock = Clock(progress)
    with OutputFolder(out) as folder:
        with clock("reading the poses", 0.05):
            body = None if model is None else read_smpl_model(model)
            poses = load_poses(
                path, skeleton=skeleton, fps=fps, up=up, sex=sex, height=height, mass=mass, model=body, journal=journal
            )
        with clock("refining", 0.1):
            try:
                poses = poses.between(start, end)
                refined, found = _refined(poses, method, journal, _share(progress, 0.1, 0.6))
            except MotorqueError as error:
                raise type(error)(f"{path}: {error}") from None
        files = ((path, "recording"), (skeleton, "skeleton"), (model, "body model"))
        origin = Origin(path, files, method, _settings(method), command, clock)
        with clock("torques and error bars", 0.6):
            told = refined_poses_told(poses, refined, found, origin, journal)
        with clock("writing files", 0.9):
            write_poses(folder.path / REFINED["poses"], refined)
            write_motion(folder.path / REFINED["coordinates"], told.analysis.motion, told.analysis.skeleton)
            _write_std(folder.path, told)
        write_refinement(folder.path, told, _about_poses(poses, refined, found, method))
    return out / REFINED["poses"]


def _read(path: Path, skeleton: Skeleton, journal: Journal) -> Motion:
    """A motion whose values can be meant; what is doubtful of its units is said."""
    own = Journal()
    motion = read_motion(path, skeleton, journal=own)
    angles = [n for n in skeleton.free_coordinates if skeleton.coordinates[n].rotational]
    sizes = np.abs(motion.values).max(axis=0)
    worst = int(sizes.argmax())
    if sizes[worst] > FARTHEST:
        frame = int(np.abs(motion.values[:, worst]).argmax())
        unit = "rad" if skeleton.coordinates[worst].rotational else "m"
        raise DataError(
            f"{path}: {motion.names[worst]} is {motion.values[frame, worst]:.3g} {unit} at {motion.times[frame]:g} s, "
            "which nobody's is; correct it"
        )
    if angles and np.median(sizes[angles]) > 3 * np.pi:
        raise DataError(
            f"{path}: its angles reach {sizes[angles].max():.0f} rad as its header has them; if they are degrees, "
            "write inDegrees=yes there"
        )
    for notice in own.notices:
        journal.add(notice.kind, notice.text, notice.about)
    if angles and 0.1 < np.degrees(sizes[angles].max()) < np.pi and np.ptp(motion.values[:, angles], axis=0).max() > 0:
        journal.warn(
            f"no angle of {path.name} is over {np.degrees(sizes[angles].max()):.2g} degrees, as its header has them; "
            "if they are radians, write inDegrees=no there",
            str(path),
        )
    return motion


def _share(progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work that goes from one share of all of it to another."""
    return lambda what, fraction: progress(what, start + (end - start) * fraction)


def _settings(method: Method, settings: RefineSettings | None = None) -> dict[str, object]:
    """Everything that was chosen, by name."""
    if method == "adam":
        return {"iterations": ITERATIONS, "learning_rate": RATE, "weights": list(WEIGHTS)}
    if method == "smooth":
        return {}
    return dataclasses.asdict(settings or RefineSettings())


def _write_std(folder: Path, told: Refinement) -> None:
    """Standard deviations of the refined motion; NaN where they are not known, so that none of an earlier run stay."""
    motion, skeleton = told.analysis.motion, told.analysis.skeleton
    if motion.std is None:
        motion = dataclasses.replace(motion, std=np.full_like(motion.values, np.nan))
    write_storage(folder / REFINED["std"], motion_table(motion, skeleton, name=TITLE, std=True))


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
    interval: tuple[float | None, float | None],
    journal: Journal,
    progress: Progress,
    command: str,
) -> Path:
    if model is None:
        raise DataError(f"{path}: a motion needs its model; give the .osim with --model")
    if method == "adam":
        raise DataError("--method adam: is the paper's way for poses; a motion takes 'mechanics' or 'smooth'")
    clock = Clock(progress)
    settings = RefineSettings(bend=0.0, stand=False) if method == "smooth" else MOTION_SETTINGS
    with OutputFolder(out) as folder:
        with clock("reading the motion", 0.05):
            skeleton = load_skeleton(model, journal=journal)
            motion = _read(path, skeleton, journal)
        with clock("refining", 0.1):
            try:
                motion = motion.between(*interval)
                found = refine_motion(
                    skeleton, motion, settings=settings, journal=journal, progress=_share(progress, 0.1, 0.6)
                )
            except MotorqueError as error:
                raise type(error)(f"{path}: {error}") from None
        origin = Origin(
            path, ((path, "recording"), (model, "model")), method, _settings(method, settings), command, clock
        )
        with clock("torques and error bars", 0.6):
            told = refined_motion_told(skeleton, motion, found, origin, journal)
        summary = {
            "method": method,
            "frames": len(motion.times),
            "rate_hz": motion.rate,
            "rms_change_rad_or_m": {c.name: c.change for c in told.changed},
            "noise": {
                "std_rad_or_m": dict(zip(motion.names, found.noise.tolist(), strict=True)),
                "share_new_in_every_frame": found.white_share,
                "rest_lasts_s": found.lasts,
            },
        }
        with clock("writing files", 0.9):
            write_motion(folder.path / REFINED["motion"], told.analysis.motion, skeleton)
            _write_std(folder.path, told)
        write_refinement(folder.path, told, summary)
    return out / REFINED["motion"]
