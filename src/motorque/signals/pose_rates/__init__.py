"""From sampled poses to angular velocities and accelerations: several methods, one interface, all differentiable."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.butterworth import FilteredDifferences
from motorque.signals.pose_rates.central import CentralDifferences
from motorque.signals.pose_rates.central_twice import CentralTwice
from motorque.signals.pose_rates.interface import PoseRates, RateMethod
from motorque.signals.pose_rates.rts import RauchTungStriebel
from motorque.signals.pose_rates.savitzky_golay import SavitzkyGolay
from motorque.signals.pose_rates.spline import SmoothingSpline

METHODS: dict[str, Callable[[], RateMethod]] = {
    "central": CentralDifferences,
    "central-twice": CentralTwice,
    "butterworth": FilteredDifferences,
    "savitzky-golay": SavitzkyGolay,
    "spline": SmoothingSpline,
    "rts": RauchTungStriebel,
}
"""Methods by name, each with its defaults."""


def rate_method(method: str | RateMethod) -> RateMethod:
    """A method by its name, with its defaults, or itself.

    Raises:
        DataError: There is no method of that name.
    """
    if not isinstance(method, str):
        return method
    if method not in METHODS:
        raise DataError(f"there is no way to rates called {method!r}; there are {', '.join(METHODS)}")
    return METHODS[method]()


def pose_rates(
    rotations: Tensor, translation: Tensor, fps: float, *, method: str | RateMethod = "central"
) -> PoseRates:
    """Angular velocities and accelerations of joints, velocity and acceleration of the root.

    Args:
        rotations: Joints' rotations, child to parent, the root's to the world, shape [..., T, J, 3, 3]; NaN where
            missing.
        translation: The root's [m], shape [..., T, 3]; NaN where missing.
        fps: Frames per second [Hz].
        method: A name of :data:`METHODS`, or a method with its options, such as ``CentralDifferences(ends="nan")``.

    Raises:
        DataError: Shapes do not fit each other, too few frames, a frame rate that is none, or an unknown method.
    """
    return rate_method(method)(rotations, translation, fps)


__all__ = [
    "METHODS",
    "CentralDifferences",
    "CentralTwice",
    "FilteredDifferences",
    "PoseRates",
    "RateMethod",
    "RauchTungStriebel",
    "SavitzkyGolay",
    "SmoothingSpline",
    "pose_rates",
    "rate_method",
]
