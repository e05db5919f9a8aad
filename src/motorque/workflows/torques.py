"""`torques`: from a person's poses on SMPL's tree to joint torques with error bars, files and a report.

What acts on the body besides gravity is taken from measured loads if there are any, else from contact of the feet with
the ground found in the motion, else it stays with the root: the force and moment that nothing explains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError, ModelError, MotorqueError
from motorque.files.external_loads import check_cover, read_loads
from motorque.files.output import OutputFolder
from motorque.files.smpl_model import read_smpl_model
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.load_poses import load_poses
from motorque.journal import Journal
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.mechanics.smpl_output import SMPLDynamicsOutput
from motorque.progress import Progress, silent
from motorque.report.write import write_report
from motorque.series import Loads, Motion, Poses
from motorque.series.markers import within
from motorque.series.poses import Up
from motorque.signals.rotation_vectors import without_leaps
from motorque.skeleton.anthropometry import BODY_MASS, STATURE, Sex
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS, smpl, smpl_positions
from motorque.skeleton.smpl_names import anatomical_name, with_anatomical_names
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.smpl_bands import bands_of_poses
from motorque.workflows.clock import Clock
from motorque.workflows.torque_files import TorqueRun, torque_analysis, write_torques
from motorque.workflows.torque_rates import AUTO, Moving, check_rates, moving
from motorque.workflows.trial_loads import loads_from_file, wrenches_on_bodies

Array = NDArray[np.float64]

FEWEST_FRAMES = 7
"""Frames under which a recording has no accelerations worth the name; quintic splines, for contact, need six."""

CONTACT_CUTOFF = 6.0
"""Low-pass cutoff of the motion from which contact is estimated [Hz], as `motorque loads` has it."""

BODY_MASS_INDEX = (9.0, 110.0)
"""Body mass indices of people [kg/m²], newborns and the lightest and heaviest adults on record but for a few."""

CONTACTS = ("estimated", "none", "spheres")
"""Ways to ground forces where none were measured: found in the motion as `motorque loads` does; none; or those of
spheres under the feet that press into a floor at height 0, only as good as the poses are on the floor."""

# Rotation of the world of poses into SMPL's own, with y up
_UPRIGHT: dict[Up, Array] = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "-z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}


def torques_step(
    path: str | Path,
    out: str | Path,
    *,
    skeleton: str | Path | None = None,
    fps: float | None = None,
    mass: float | None = None,
    height: float | None = None,
    sex: Sex | None = None,
    up: Up | None = None,
    model: str | Path | None = None,
    loads: str | Path | None = None,
    contact: str = "estimated",
    rates: str | None = None,
    cutoff: float | None = None,
    start: float | None = None,
    end: float | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
    command: str = "",
) -> Path:
    """`motorque torques`: a file of poses in, torques, loads and a report out.

    Args:
        path: The poses, as :func:`motorque.fitting.load_poses.load_poses` reads them.
        out: Folder for ``torques.csv``, ``torques.npz``, ``kinematics.mot``, ``kinetics.sto``, ``loads.mot``, the
            standard deviations of these three (``…_std.sto``), ``poses.npz``, ``segments.csv``, ``summary.json``,
            ``report.html`` and ``tables/``.
        skeleton: The ``.asf`` of an ``.amc``.
        fps: Frames per second; the file's own if None.
        mass: Body mass [kg]; the file's, else the mean of de Leva's people.
        height: Stature [m]; the file's, else the mean of de Leva's people.
        sex: Whose proportions; the file's, else the mean of women and men.
        up: What is up in the poses' world; found if None.
        model: An SMPL, SMPL-H or SMPL-X model file, which gives shape parameters their meaning.
        loads: Measured ground forces (``.mot``) or an ``ExternalLoads`` file, in ground: X is the poses' forward axis,
            Y their up axis and Z the person's right.
        contact: One of :data:`CONTACTS`, where no loads are given.
        rates: Way to velocities and accelerations, one of `torque_rates.RATES`: ``auto`` smooths as the recording's own
            noise and movement ask for; the default, unless there is a cutoff.
        cutoff: Low-pass cutoff [Hz] of ``butterworth`` or ``spline``.
        start: First time [s].
        end: Last time [s].
        journal: Every repair, assumption and warning; also in the report.
        progress: Told how far it is.
        command: The command that repeats it, for the report.

    Returns:
        The path of the report.

    Raises:
        MotorqueError: An input is wrong; nothing is written then.
    """
    path, out = Path(path), Path(out)
    journal = Journal() if journal is None else journal
    clock = Clock(progress)
    if contact not in CONTACTS:
        raise DataError(f"contact is {', '.join(CONTACTS)}, got {contact!r}")
    check_rates(rates, cutoff)
    with OutputFolder(out) as folder:
        with clock("reading the poses", 0.05):
            body = None if model is None else read_smpl_model(model)
            poses = load_poses(
                path, skeleton=skeleton, fps=fps, up=up, sex=sex, height=height, mass=mass, model=body, journal=journal
            )
            given = None if loads is None else read_loads(loads, journal=journal)
            kept = within(poses.times, start, end, str(path))
            _check_frames(poses, kept, path)
            if given is not None:
                check_cover(given.times, poses.times[kept], what=str(loads))
        with clock("forces from outside", 0.2):
            upright = in_smpls_world(poses)
            moved = moving(upright, rates, cutoff, journal)
            try:
                layer, skeleton_here = person_of(upright, contact if given is None else "none", journal)
            except MotorqueError as error:
                raise type(error)(f"{path}: {error}") from None
            motion = Motion(poses.times, coordinates_of(moved.poses), skeleton_here.coordinate_names)
            found: Loads | None = None
            wrenches: dict[str, Wrench] | None = None
            if given is not None and loads is not None:
                journal.assume(
                    "loads are in ground: X is the axis that SMPL's T-pose faces, Y is up and Z its right", str(loads)
                )
                same = np.eye(3)
                found = loads_from_file(
                    Path(loads), given, skeleton_here, motion, upright=same, turn=same, cutoff=None, journal=journal
                )
            elif contact == "estimated":
                found = ground_contact(skeleton_here, motion, moved.raw, journal)
            if found is not None:
                wrenches = loads_in_world(wrenches_on_bodies(found), layer)
        with clock("inverse dynamics", 0.5):
            result = layer.from_rates(moved.rates, wrenches)
            _say_root(result, found is not None or contact == "spheres", layer, kept, journal)
        with clock("error bars", 0.6):
            tau = result.motion.masked(result.tau).detach().numpy()
            bands = _bands(skeleton_here, moved, motion, tau, found, contact if given is None else "measured", journal)
            bands = None if bands is None else bands.between(start, end)
        with clock("writing files", 0.8):
            run = TorqueRun(
                path=path,
                poses=poses,
                motion=motion,
                upright=_UPRIGHT[poses.up],
                skeleton=skeleton_here,
                result=result,
                bands=bands,
                loads=found,
                contact="measured" if given is not None else contact,
                moved=moved,
                kept=kept,
            )
            write_torques(folder.path, run)
        with clock("writing the report", 0.85):
            files = ((path, "recording"), (skeleton, "skeleton"), (model, "body model"), (loads, "loads"))
            write_report(torque_analysis(run, files, command=command, journal=journal, clock=clock), folder.path)
    return out / "report.html"


def in_smpls_world(poses: Poses) -> Poses:
    """The same poses in SMPL's own world, with y up."""
    turn = _UPRIGHT[poses.up]
    rest = np.zeros(3) if poses.joint_positions is None else poses.joint_positions[0]
    rotations = poses.rotations.copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    return dataclasses.replace(
        poses, rotations=rotations, translation=(poses.translation + rest) @ turn.T - rest, up="y"
    )


