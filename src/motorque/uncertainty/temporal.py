"""How noise hangs together in time: white with AR(1), and the slow wandering of skin and model misfit.

Every process has variance 1; what carries it (a marker, a coordinate, a force plate) brings its own size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Process:
    """A stationary process of variance 1: white noise and a chain of equal AR(1) filters, mixed.

    Args:
        white: Share of the variance that is white, 0 to 1.
        memory: Correlation of the rest from frame to frame if ``order`` is 1; the pole of each filter otherwise.
        order: Filters in a row: 1 for AR(1), 3 for something that wanders smoothly.
    """

    white: float = 1.0
    memory: float = 0.0
    order: int = 1

    def spectrum(self, cycles: Array) -> Array:
        """Power by frequency [cycles a frame, 0 to 1/2]; its mean over a period is 1."""
        if self.white >= 1 or self.memory <= 0:
            return np.ones_like(cycles)
        pole = self.memory
        shape = (1 + pole**2 - 2 * pole * np.cos(2 * np.pi * cycles)) ** -float(self.order)
        return np.asarray(self.white + (1 - self.white) * shape / chain_variance(pole, self.order)[0])

    def correlation(self, lags: int) -> Array:
        """Autocorrelation at lags 0 to ``lags`` - 1 frames."""
        count = 1 << int(np.ceil(np.log2(max(4 * lags, 64 / max(1e-3, 1 - self.memory)))))
        power = self.spectrum(np.arange(count // 2 + 1) / count)
        return np.asarray(np.fft.irfft(power)[:lags])

    def draw(self, rng: np.random.Generator, frames: int, size: tuple[int, ...]) -> NDArray[np.float32]:
        """Samples of shape [frames, *size], independent but for time; stationary from the first frame on."""
        noise = rng.standard_normal((frames, *size), dtype=np.float32)
        if self.white >= 1 or self.memory <= 0:
            return noise
        pole = np.float32(self.memory)
        if self.order == 1:
            # White noise plus AR(1) is ARMA(1, 1): one stream of random numbers instead of two.
            a = self.white * (1 + self.memory**2) + (1 - self.white) * (1 - self.memory**2)
            b = -self.white * self.memory
            theta = 0.0 if b == 0 else (a - np.sqrt(a * a - 4 * b * b)) / (2 * b)
            gain = np.sqrt(a / (1 + theta**2))
            first, second = np.float32(gain), np.float32(gain * (theta + self.memory))
            spread = np.float32(abs(second) / np.sqrt(1 - self.memory**2))
            state = spread * rng.standard_normal(size, dtype=np.float32)
            for frame in noise:  # in place: what has been used is not needed any more
                after = pole * state + second * frame
                frame *= first
                frame += state
                state = after
            return noise
        states = self._stationary() @ rng.standard_normal((self.order, int(np.prod(size))), dtype=np.float32)
        levels = states.reshape(self.order, *size)
        gain = np.float32(np.sqrt((1 - self.white) / chain_variance(self.memory, self.order)[0]))
        for frame in noise:
            levels[0] *= pole
            levels[0] += frame
            for level in range(1, self.order):
                levels[level] *= pole
                levels[level] += levels[level - 1]
            np.multiply(levels[-1], gain, out=frame)
        if self.white > 0:
            noise += np.float32(np.sqrt(self.white)) * rng.standard_normal((frames, *size), dtype=np.float32)
        return noise

    def _stationary(self) -> NDArray[np.float32]:
        """Factor of the covariance that the filters' states have at any time, shape [order, order]."""
        every = np.ones((self.order, self.order))
        covariance = solve_discrete_lyapunov(self.memory * np.tril(every), every)
        return np.asarray(np.linalg.cholesky(covariance + 1e-9 * np.trace(covariance) * np.eye(self.order)), np.float32)


def chain_variance(pole: float, order: int) -> tuple[float, float]:
    """Variance of white noise of variance 1 after ``order`` filters 1 / (1 - pole z⁻¹), its derivative by the pole."""
    p, rest = pole * pole, 1 - pole * pole
    if order == 1:
        return 1 / rest, 2 * pole / rest**2
    if order == 3:
        top = 1 + 4 * p + p * p
        return top / rest**5, 2 * pole * ((4 + 2 * p) / rest**5 + 5 * top / rest**6)
    raise ValueError(f"order is 1 or 3, got {order}")
