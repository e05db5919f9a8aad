"""What `torques` writes: tables of torques for programs and people, and what the report is made from."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.files.external_loads import write_loads
from motorque.files.motion_files import write_kinetics, write_motion
from motorque.files.output import write_text
from motorque.files.smpl_poses import write_poses
from motorque.journal import Journal
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.mechanics.smpl_output import SMPLDynamicsOutput
from motorque.report.analysis import Analysis, Subject
from motorque.series import Kinetics, Loads, Motion, Poses
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.skeleton.smpl_names import segment_of
from motorque.uncertainty.bands import Bands
from motorque.workflows.clock import Clock, versions
from motorque.workflows.error_bars import with_error_bars, write_error_bars
from motorque.workflows.recording import input_file
from motorque.workflows.torque_rates import Moving

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TorqueRun:
    """One run of `torques`, in SMPL's own world with y up but for ``poses``; T frames.

    Args:
        path: The recording.
        poses: The poses as they were read, in their own world.
        motion: The positions of the skeleton, gaps bridged.
        upright: Rotation of the poses' world into SMPL's own, shape [3, 3].
        skeleton: The person's skeleton under anatomical names, rotations as axis-angle.
        result: Torques and the rest.
        bands: Standard deviations at the frames that are reported, or None.
        loads: Ground forces at the poses' times, measured or found in the motion, or None.
        contact: Where forces from outside come from: ``measured``, ``estimated``, ``spheres`` or ``none``.
        moved: How velocities and accelerations came about.
        kept: Frames to report, shape [T], bool.
    """

    path: Path
    poses: Poses
    motion: Motion
    upright: Array
    skeleton: Skeleton
    result: SMPLDynamicsOutput
    bands: Bands | None
    loads: Loads | None
    contact: str
    moved: Moving
    kept: NDArray[np.bool_]

    @property
    def times(self) -> Array:
        """Times that are reported [s]."""
        return self.poses.times[self.kept]

    def in_poses_world(self, vectors: torch.Tensor) -> Array:
        """Reported frames of vectors in SMPL's world, shape [T, ..., 3], in the axes of the poses' own."""
        return np.asarray(vectors.detach().numpy()[self.kept] @ self.upright)

    def outcome(self) -> tuple[Motion, Kinetics, Loads | None]:
        """Reported frames of the motion, the generalized forces and the loads, with their standard deviations.

        Moments are in the axes of each joint's parent, the root's in SMPL's world.
        """
        tau = self.result.motion.masked(self.result.tau).detach().numpy()[self.kept]
        motion = Motion(self.times, self.motion.values[self.kept], self.motion.names)
        kinetics = Kinetics(self.times, tau, self.skeleton.coordinate_names)
        loads = None if self.loads is None else self.loads.at(self.times)
        nothing = Loads(self.times, ())
        motion, kinetics, with_bars = with_error_bars(self.bands, motion, kinetics, loads or nothing)
        return motion, kinetics, None if loads is None else with_bars


def write_torques(folder: Path, run: TorqueRun) -> None:
    """Write all tables of a run.

    ``torques.csv`` and ``torques.npz`` have the moment by the parent on the child about each joint in the axes of the
    poses' world, by SMPL's names; ``kinetics.sto`` the same in the axes of each joint's parent, with the names of
    `skeleton.smpl_names`; ``kinematics.mot`` the rotation vectors as they were smoothed; ``loads.mot`` ground forces,
    if there are any; ``kinematics_std.sto``, ``kinetics_std.sto`` and ``loads_std.sto`` their standard deviations;
    ``poses.npz`` the poses on SMPL's 24 joints; ``segments.csv`` the body that all of it rests on.
    """
    torques = run.in_poses_world(run.result.torques)
    arrays: dict[str, Array | NDArray[np.str_]] = {
        "times": run.times,
        "joints": np.array(SMPL_JOINTS),
        "torques": torques,
        "forces": run.in_poses_world(run.result.forces),
        "com": run.in_poses_world(run.result.com),
        "root_force": run.in_poses_world(run.result.root_force),
        "root_moment": run.in_poses_world(run.result.root_moment),
        "torques_parent": run.result.torques_in("parent").detach().numpy()[run.kept],
    }
    if run.bands is not None:
        std = run.bands.torques
        arrays["torques_parent_std"] = np.concatenate([std[:, None, :3], std[:, 6:].reshape(-1, 23, 3)], axis=1)
    with open(folder / "torques.npz", "wb") as file:
        # Digits of measured numbers hardly compress: a second for 10,000 frames, and a twentieth of the size.
        np.savez(file, **arrays)  # type: ignore[arg-type]
    columns = [f"{joint}_{axis} [N·m]" for joint in SMPL_JOINTS for axis in "xyz"]
    _write_csv(folder / "torques.csv", ["time [s]", *columns], np.column_stack([run.times, torques.reshape(-1, 72)]))
    motion, kinetics, loads = run.outcome()
    write_motion(folder / "kinematics.mot", motion, run.skeleton)
    write_kinetics(folder / "kinetics.sto", kinetics, run.skeleton)
    if loads is not None:
        write_loads(folder / "loads.mot", loads)
    write_error_bars(folder, run.bands, motion, kinetics, loads, run.skeleton)
    write_poses(folder / "poses.npz", run.poses.frames(run.kept))
    _write_segments(folder / "segments.csv", run.skeleton)


def _write_csv(path: Path, columns: Sequence[str], rows: Array) -> None:
    line = ",".join(["%.7g"] * rows.shape[1])
    # What is not known is left empty.
    lines = [(line % tuple(row)).replace("nan", "") for row in rows]
    write_text(path, "\r\n".join([",".join(columns), *lines, ""]))


def _write_segments(path: Path, skeleton: Skeleton) -> None:
    """Mass [kg], centre of mass from the joint [m] and radii of gyration about SMPL's axes [m] of each segment."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        ["segment", "of de Leva (1996)", "mass [kg]", *(f"center_{a} [m]" for a in "xyz"),
         *(f"radius_of_gyration_{a} [m]" for a in "xyz")]
    )  # fmt: skip
    mass, centers = skeleton.mass.numpy(), skeleton.mass_center.numpy()
    moments = np.diagonal(skeleton.inertia.numpy(), axis1=-2, axis2=-1)
    for i, joint in enumerate(SMPL_JOINTS):
        radii = np.sqrt(moments[i] / mass[i])
        writer.writerow([joint, segment_of(joint), *(f"{x:.5g}" for x in (mass[i], *centers[i], *radii))])
    write_text(path, out.getvalue())