def _check_frames(poses: Poses, kept: NDArray[np.bool_], path: Path) -> None:
    count = int(poses.known[kept].sum())
    if count < FEWEST_FRAMES:
        what = "one frame has" if count == 1 else f"{count} frames with all their numbers have"
        raise DataError(
            f"{path}: {what} no accelerations, which need {FEWEST_FRAMES}; give a longer recording or interval"
        )


def person_of(poses: Poses, contact: str, journal: Journal) -> tuple[SMPLDynamics, Skeleton]:
    """The layer of a person, and the skeleton under the names that contact and report know."""
    mass, height, joints = poses.mass, poses.height, poses.joint_positions
    mean = "the mean of women and men" if poses.sex == "unknown" else "their mean"
    if mass is None:
        mass = BODY_MASS[poses.sex] if poses.sex != "unknown" else 0.5 * sum(BODY_MASS.values())
        journal.assume(f"nobody says how heavy the person is: {mass:.1f} kg, {mean} of de Leva (1996); give --mass")
    if joints is not None:
        height = None
    elif height is None:
        height = STATURE[poses.sex] if poses.sex != "unknown" else 0.5 * sum(STATURE.values())
        journal.assume(f"nobody says how tall the person is: {height:.2f} m, {mean} of de Leva (1996); give --height")
    if height is not None and not BODY_MASS_INDEX[0] < mass / height**2 < BODY_MASS_INDEX[1]:
        journal.warn(
            f"{mass:.1f} kg at {height:.2f} m is a body mass index of {mass / height**2:.0f}, which hardly anybody "
            "has: torques are as wrong as these are; check --mass and --height",
            "person",
        )
    rest: Tensor | None = None if joints is None else torch.tensor(joints)
    layer = SMPLDynamics(
        fps=poses.rate,
        mass=mass,
        height=height,
        sex=poses.sex,
        joint_positions=rest,
        contact="hunt-crossley" if contact == "spheres" else None,
    )
    body = smpl(mass=mass, height=height, sex=poses.sex, joint_positions=rest, rotations="axis-angle")
    return layer, with_anatomical_names(body)


