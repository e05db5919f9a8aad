"""A straight segment of a muscle path through a torus: a cylinder laid along the ring where the line passes nearest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import leastsq

from motorque.mechanics.wrapping_cylinder import wrap_cylinder
from motorque.mechanics.wrapping_types import MISSED, Outcome, Wrapped, side, unit

Array = NDArray[np.float64]
LONG = 10000.0  # length of the cylinder: the torus has no ends [m]
TOLERANCE = 1e-4  # OpenSim's for the nearest point (MINPACK's lmdif, first step 0.2)


def wrap_torus(start: Array, end: Array, inner: float, outer: float, axis: int, sign: int, *, refine: bool) -> Wrapped:
    """The path of a line through a torus about Z.

    Args:
        start: First point [m], shape [3].
        end: Second point [m], shape [3].
        inner: Radius of the tube [m].
        outer: Radius of the ring that the tube follows [m].
        axis: Axis of the active half of the ring.
        sign: Sign of the active half, 0 for all.
        refine: Whether to move the tangent points until line and helix are tangent.
    """
    nearest = _nearest_on_ring(start, end, outer, axis, sign)
    if nearest is None:
        return MISSED
    x = unit(-nearest)
    y = np.array([0.0, 0.0, -1.0])
    rotation = np.stack([x, y, np.cross(x, y)])
    # The tube is a cylinder about the ring's tangent; its X axis points to the torus's centre.
    found = wrap_cylinder(rotation @ (start - nearest), rotation @ (end - nearest), inner, LONG, 0, 1, refine=refine)
    if not found.wraps:
        return found
    return replace(
        found,
        outcome=Outcome.POSSIBLE,
        first=rotation.T @ found.first + nearest,
        last=rotation.T @ found.last + nearest,
    )


def _nearest_on_ring(start: Array, end: Array, outer: float, axis: int, sign: int) -> Array | None:
    """The ring's point nearest to the line, on the active half; None if the line passes nearer to the other half."""
    candidates = [_nearest_on_line(start, end, outer), _nearest_on_line(end, start, outer)]
    if sign != 0:
        candidates = [p for p in candidates if side(p[axis]) == sign]
    if not candidates:
        return None
    best = min(candidates, key=lambda p: float(p @ p - 2 * outer * np.hypot(p[0], p[1])))
    flat = np.array([best[0], best[1], 0.0])
    return outer * flat / np.linalg.norm(flat)


def _nearest_on_line(start: Array, end: Array, outer: float) -> Array:
    """The point of the line nearest to the ring, searched from its start."""
    n = unit(end - start)

    def slope(u: Array) -> Array:
        p = start + float(u[0]) * n
        return np.array([2 * (p @ n) - 4 * outer * (p[:2] @ n[:2]) / np.hypot(p[0], p[1])])

    u, *_ = leastsq(slope, [0.0], ftol=TOLERANCE, xtol=TOLERANCE, gtol=0.0, maxfev=500, factor=0.2)
    return np.asarray(start + float(np.atleast_1d(u)[0]) * n)
