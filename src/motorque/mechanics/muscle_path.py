"""The length of a muscle's path: via points, points that come and go or move with a coordinate, and wrap surfaces.

One pose at a time, as OpenSim 4.6 computes it (order of surfaces, choice of segment, stopping rule), because scaling
needs the lengths before and after in the default pose; checked against the `opensim` wheel in default and random poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.wrapping import Method, Outcome, Wrapped, WrapSurface
from motorque.skeleton.functions import Function, FunctionTable
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]
SLACK = 1e-5  # a conditional point counts as active this far beyond its range [rad or m], as in OpenSim
ROUNDS = 8  # how often the surfaces of a path are visited in turn
SETTLED = 0.0005  # change of length between two rounds at which they stop [m]


@dataclass(frozen=True, eq=False)
class PathPoint:
    """A point of a path, fixed to a body unless it moves.

    Args:
        body: Index of the body, -1 for ground.
        location: Position in the body [m], shape [3].
        coordinate: Index of the coordinate that switches it on, None for always on.
        range: Values between which it is on [rad or m].
        motion: Three functions of coordinates that give its position in ``rotation``, or None for a fixed point.
        motion_coordinates: Indices of their coordinates.
        rotation: Axes of the frame in which it moves, in the body, shape [3, 3]; ``location`` is then its origin.
    """

    body: int
    location: Array
    coordinate: int | None = None
    range: tuple[float, float] = (-np.inf, np.inf)
    motion: tuple[Function, Function, Function] | None = None
    motion_coordinates: tuple[int, int, int] = (-1, -1, -1)
    rotation: Array = field(default_factory=lambda: np.eye(3))

    def active(self, q: Array) -> bool:
        """Whether the path goes through it in this pose; ``q`` [rad or m], shape [nq]."""
        if self.coordinate is None:
            return True
        return self.range[0] - SLACK <= q[self.coordinate] <= self.range[1] + SLACK

    def position(self, q: Array) -> Array:
        """Position in its body in this pose [m], shape [3]."""
        if self.motion is None:
            return self.location
        x = torch.as_tensor([q[c] if c >= 0 else 0.0 for c in self.motion_coordinates], dtype=torch.float64)
        value, _, _ = FunctionTable(self.motion)(x)
        return self.location + self.rotation @ value.numpy()


@dataclass(frozen=True, eq=False)
class PathWrap:
    """A surface that a path may wrap over.

    Args:
        surface: The surface.
        method: How the plane over an ellipsoid is chosen.
        first: First point of the path (from 1) between which and ``last`` it may wrap; below 1 for the path's first.
        last: Last point; below 1 for the path's last.
    """

    surface: WrapSurface
    method: Method = Method.HYBRID
    first: int = -1
    last: int = -1


@dataclass(frozen=True, eq=False)
class MusclePath:
    """A path from origin to insertion.

    Args:
        name: The muscle's, ligament's or spring's name.
        points: Its points in order.
        wraps: Surfaces that it may wrap over, in the model's order.
    """

    name: str
    points: tuple[PathPoint, ...]
    wraps: tuple[PathWrap, ...] = ()


@dataclass(frozen=True, eq=False)
class _Stop:
    """A place on the current path: a ``point`` of its own, or on surface ``wrap`` with the length there before it."""

    position: Array
    point: int = -1
    wrap: int = -1
    on_surface: float = 0.0
    measured: Array | None = None  # where OpenSim measures it when that is not ``position`` [m]


def path_lengths(skeleton: Skeleton, paths: Sequence[MusclePath], q: Array, *, as_opensim: bool = True) -> Array:
    """Lengths of paths in one pose.

    A path over several surfaces is found by visiting them in turn. OpenSim 4.6 remembers where in ground a point on a
    surface lay in the first of these rounds and measures the straight parts from there, but takes the length on the
    surface from the last round: paths of the gastrocnemii come out up to 10 mm short. ``as_opensim`` keeps that, so
    that lengths agree with its own; without it every part is measured where the path ends up.

    Args:
        skeleton: The skeleton that the paths' indices refer to.
        paths: The paths, N of them.
        q: Coordinates, couplers obeyed [rad or m], shape [nq].
        as_opensim: Whether to measure as OpenSim 4.6 does.

    Returns:
        Lengths [m], shape [N].
    """
    pose = forward_kinematics(skeleton, torch.as_tensor(q, dtype=skeleton.mass.dtype))
    placed = _Placement(pose.rotation.detach().numpy(), pose.position.detach().numpy(), np.asarray(q, dtype=float))
    return np.array([_length(_route(path, placed, as_opensim), path) for path in paths])


@dataclass(frozen=True, eq=False)
class _Placement:
    """Bodies in ground in one pose."""

    rotation: Array
    position: Array
    q: Array

    def to_ground(self, body: int, point: Array) -> Array:
        return point if body == GROUND else self.position[body] + self.rotation[body] @ point

    def surface(self, surface: WrapSurface) -> tuple[Array, Array]:
        """Axes and centre of a surface in ground."""
        center = self.to_ground(surface.body, surface.position)
        axes = surface.rotation if surface.body == GROUND else self.rotation[surface.body] @ surface.rotation
        return axes, center


def _route(path: MusclePath, placed: _Placement, as_opensim: bool) -> list[_Stop]:
    route = [
        _Stop(placed.to_ground(p.body, p.position(placed.q)), point=n)
        for n, p in enumerate(path.points)
        if p.active(placed.q)
    ]
    order = list(range(len(path.wraps)))
    before = np.inf
    remembered: dict[tuple[int, bool], Array] = {}
    for turn in range(1 if len(path.wraps) < 2 else ROUNDS):
        outcomes = []
        for index in order:
            route = [stop for stop in route if stop.wrap != index]
            result = _wrap_once(path, index, route, placed)
            if result is None:
                return route
            outcomes.append(result[1])
            route = result[0]
            if as_opensim:
                route = _remember(route, remembered)
        now = _length(route, path)
        if not path.wraps or abs(now - before) < SETTLED:
            break
        before = now
        if turn == 0 and len(order) > 1 and outcomes[:2] == [Outcome.NONE, Outcome.INSIDE]:
            order[:2] = [1, 0]
            route = [stop for stop in route if stop.wrap != 0]
    return route


def _remember(route: list[_Stop], remembered: dict[tuple[int, bool], Array]) -> list[_Stop]:
    """The route with each point on a surface measured where it lay when it was first found."""
    out, seen = [], set()
    for stop in route:
        if stop.wrap >= 0:
            key = (stop.wrap, stop.wrap in seen)
            seen.add(stop.wrap)
            stop = replace(stop, measured=remembered.setdefault(key, stop.position))
        out.append(stop)
    return out


def _wrap_once(
    path: MusclePath, index: int, route: list[_Stop], placed: _Placement
) -> tuple[list[_Stop], Outcome] | None:
    """The route with one surface applied and the outcome on the last segment tried; None if its range has no point."""
    wrap = path.wraps[index]
    if not wrap.surface.active:
        return route, Outcome.NONE
    low = max(wrap.first, 1) - 1
    high = (len(path.points) if wrap.last < 1 else wrap.last) - 1
    inside = [n for n, stop in enumerate(route) if stop.point >= 0 and low <= stop.point <= high]
    if not inside:
        return None
    axes, center = placed.surface(wrap.surface)
    best: tuple[int, Wrapped] | None = None
    least = np.inf
    outcome = Outcome.NONE
    for n in range(inside[0], inside[-1]):
        one, two = route[n], route[n + 1]
        if one.wrap >= 0 and two.wrap >= 0 and path.wraps[one.wrap].surface is path.wraps[two.wrap].surface:
            continue
        found = wrap.surface.wrap(
            axes.T @ (one.position - center), axes.T @ (two.position - center), wrap.method, alone=len(path.wraps) == 1
        )
        outcome = found.outcome
        if not found.wraps:
            continue
        found = replace(found, first=center + axes @ found.first, last=center + axes @ found.last)
        if outcome is Outcome.MANDATORY:
            best = (n, found)
            break
        change = _detour(_where(one), _where(two), found)
        if change < least:
            best, least = (n, found), change
    if best is None:
        return route, outcome
    n, found = best
    arrive = _Stop(found.first, wrap=index)
    leave = _Stop(found.last, wrap=index, on_surface=found.length)
    return [*route[: n + 1], arrive, leave, *route[n + 1 :]], outcome


def _detour(one: Array, two: Array, found: Wrapped) -> float:
    """By how much a path over a surface is longer than the straight line [m]."""
    over = np.linalg.norm(one - found.first) + found.length + np.linalg.norm(two - found.last)
    return float(over - np.linalg.norm(one - two))


def _length(route: list[_Stop], path: MusclePath) -> float:
    total = 0.0
    for one, two in zip(route, route[1:], strict=False):
        same = one.wrap >= 0 and two.wrap >= 0 and path.wraps[one.wrap].surface is path.wraps[two.wrap].surface
        if same:
            total += two.on_surface
        else:
            total += float(np.linalg.norm(_where(two) - _where(one)))
    return total


def _where(stop: _Stop) -> Array:
    return stop.position if stop.measured is None else stop.measured


__all__ = ["Method", "MusclePath", "PathPoint", "PathWrap", "WrapSurface", "path_lengths"]
