"""Central differences taken twice: velocities from the frames on both sides, accelerations from their velocities.

    w(t) = log(R(t+h) R(t−h)ᵀ) / 2h,    dw/dt(t) = (w(t+h) − w(t−h)) / 2h,

what comes of a library's gradient function applied twice. The acceleration reaches over five frames: white noise of
standard deviation s in every frame's rotation vector gives 0.61 s / h² in dw/dt, a quarter of what the three frames of
`central` make of it, and noise at half the frame rate gives nothing at all. Motion pays for it: of an acceleration at
the frequency f the share (sin(2π f h) / (2π f h))² is left.

SMPL-Dynamics (arXiv 2605.24776) writes of central differences, first and second; its figures agree with this way and
not with `central` (docs/noise_study.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.central import Ends
from motorque.signals.pose_rates.interface import PoseRates, samples, where_there
from motorque.signals.pose_rates.rotation_calculus import rotation_log


@dataclass(frozen=True)
class CentralTwice:
    """Central differences of central differences; poses stay as they are.

    Args:
        ends: What the two frames at each end get: ``one-sided`` differences of first order, or ``nan``. Within two
            frames of a missing one there is nothing.

    Raises:
        DataError: There are no such ends.
    """

    ends: Ends = "one-sided"

    def __post_init__(self) -> None:
        if self.ends not in ("one-sided", "nan"):
            raise DataError(f"central differences end 'one-sided' or with 'nan', not with {self.ends!r}")

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`RateMethod`; at least five frames."""
        given = samples(rotations, translation, fps, least=5)
        h, r, p = given.step, given.rotation, given.translation
        both = rotation_log(r[..., 2:, :, :, :] @ r[..., :-2, :, :, :].mT) / (2 * h)
        single = rotation_log(r[..., [1, -1], :, :, :] @ r[..., [0, -2], :, :, :].mT) / h
        w = torch.cat([single[..., :1, :, :], both, single[..., 1:, :, :]], dim=-3)
        v = _gradient(p, h, -2)
        spin, slide = (w, _gradient(w, h, -3)), (v, _gradient(v, h, -2))
        if given.turned is not None or self.ends == "nan":
            spin = self._where_known(spin, given.turned, -2)
        if given.placed is not None or self.ends == "nan":
            slide = self._where_known(slide, given.placed, -1)
        return given.answer(r, p, spin, slide)

    def _where_known(self, rates: tuple[Tensor, Tensor], there: Tensor | None, dim: int) -> tuple[Tensor, Tensor]:
        """NaN where a frame that a rate reaches to is missing, and at ends, if they are to have nothing.

        Args:
            rates: First and second derivatives, shape [..., 3].
            there: Which samples are there, shape [...]; None for all.
            dim: The dimension of frames in it.
        """
        if there is None:
            there = torch.ones(rates[0].shape[:-1], dtype=torch.bool, device=rates[0].device)
        beyond = self.ends == "one-sided"
        near, far = (where_there(_around(there, n, dim, beyond)[..., None], x) for n, x in enumerate(rates, 1))
        return near, far


def _gradient(x: Tensor, h: float, dim: int) -> Tensor:
    return torch.gradient(x, spacing=h, dim=dim)[0]


def _around(there: Tensor, reach: int, dim: int, beyond: bool) -> Tensor:
    """Whether a frame and all near it are there; ``beyond``: whether frames beyond the ends count as there."""
    found, count = there, there.shape[dim]
    for shift in range(1, reach + 1):
        pad = torch.full_like(there.narrow(dim, 0, shift), beyond)
        found = found & torch.cat([there.narrow(dim, shift, count - shift), pad], dim)
        found = found & torch.cat([pad, there.narrow(dim, 0, count - shift)], dim)
    return found
