"""Central differences of sampled values: the plainest way to rates, for values that are smooth already."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Real = TypeVar("_Real", bound=np.floating[Any])


def central_differences(values: NDArray[_Real], step: float) -> tuple[NDArray[_Real], NDArray[_Real]]:
    """First and second derivative by the parabola through each frame and its neighbours; ends lie on the next one's.

    Args:
        values: Samples at a constant rate, at least three, shape [T, ...].
        step: Time between them [s].

    Returns:
        Of the values' shape each.
    """
    bend = np.empty_like(values)
    bend[1:-1] = (values[2:] - 2 * values[1:-1] + values[:-2]) / step**2
    bend[0], bend[-1] = bend[1], bend[-2]
    rate = np.empty_like(values)
    rate[1:-1] = (values[2:] - values[:-2]) / (2 * step)
    rate[0], rate[-1] = rate[1] - step * bend[0], rate[-2] + step * bend[-1]
    return rate, bend
