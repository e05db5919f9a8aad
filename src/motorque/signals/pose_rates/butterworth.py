"""A Butterworth filter without delay, then central differences: what most of biomechanics does, on rotations.

The filter is `signals.butterworth`, applied to the unrolled rotations (`unrolled`), so that it works beyond half turns;
for small rotations that is the paper's filter of rotation vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.signal import sosfilt, sosfilt_zi, sosfiltfilt
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.filters import zero_phase_sections
from motorque.signals.pose_rates.central import CentralDifferences
from motorque.signals.pose_rates.interface import PoseRates, samples
from motorque.signals.pose_rates.linear_map import Array, apply_map
from motorque.signals.pose_rates.unrolled import bridged_places, bridged_rotations, smooth_unrolled


@dataclass(frozen=True)
class FilteredDifferences:
    """Zero-phase Butterworth low-pass, then central differences.

    Frames that are missing are bridged by the shortest turn for the filter alone, and are NaN in the answer.

    Args:
        cutoff: Frequency at which the amplitude has dropped to 1/√2 after both passes [Hz]. The default is what
            SMPL-Dynamics recommends for walking.
        order: Order after both passes, even.

    Raises:
        DataError: A cutoff that is not positive; when called, one at or above half the frame rate.

    Source: SMPL-Dynamics (arXiv 2605.24776), section 4.3; Winter, Biomechanics and Motor Control of Human Movement.
    """

    cutoff: float = 6.0
    order: int = 4

    def __post_init__(self) -> None:
        if not (np.isfinite(self.cutoff) and self.cutoff > 0):
            raise DataError(f"Butterworth filter: the cutoff must be a positive frequency, got {self.cutoff:g} Hz")
        if self.order < 2 or self.order % 2:
            raise DataError(f"Butterworth filter: the order counts both passes and must be even, got {self.order}")

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`RateMethod`; at least order + 2 frames."""
        given = samples(rotations, translation, fps, least=self.order + 2)
        frames = translation.shape[-2]
        linear = _filter(frames, 1.0 / given.step, self.cutoff, self.order)

        def along_time(x: Tensor, dim: int) -> Tensor:
            moved = x.movedim(dim, 0)
            return apply_map(linear, moved.reshape(frames, -1)).reshape(moved.shape).movedim(0, dim)

        rotation = bridged_rotations(given.rotation, given.turned)
        path, _ = smooth_unrolled(rotation, lambda x: along_time(x, x.ndim - 3))
        place = along_time(bridged_places(given.translation, given.placed), translation.ndim - 2)
        found = CentralDifferences()(path, place, fps)
        spin = (found.angular_velocity, found.angular_acceleration)
        return given.answer(path, place, spin, (found.velocity, found.acceleration))


class _ZeroPhase:
    """`signals.butterworth` of so many samples, and its transpose."""

    def __init__(self, frames: int, rate: float, cutoff: float, order: int) -> None:
        self.sections, self.pad = zero_phase_sections(frames, rate, cutoff, order=order, what="poses")
        # A pass begins as if its first sample had always been there: what that adds for a first sample of one.
        settled = sosfilt_zi(self.sections)
        self.onset: Array = sosfilt(self.sections, np.zeros(frames + 2 * self.pad), zi=settled)[0]

    def forward(self, x: Array) -> Array:
        """See `LinearMap`."""
        filtered: Array = sosfiltfilt(self.sections, x, axis=0, padtype="odd", padlen=self.pad)
        return filtered

    def backward(self, y: Array) -> Array:
        """See `LinearMap`."""
        padded = np.pad(y, ((self.pad, self.pad), (0, 0)))
        for _ in range(2):
            padded = self._pass_transposed(padded[::-1])
        return self._reflection_transposed(padded)

    def _pass_transposed(self, y: Array) -> Array:
        """A causal filter run backward in time, and all that its onset touches given to the first sample."""
        x: Array = sosfilt(self.sections, y[::-1], axis=0)[::-1].copy()
        x[0] += self.onset @ y
        return x

    def _reflection_transposed(self, y: Array) -> Array:
        pad = self.pad
        x = y[pad : len(y) - pad].copy()
        before, after = y[:pad], y[len(y) - pad :]
        x[0] += 2 * before.sum(axis=0)
        x[-1] += 2 * after.sum(axis=0)
        x[1 : pad + 1] -= before[::-1]
        x[len(x) - 1 - pad : len(x) - 1] -= after[::-1]
        return x


@lru_cache(maxsize=16)
def _filter(frames: int, rate: float, cutoff: float, order: int) -> _ZeroPhase:
    return _ZeroPhase(frames, rate, cutoff, order)
