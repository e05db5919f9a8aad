"""A straight segment of a muscle path over a sphere: tangents in the plane through both ends and the centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.mechanics.wrapping_types import INSIDE, MISSED, Outcome, Wrapped, angle_between, side, unit

Array = NDArray[np.float64]
THROUGH_CENTER = 1e-5  # sine of the angle under which the line passes through the centre and has no plane


def wrap_sphere(start: Array, end: Array, radius: float, axis: int, sign: int) -> Wrapped:
    """The path of a line over a sphere about the origin.

    Args:
        start: First point [m], shape [3].
        end: Second point [m], shape [3].
        radius: Radius [m].
        axis: Axis of the active half.
        sign: Sign of the active half, 0 for all.
    """
    if np.linalg.norm(start) < radius or np.linalg.norm(end) < radius:
        return INSIDE
    line = start - end
    a, b, c = float(line @ line), 2.0 * float(end @ line), float(end @ end) - radius**2
    root = b * b - 4 * a * c
    if root < 0 or not all(0.0 < (-b + s * np.sqrt(root)) / (2 * a) < 1.0 for s in (1.0, -1.0)):
        return MISSED
    normal = np.cross(unit(line), unit(end))
    if np.linalg.norm(normal) < THROUGH_CENTER:  # any plane through the line is as short as any other
        normal = np.cross(line, np.eye(3)[int(np.argmin(np.abs(line)))])
    normal = unit(normal)
    firsts, lasts = _tangents(start, radius, normal), _tangents(end, radius, normal)
    i, j = max(((i, j) for i in (0, 1) for j in (0, 1)), key=lambda ij: float(firsts[ij[0]] @ lasts[ij[1]]))
    outcome, far = Outcome.POSSIBLE, False
    if sign != 0:
        sides = side(start[axis]), side(end[axis])
        if sign in sides:
            along = -float(start @ unit(line))  # along start-end, from start; OpenSim compares metres with 0 and 1
            nearest = start + along * unit(line)
            if float(nearest @ nearest) < radius**2 and 0.0 < -along < 1.0:
                outcome = Outcome.MANDATORY
            elif sides[0] == sides[1] or side(nearest[axis]) == sign:
                return MISSED
        if sides != (sign, sign):
            i, j, far = _active_side(start, end, firsts, lasts, axis, sign)
    first, last = firsts[i], lasts[j]
    angle = angle_between(first, last)
    if far:  # OpenSim 4.6 counts the long way round as a negative length; the wheel's path lengths are kept
        angle = -(2 * np.pi - angle)
    return Wrapped(outcome, first, last, radius * angle)


def _tangents(point: Array, radius: float, normal: Array) -> tuple[Array, Array]:
    """The two points where lines from a point touch the sphere in the plane with this normal."""
    distance = float(np.linalg.norm(point))
    half = float(np.arcsin(radius / distance))
    inwards = -point / distance
    across = np.cross(normal, inwards)
    reach = distance * np.cos(half)
    return (
        point + reach * (np.cos(half) * inwards - np.sin(half) * across),
        point + reach * (np.cos(half) * inwards + np.sin(half) * across),
    )


def _active_side(
    start: Array, end: Array, firsts: tuple[Array, Array], lasts: tuple[Array, Array], axis: int, sign: int
) -> tuple[int, int, bool]:
    """Indices of the tangent points on the active half, and whether the path goes the long way round."""
    outwards = unit(-start - end)
    i = 0 if float(firsts[0] @ outwards) > float(firsts[1] @ outwards) else 1
    j = 0 if float(lasts[0] @ outwards) > float(lasts[1] @ outwards) else 1
    towards = unit((firsts[i] - start) + (lasts[j] - end))
    if towards[axis] * sign < 0.0:
        i, j = 1 - i, 1 - j
    towards = (firsts[i] - start) + (lasts[j] - end)
    return i, j, float((firsts[i] + lasts[j]) @ towards) < 0.0
