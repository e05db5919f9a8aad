"""Inertias made of symbols: turned, taken about other points, added."""

from __future__ import annotations

from dataclasses import dataclass

from motorque.mechanics.compiled.symbolic import SymbolicSkeleton
from motorque.mechanics.compiled.trace import Symbol
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross, dot, product, skew, symmetric, turn


def turned(rotation: Matrix, matrix: Matrix) -> Matrix:
    """``rotation @ matrix @ rotation.T`` for a symmetric matrix."""
    half = product(rotation, matrix)
    return symmetric(lambda i, j: dot(half[i], rotation[j]))


@dataclass(frozen=True)
class RigidInertia:
    """Inertia of a rigid body about a point.

    Args:
        mass: Mass [kg].
        moment: First moment, mass times the arm from the point to the centre of mass [kg·m].
        inertia: Inertia about the point [kg·m²].
    """

    mass: Symbol
    moment: Vector
    inertia: Matrix

    def __add__(self, other: RigidInertia) -> RigidInertia:
        inertia = symmetric(lambda i, j: self.inertia[i][j] + other.inertia[i][j])
        return RigidInertia(self.mass + other.mass, self.moment + other.moment, inertia)

    def about(self, arm: Vector) -> RigidInertia:
        """The same about another point, from which an arm leads to the old one."""
        if arm.is_zero:
            return self
        old, new = self.moment, self.moment + arm * self.mass
        square = [arm[i] * (old[i] + new[i]) for i in range(3)]

        def entry(i: int, j: int) -> Symbol:
            if i == j:
                return self.inertia[i][i] + square[(i + 1) % 3] + square[(i + 2) % 3]
            return self.inertia[i][j] - arm[i] * new[j] - arm[j] * old[i]

        return RigidInertia(self.mass, new, symmetric(entry))


def body_inertia(body: SymbolicSkeleton, i: int, point: Vector, rotation: Matrix | None = None) -> RigidInertia:
    """Inertia of a body alone about a point of it, in its axes or turned out of them."""
    mass, inertia = body.scalar("mass", i), body.inertia(i)
    arm = body.vector("mass_center", i) - point
    if rotation is not None:
        inertia = turned(rotation, inertia)
        arm = turn(rotation, arm)
    moment = arm * mass
    square = [moment[i] * arm[i] for i in range(3)]

    def entry(i: int, j: int) -> Symbol:
        if i == j:
            return inertia[i][i] + square[(i + 1) % 3] + square[(i + 2) % 3]
        return inertia[i][j] - moment[i] * arm[j]

    return RigidInertia(mass, moment, symmetric(entry))


@dataclass(frozen=True)
class ArticulatedInertia:
    """What force and moment about a point a body with moving parts needs per unit acceleration.

    Moment = ``turning @ spin_rate + mixed @ acceleration``; force = ``mixed.T @ spin_rate + sliding @ acceleration``.
    """

    turning: Matrix
    mixed: Matrix
    sliding: Matrix

    @staticmethod
    def rigid(body: RigidInertia) -> ArticulatedInertia:
        """Without moving parts."""
        zero = body.mass.trace.constant(0.0)
        sliding = symmetric(lambda i, j: body.mass if i == j else zero)
        return ArticulatedInertia(body.inertia, skew(body.moment), sliding)

    def __add__(self, other: ArticulatedInertia) -> ArticulatedInertia:
        turning = symmetric(lambda i, j: self.turning[i][j] + other.turning[i][j])
        sliding = symmetric(lambda i, j: self.sliding[i][j] + other.sliding[i][j])
        return ArticulatedInertia(turning, self.mixed + other.mixed, sliding)

    def moved(self, rotation: Matrix, arm: Vector) -> ArticulatedInertia:
        """In other axes and about another point, from which an arm in these axes leads to the old one."""
        turning, sliding = turned(rotation, self.turning), turned(rotation, self.sliding)
        half = product(rotation, self.mixed)
        mixed = Matrix(Vector(dot(row, column) for column in rotation) for row in half)
        if arm.is_zero:
            return ArticulatedInertia(turning, mixed, sliding)
        # With [arm] for the matrix of the vector product: the new mixed is mixed + [arm] sliding, and the new turning
        # is turning - mixed [arm] + [arm] (new mixed).T.
        new = Matrix(row + cross_row for row, cross_row in zip(mixed, _cross_columns(arm, sliding), strict=True))
        by_old = [cross(arm, row) for row in mixed]
        by_new = _cross_columns(arm, new.T)
        return ArticulatedInertia(symmetric(lambda i, j: turning[i][j] + by_old[i][j] + by_new[i][j]), new, sliding)


def _cross_columns(arm: Vector, matrix: Matrix) -> Matrix:
    """The vector product of an arm with each column."""
    return Matrix(cross(arm, column) for column in matrix.T).T