def torque_analysis(
    run: TorqueRun, files: Sequence[tuple[str | Path | None, str]], *, command: str, journal: Journal, clock: Clock
) -> Analysis:
    """What the report of a run is made from."""
    motion, kinetics, loads = run.outcome()
    body = forward_kinematics(run.skeleton, torch.as_tensor(motion.values))
    state = run.result.motion
    height = run.poses.height
    return Analysis(
        title=run.path.stem,
        skeleton=run.skeleton,
        subject=Subject(run.skeleton.total_mass(), height=height, sex=run.poses.sex),
        motion=motion,
        velocity=state.v.detach().numpy()[run.kept],
        acceleration=state.a.detach().numpy()[run.kept],
        body_rotation=body.rotation.numpy(),
        body_position=body.position.numpy(),
        center_of_mass=center_of_mass(run.skeleton, body).numpy(),
        loads=loads,
        loads_measured=run.contact == "measured",
        kinetics=kinetics,
        inputs=tuple(input_file(Path(path), role) for path, role in files if path is not None),
        settings={
            "body": "SMPL's 24 joints, de Leva (1996); see segments.csv",
            "up": run.poses.up,
            "rates": run.moved.way,
            "cutoff_hz": run.moved.cutoff,
            "rates_reason": run.moved.reason,
            "contact": run.contact,
            "draws": 0 if run.bands is None else run.bands.draws,
            "start_s": float(run.times[0]),
            "end_s": float(run.times[-1]),
        },
        versions=versions(),
        command=command,
        journal=journal,
        timings=clock.seconds,
        bands=run.bands,
        angles_from="Components of each joint’s rotation vector in the axes of its parent, from SMPL poses.",
    )
