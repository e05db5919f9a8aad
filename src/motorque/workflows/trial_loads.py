"""External loads of a trial: from plates in the recording, from a file, or estimated from the motion."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.files.external_loads import ExternalLoads
from motorque.fitting.feet import find_feet, has_feet
from motorque.fitting.heading import turn_loads
from motorque.fitting.load_filtering import filter_loads
from motorque.fitting.plates_to_feet import assign_plates, reassign_misplaced
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Kinetics, Loads, Motion
from motorque.signals.runs import runs_of
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]


def upright_loads(loads: Loads, rotation: Array, path: Path, journal: Journal) -> Loads:
    """Loads of a separate file in ground: turned as the markers were, if only that makes them push upward.

    A file beside a marker file may be in OpenSim's axes already or in the laboratory's; where force points tells.
    """
    if np.allclose(rotation, np.eye(3)):
        return loads
    push = loads.total_force().mean(axis=0)
    if push[1] > 0.8 * np.linalg.norm(push):
        journal.assume(f"{path.name} is taken to be in OpenSim's axes already (its force points along +Y)", str(path))
        return loads
    turned = turn_loads(loads, rotation)
    journal.repair(f"{path.name} was turned with the markers, so that its force points up", str(path))
    return turned


def loads_in_ground(
    path: Path,
    found: Loads | ExternalLoads,
    skeleton: Skeleton,
    motion: Motion,
    *,
    upright: Array,
    turn: Array,
    journal: Journal,
) -> Loads:
    """Loads of a ``.mot`` or ``ExternalLoads`` XML in motorque's ground, at their own times and not filtered.

    Args:
        path: The file.
        found: What was read from it; it covers the motion.
        skeleton: The skeleton.
        motion: The motion, filtered.
        upright: Rotation that turned the recording's axes to Y up, shape [3, 3].
        turn: Rotation about the vertical that the recording got after that, shape [3, 3].
        journal: Repairs.
    """
    if isinstance(found, ExternalLoads):
        q = np.stack([np.interp(found.times, motion.times, column) for column in motion.values.T], axis=1)
        # Bodies were turned with the markers, the file's own ground was not; only forces in ground are affected.
        poses = forward_kinematics(skeleton, torch.as_tensor(q))
        loads = found.in_ground(skeleton, poses)
    else:
        loads = found
    return turn_loads(upright_loads(loads, upright, path, journal), turn)


def loads_from_file(
    path: Path,
    found: Loads | ExternalLoads,
    skeleton: Skeleton,
    motion: Motion,
    *,
    upright: Array,
    turn: Array,
    cutoff: float | None,
    journal: Journal,
) -> Loads:
    """Loads of a ``.mot`` or ``ExternalLoads`` XML on the bodies of a skeleton, at the motion's times.

    Arguments as for :func:`loads_in_ground`, and the low-pass cutoff [Hz], or None.
    """
    loads = loads_in_ground(path, found, skeleton, motion, upright=upright, turn=turn, journal=journal)
    return loads_on_feet(loads, skeleton, motion, cutoff, journal)


def loads_from_plates(
    plates: Loads, skeleton: Skeleton, motion: Motion, *, turn: Array, cutoff: float | None, journal: Journal
) -> Loads:
    """Force plates of the recording itself on the feet of a skeleton, at the motion's times."""
    return loads_on_feet(turn_loads(plates, turn), skeleton, motion, cutoff, journal)


def loads_on_feet(loads: Loads, skeleton: Skeleton, motion: Motion, cutoff: float | None, journal: Journal) -> Loads:
    """Measured loads in ground on the bodies of a skeleton, at the motion's times, filtered.

    Args:
        loads: The loads, bodies known or not.
        skeleton: The skeleton.
        motion: The motion, filtered; it tells which foot stands where.
        cutoff: Low-pass cutoff [Hz], or None.
        journal: Assignment to feet and repairs.
    """
    at = filter_loads(loads, motion.times, cutoff, journal=journal)
    if all(load.body for load in at.loads):
        if not has_feet(skeleton):
            return at
        return _on_heel_bones(
            reassign_misplaced(at, skeleton, motion.values, journal=journal), skeleton, motion, journal
        )
    return assign_plates(at, skeleton, motion.values, journal=journal)


def _on_heel_bones(loads: Loads, skeleton: Skeleton, motion: Motion, journal: Journal) -> Loads:
    """Loads on the talus or the toes of a foot moved to its calcaneus: the ground does not touch the talus."""
    feet = find_feet(skeleton, motion.values, motion.times)
    moved = []
    for load in loads.loads:
        foot = next((f for f in feet if load.body in f.bodies and load.body != f.body), None)
        if foot is not None:
            journal.repair(
                f"{load.name} acts on {foot.body} instead of {load.body}, which the ground does not touch", load.name
            )
            load = dataclasses.replace(load, body=foot.body)
        moved.append(load)
    return Loads(loads.times, tuple(moved))


MISSING_SHARE, MISSING_TIME = 0.2, 0.05
"""A residual of over a fifth of body weight for over 50 ms is no error of mass or smoothing: something else carries."""


def report_missing_support(kinetics: Kinetics, skeleton: Skeleton, journal: Journal) -> None:
    """Say when the measured loads do not carry the body: a foot off the plates, a chair, a hand rail.

    Args:
        kinetics: Generalized forces of inverse dynamics; those of the joint to ground are what no load explains.
        skeleton: The skeleton.
        journal: Where it is said, with times and size.
    """
    weight = skeleton.total_mass() * float(skeleton.gravity.norm())
    upward = _vertical_residual(kinetics, skeleton)
    if upward is None or weight == 0:
        return
    missing = np.abs(upward) > MISSING_SHARE * weight
    for run in runs_of(missing):
        span = kinetics.times[run.start], kinetics.times[run.stop - 1]
        if span[1] - span[0] >= MISSING_TIME:
            share = 100 * float(np.abs(upward[run]).mean()) / weight
            journal.warn(
                f"from {span[0]:.2f} to {span[1]:.2f} s the loads leave {share:.0f} % of body weight unexplained: a "
                "foot is off the plates, or something else carries; torques and residuals are wrong there",
                "loads",
            )


def _vertical_residual(kinetics: Kinetics, skeleton: Skeleton) -> Array | None:
    """The generalized force of the root's upward translation [N], shape [T], if it has one."""
    for body, joint in enumerate(skeleton.joints):
        if skeleton.parents[body] != GROUND:
            continue
        for element, axis in zip(joint.elements[3:], skeleton.translation_axes[body].tolist(), strict=True):
            if element.coordinate >= 0 and abs(axis[1]) > 0.9:
                return kinetics.column(skeleton.coordinate_names[element.coordinate])
    return None


def wrenches_on_bodies(loads: Loads) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Force [N] and moment about the ground origin [N·m] on each loaded body, for inverse dynamics; each [T, 3]."""
    total: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for load in loads.loads:
        force, moment = torch.as_tensor(load.force), torch.as_tensor(load.moment_about_origin)
        if load.body in total:
            force, moment = total[load.body][0] + force, total[load.body][1] + moment
        total[load.body] = (force, moment)
    return total
