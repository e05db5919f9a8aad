"""A straight segment of a muscle path over an ellipsoid: a curve in one plane through both ends.

The plane is OpenSim's choice among three methods: where the line crosses the principal plane that it is most
perpendicular to (``axial``), the ellipsoid's point nearest to the middle of the chord (``midpoint``), or a blend of the
first with a fan of nearest points (``hybrid``). Within the plane the tangent points are searched for as OpenSim does.
Coordinates are scaled so that the mean radius is 1, as the method's constants are made for that size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.mechanics.wrapping_nearest import nearest_on_ellipsoid
from motorque.mechanics.wrapping_types import INSIDE, MISSED, Outcome, Wrapped, angle_between, side, unit

Array = NDArray[np.float64]
ON_SURFACE = 1e-4  # value of the ellipsoid's equation under which a point counts as on it
BLEND_FAN, BLEND_AXIAL = 0.7073, 0.9  # cosine of line to principal axis: all fan below, all axial above
FAN_SAMPLES = 300
BOUNDARY = 0.3  # share of the chord over which the axial method fades out towards its ends
SEGMENT = 0.001  # length of the pieces whose sum is the length on the surface [m]
MOST_SEGMENTS = 499
TANGENT_STEPS, LINE_STEPS = 50, 1000
TANGENT_CLOSE = 1e-8


@dataclass(frozen=True, eq=False)
class _Chord:
    """A line through an ellipsoid: its ends outside, and where it enters and leaves."""

    start: Array
    end: Array
    enter: Array
    leave: Array

    @property
    def cosines(self) -> Array:
        return np.abs(unit(self.start - self.end))


def wrap_ellipsoid(start: Array, end: Array, radii: Array, axis: int, sign: int, method: str) -> Wrapped:
    """The path of a line over an ellipsoid about the origin.

    Args:
        start: First point [m], shape [3].
        end: Second point [m], shape [3].
        radii: Radii along the axes [m], shape [3].
        axis: Axis of the active half.
        sign: Sign of the active half, 0 for all.
        method: ``hybrid``, ``midpoint`` or ``axial``.
    """
    size = 3.0 / float(radii.sum())
    p1, p2, a = start * size, end * size, radii * size
    outside = [float(np.sum((p / a) ** 2)) - 1.0 for p in (p1, p2)]
    if min(outside) < -ON_SURFACE:
        return INSIDE
    if abs(float(unit(p1) @ unit(p2)) - 1.0) < ON_SURFACE:
        return MISSED
    chord = _chord(p1, p2, a)
    if chord is None:
        return MISSED
    c1, fan_weight, from_c1 = _bend(chord, a, method)
    begin = (c1, c1) if from_c1 else (chord.enter, chord.leave)
    if sign != 0 and side(c1[axis]) != sign:
        c1, begin = _flipped(c1, fan_weight, axis, a)
    normal = unit(np.cross(p1 - p2, p1 - c1))
    level = float(normal @ c1)
    first = p1 if abs(outside[0]) < ON_SURFACE else _tangent_point(begin[0], p1, a, normal, level)
    last = p2 if abs(outside[1]) < ON_SURFACE else _tangent_point(begin[1], p2, a, normal, level)
    points = _arc(first, last, a, normal, level, size, far=False)
    if sign != 0 and len(points) > 2:
        wrong = (
            float((p1 - first) @ (points[1] - first)) > 0 or float((p2 - last) @ (points[-2] - last)) > 0
        )  # the arc sets off towards the end that it comes from: the path goes round the other way
        if wrong:
            points = _arc(first, last, a, normal, level, size, far=True)
    length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    return Wrapped(Outcome.MANDATORY, first / size, last / size, length / size)


def _chord(p1: Array, p2: Array, a: Array) -> _Chord | None:
    line = p1 - p2
    f, g = line / a, p2 / a
    aa, bb, cc = float(f @ f), 2.0 * float(f @ g), float(g @ g) - 1.0
    root = bb * bb - 4 * aa * cc
    if root < 0:
        return None
    shares = ((-bb + np.sqrt(root)) / (2 * aa), (-bb - np.sqrt(root)) / (2 * aa))
    if not all(0.0 < s < 1.0 for s in shares):
        return None
    return _Chord(p1, p2, p2 + shares[0] * line, p2 + shares[1] * line)


def _bend(chord: _Chord, a: Array, method: str) -> tuple[Array, float, bool]:
    """The surface point towards which the path bends, the fan's weight in it, and whether tangents start from it."""
    across = chord.leave - chord.enter
    middle = chord.enter + 0.5 * across
    cosines = chord.cosines
    best = int(np.argmax(cosines))
    if method == "midpoint":
        return nearest_on_ellipsoid(a, middle[None])[0], 0.0, True
    crossing = -float(chord.enter[best]) / float(across[best])
    at_plane = chord.enter + crossing * across
    axial = nearest_on_ellipsoid(a, at_plane[None], flat_axis=best)[0]
    if method == "axial":
        return axial, 0.0, 0.0 < crossing < 1.0
    weight = float(cosines[best])
    if weight > BLEND_FAN:
        fade = min(crossing, 1.0 - crossing) / BOUNDARY
        weight = BLEND_FAN + min(max(fade, 0.0), 1.0) * (weight - BLEND_FAN)
    if weight >= BLEND_AXIAL:
        return axial, 0.0, True
    fan = nearest_on_ellipsoid(a, (middle + _fan(chord.enter, across, a))[None])[0]
    if weight <= BLEND_FAN:
        return fan, 1.0, True
    share = (weight - BLEND_FAN) / (BLEND_AXIAL - BLEND_FAN)
    return nearest_on_ellipsoid(a, (share * axial + (1 - share) * fan)[None])[0], 1.0 - share, True


