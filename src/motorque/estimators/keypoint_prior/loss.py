"""How wrong a guess is: the negative logarithm of what it said of the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.estimators.keypoint_prior.network import ANGLES, Guess
from motorque.skeleton.fullbody import fullbody

# Arms matter less here: no force hangs on them.
_WEIGHT = {"arm_flex": 0.3, "arm_add": 0.3, "arm_rot": 0.15, "elbow_flex": 0.3, "subtalar_angle": 0.5}


@dataclass(frozen=True, eq=False)
class Truth:
    """What a guess is held to, axes those of the camera turned to the person.

    Args:
        angles: Of ``ANGLES`` [rad], shape [N, T, A].
        pelvis: Shape [N, T, 3, 3].
        up: Unit vectors, in the camera's own axes, shape [N, 3].
        turn: Rotation from the camera's axes to the turned ones, shape [N, T, 3, 3].
    """

    angles: Tensor
    pelvis: Tensor
    up: Tensor
    turn: Tensor


def guessed_angles(q: Tensor) -> Tensor:
    """The columns of ``ANGLES`` from coordinates of the built-in skeleton, shape [..., nq] to [..., A]."""
    return q[..., [fullbody().coordinate(name) for name in ANGLES]]


def angle_error(guess: Guess, truth: Truth) -> Tensor:
    """Error of each angle [rad], between -π and π, shape [N, T, A]."""
    return torch.remainder(guess.angles - truth.angles + torch.pi, 2 * torch.pi) - torch.pi


def rotation_error(guess: Tensor, truth: Tensor) -> Tensor:
    """How a guessed rotation is turned against the true one, about the axes of its target frame.

    Returns:
        Axis times 2 sin(θ/2): the rotation vector [rad] for small errors, and without singularity up to θ = π; shape
        [..., 3].
    """
    between = guess @ truth.transpose(-1, -2)
    trace = between.diagonal(dim1=-1, dim2=-2).sum(-1)
    skew = torch.stack(
        (
            between[..., 2, 1] - between[..., 1, 2],
            between[..., 0, 2] - between[..., 2, 0],
            between[..., 1, 0] - between[..., 0, 1],
        ),
        -1,
    )
    return skew / (1 + trace).clamp(min=1e-2).sqrt()[..., None]


def up_direction(guess: Guess, turn: Tensor) -> Tensor:
    """The recording's up direction in the camera's own axes, a unit vector, shape [N, 3]."""
    each = torch.nn.functional.normalize(guess.up, dim=-1)
    own = (turn.transpose(-1, -2) @ each[..., None])[..., 0]
    return torch.nn.functional.normalize(own.mean(1), dim=-1)


def loss(guess: Guess, truth: Truth) -> Tensor:
    """Mean negative log-likelihood under Laplace distributions, with a plain error that keeps hard frames in play."""
    weight = torch.tensor([_WEIGHT.get(name.removesuffix("_r").removesuffix("_l"), 1.0) for name in ANGLES])
    error = angle_error(guess, truth).abs()
    angles = ((guess.angle_scale + error * torch.exp(-guess.angle_scale)) * weight).mean()
    angles = angles + 3.0 * (error * weight).mean()
    turned = rotation_error(guess.pelvis, truth.pelvis).abs()
    pelvis = (guess.pelvis_scale + turned * torch.exp(-guess.pelvis_scale)).mean() + 3.0 * turned.mean()
    # Past a quarter turn the first grows ever slower; this pulls from anywhere.
    pelvis = pelvis + (guess.pelvis - truth.pelvis).square().sum((-1, -2)).mean()
    away = (up_direction(guess, truth.turn) - truth.up).norm(dim=-1)
    up = (2 * guess.up_scale + away * torch.exp(-guess.up_scale)).mean() + 3.0 * away.mean()
    return angles + 0.3 * pelvis + 0.1 * up
