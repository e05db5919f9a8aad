"""The smoothing of a recording as the linear map that it is: low-pass filter and spline derivatives, ends included.

Values, first and second derivatives at frame t are weighted sums of samples near t. In the middle of a recording the
weights are the same for all frames; near the ends they are not. Both are read off the very functions that smooth the
motion, applied to unit impulses, so that they can't differ from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.signals import NaturalSpline, butterworth

Array = NDArray[np.float64]

REACH = 1.7
"""Periods of the cutoff after which the filter's response has died out (to 1e-4 of its peak)."""

SPLINE_REACH = 24
"""Frames after which the response of a quintic spline's derivatives has died out (0.43 a frame)."""

BLOCK = 64
"""Frames computed by one matrix product."""


@dataclass(frozen=True, eq=False)
class Smoother:
    """Smoothing of ``frames`` samples at ``rate``.

    Args:
        frames: Samples, T.
        rate: Sampling rate [Hz].
        cutoff: Low-pass cutoff [Hz], or None for splines alone.
        reach: Frames on either side that a result depends on.
        head: Weights of the first frames: order, frame, sample; shape [3, reach, 2 reach].
        middle: Weights of frames in between, shape [3, 2 reach + 1].
        tail: Weights of the last frames by the last samples, shape [3, reach, 2 reach].
        whole: All weights where the recording is too short for a middle, shape [3, T, T].
    """

    frames: int
    rate: float
    cutoff: float | None
    reach: int
    head: Array
    middle: Array
    tail: Array
    whole: Array | None

    @staticmethod
    def reach_of(rate: float, cutoff: float | None) -> int:
        """Frames on either side that a result depends on."""
        return SPLINE_REACH + (0 if cutoff is None else math.ceil(REACH * rate / cutoff))

    @classmethod
    def of(cls, frames: int, rate: float, cutoff: float | None) -> Smoother:
        """The smoothing that `analyze` does with this cutoff."""
        reach = cls.reach_of(rate, cutoff)
        if frames <= 4 * reach + 1:
            return cls(frames, rate, cutoff, reach, *(np.zeros((3, 0, 0)),) * 3, _weights(frames, rate, cutoff))
        some = _weights(4 * reach + 1, rate, cutoff)
        middle = slice(2 * reach, 2 * reach + 1)
        return cls(
            frames,
            rate,
            cutoff,
            reach,
            _cut(some[:, :reach], slice(0, 2 * reach)),
            _cut(some[:, middle], slice(reach, 3 * reach + 1))[:, 0],
            _cut(some[:, -reach:], slice(2 * reach + 1, None)),
            None,
        )

    def __call__(self, samples: NDArray[np.floating], orders: tuple[int, ...] = (0, 1, 2)) -> NDArray[np.floating]:
        """Smoothed values and derivatives.

        Args:
            samples: Shape [T, ...], float32 or float64 (kept).
            orders: Which derivatives.

        Returns:
            Shape [orders, T, ...] [per s to the order].
        """
        flat = samples.reshape(self.frames, -1)
        pick, kind = list(orders), flat.dtype
        if self.whole is not None:
            weights = self.whole[pick].astype(kind)
            return (weights.reshape(-1, self.frames) @ flat).reshape(len(pick), *samples.shape)
        out = np.empty((len(pick), *flat.shape), dtype=kind)
        reach, frames = self.reach, self.frames
        out[:, :reach] = self.head[pick].astype(kind) @ flat[: 2 * reach]
        out[:, frames - reach :] = self.tail[pick].astype(kind) @ flat[-2 * reach :]
        block = self._middle_block(min(BLOCK, frames - 2 * reach))[pick].astype(kind)
        for start in range(reach, frames - reach, block.shape[1]):
            count = min(block.shape[1], frames - reach - start)
            weights = block[:, :count, : count + 2 * reach]
            stacked = np.ascontiguousarray(weights).reshape(-1, count + 2 * reach)
            out[:, start : start + count] = (stacked @ flat[start - reach : start + count + reach]).reshape(
                len(pick), count, -1
            )
        return out.reshape(len(pick), *samples.shape)

    def _middle_block(self, count: int) -> Array:
        """Weights of some frames in the middle, shape [3, count, count + 2 reach]."""
        block = np.zeros((3, count, count + 2 * self.reach))
        for row in range(count):
            block[:, row, row : row + 2 * self.reach + 1] = self.middle
        return block

    def covariance(self, correlation: Array) -> Array:
        """Covariance of value, first and second derivative at each frame under stationary noise of variance 1.

        Args:
            correlation: Autocorrelation of the noise at lags 0, 1, 2, ... frames, shape [>= 2 reach + 1] or [T].

        Returns:
            Shape [T, 3, 3] [per s to the orders].
        """
        if self.whole is not None:
            return _quadratic(self.whole, correlation)
        result = np.empty((self.frames, 3, 3))
        result[:] = _quadratic(self.middle[:, None], correlation)
        result[: self.reach] = _quadratic(self.head, correlation)
        result[-self.reach :] = _quadratic(self.tail, correlation)
        return result


def _cut(weights: Array, kept: slice) -> Array:
    """Rows of weights [3, rows, samples] without the samples that hardly count, parabolas treated as before.

    What is cut off is a ten-thousandth of the largest weight, but a second derivative multiplies it by the rate squared
    and by metres: a walking pelvis would get some m/s² of it. The least change of the kept weights that gives
    constants, lines and parabolas what the whole row gives them takes that away.
    """
    count = weights.shape[-1]
    place = np.linspace(-1, 1, count)
    powers = place[:, None] ** np.arange(3)
    missing = weights @ powers - weights[..., kept] @ powers[kept]
    return np.asarray(weights[..., kept] + missing @ np.linalg.pinv(powers[kept]))


def _quadratic(weights: Array, correlation: Array) -> Array:
    """G C Gᵀ of each row, C the Toeplitz matrix of a correlation; weights [3, rows, samples] → [rows, 3, 3]."""
    count = weights.shape[-1]
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    full = np.zeros(max(count, len(correlation)))
    full[: len(correlation)] = correlation
    return np.asarray(np.einsum("irs,jrs->rij", weights @ full[lag], weights, optimize=True))


def _weights(frames: int, rate: float, cutoff: float | None) -> Array:
    """All weights of a short recording, shape [3, T, T]."""
    impulses = np.eye(frames)
    filtered = impulses if cutoff is None else butterworth(impulses, rate, cutoff, what="impulses")
    times = np.arange(frames) / rate
    spline = NaturalSpline(times, np.ascontiguousarray(filtered), degree=5, what="impulses")
    return np.stack([spline(times, order) for order in (0, 1, 2)])


def amplitude(frequency: Array, rate: float, cutoff: float | None) -> Array:
    """Share of a sine's amplitude that passes the filter in the middle of a recording, shape as ``frequency`` [Hz]."""
    if cutoff is None:
        return np.ones_like(frequency)
    # Both passes of a second-order filter: |H|² of a Butterworth filter whose cutoff was corrected for two passes.
    corrected = math.tan(math.pi * cutoff / rate) / (math.sqrt(2.0) - 1.0) ** 0.25
    return np.asarray(1 / (1 + (np.tan(np.pi * np.clip(frequency / rate, 0, 0.4999)) / corrected) ** 4))
