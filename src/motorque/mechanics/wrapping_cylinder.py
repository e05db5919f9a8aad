"""A straight segment of a muscle path over a cylinder about the Z axis.

In the XY plane the path is a circle with two tangents; the side is chosen from the active half of the cylinder. Along
Z the tangent points start where the plane through both ends and the apex of the bend cuts the tangent edges, and are
then moved until line and helix meet at one angle (unless the path has only this surface: OpenSim 4.6 then leaves them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.mechanics.wrapping_types import INSIDE, MISSED, Outcome, Wrapped, angle_between, side, unit

Array = NDArray[np.float64]
Z = np.array([0.0, 0.0, 1.0])
SEGMENT = 0.002  # OpenSim samples the helix every 2 mm and compares the tangent with the first sample
TANGENCY = np.deg2rad(0.1)  # and refines until both angles with the axis agree to this
MOST_REFINEMENTS = 100
OVERSTEP = 1.5  # each refinement moves by this times the distance to the crossing
REACH = 10.0  # how far along Z a tangent point is looked for [m]
PARALLEL = 1e-5  # OpenSim's limit under which a line counts as parallel to a plane


def wrap_cylinder(
    start: Array, end: Array, radius: float, length: float, axis: int, sign: int, *, refine: bool
) -> Wrapped:
    """The path of a line over a cylinder.

    Args:
        start: First point, cylinder axes [m], shape [3].
        end: Second point [m], shape [3].
        radius: Radius [m].
        length: Length along Z [m]; a path that meets and leaves the surface beyond its ends does not wrap.
        axis: Axis of the active half.
        sign: Sign of the active half, 0 for all.
        refine: Whether to move the tangent points along Z until line and helix are tangent.
    """
    if np.hypot(*start[:2]) < radius or np.hypot(*end[:2]) < radius:
        return INSIDE
    crosses, nearest = _crossing(start, end, radius)
    outcome = Outcome.MANDATORY if crosses else Outcome.POSSIBLE
    if sign == 0 and not crosses:
        return MISSED
    if sign != 0:
        sides = side(start[axis]), side(end[axis])
        if sign not in sides:
            outcome = Outcome.POSSIBLE
        elif not crosses and (sides[0] == sides[1] or side(nearest[axis]) == sign):
            return MISSED
    first, last, far, long_way = _tangents(start, end, radius, axis, sign)
    first, last = _slide(start, end, first, last, radius, far)
    if abs(first[2]) > length / 2 and abs(last[2]) > length / 2:
        return MISSED
    return _helix(start, end, first, last, radius, long_way, refine, outcome)


def _crossing(start: Array, end: Array, radius: float) -> tuple[bool, Array]:
    """Whether the segment cuts the endless cylinder, and its line's point nearest to the axis."""
    direction = end - start
    flat = float(direction[:2] @ direction[:2])
    if flat <= 1e-14 * float(direction @ direction):
        return False, start
    t = -float(start[:2] @ direction[:2]) / flat
    nearest = start + t * direction
    return bool(nearest[:2] @ nearest[:2] < radius**2 and 0.0 < t < 1.0), nearest


def _tangent_pair(point: Array, radius: float) -> tuple[Array, Array]:
    """Where the two tangents from a point touch, at the point's height; the first lies towards Z x point."""
    distance = float(np.hypot(*point[:2]))
    outwards = np.array([point[0], point[1], 0.0]) / distance
    along = radius**2 / distance
    across = np.sqrt(max(radius**2 - along**2, 0.0)) * np.array([-outwards[1], outwards[0], 0.0])
    base = np.array([0.0, 0.0, point[2]]) + along * outwards
    return base + across, base - across


def _tangents(start: Array, end: Array, radius: float, axis: int, sign: int) -> tuple[Array, Array, bool, bool]:
    """The two tangent points, whether the path bends away from the line, and whether it goes the long way round."""
    start_a, start_b = _tangent_pair(start, radius)
    end_a, end_b = _tangent_pair(end, radius)
    if sign == 0:
        pairs = ((start_a, end_a), (start_a, end_b), (start_b, end_a), (start_b, end_b))
        first, last = max(pairs, key=lambda pair: float(unit(_flat(pair[0])) @ unit(_flat(pair[1]))))
        return first, last, False, False
    alpha = angle_between(_flat(start_a), _flat(end_b))
    beta = angle_between(_flat(start_b), _flat(end_a))
    on = {
        name: side(p[axis]) == sign
        for name, p in (("start_a", start_a), ("start_b", start_b), ("end_a", end_a), ("end_b", end_b))
    }
    if on["start_a"] != on["start_b"]:
        use_a = on["start_a"]
    elif on["start_a"]:
        use_a = not on["end_a"]
    elif on["end_a"] or on["end_b"]:
        use_a = not on["end_a"]
    else:  # no tangent point lies on the active half
        use_a = alpha > beta
    first, last = (start_a, end_b) if use_a else (start_b, end_a)
    far = (alpha > beta) if use_a else not alpha > beta
    if not any(on.values()):
        far = True
    towards = (first - start) + (last - end)
    long_way = float((_flat(first) + _flat(last)) @ towards) < 0.0
    return first, last, far, long_way


