"""How speeds move bodies, points and the centre of mass: Jacobians and their time derivatives.

``J v`` is a velocity and ``J a + J̇ v`` the acceleration, in ground. Columns are those of the speeds: for positions with
all columns all nv of them, coupled ones as if they moved alone; for positions without columns for coupled coordinates
the free ones, each with what follows it.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), sections 2.9 and 3.5, on twists about one point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.mechanics.arguments import check
from motorque.mechanics.kinematics import BodyPoses
from motorque.mechanics.reduced import fill, fill_positions
from motorque.mechanics.speed_twists import SpeedTwists, moving_speed_twists, speed_moves_body, speed_twists
from motorque.mechanics.tree import tree_pose
from motorque.mechanics.velocities import Point, check_point, check_pose
from motorque.skeleton.skeleton import GROUND, Skeleton


def body_jacobian(skeleton: Skeleton, q: Tensor, body: str) -> Tensor:
    """Angular velocity of a body and velocity of its origin per unit of each speed, in ground.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        body: Name of the body; ground does not move.

    Returns:
        Angular, then linear, shape [..., 6, nv], or without columns of coupled coordinates.

    Raises:
        DataError: The shape does not fit the skeleton, or a rotation is none.
        ModelError: There is no such body.
    """
    index = skeleton.body(body)
    moves = _moves(skeleton, q)
    return moves.folded(moves.of_body(index, moves.origin(index)))


def body_jacobian_rate(skeleton: Skeleton, q: Tensor, v: Tensor, body: str, *, as_simbody: bool = False) -> Tensor:
    """Time derivative of :func:`body_jacobian`; [..., 6, nv].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], or without coupled ones.
        body: Name of the body.
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
        ModelError: There is no such body.
    """
    index = skeleton.body(body)
    moves = _moves(skeleton, q, v, as_simbody=as_simbody)
    point = moves.origin(index)
    return moves.folded_rate(moves.of_body(index, point), moves.rate_of_body(index, point))


def point_jacobian(skeleton: Skeleton, q: Tensor, body: str, point: Point) -> Tensor:
    """Velocity of a body-fixed point per unit of each speed, in ground [m/s per rad/s or m/s].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        body: Name of the body.
        point: The point in the body [m], shape [3] or [..., 3].

    Returns:
        Shape [..., 3, nv], or without columns of coupled coordinates.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
        ModelError: There is no such body.
    """
    index = skeleton.body(body)
    moves = _moves(skeleton, q, point=point)
    return moves.folded(moves.of_body(index, moves.place(index))[..., 3:, :])


def point_jacobian_rate(
    skeleton: Skeleton, q: Tensor, v: Tensor, body: str, point: Point, *, as_simbody: bool = False
) -> Tensor:
    """Time derivative of :func:`point_jacobian`; arguments and errors as there and in :func:`body_jacobian_rate`."""
    index = skeleton.body(body)
    moves = _moves(skeleton, q, v, point=point, as_simbody=as_simbody)
    place = moves.place(index)
    return moves.folded_rate(moves.of_body(index, place)[..., 3:, :], moves.rate_of_body(index, place)[..., 3:, :])


def center_of_mass_jacobian(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Velocity of the whole body's centre of mass per unit of each speed, in ground; [..., 3, nv].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.

    Raises:
        DataError: The shape does not fit the skeleton, or a rotation is none.
    """
    moves = _moves(skeleton, q)
    return moves.folded(moves.of_mass())


def center_of_mass_jacobian_rate(skeleton: Skeleton, q: Tensor, v: Tensor, *, as_simbody: bool = False) -> Tensor:
    """Time derivative of :func:`center_of_mass_jacobian`; arguments and errors as in :func:`body_jacobian_rate`."""
    moves = _moves(skeleton, q, v, as_simbody=as_simbody)
    return moves.folded_rate(moves.of_mass(), moves.rate_of_mass())