def _fan(enter: Array, across: Array, a: Array) -> Array:
    """Mean direction from points of the chord to their nearest points on the surface, at length 1."""
    shares = np.arange(1, FAN_SAMPLES - 1) / FAN_SAMPLES
    points = enter + shares[:, None] * across
    blades = nearest_on_ellipsoid(a, points) - points
    return unit((blades / np.linalg.norm(blades, axis=1, keepdims=True)).sum(axis=0))


def _flipped(c1: Array, fan_weight: float, axis: int, a: Array) -> tuple[Array, tuple[Array, Array]]:
    """The bending point taken to the active half; where the fan has weight, it is drawn towards the boundary."""
    mirrored = c1.copy()
    mirrored[axis] = -mirrored[axis]
    if fan_weight <= 0.0:
        return mirrored, (mirrored, mirrored)
    drawn = mirrored.copy()
    drawn[axis] *= 1.0 - fan_weight
    return nearest_on_ellipsoid(a, drawn[None])[0], (mirrored, mirrored)


def _tangent_point(begin: Array, outside: Array, a: Array, normal: Array, level: float) -> Array:
    """Where a line from a point touches the ellipsoid within a plane, searched from ``begin``.

    The tangent point r and the offset d of its tangent plane make four residuals vanish: r in the wrapping plane, r on
    the ellipsoid, and both r and the outside point in the tangent plane. There are two such points and the one that is
    found depends on the search, so this is OpenSim's: damped steps of a sixteenth, each then repeated with doubled
    length while the sum of squares falls, until it is below 1e-8.
    """
    square = a**2

    def residuals(x: Array) -> Array:
        gradient = 2.0 * x[:3] / square
        return np.array(
            [
                normal @ x[:3] - level,
                np.sum(x[:3] ** 2 / square) - 1.0,
                gradient @ x[:3] + x[3],
                gradient @ outside + x[3],
            ]
        )

    x: Array = np.append(begin, -2.0 * np.sum(begin**2 / square))
    e = residuals(x)
    now = before = float(e @ e)
    damping = 0.01
    step: Array = np.zeros(4)
    towards_center = unit(outside)
    for _ in range(TANGENT_STEPS):
        if now <= TANGENT_CLOSE:
            break
        jacobian = np.zeros((4, 4))
        jacobian[:3] = np.stack([normal, 2 * x[:3] / square, 4 * x[:3] / square, 2 * outside / square], axis=1)
        jacobian[3, 2:] = 1.0
        cosine = float(unit(outside - x[:3]) @ towards_center)
        brake = (1.0 - cosine**100 if cosine > 0.1 else 1.0) / 16.0
        downhill, curvature = -jacobian @ e, jacobian @ jacobian.T
        for _ in range(LINE_STEPS):
            if not now >= before:
                break
            damped = curvature + damping * np.diag(np.diag(curvature))
            step = np.asarray(brake * np.linalg.solve(damped, downhill), dtype=np.float64)
            x = x + step
            e = residuals(x)
            before, now = now, float(e @ e)
            damping *= 4.0
        damping /= 8.0
        length = 0.5
        for _ in range(LINE_STEPS):
            if not now <= before:
                break
            length *= 2.0
            x = x + length * step
            e = residuals(x)
            before, now = now, float(e @ e)
        x = x - length * step
        e = residuals(x)
        now = before = float(e @ e)
    return x[:3]


def _arc(first: Array, last: Array, a: Array, normal: Array, level: float, size: float, *, far: bool) -> Array:
    """Points on the surface from one tangent point to the other within the plane, shape [N, 3]."""
    straight = float(np.linalg.norm(last - first)) / size
    if straight < SEGMENT:
        return np.stack([first, last])
    pieces = min(int(straight / SEGMENT), MOST_SEGMENTS)
    # Rays in equal angles about the point where the plane cuts the principal axis most perpendicular to it.
    most = int(np.argmax(np.abs(normal)))
    hub = np.zeros(3)
    hub[most] = level / normal[most]
    x = unit(first - hub)
    towards = unit(last - hub)
    angle = angle_between(x, towards)
    z = unit(np.cross(x, towards))
    y = np.cross(z, x)
    step = -(2 * np.pi - angle) / pieces if far else angle / pieces
    phi = step * np.arange(1, pieces)
    rays = np.cos(phi)[:, None] * x + np.sin(phi)[:, None] * y
    f, g = rays / a, hub / a
    aa, bb, cc = np.sum(f * f, axis=1), 2.0 * (f @ g), float(g @ g) - 1.0
    reach = (-bb + np.sqrt(np.maximum(bb * bb - 4 * aa * cc, 0.0))) / (2 * aa)
    return np.vstack([first, hub + reach[:, None] * rays, last])