def _flat(point: Array) -> Array:
    return np.array([point[0], point[1], 0.0])


def _slide(start: Array, end: Array, first: Array, last: Array, radius: float, far: bool) -> tuple[Array, Array]:
    """Move the tangent points along Z into the plane through both ends and the apex of the bend."""
    near_start, near_end = float(np.hypot(*start[:2])), float(np.hypot(*end[:2]))
    middle = start + near_start / (near_start + near_end) * (end - start)
    center = np.array([0.0, 0.0, middle[2]])
    normal = unit(np.cross(unit(start - center), unit(end - center)))
    out = unit(np.cross(Z, normal))
    one, two = center + radius * out, center - radius * out
    closer_is_one = float(np.sum((middle - one) ** 2)) < float(np.sum((middle - two) ** 2))
    apex = one if closer_is_one != far else two
    plane = unit(np.cross(unit(start - apex), unit(end - apex)))
    moved = []
    for point, own, other in ((first, start[2], end[2]), (last, end[2], start[2])):
        tilt = float(plane[2])
        found = point
        if abs(2 * REACH * tilt) >= PARALLEL:
            height = point[2] + float(plane @ (start - point)) / tilt
            # kept only if it lies nearer to the other end, along Z, than this end does
            if abs(height - point[2]) <= REACH and abs(height - other) < abs(own - other):
                found = np.array([point[0], point[1], height])
        moved.append(found)
    return moved[0], moved[1]


def _helix(
    start: Array, end: Array, first: Array, last: Array, radius: float, long_way: bool, refine: bool, outcome: Outcome
) -> Wrapped:
    for refinements in range(MOST_REFINEMENTS + 1):
        turn = angle_between(_flat(first), _flat(last)) * np.sign(np.cross(_flat(first), _flat(last))[2])
        if (
            long_way
        ):  # OpenSim 4.6 turns back by a full circle less the signed angle: beyond a circle if that is negative
            turn = turn - 2 * np.pi
        rise = float(last[2] - first[2])
        size = float(np.hypot(radius * turn, rise))
        pieces = max(int(size / SEGMENT), 1)
        if not refine or pieces < 2 or refinements == MOST_REFINEMENTS:
            break
        moved_first = _tangent_step(start, first, _turned(first, turn / pieces, rise / pieces))
        first = first if moved_first is None else moved_first
        # the other end's sample hangs on the moved first point but keeps the old rise, as in OpenSim
        moved_last = _tangent_step(end, last, _turned(first, turn * (1 - 1 / pieces), rise * (1 - 1 / pieces)))
        last = last if moved_last is None else moved_last
        if moved_first is None and moved_last is None:
            break
    return Wrapped(outcome, first, last, size)


def _turned(point: Array, angle: float, rise: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * point[0] - s * point[1], s * point[0] + c * point[1], point[2] + rise])


def _tangent_step(outside: Array, touch: Array, sample: Array) -> Array | None:
    """The tangent point moved along Z towards tangency, or None where line and helix already meet at one angle."""
    arriving, leaving = unit(touch - outside), unit(sample - touch)
    if abs(np.arccos(np.clip(arriving[2], -1, 1)) - np.arccos(np.clip(leaving[2], -1, 1))) <= TANGENCY:
        return None
    # Crossing, seen along the normal of (outside-sample, Z), of the line outside-sample with the tangent edge.
    base_out = np.array([touch[0], touch[1], outside[2]])
    base_sample = np.array([touch[0], touch[1], sample[2]])
    height = _closest_on_second(outside, sample, base_out, base_sample)
    if height is None:
        return touch
    return touch + OVERSTEP * (height - touch)


def _closest_on_second(a: Array, b: Array, c: Array, d: Array) -> Array | None:
    """The point on line c-d that is nearest to line a-b; None if they are parallel."""
    u, v = unit(b - a), unit(d - c)
    cross = np.cross(u, v)
    size = float(cross @ cross)
    if size < 1e-12:
        return None
    return np.asarray(c + float(np.linalg.det(np.array([c - a, u, cross]))) / size * v)
