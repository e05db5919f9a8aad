"""What guidance leaves over is closed on the rotations themselves: the most likely pose near a sample that fits.

A sample's rotations are uncertain by joint; measured rotations and places are known to a noise. The most likely turns
between them are found frame by frame with an iterated Kalman update (Bell and Cathey 1993) on rotation vectors: it is
inverse kinematics whose start is the sample and whose weights are what the prior does not know.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from motorque.estimators.inpose.guidance_operator import carried, chains, cross_matrix, differences
from motorque.estimators.inpose.tree import JOINTS

TOGETHER = 2000
"""Frames that are closed at once: they have nothing to do with each other, and each takes 50 kB."""
ROUNDS = 4
"""Updates; guided samples are near enough for a few."""
SHARES = (1.0, 0.5, 0.2, 0.05)
"""Shares of an update that are tried."""
SPREAD = {
    "pelvis": 0.2, "spine1": 0.2, "spine2": 0.2, "spine3": 0.2, "neck": 0.2,
    "left_collar": 0.2, "right_collar": 0.2,
}  # fmt: skip
OTHERS = 0.6
"""Standard deviation of a sample's rotation vectors about the true ones, in each direction [rad]: trunk and shoulder
girdle a third of the limbs."""
SURE = 0.01
"""The same for a rotation that is measured without a stated noise [rad]."""


def closed(
    turns: Tensor,
    points: Tensor,
    there: Tensor,
    rest: Tensor,
    *,
    noise: float = 0.002,
    measured: Tensor | None = None,
    seen: Tensor | None = None,
    rotation_noise: float = SURE,
    rounds: int = ROUNDS,
) -> Tensor:
    """Samples moved to where they fit what was measured.

    Args:
        turns: Samples' global rotations, shape [..., T, 22, 3, 3].
        points: Measured places [m], shape [T, 22, 3]; anything where not there.
        there: Whose place was measured, bool, shape [T, 22].
        rest: Rest joints [m], shape [22, 3].
        noise: Standard deviation of a measured place in each direction [m].
        measured: Measured global rotations, shape [T, 22, 3, 3]; anything where not seen.
        seen: Whose rotation was measured, bool, shape [T, 22].
        rotation_noise: Standard deviation of measured rotation vectors in each direction [rad].
        rounds: How many updates.

    Returns:
        Rotations of the same shape.
    """
    found = torch.empty(turns.shape, dtype=turns.dtype)
    frames, samples = turns.shape[-4], turns.flatten(0, -5) if turns.ndim > 4 else turns[None]
    kept = found.view(samples.shape)
    for first in range(0, frames, TOGETHER):
        part = slice(first, first + TOGETHER)
        own = (points[part], there[part], rest)
        told = (None if measured is None else measured[part], None if seen is None else seen[part])
        for number, sample in enumerate(samples):
            kept[number, part] = _closed(sample[part], *own, noise, *told, rotation_noise, rounds)
    return found


def _closed(
    turns: Tensor,
    points: Tensor,
    there: Tensor,
    rest: Tensor,
    noise: float,
    measured: Tensor | None,
    seen: Tensor | None,
    rotation_noise: float,
    rounds: int,
) -> Tensor:
    """Some frames of a sample, each of which is closed by itself."""
    dtype = turns.dtype
    spread = torch.tensor([SPREAD.get(name, OTHERS) for name in JOINTS], dtype=dtype)
    variance = spread.square().expand(*there.shape).clone()
    if measured is not None and seen is not None:
        share = variance / (variance + rotation_noise**2)
        off = log_vectors(measured.to(dtype) @ turns.mT)
        turns = exp_vectors(torch.where(seen[..., None], share[..., None] * off, off.new_zeros(()))) @ turns
        variance = torch.where(seen, variance * (1 - share), variance)
    joints = there.any(dim=0).nonzero()[:, 0].tolist()
    if len(joints) < 2:
        return turns
    pairs = differences(there[:, joints], cyclic=False).to(dtype)
    rows = torch.einsum("tkn,njc->tkjc", pairs, chains(rest.to(dtype), joints))
    used = (pairs != 0).any(dim=-1)
    wanted = pairs @ torch.where(there[..., None], points, points.new_zeros(())).to(dtype)[:, joints]
    which = (rows != 0).any(dim=-1).flatten(0, 1).any(dim=0).nonzero()[:, 0]
    rows, variance = rows[:, :, which], variance[:, which].repeat_interleave(3, dim=-1)
    extra = noise**2 * pairs @ pairs.mT + torch.eye(len(joints), dtype=dtype) * ~used[..., None]
    extra = torch.kron(extra, torch.eye(3, dtype=dtype))
    own = turns[..., which, :, :]
    sure = torch.linalg.inv(extra)

    def misses(vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The turned joints, and by how much they miss, shape [..., T, 3 K]."""
        bent = exp_vectors(vectors) @ own
        missed = torch.where(used[..., None], wanted - carried(rows, bent), own.new_zeros(()))
        return bent, missed.flatten(-2)

    def cost(vectors: Tensor, missed: Tensor) -> Tensor:
        near = (vectors.flatten(-2).square() / variance).sum(dim=-1)
        return near + (missed * (sure @ missed[..., None])[..., 0]).sum(dim=-1)

    moved = own.new_zeros((*own.shape[:-2], 3))
    bent, missed = misses(moved)
    for _ in range(rounds):
        arms = torch.einsum("tkjc,...tjxc->...tkjx", rows, bent)
        slope = -cross_matrix(arms) @ left_jacobian(moved)[..., None, :, :, :]
        slope = slope.transpose(-2, -3).flatten(-2).flatten(-3, -2)  # [..., T, 3 K, 3 J]
        across = slope * variance[:, None, :]
        aim = missed + (slope @ moved.flatten(-2)[..., None])[..., 0]
        gain = torch.linalg.solve(across @ slope.mT + extra, aim[..., None])
        step = (across.mT @ gain)[..., 0].unflatten(-1, (-1, 3)) - moved
        # A stretched arm gives way only in second order: of shorter steps the one that is best is taken
        best, low = torch.zeros_like(moved[..., 0, 0]), cost(moved, missed)
        for part in SHARES:
            now = cost(moved + part * step, misses(moved + part * step)[1])
            best, low = torch.where(now < low, part, best), torch.minimum(now, low)
        moved = moved + best[..., None, None] * step
        bent, missed = misses(moved)
    found = turns.clone()
    found[..., which, :, :] = bent
    return found


