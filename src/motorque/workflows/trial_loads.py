"""External loads of a trial: from plates in the recording, from a file, or estimated from the motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.files.external_loads import ExternalLoads, read_loads
from motorque.fitting.heading import turn_loads
from motorque.fitting.load_filtering import filter_loads
from motorque.fitting.feet import has_feet
from motorque.fitting.plates_to_feet import assign_plates, reassign_misplaced
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Loads, Motion
from motorque.skeleton.skeleton import Skeleton

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


def loads_from_file(
    path: Path, skeleton: Skeleton, motion: Motion, *, upright: Array, turn: Array, cutoff: float | None, journal: Journal
) -> Loads:
    """Loads of a ``.mot`` or ``ExternalLoads`` XML on the bodies of a skeleton, at the motion's times.

    Args:
        path: The file.
        skeleton: The skeleton.
        motion: The motion, filtered.
        upright: Rotation that turned the recording's axes to Y up, shape [3, 3].
        turn: Rotation about the vertical that the recording got after that, shape [3, 3].
        cutoff: Low-pass cutoff [Hz], or None.
        journal: Assignment to feet and repairs.
    """
    found = read_loads(path, journal=journal)
    if isinstance(found, ExternalLoads):
        q = np.stack([np.interp(found.times, motion.times, column) for column in motion.values.T], axis=1)
        # Bodies were turned with the markers, the file's own ground was not; only forces in ground are affected.
        poses = forward_kinematics(skeleton, torch.as_tensor(q))
        loads = found.in_ground(skeleton, poses)
    else:
        loads = found
    loads = turn_loads(upright_loads(loads, upright, path, journal), turn)
    return _on_feet(loads, skeleton, motion, cutoff, journal)


def loads_from_plates(plates: Loads, skeleton: Skeleton, motion: Motion, *, turn: Array, cutoff: float | None, journal: Journal) -> Loads:
    """Force plates of the recording itself on the feet of a skeleton, at the motion's times."""
    return _on_feet(turn_loads(plates, turn), skeleton, motion, cutoff, journal)


def _on_feet(loads: Loads, skeleton: Skeleton, motion: Motion, cutoff: float | None, journal: Journal) -> Loads:
    at = filter_loads(loads, motion.times, cutoff, journal=journal)
    if all(load.body for load in at.loads):
        return reassign_misplaced(at, skeleton, motion.values, journal=journal) if has_feet(skeleton) else at
    return assign_plates(at, skeleton, motion.values, journal=journal)


def wrenches_on_bodies(loads: Loads) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Force [N] and moment about the ground origin [N·m] on each loaded body, for inverse dynamics; each [T, 3]."""
    total: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for load in loads.loads:
        force, moment = torch.as_tensor(load.force), torch.as_tensor(load.moment_about_origin)
        if load.body in total:
            force, moment = total[load.body][0] + force, total[load.body][1] + moment
        total[load.body] = (force, moment)
    return total
