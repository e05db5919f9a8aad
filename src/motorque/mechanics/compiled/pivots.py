"""How far inertia shrinks as other coordinates are let go: without bound where the mass matrix is singular.

Elimination divides by what it leaves of each direction's inertia. What a direction moves while all others are held is
compared with that: the inertia of the body and everything beyond it as one rigid piece. To know that to a factor its
mass, first moment and second moment (one number, the mean square distance from the joint times the mass) do, at thirty
operations a body. The larger of the two is exact enough to find the frames that deserve a closer look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from motorque.mechanics.compiled.inertias import RigidInertia
from motorque.mechanics.compiled.trace import Symbol, Trace, maximum
from motorque.mechanics.compiled.vectors import Matrix, Vector, dot, turn

_BEYOND_ALL = 1e30
"""Makes what is left too large to pass where it is negative."""


@dataclass(frozen=True)
class Extent:
    """What is rigid about a point, as much of it as bounds its inertia about any axis.

    Args:
        mass: Mass [kg].
        moment: Mass times the arm from the point to the centre of mass [kg·m].
        second: Sum over all mass of the squared distance from the point [kg·m²].
    """

    mass: Symbol
    moment: Vector
    second: Symbol

    @staticmethod
    def of(body: RigidInertia) -> Extent:
        """Of one body about a point."""
        inertia = body.inertia
        return Extent(body.mass, body.moment, 0.5 * (inertia[0][0] + inertia[1][1] + inertia[2][2]))

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.mass + other.mass, self.moment + other.moment, self.second + other.second)

    def moved(self, rotation: Matrix, arm: Vector) -> Extent:
        """In other axes and about another point, from which an arm in these axes leads to the old one."""
        moment = turn(rotation, self.moment)
        shift = arm * self.mass
        second = self.second + dot(arm, moment + moment + shift)
        return Extent(self.mass, moment + shift, second)

    def most(self, spin: Sequence[Symbol], slide: Sequence[Symbol]) -> Symbol:
        """No less than the inertia along a twist about the point."""
        turning, sliding = dot(spin, spin) * self.second, dot(slide, slide) * self.mass
        both = turning.value != 0 and sliding.value != 0
        return 2.0 * (turning + sliding) if both else turning + sliding


@dataclass
class Shrinkage:
    """Collects what elimination does to inertias.

    Args:
        trace: Where everything is recorded.
        shares: How many times as large each was before.
        inverses: Inverses of all pivots.
    """

    trace: Trace
    shares: list[Symbol] = field(default_factory=list)
    inverses: list[Symbol] = field(default_factory=list)

    def single(self, most: Symbol, inverse: Symbol) -> None:
        """A direction by itself: its inertia at most, and the inverse of what was left of it."""
        self.shares.append(most * inverse)
        self.inverses.append(inverse)

    def group(self, most: Symbol, inverses: Sequence[Symbol], gains: Sequence[Symbol], skew: Symbol) -> None:
        """Three directions along the body's axes that stand for three coordinates.

        Args:
            most: The inertia of a unit of any of them at most.
            inverses: Inverses of what was left of the directions, in the order in which they were taken out.
            gains: What the first took of the second and of the third, and the second of the third.
            skew: As :func:`skewness` of the coordinates' axes.
        """
        by_second, by_third, second_by_third = gains
        far = second_by_third * by_second - by_third
        # The trace of what takes forces to accelerations along the body's axes.
        trace = inverses[0] + inverses[1] * (1.0 + by_second * by_second)
        trace = trace + inverses[2] * (1.0 + second_by_third * second_by_third + far * far)
        self.shares.append(most * trace * skew)
        self.inverses.extend(inverses)

    def largest(self) -> Symbol:
        """The largest share; beyond all bounds where something that is left is negative."""
        if not self.shares:
            return self.trace.constant(0.0)  # nothing moves
        return maximum(_largest(self.shares), _BEYOND_ALL * _largest([-x for x in self.inverses]))


def skewness(axes: Sequence[Vector], inverse: Matrix) -> Symbol:
    """Squared lengths of axes times those of the rows of their inverse, the largest: one where they are orthogonal."""
    return _largest([dot(axis, axis) * dot(row, row) for axis, row in zip(axes, inverse, strict=True)])


def _largest(symbols: Sequence[Symbol]) -> Symbol:
    """The largest of some symbols, NaN left out."""
    found = list(symbols)
    while len(found) > 1:
        pairs = [found[i : i + 2] for i in range(0, len(found), 2)]
        found = [maximum(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return found[0]