def exp_vectors(vectors: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors, [..., 3] → [..., 3, 3], by Rodrigues' formula."""
    angle = vectors.norm(dim=-1)[..., None, None]
    across, along = torch.sinc(angle / math.pi), 0.5 * torch.sinc(angle / (2 * math.pi)).square()
    one = torch.eye(3, dtype=vectors.dtype)
    return angle.cos() * one + across * cross_matrix(vectors) + along * vectors[..., None] * vectors[..., None, :]


def left_jacobian(vectors: Tensor) -> Tensor:
    """How a rotation turns in the world as its vector changes, [..., 3] → [..., 3, 3] (Solà et al. 2018, app. B)."""
    angle = vectors.norm(dim=-1)[..., None, None]
    small = angle < 1e-3  # where the quotients lose their digits and the first terms of their series have all of them
    safe = torch.where(small, torch.ones_like(angle), angle)
    first = torch.where(small, 0.5 - angle**2 / 24, (1 - safe.cos()) / safe**2)
    second = torch.where(small, 1 / 6 - angle**2 / 120, (safe - safe.sin()) / safe**3)
    across = cross_matrix(vectors)
    return torch.eye(3, dtype=vectors.dtype) + first * across + second * across @ across


def log_vectors(turns: Tensor) -> Tensor:
    """Rotation vectors of rotation matrices, [..., 3, 3] → [..., 3], at most half a turn long."""
    import roma

    return roma.rotmat_to_rotvec(turns)
