"""Guidance: samples of the prior are pulled to where sensors are, for whatever bones somebody has (sections 3.2, 3.3).

Pseudoinverse guidance (Song et al. 2023, ΠGDM): given the noisy values, the clean rotations are taken as Gaussian about
what the network expects, so measured places, linear in rotations, are Gaussian too, and the gradient of their
likelihood goes back through the network to the noisy values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.diffusion import SQUARE, Diffusion, Split
from motorque.estimators.inpose.guidance_operator import (
    carried,
    carried_back,
    chains,
    differences,
    rotation_covariance,
)
from motorque.estimators.inpose.tree import matrices

Kind = Literal["pseudoinverse", "gradient"]
Covariance = Literal["identity", "theorem"]
Weight = Literal["paper", "score"]


@dataclass(frozen=True)
class GuidanceSettings:
    """How samples are pulled to measured places; by default as the paper's own code does.

    Args:
        kind: ``pseudoinverse``, or ``gradient``: plain descent on half the squared distances.
        covariance: Of the expected rotations: the ``identity``, or that of ``theorem`` 1 in full.
        jacobian: Whether the gradient goes back through the network. Without, the network is taken to pass noisy
            values on in the proportion that is best for rotations of which nothing else is known, which saves the way
            back.
        weight: ``paper``: ``scale`` times the square root of what is left of the values is what a step adds;
            ``score``: what DDIM adds by itself when the likelihood's gradient is part of the score, which is exact for
            Gaussian priors.
        scale: See there.
        regularisation: Variance that is added to differences of places [m²], all alike and independent, where
            ``noise`` is None.
        noise: Standard deviation of a measured place in each direction [m]; then differences are weighed by it, as
            what they are: dependent where they share a point.
        variance: Of the six numbers of a rotation of which only the sensors' rotations are known; 1 makes that of an
            expected rotation 1 less the share that is left, as the paper has it.

    Raises:
        DataError: A choice or a number that can't be.
    """

    kind: Kind = "pseudoinverse"
    covariance: Covariance = "identity"
    jacobian: bool = True
    weight: Weight = "paper"
    scale: float = 5.0
    regularisation: float = 0.1
    noise: float | None = None
    variance: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("pseudoinverse", "gradient") or self.covariance not in ("identity", "theorem"):
            raise DataError(f"guidance: there is no kind {self.kind!r} with covariance {self.covariance!r}")
        if self.weight not in ("paper", "score"):
            raise DataError(f"guidance: there is no weight {self.weight!r}; there are paper and score")
        if (
            self.scale < 0
            or self.regularisation <= 0
            or self.variance <= 0
            or (self.noise is not None and self.noise < 0)
        ):
            raise DataError("guidance: scale and noise must not be negative, regularisation and variance be above zero")


PAPER_GUIDANCE = GuidanceSettings()


@dataclass(frozen=True)
class Guide:
    """What pulls a batch of windows; a :data:`motorque.estimators.inpose.sampling.Guide`.

    Made by :func:`guide_to`.

    Args:
        diffusion: The prior's.
        settings: How it pulls.
        order: The steps that are taken, from the noisiest on.
        joints: The joints that the differences depend on, J of them.
        rows: Rows of bone vectors for each difference [m], shape [B, T, K, J, 3].
        measured: The differences [m], shape [B, T, K, 3].
        noise: Covariance of differences for a place's variance of 1, shape [B, T, K, K].
        used: Which differences there are, bool, shape [B, T, K].
        whole: From six numbers to rotation matrices.
    """

    diffusion: Diffusion
    settings: GuidanceSettings
    order: tuple[int, ...]
    joints: Tensor
    rows: Tensor
    measured: Tensor
    noise: Tensor
    used: Tensor
    whole: Callable[[Tensor], Tensor] = matrices

    @property
    def gradient(self) -> bool:
        """Whether the network's gradient is needed."""
        return self.settings.jacobian

    def of(self, which: slice) -> Guide:
        """That of some of the windows."""
        return replace(
            self,
            rows=self.rows[which],
            measured=self.measured[which],
            noise=self.noise[which],
            used=self.used[which],
        )

    def __call__(self, noisy: Tensor, split: Split, step: int) -> Tensor:
        """What is added to the values of the next step, shape [B, T, 22, 6]."""
        if not self.rows.shape[-2]:
            return torch.zeros_like(noisy)
        kept = float(self.diffusion.kept[step])
        spread = self.spread(step)
        clean = split.clean if self.settings.jacobian else split.clean.detach().requires_grad_()
        with torch.enable_grad():
            turns = self.whole(clean)[..., self.joints, :, :]
        towards = carried_back(self.rows, self.weighed(turns.detach(), spread))
        behind = noisy if self.settings.jacobian else clean
        (found,) = torch.autograd.grad(turns, behind, towards)
        if not self.settings.jacobian:
            found = found * (kept**0.5 * SQUARE / (kept * SQUARE + 1 - kept))
        return found * self._weight(step, kept, spread)

    def spread(self, step: int) -> float:
        """Variance of the numbers of an expected rotation in a step."""
        kept, own = float(self.diffusion.kept[step]), self.settings.variance
        return own * (1 - kept) / (own * kept + 1 - kept)

    def weighed(self, turns: Tensor, spread: float) -> Tensor:
        """By how much expected rotations miss the differences, weighed by how sure both are.

        Args:
            turns: The expected rotations of the joints that differences depend on, shape [B, T, J, 3, 3].
            spread: The variance of their numbers.

        Returns:
            Shape [B, T, K, 3]: the inverse of the differences' covariance for a variance of 1 times the misses.
        """
        missed = torch.where(self.used[..., None], self.measured - carried(self.rows, turns), turns.new_zeros(()))
        if self.settings.kind == "gradient":
            return missed
        one = torch.eye(self.rows.shape[-3], dtype=turns.dtype)
        if self.settings.noise is None:
            noise = self.settings.regularisation / spread * one
        else:
            # A hundredth of a millimetre keeps it regular where two points are on one bone
            noise = max(self.settings.noise, 1e-5) ** 2 / spread * self.noise + one * ~self.used[..., None]
        if self.settings.covariance == "identity":
            flat = self.rows.flatten(-2)
            return torch.linalg.solve(flat @ flat.mT + noise, missed)
        unit = rotation_covariance(turns, turns.new_tensor(spread)) / spread
        blocks = unit.unflatten(-1, (3, 3)).unflatten(-3, (3, 3))  # [B, T, J, column, xyz, column, xyz]
        half = torch.einsum("...kjc,...jcxdy->...kxjdy", self.rows, blocks)
        whole = torch.einsum("...kxjdy,...ljd->...kxly", half, self.rows)
        whole = whole + noise[..., :, None, :, None] * torch.eye(3, dtype=turns.dtype)[:, None, :]
        square = whole.flatten(-2).flatten(-3, -2)
        return torch.linalg.solve(square, missed.flatten(-2)[..., None])[..., 0].unflatten(-1, (-1, 3))

    def _weight(self, step: int, kept: float, spread: float) -> float:
        if self.settings.weight == "paper" or self.settings.kind == "gradient":
            return self.settings.scale * kept**0.5
        after = self.order.index(step) + 1
        following = float(self.diffusion.kept[self.order[after]]) if after < len(self.order) else 1.0
        share = (following / kept) ** 0.5 * (1 - kept) - ((1 - following) * (1 - kept)) ** 0.5
        return share / spread


