"""Positions as plain numbers for a short while: what integrators step through without leaving the rotations.

In a chart around a position every ball joint is a rotation vector t from where it was, R = exp(t) R0, and every other
coordinate is itself. Integrators may add such numbers; mapped back they are rotations whatever was added. A chart is
left long before it ends at a full turn.

Source: Munthe-Kaas, Runge-Kutta methods on Lie groups, BIT 38 (1998) 92-111; the inverse derivative of the exponential
map as in Iserles, Munthe-Kaas, Nørsett, Zanna, Lie-group methods, Acta Numerica 9 (2000), appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

import roma
import torch
from torch import Tensor

from motorque.mechanics.position_rates import position_rates
from motorque.mechanics.reduced import fill_positions, narrow, widen
from motorque.skeleton.skeleton import Skeleton

REACH = 1.0
"""Angle [rad] through which the fastest joint may turn at its present speed before a new chart is made."""
_NEAR = 1e-2
"""Squared angle below which a series replaces a quotient that rounding spoils; its next term is then below 1e-15."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Columns of a skeleton with quaternions whose coupled coordinates have no columns.

    Args:
        skeleton: The skeleton; ball joints as quaternions. As angles they are plain coordinates, whose rates are not
            the speeds.
        plain: Columns of plain coordinates in positions.
        plain_speeds: Their columns in speeds.
        balls: Columns of quaternions in positions, four for each ball joint.
        ball_speeds: Columns of angular velocities in speeds, three for each.
    """

    skeleton: Skeleton
    plain: tuple[int, ...]
    plain_speeds: tuple[int, ...]
    balls: tuple[tuple[int, ...], ...]
    ball_speeds: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(skeleton: Skeleton) -> Layout:
        """For a skeleton whose ball joints, if it has any, are quaternions or angles."""
        quaternions = skeleton.rotations == "quaternion"
        start = {(skeleton.joints[b].ball or (-1,))[0] for b in skeleton.balls} if quaternions else set()
        inside = {c for b in skeleton.balls for c in skeleton.joints[b].ball or ()} if quaternions else set()
        plain, plain_speeds, balls, ball_speeds = [], [], [], []
        column = 0
        for place, coordinate in enumerate(skeleton.free_coordinates):
            if coordinate in start:
                balls.append(tuple(range(column, column + 4)))
                ball_speeds.append((place, place + 1, place + 2))
                column += 4
            elif coordinate not in inside:
                plain.append(column)
                plain_speeds.append(place)
                column += 1
        return Layout(skeleton, tuple(plain), tuple(plain_speeds), tuple(balls), tuple(ball_speeds))

    def whole(self, q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and speeds with all columns."""
        if not self.skeleton.couplers:
            return q, v
        full = fill_positions(self.skeleton, q)
        wide = widen(self.skeleton, v)
        return self.skeleton.couple_derivatives(full, wide, torch.zeros_like(wide))[:2]

    def upright(self, q: Tensor) -> Tensor:
        """Positions with quaternions of unit length."""
        if not self.balls:
            return q
        columns = torch.tensor(self.balls, device=q.device)
        values = q[..., columns.flatten()].unflatten(-1, (-1, 4))
        values = values / values.norm(dim=-1, keepdim=True)
        return q.index_copy(-1, columns.flatten(), values.flatten(-2))

    def moved(self, base: Tensor, x: Tensor) -> Tensor:
        """Positions at chart numbers ``x`` [..., nu] around ``base``; plain coordinates are themselves in ``x``."""
        q = base.index_copy(-1, self._index(self.plain, x), x[..., list(self.plain_speeds)])
        if not self.balls:
            return q
        turned = roma.rotvec_to_unitquat(self._of_balls(x))
        columns = torch.tensor(self.balls, device=x.device).flatten()
        values = roma.quat_product(turned, base[..., columns].unflatten(-1, (-1, 4)))
        return q.index_copy(-1, columns, values.flatten(-2))

    def origin(self, base: Tensor) -> Tensor:
        """Chart numbers of ``base`` itself."""
        x = torch.zeros(*base.shape[:-1], len(self.skeleton.free_coordinates), dtype=base.dtype, device=base.device)
        return x.index_copy(-1, self._index(self.plain_speeds, x), base[..., list(self.plain)])

    def rates(self, x: Tensor, v: Tensor) -> Tensor:
        """Time derivatives of chart numbers at speeds [..., nu]."""
        if not self.balls:
            return v if not self.skeleton.balls else self._angle_rates(x, v)
        t, w = self._of_balls(x), self._of_balls(v)
        square = t.square().sum(-1, keepdim=True)
        near = square < _NEAR
        angle = torch.where(near, 1.0, square).sqrt()
        far = (1 - 0.5 * angle / torch.tan(0.5 * angle)) / angle.square()
        share = torch.where(near, 1 / 12 + square * (1 / 720 + square * (1 / 30240 + square / 1209600)), far)
        across = torch.linalg.cross(t, w)
        rate = w - 0.5 * across + share * torch.linalg.cross(t, across)
        columns = torch.tensor(self.ball_speeds, device=x.device).flatten()
        return v.index_copy(-1, columns, rate.flatten(-2))

    def stepped(self, q: Tensor, change: Tensor) -> Tensor:
        """Positions after a small change [..., nu] that speeds bring about, to first order."""
        x = self.origin(q)
        return self.moved(q, x + (change if self.balls else self.rates(x, change)))

    def _angle_rates(self, x: Tensor, v: Tensor) -> Tensor:
        """Rates of positions that are all plain numbers, ball joints' angles among them."""
        q = fill_positions(self.skeleton, x)
        return narrow(self.skeleton, position_rates(self.skeleton, q, widen(self.skeleton, v)))

    def reach(self, v: Tensor) -> float:
        """How long a chart serves at given speeds [s]; for ever without ball joints."""
        if not self.balls:
            return float("inf")
        fastest = float(self._of_balls(v.detach()).norm(dim=-1).max())
        return REACH / fastest if fastest > 0 else float("inf")

    def _of_balls(self, x: Tensor) -> Tensor:
        return x[..., [c for columns in self.ball_speeds for c in columns]].unflatten(-1, (-1, 3))

    @staticmethod
    def _index(columns: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.tensor(columns, dtype=torch.long, device=like.device)
