"""The point of an ellipsoid nearest to a point, by Newton's method on its one Lagrange multiplier.

The equation and the starting value are those of J. C. Hart, "Distance to an ellipsoid", Graphics Gems IV (1994).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ZERO = 2e-13  # coordinates smaller than this count as lying in a principal plane (mean radius 1)
STEPS = 64
CLOSE = 1e-9


def nearest_on_ellipsoid(radii: Array, points: Array, *, flat_axis: int | None = None) -> Array:
    """Nearest points on an ellipsoid about the origin.

    Args:
        radii: Radii along the axes, shape [3].
        points: Points, shape [N, 3].
        flat_axis: Treat the points as lying in the principal plane perpendicular to this axis.

    Returns:
        Shape [N, 3].
    """
    out = np.empty_like(points)
    general = np.ones(len(points), dtype=bool)
    for row, point in enumerate(points):
        axis = flat_axis if flat_axis is not None else _plane_of(point, radii)
        if axis is not None:
            general[row] = False
            i, j = ((1, 2), (2, 0), (0, 1))[axis]
            out[row, axis] = point[axis]
            out[row, i], out[row, j] = _nearest_on_ellipse(radii[i], radii[j], point[i], point[j])
    if general.any():
        out[general] = _newton(radii, points[general])
    return out


def _plane_of(point: Array, radii: Array) -> int | None:
    """The principal plane (by its normal axis) that a point lies in; of several, the one with the narrowest section."""
    inside = [axis for axis in range(3) if abs(point[axis]) <= ZERO]
    return min(inside, key=lambda axis: float(radii.sum() - radii[axis])) if inside else None


def _newton(radii: Array, points: Array) -> Array:
    square = radii**2
    weight = square * points**2
    t = np.where(
        np.sum((points / radii) ** 2, axis=1) < 1.0, 0.0, radii.max() * np.linalg.norm(points, axis=1)
    )  # right of the largest root, from where Newton descends to it
    for _ in range(STEPS):
        sums = t[:, None] + square
        squares = sums**2
        others = np.stack([np.prod(np.delete(squares, k, axis=1), axis=1) for k in range(squares.shape[1])], axis=1)
        value = np.prod(squares, axis=1) - np.sum(weight * others, axis=1)
        if (np.abs(value) < CLOSE).all():
            break
        whole = np.prod(squares, axis=1)
        slope = 2 * np.sum(whole[:, None] / sums, axis=1)
        for k in range(squares.shape[1]):
            rest = [m for m in range(squares.shape[1]) if m != k]
            slope -= weight[:, k] * others[:, k] * np.sum([2 / sums[:, m] for m in rest], axis=0)
        t = t - np.where(np.abs(value) < CLOSE, 0.0, value / slope)
    return np.asarray(square * points / (t[:, None] + square))


def _nearest_on_ellipse(a: float, b: float, u: float, v: float) -> tuple[float, float]:
    """The point of an ellipse nearest to (u, v); points on the axes have closed forms."""
    on_y, on_x = abs(u) <= ZERO, abs(v) <= ZERO
    if on_x and on_y:
        return (-a if u < 0 else a, v) if a < b else (u, -b if v < 0 else b)
    if on_y:
        if a >= b or abs(v) >= b - a * a / b:
            return u, b if v >= 0 else -b
        y = b * b * v / (b * b - a * a)
        return a * float(np.sqrt(abs(1 - (y / b) ** 2))), y
    if on_x:
        if b >= a or abs(u) >= a - b * b / a:
            return a if u >= 0 else -a, v
        x = a * a * u / (a * a - b * b)
        return x, b * float(np.sqrt(abs(1 - (x / a) ** 2)))
    x, y = _newton(np.array([a, b]), np.array([[u, v]]))[0]
    return float(x), float(y)
