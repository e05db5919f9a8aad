"""SMPL-Dynamics' loss of a motion: torques that change smoothly, stay within what people can do, near given poses.

Equation 5 of the paper (arXiv 2605.24776) with each term in units of what it is measured against, so that all three are
numbers near one and a weight says how much a term counts:

    loss = w_s · mean |d²τ/dt²|² / 3 s_τ²
         + w_m · mean max(0, |τ| − τ_max)² / s_m²
         + w_p · mean |log(R R̂ᵀ)|² / 3 s_p²

Means are over frames and joints. The paper's weights and limit are lost; the defaults here are chosen (see
`PhysicsLoss`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.rotation_calculus import rotation_log


class PhysicsLossTerms(NamedTuple):
    """The loss and its three weighted terms, each a tensor of one number."""

    total: Tensor
    smoothness: Tensor
    limit: Tensor
    pose: Tensor


@dataclass(frozen=True, eq=False)
class PhysicsLoss:
    """What the three terms are measured against and how much each counts.

    With weights of one the smoothness and pose terms are the negative logarithms, but for a factor, of normal
    distributions: of second derivatives of torques with `roughness`, of pose errors with `pose_error`. Their sum is
    then the posterior of poses under a smoothness prior, and the defaults follow from what they measure.

    Args:
        roughness: Standard deviation of one component of a torque's second derivative in a clean motion [N·m/s²], one
            number or one for each joint, shape [24].
        limit: Torque beyond which the second term sets in [N·m], one number or shape [24]. Peak isometric moments of
            hip and knee of strong young men are about 300 N·m.
        excess: Excess over the limit at which the second term is one [N·m].
        pose_error: Standard deviation of a component of the given poses' rotation vectors [rad]; 0.05 is the paper's
            noise of video.
        place_error: The same of the given translation [m], where one is given.
        weights: Of the terms: smoothness, limit, pose.
        root: Whether the root's moment, which without loads is the ground's, counts among the torques.

    Raises:
        DataError: A scale is not positive, or a weight negative.
    """

    roughness: float | Tensor = 5000.0
    limit: float | Tensor = 300.0
    excess: float = 10.0
    pose_error: float = 0.05
    place_error: float = 0.02
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    root: bool = True

    def __post_init__(self) -> None:
        for name in ("roughness", "limit", "excess", "pose_error", "place_error"):
            value = getattr(self, name)
            if not bool((value > 0).all() if isinstance(value, Tensor) else value > 0):
                raise DataError(f"physics loss: {name} must be positive, got {value}")
        if len(self.weights) != 3 or not all(w >= 0 for w in self.weights):
            raise DataError(f"physics loss: weights are three numbers that are not negative, got {self.weights}")

    def __call__(
        self,
        torques: Tensor,
        rotations: Tensor,
        given: Tensor | None,
        fps: float,
        *,
        translation: Tensor | None = None,
        given_translation: Tensor | None = None,
    ) -> PhysicsLossTerms:
        """The loss.

        Args:
            torques: Torques of the poses [N·m], shape [..., T, J, 3], in the world's axes or the parents'; frames with
                NaN do not count.
            rotations: The poses, shape [..., T, J, 3, 3].
            given: What they are to stay near, alike; None for a loss without the third term.
            fps: Frames per second [Hz].
            translation: The root's [m], shape [..., T, 3].
            given_translation: What it is to stay near; None if it may go anywhere.

        Raises:
            DataError: Shapes do not fit each other, or fewer than three frames.
        """
        if torques.shape != rotations.shape[:-1] or torques.ndim < 3 or torques.shape[-3] < 3:
            raise DataError(
                "physics loss: torques [..., T, J, 3] of at least three frames and rotations [..., T, J, 3, 3] must "
                f"fit, got {list(torques.shape)} and {list(rotations.shape)}"
            )
        first = 0 if self.root else 1
        counted = torques[..., first:, :]
        rough, limit = (self._of_joints(x, first, torques) for x in (self.roughness, self.limit))
        bend = (counted[..., 2:, :, :] - 2 * counted[..., 1:-1, :, :] + counted[..., :-2, :, :]) * fps**2
        smoothness = _mean_square(bend / rough[..., None]) / 3
        square = (counted * counted).sum(-1)
        over = torch.where(square > limit**2, square, limit**2).sqrt() - limit
        exceeding = _mean_square((over / self.excess)[..., None])
        pose = torch.zeros_like(smoothness)
        if given is not None:
            pose = _mean_square(rotation_log(rotations @ given.mT) / self.pose_error) / 3
        if given_translation is not None:
            if translation is None:
                raise DataError("physics loss: a given translation needs the translation that is to stay near it")
            # One more joint's worth of three numbers
            off = _mean_square((translation - given_translation)[..., None, :] / self.place_error) / 3
            pose = pose + off / rotations.shape[-3]
        terms = [w * x for w, x in zip(self.weights, (smoothness, exceeding, pose), strict=True)]
        return PhysicsLossTerms(terms[0] + terms[1] + terms[2], *terms)

    @staticmethod
    def _of_joints(value: float | Tensor, first: int, like: Tensor) -> Tensor:
        found = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        return found[first:] if found.ndim else found


def _mean_square(x: Tensor) -> Tensor:
    """Mean of the squared lengths of vectors that are numbers; shape [..., 3] → []."""
    there = x.isfinite().all(-1)
    if bool(there.all()):
        return (x * x).sum(-1).mean()
    kept = x[there]
    return (kept * kept).sum(-1).sum() / max(len(kept), 1)
