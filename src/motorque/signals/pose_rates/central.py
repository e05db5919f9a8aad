"""Central differences, as SMPL-Dynamics has them: of places by subtraction, of rotations by the matrix logarithm.

With d₊ = log(R(t+h) R(t)ᵀ) and d₋ = log(R(t) R(t−h)ᵀ), both in the parent's axes,

    w(t) = (d₊ + d₋) / 2h,    dw/dt(t) = (d₊ − d₋) / h²,

the derivatives at its vertex of the parabola through three frames in the chart x ↦ exp(x) R(t); their error falls with
h². White noise of standard deviation s in every frame's rotation vector gives s / (√2 h) in w and √6 s / h² in dw/dt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.interface import PoseRates, samples, where_there
from motorque.signals.pose_rates.rotation_calculus import rotation_log, turning_rates

Ends = Literal["one-sided", "nan"]


@dataclass(frozen=True)
class CentralDifferences:
    """Second-order central differences of neighbouring frames; poses stay as they are.

    Args:
        ends: What the first and last frame get, and those beside a missing one. ``one-sided``: the derivatives there of
            the parabola through the three frames next to it: velocities to second order, and the neighbour's
            acceleration, to first order. ``nan``: nothing.

    Raises:
        DataError: There are no such ends.

    Source: SMPL-Dynamics (arXiv 2605.24776), equations 1 and 2; which says nothing of the ends.
    """

    ends: Ends = "one-sided"

    def __post_init__(self) -> None:
        if self.ends not in ("one-sided", "nan"):
            raise DataError(f"central differences end 'one-sided' or with 'nan', not with {self.ends!r}")

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`RateMethod`; at least three frames."""
        given = samples(rotations, translation, fps)
        h, r, p = given.step, given.rotation, given.translation
        steps = rotation_log(r[..., 1:, :, :, :] @ r[..., :-1, :, :, :].mT)
        before, after = steps[..., :-1, :, :], steps[..., 1:, :, :]
        w, dw = (after + before) / (2 * h), (after - before) / h**2
        moves = p[..., 1:, :] - p[..., :-1, :]
        v, a = (moves[..., 1:, :] + moves[..., :-1, :]) / (2 * h), (moves[..., 1:, :] - moves[..., :-1, :]) / h**2
        one_sided = self.ends == "one-sided"
        spin = _spread(w, dw, (-before, after), h, given.turned, one_sided, frame_dim=-3)
        slide = _spread(v, a, None, h, given.placed, one_sided, frame_dim=-2)
        return given.answer(r, p, spin, slide)


def _spread(
    rate: Tensor,
    change: Tensor,
    chart: tuple[Tensor, Tensor] | None,
    h: float,
    there: Tensor | None,
    one_sided: bool,
    *,
    frame_dim: int,
) -> tuple[Tensor, Tensor]:
    """Rates of all frames from those of all inner ones.

    Args:
        rate: First derivatives at inner frames, shape [..., T - 2, ..., 3].
        change: Second ones.
        chart: Rotation vectors from each inner frame to the one before and after it; None where space is flat.
        h: Time between frames [s].
        there: Which frames are there, shape [..., T, ...]; None for all.
        one_sided: Whether others than inner frames get anything.
        frame_dim: The dimension of frames in ``rate``.
    """
    count = rate.shape[frame_dim]

    def at(inner: slice, side: int) -> tuple[Tensor, Tensor]:
        """Rates one frame before (0) or after (1) inner frames, by their parabolas."""
        span = range(count)[inner]
        w, dw = (x.narrow(frame_dim, span.start, len(span)) for x in (rate, change))
        reached = w + (-h if side == 0 else h) * dw
        if chart is None:
            return reached, dw
        return turning_rates(chart[side].narrow(frame_dim, span.start, len(span)), reached, dw)

    first, last = at(slice(0, 1), 0), at(slice(count - 1, count), 1)
    whole = [torch.cat(parts, dim=frame_dim) for parts in zip(first, (rate, change), last, strict=True)]
    if there is None and one_sided:
        return whole[0], whole[1]
    dim = frame_dim + 1  # of frames in masks, which have no components
    if there is None:
        there = torch.ones(whole[0].shape[:-1], dtype=torch.bool, device=rate.device)
    inner = there.narrow(dim, 0, count) & there.narrow(dim, 1, count) & there.narrow(dim, 2, count)
    none = torch.zeros_like(there.narrow(dim, 0, 1))
    central = torch.cat([none, inner, none], dim)[..., None]
    if not one_sided:
        return where_there(central, whole[0]), where_there(central, whole[1])
    # A frame takes the parabola about itself, else about the next frame, else about the one before it.
    ahead = torch.cat([inner, none, none], dim)[..., None]
    behind = torch.cat([none, none, inner], dim)[..., None]
    every = slice(0, count)
    found = []
    for x, forward, backward in zip(whole, at(every, 0), at(every, 1), strict=True):
        blank = torch.zeros_like(x.narrow(frame_dim, 0, 2))
        forward, backward = torch.cat([forward, blank], frame_dim), torch.cat([blank, backward], frame_dim)
        value = torch.where(central, x, torch.where(ahead, forward, backward))
        found.append(where_there(central | ahead | behind, value))
    return found[0], found[1]