@dataclass(frozen=True, eq=False)
class _Moves:
    """What moves, with all coordinates; places are relative to the tree's anchor, Jacobians [..., 3 or 6, nv]."""

    skeleton: Skeleton
    anchor: Tensor
    poses: BodyPoses
    twists: SpeedTwists
    point: Tensor
    coupling: Tensor | None
    coupling_change: Tensor | None

    def folded(self, jacobian: Tensor) -> Tensor:
        """The Jacobian in the coordinates that were given."""
        return jacobian if self.coupling is None else jacobian @ self.coupling

    def folded_rate(self, jacobian: Tensor, rate: Tensor) -> Tensor:
        """Its time derivative in the coordinates that were given."""
        if self.coupling is None or self.coupling_change is None:
            return rate
        return rate @ self.coupling + jacobian @ self.coupling_change

    def origin(self, body: int) -> Tensor:
        """A body's origin [m], shape [..., 3]."""
        return -self.anchor if body == GROUND else self.poses.position[..., body, :]

    def place(self, body: int) -> Tensor:
        """The point [m], shape [..., 3]."""
        return self.point - self.anchor if body == GROUND else self.poses.point(body, self.point)

    def of_body(self, body: int, point: Tensor) -> Tensor:
        """Angular velocity of a body and velocity of its point that is at ``point``."""
        twist = self._moving(body, self.twists.unit)
        angular, linear = twist[..., :3], twist[..., 3:]
        return torch.cat([angular, linear + _cross(angular, point[..., None, :])], dim=-1).mT

    def rate_of_body(self, body: int, point: Tensor) -> Tensor:
        """Time derivative of :meth:`of_body` while the point moves along."""
        if self.twists.change is None or self.twists.body is None or body == GROUND:
            return torch.zeros_like(self.of_body(body, point))
        angular = self._moving(body, self.twists.unit)[..., :3]
        change = self._moving(body, self.twists.change)
        own = self.twists.body[..., body, :]
        velocity = own[..., 3:] + _cross(own[..., :3], point)
        linear = (
            change[..., 3:] + _cross(change[..., :3], point[..., None, :]) + _cross(angular, velocity[..., None, :])
        )
        return torch.cat([change[..., :3], linear], dim=-1).mT

    def of_mass(self) -> Tensor:
        """Velocity of the centre of mass."""
        share, moment = self._moved_mass(self._centers())
        unit = self.twists.unit
        return (share * unit[..., 3:] + _cross(unit[..., :3], moment)).mT

    def rate_of_mass(self) -> Tensor:
        """Time derivative of :meth:`of_mass`."""
        assert self.twists.change is not None and self.twists.body is not None  # there are speeds
        centers, own = self._centers(), self.twists.body
        velocity = own[..., 3:] + _cross(own[..., :3], centers)
        share, moment = self._moved_mass(centers)
        _, moving = self._moved_mass(velocity)
        unit, change = self.twists.unit, self.twists.change
        linear = share * change[..., 3:] + _cross(change[..., :3], moment) + _cross(unit[..., :3], moving)
        return linear.mT

    def _moving(self, body: int, twist: Tensor) -> Tensor:
        """Twists [..., nv, 6] of a body's own speeds, zero for those that do not move it."""
        if body == GROUND:
            return torch.zeros_like(twist)
        return twist * speed_moves_body(self.skeleton, twist)[:, body, None]

    def _centers(self) -> Tensor:
        """Bodies' centres of mass [m], shape [..., B, 3]."""
        return self.poses.position + (self.poses.rotation @ self.skeleton.mass_center[..., None])[..., 0]

    def _moved_mass(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Share of the mass that each speed moves, [nv, 1], and its sum of the bodies' vectors, [..., nv, 3]."""
        share = speed_moves_body(self.skeleton, vector) * (self.skeleton.mass / self.skeleton.mass.sum())
        return share.sum(-1, keepdim=True), share @ vector


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return torch.linalg.cross(first, second)


def _moves(
    skeleton: Skeleton, q: Tensor, v: Tensor | None = None, *, point: Point | None = None, as_simbody: bool = False
) -> _Moves:
    """Check what was given, fill in coupled coordinates and find what moves."""
    rates: Mapping[str, Tensor] = {} if v is None else {"v": v}
    given = check(skeleton, q, rates)
    q = given.tensors["q"]
    v = None if v is None else given.tensors["v"]
    place = torch.zeros(3, dtype=q.dtype, device=q.device) if point is None else check_point(skeleton, point, q)
    coupling = change = None
    if given.reduced and v is None:
        q = fill_positions(skeleton, q)
        coupling = skeleton.coupling_matrix(q)
    elif given.reduced and v is not None:
        q, v, _ = fill(skeleton, q, v)
        coupling, change = _moving_coupling(skeleton, q, v)
    check_pose(skeleton, q)
    tree = tree_pose(skeleton, q)
    if v is None:
        twists = SpeedTwists(speed_twists(skeleton, q, tree.axes))
    else:
        twists = moving_speed_twists(skeleton, q, v, tree.axes, as_simbody=as_simbody)
    return _Moves(skeleton, tree.anchor, tree.poses, twists, place, coupling, change)


def _moving_coupling(skeleton: Skeleton, q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """How all speeds follow the free ones, and the time derivative of that; each [..., nv, number free]."""
    columns = skeleton.coordinate_columns
    kept = [c for c, column in enumerate(columns) if column >= 0]
    rate = torch.zeros_like(q).index_copy(-1, torch.tensor([columns[c] for c in kept], device=q.device), v[..., kept])
    return torch.func.jvp(skeleton.coupling_matrix, (q,), (rate,))[:2]