def coordinates_of(poses: Poses) -> Array:
    """Positions of the axis-angle skeleton without leaps of rotation vectors from one side of a half turn to the other;
    shape [T, 75].
    """
    vectors = without_leaps(poses.rotation_vectors)
    return smpl_positions(torch.as_tensor(vectors), torch.as_tensor(poses.translation)).numpy()


def ground_contact(skeleton: Skeleton, motion: Motion, raw: bool, journal: Journal) -> Loads | None:
    """Ground forces found in the motion, low-pass filtered if it is not smooth yet; None, said, where they can't be."""
    cutoff = CONTACT_CUTOFF if raw and motion.rate > 2.5 * CONTACT_CUTOFF else None
    if cutoff is not None:
        journal.info(f"contact is found in the motion filtered at {cutoff:g} Hz", "contact")
    try:
        return estimate_ground_loads(skeleton, motion, cutoff=cutoff, journal=journal)
    except (DataError, ModelError) as error:
        journal.warn(
            f"no ground forces could be found in the motion ({error}); what carries the body is reported at the root, "
            "and torques of the legs lack it",
            "contact",
        )
        return None


def loads_in_world(placed: Mapping[str, Wrench], layer: SMPLDynamics) -> dict[str, Wrench]:
    """Wrenches on bodies in ground as the layer takes them: by SMPL's names, in the axes of its world."""
    turn = layer.skeleton().parent_rotation[0]
    names = {anatomical_name(joint): joint for joint in SMPL_JOINTS}
    return {names[name]: (force @ turn, moment @ turn) for name, (force, moment) in placed.items()}


def _say_root(
    result: SMPLDynamicsOutput, explained: bool, layer: SMPLDynamics, kept: NDArray[np.bool_], journal: Journal
) -> None:
    """Say what the root's wrench is in this run, and how large."""
    force, moment = (
        float(np.nanmean(np.linalg.norm(x.detach().numpy()[kept], axis=-1)))
        for x in (result.root_force, result.root_moment)
    )
    weight = float(layer.skeleton().total_mass()) * 9.80665
    if explained:
        journal.info(
            f"the loads leave {force:.0f} N ({force / weight:.0%} of body weight) and "
            f"{moment:.0f} N·m unexplained at the pelvis on average",
            "root",
        )
    else:
        journal.warn(
            "nothing says what carries the body, so all of it stands at the pelvis as a force and moment "
            f"({force:.0f} N and {moment:.0f} N·m on average): torques of arms, neck and trunk above "
            "the pelvis are right all the same, those of the legs are as if they hung in the air",
            "root",
        )


def _bands(
    skeleton: Skeleton,
    moved: Moving,
    motion: Motion,
    torques: Array,
    loads: Loads | None,
    contact: str,
    journal: Journal,
) -> Bands | None:
    """Error bars; None, said before, where the recording does not tell its noise."""
    if moved.smoothed is None:
        return None
    bands = bands_of_poses(
        skeleton,
        moved.smoothed,
        motion=motion,
        torques=torques,
        loads=loads,
        estimated=contact == "estimated",
        same=moved.way == AUTO,
    )
    if contact == "spheres":
        excluded = {k: v for k, v in bands.excluded.items() if k != "forces from outside"}
        excluded["forces of the spheres"] = "a centimetre of height is hundreds of newtons; no band here holds that"
        bands = dataclasses.replace(bands, excluded=excluded)
    return bands
