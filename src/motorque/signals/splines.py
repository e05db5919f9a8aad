"""Natural splines through sampled columns, with derivatives: how OpenSim turns samples into functions of time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline

from motorque.errors import DataError

Array = NDArray[np.float64]


class NaturalSpline:
    """The interpolating natural spline of degree 3 or 5 through several columns at once.

    At both ends the derivatives from order (degree + 1) / 2 to degree - 1 vanish: the second of a cubic, the third and
    fourth of a quintic. It is the smoothest curve through the samples: no other has a smaller integral of the squared
    derivative of that order. Beyond the ends it continues as the polynomial that these conditions leave (a straight
    line, or a parabola).

    Args:
        times: Sample times, increasing, not necessarily uniform [s], shape [T].
        values: Samples, shape [T, C] (or [T]).
        degree: 3 or 5.
        what: What the samples are, for messages.

    Raises:
        DataError: Fewer than degree + 1 samples, times that do not increase, or a sample that is no number.

    Source: Woltring, Advances in Engineering Software 8 (1986) 104-113, with the smoothing parameter at zero; equals
    OpenSim 4.6's ``GCVSpline`` with its default error variance of zero (checked against the wheel).
    """

    def __init__(self, times: Array, values: Array, *, degree: int = 5, what: str = "samples") -> None:
        if degree not in (3, 5):
            raise ValueError(f"degree must be 3 or 5, got {degree}")
        times = np.asarray(times, dtype=np.float64)
        values = np.asarray(values, dtype=np.float64)
        if len(times) < degree + 1:
            raise DataError(
                f"{what}: {len(times)} frames are too few for a spline of degree {degree}, which needs {degree + 1}; "
                "use a longer recording"
            )
        if (np.diff(times) <= 0).any():
            frame = int(np.flatnonzero(np.diff(times) <= 0)[0]) + 1
            raise DataError(f"{what}: time does not increase at frame {frame} ({times[frame]:g} s)")
        if not np.isfinite(values).all():
            frame = int(np.argwhere(~np.isfinite(values))[0][0])
            raise DataError(
                f"{what}: a value in frame {frame} ({times[frame]:g} s) is not a number; fill the gap first"
            )
        self.start, self.end, self.degree = float(times[0]), float(times[-1]), degree
        self._half = (degree + 1) // 2
        # Solved in units of the mean step: derivatives of different order then have comparable size in the equations.
        self._step = (self.end - self.start) / (len(times) - 1)
        vanishing = [(order, np.zeros(values.shape[1:])) for order in range(self._half, degree)]
        x = (times - self.start) / self._step
        self._spline: BSpline = make_interp_spline(x, values, k=degree, bc_type=(vanishing, vanishing))

    def __call__(self, times: Array, derivative: int = 0) -> Array:
        """The spline or one of its derivatives.

        Args:
            times: Where to evaluate it [s], shape [K].
            derivative: Order of the derivative with respect to time.

        Returns:
            Shape [K, C] (or [K] for a single column).
        """
        wanted = np.asarray(times, dtype=np.float64)
        inside = np.clip(wanted, self.start, self.end)
        x = (inside - self.start) / self._step
        value: Array = self._spline(x, nu=derivative) / self._step**derivative
        beyond = wanted - inside
        if beyond.any():
            outside = np.flatnonzero(beyond)
            reach = beyond[outside].reshape(-1, *([1] * (value.ndim - 1)))
            value[outside] = sum(
                self._spline(x[outside], nu=order) / self._step**order * reach ** (order - derivative)
                / math.factorial(order - derivative)
                for order in range(derivative, self._half)
            )  # fmt: skip
        return value