def guide_to(
    points: Tensor,
    there: Tensor,
    rest: Tensor,
    joints: list[int],
    *,
    diffusion: Diffusion,
    order: list[int],
    settings: GuidanceSettings = PAPER_GUIDANCE,
    whole: Callable[[Tensor], Tensor] = matrices,
) -> Guide:
    """A guide to measured places.

    Args:
        points: Where the joints are, in the windows' worlds [m], shape [B, T, N, 3]; anything where not measured.
        there: Which were measured, bool, shape [B, T, N].
        rest: Rest joints [m], shape [22, 3] or [B, 22, 3].
        joints: Which joints they are, N of them.
        diffusion: The prior's.
        order: The steps that are taken.
        settings: How it pulls.
        whole: From six numbers to rotation matrices.

    Raises:
        DataError: Bones that are none.
    """
    dtype = points.dtype
    bones = chains(rest.to(dtype), joints)
    bones = bones if bones.ndim == 4 else bones[None]
    rows = differences(there, cyclic=settings.noise is None).to(dtype)
    points = torch.where(there[..., None], points, points.new_zeros(()))
    operator = torch.einsum("btkn,bnjc->btkjc", rows, bones.expand(len(points), -1, -1, -1))
    on_chains = (operator != 0).any(dim=-1).flatten(0, 2).any(dim=0).nonzero()[:, 0]
    return Guide(
        diffusion,
        settings,
        tuple(order),
        on_chains,
        operator[..., on_chains, :].contiguous(),
        rows @ points,
        rows @ rows.mT,
        (rows != 0).any(dim=-1),
        whole,
    )
