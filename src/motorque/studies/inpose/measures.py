"""How far found bodies are from true ones, by the measures of this line of papers."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from motorque.estimators.inpose.closing import log_vectors
from motorque.estimators.inpose.tree import HEAD, JOINTS, LEFT_WRIST, PARENTS, RATE, RIGHT_WRIST, places

UPPER = (3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
"""Joints of UPE: spine, neck, head, collars and arms, as in the evaluations of AvatarPoser and AGRoL."""
LOWER = (0, 1, 2, 4, 5, 7, 8, 10, 11)
"""Joints of LPE: pelvis and legs, as there."""


@dataclass(frozen=True)
class Measures:
    """Errors of one recording, each the mean over its frames.

    Positions are global after the true head's place is given to the found head, and are divided by the scale of the
    whole body.

    Args:
        mpjpe: Distance of the 22 joints from the true ones [cm].
        upe: The same of :data:`UPPER` [cm].
        lpe: The same of :data:`LOWER` [cm].
        hands: The same of the wrists [cm].
        mpjre: Difference of the components of local rotation vectors, of the 21 joints after the pelvis, each taken
            to within half a turn, as in AGRoL's evaluation [deg].
        angle: Angle between local rotations, of all 22 joints, the pelvis' being global [deg].
        velocity: Length of the difference of the joints' velocities [cm/s].
        jitter: Length of the third derivative of the found joints' places, by differences [m/s³].
        true_jitter: The same of the true ones' [m/s³].
    """

    mpjpe: float
    upe: float
    lpe: float
    hands: float
    mpjre: float
    angle: float
    velocity: float
    jitter: float
    true_jitter: float


MEASURES = tuple(field.name for field in fields(Measures))


def measures(true: Tensor, found: Tensor, rest: Tensor, pelvis: Tensor, *, scale: float = 1.0) -> Measures:
    """Errors of a recording.

    Args:
        true: True global rotations, shape [T, 22, 3, 3].
        found: Found ones, of the same shape.
        rest: The true bones, as rest joints [m], shape [22, 3]; both bodies are measured on them.
        pelvis: Where the true pelvis is [m], shape [T, 3].
        scale: Of the whole body: errors of places are divided by it.
    """
    true, found, rest, pelvis = (value.double() for value in (true, found, rest, pelvis))
    at = places(_six(true), rest, pelvis)
    hung = places(_six(found), rest)
    hung = hung + (at[:, HEAD] - hung[:, HEAD])[:, None]
    off = 100.0 * (hung - at).norm(dim=-1) / scale
    own, other = local(true), local(found)
    difference = (log_vectors(other[:, 1:]) - log_vectors(own[:, 1:])).rad2deg()
    difference = difference - 360.0 * (difference / 360.0).round()
    between = log_vectors(own.mT @ other).norm(dim=-1).rad2deg()
    speed = (hung - at).diff(dim=0).norm(dim=-1) * (100.0 * RATE / scale)
    return Measures(
        mpjpe=float(off.mean()),
        upe=float(off[:, UPPER].mean()),
        lpe=float(off[:, LOWER].mean()),
        hands=float(off[:, (LEFT_WRIST, RIGHT_WRIST)].mean()),
        mpjre=float(difference.abs().mean()),
        angle=float(between.mean()),
        velocity=float(speed.mean()),
        jitter=float(jitter(hung)) / scale,
        true_jitter=float(jitter(at)) / scale,
    )


def local(turns: Tensor) -> Tensor:
    """Rotations of each joint against its parent, the pelvis' as it is, [..., 22, 3, 3] → the same shape."""
    parents = torch.tensor(PARENTS[1:])
    rest = turns[..., parents, :, :].mT @ turns[..., 1 : len(JOINTS), :, :]
    return torch.cat([turns[..., :1, :, :], rest], dim=-3)


def _six(turns: Tensor) -> Tensor:
    return torch.cat([turns[..., 0], turns[..., 1]], dim=-1)


def jitter(at: Tensor) -> Tensor:
    """Mean length of the third derivative of joints' places, by differences [m/s³], [..., T, 22, 3] → [...]."""
    return at.diff(n=3, dim=-3).norm(dim=-1).mean(dim=(-2, -1)) * RATE**3
