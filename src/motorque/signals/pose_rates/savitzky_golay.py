"""Savitzky-Golay differentiation of rotations: a polynomial through the frames around each frame, in its own tangent.

Around frame t the rotations are x(k) = log(R(t+k) R(t)ᵀ), rotation vectors in the parent's axes counted from R(t); a
polynomial is fitted to them by least squares, and its value and derivatives at k = 0 become the smoothed rotation,
angular velocity and acceleration. No frame but the window's matters, and no chart has to last longer than a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.interface import PoseRates, samples, where_there
from motorque.signals.pose_rates.rotation_calculus import rotation_exp, rotation_log, turning_rates


@dataclass(frozen=True)
class SavitzkyGolay:
    """Local polynomials by least squares.

    The first and last frames take the polynomial of the first and last whole window, as SciPy's ``savgol_filter`` does
    with ``mode="interp"``: noise is larger there. Frames that are missing are left out of windows; where fewer remain
    than the polynomial has coefficients, rates are NaN. Within a window no rotation may be half a turn from its middle
    (at the ends of a recording: from the frame itself).

    Args:
        window: Frames per window, odd.
        degree: Degree of the polynomials, from 2 to ``window`` - 1. With 3 accelerations are those of 2 and velocities
            have a smaller bias.

    Raises:
        DataError: A window that is not odd, or a degree that does not fit it.

    Source: Savitzky, Golay, Analytical Chemistry 36 (1964) 1627-1639.
    """

    window: int = 9
    degree: int = 3

    def __post_init__(self) -> None:
        if self.window < 3 or self.window % 2 == 0:
            raise DataError(f"Savitzky-Golay: the window must be an odd number of frames, got {self.window}")
        if not 2 <= self.degree < self.window:
            raise DataError(
                f"Savitzky-Golay: the degree must be from 2 to {self.window - 1}, less than the window of "
                f"{self.window} frames; got {self.degree}"
            )

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`RateMethod`; at least as many frames as the window has."""
        given = samples(rotations, translation, fps, least=self.window)
        h, r, p = given.step, given.rotation, given.translation
        index = self._windows(p.shape[-2], p.device)
        offset = index - torch.arange(p.shape[-2], device=p.device)[:, None]
        around = r[..., index, :, :, :]  # [..., T, W, J, 3, 3]
        x = rotation_log(around @ r[..., :, None, :, :, :].mT).transpose(-2, -3)
        turned = None if given.turned is None else given.turned[..., index, :].transpose(-1, -2)
        value, rate, change, some = self._fit(x, offset, turned, h)
        w, dw = turning_rates(value, rate, change)
        rotation = rotation_exp(value) @ r
        placed = None if given.placed is None else given.placed[..., None, index].transpose(-2, -3)
        place, velocity, acceleration, enough = self._fit(p[..., index, :][..., None, :, :], offset, placed, h)
        slide = (where_there(enough, velocity)[..., 0, :], where_there(enough, acceleration)[..., 0, :])
        spin = (where_there(some, w), where_there(some, dw))
        return given.answer(where_there(some[..., None], rotation), where_there(enough, place)[..., 0, :], spin, slide)

    def _windows(self, frames: int, device: torch.device) -> Tensor:
        """Frames in each frame's window, shape [T, W]."""
        first = (torch.arange(frames, device=device) - self.window // 2).clamp(0, frames - self.window)
        return first[:, None] + torch.arange(self.window, device=device)

    def _fit(self, x: Tensor, offset: Tensor, there: Tensor | None, h: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The polynomials' values and derivatives at their frames.

        Args:
            x: Samples, shape [..., T, J, W, 3].
            offset: Their frames, counted from the window's, shape [T, W].
            there: Which of them count, shape [..., T, J, W]; None for all.
            h: Time between frames [s].

        Returns:
            Value, first and second derivative, each [..., T, J, 3]; where there were frames enough, [..., T, J, 1].
        """
        scale = self.window // 2  # powers of numbers near one
        exponents = torch.arange(self.degree + 1, device=x.device)
        powers = (offset[..., None].to(x.dtype) / scale) ** exponents  # [T, W, D]
        if there is None:
            enough = torch.ones((), dtype=torch.bool, device=x.device)
            solved = torch.linalg.pinv(powers)[:, None, :3] @ x
        else:
            counted = there[..., None].to(x.dtype) * powers[:, None]
            enough = (there.sum(-1) > self.degree)[..., None]
            eye = torch.eye(self.degree + 1, dtype=x.dtype, device=x.device)
            normal = torch.where(enough[..., None], counted.mT @ counted, eye)
            solved = torch.linalg.solve(normal, counted.mT @ x)[..., :3, :]
        constant, slope, bend = solved.unbind(-2)
        return constant, slope / (scale * h), 2 * bend / (scale * h) ** 2, enough
