"""Sensors that sit beside their joint: where the joint is follows from how the sensor is turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import JOINTS, matrices
from motorque.journal import Journal

FARTHEST = 0.5
"""A sensor farther than this from its joint is not on it [m]."""


def offsets_of(offsets: Mapping[str, Sequence[float]]) -> Tensor:
    """Offsets by joint as one table.

    Args:
        offsets: By joint, where its sensor is in the joint's axes (x to the person's left, y up, z forward in the
            T-pose) [m].

    Returns:
        Shape [22, 3]; zeros for the others.

    Raises:
        DataError: There is no such joint, or an offset is none.
    """
    found = torch.zeros(len(JOINTS), 3, dtype=torch.float64)
    for name, value in offsets.items():
        if name not in JOINTS:
            raise DataError(f"offsets: there is no joint {name!r}; joints are {', '.join(JOINTS)}")
        place = torch.tensor([float(x) for x in value], dtype=torch.float64)
        if place.shape != (3,) or not bool(place.isfinite().all()) or float(place.norm()) > FARTHEST:
            raise DataError(
                f"offsets: {name}'s must be three numbers of a place at most {FARTHEST:g} m from the joint, in metres"
            )
        found[JOINTS.index(name)] = place
    return found


def at_joints(measured: Measured, offsets: Tensor, *, journal: Journal | None = None) -> Measured:
    """Measurements with places of joints in place of places of sensors.

    Args:
        measured: What sensors say.
        offsets: Where they are in their joints' axes [m], shape [22, 3].
        journal: Where it is recorded that a place could not be moved.

    Returns:
        The same; a place whose sensor's turn was not measured is left out where the sensor is off its joint.
    """
    off = offsets.norm(dim=-1) > 0
    if not off.any():
        return measured
    turns = matrices(measured.columns6.double())
    moved = measured.points.double() - (turns @ offsets[:, :, None])[..., 0]
    points = torch.where((off & measured.seen)[..., None], moved, measured.points.double())
    lost = off & measured.there & ~measured.seen
    if journal is not None:
        for joint in (off & ~measured.there.any(dim=0)).nonzero()[:, 0].tolist():
            journal.warn(f"no place of {JOINTS[joint]} is measured: where its sensor sits counts for nothing")
        for joint in lost.any(dim=0).nonzero()[:, 0].tolist():
            journal.warn(
                f"{JOINTS[joint]}'s sensor is off its joint, and in {int(lost[:, joint].sum())} frames it is not known "
                "how it is turned: its place is left out there"
            )
    return replace(measured, points=points.to(measured.points.dtype), there=measured.there & ~lost)
