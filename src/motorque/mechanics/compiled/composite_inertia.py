"""The mass matrix as straight-line code: the composite-rigid-body algorithm.

Inward, each body's inertia is added to its parent's. The force that moves a joint's coordinate at unit acceleration,
with everything beyond it as one rigid body, is then carried to ground from joint to joint, and its share in each
coordinate that it passes is an entry. All is expressed in ground's axes, each body about its own joint: a force then
costs six multiplications per joint on its way and no rotation, and a free root's axes are zeros and ones. Entries
between branches are never touched.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 6.2, with one orientation for all bodies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motorque.mechanics.compiled.inertias import RigidInertia, body_inertia
from motorque.mechanics.compiled.links import links
from motorque.mechanics.compiled.symbolic import JointMotion, SymbolicSkeleton, joint_motion
from motorque.mechanics.compiled.trace import Symbol
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross, dot, product, turn


@dataclass(frozen=True)
class Column:
    """What a coordinate does to its body, about the body's joint in ground's axes.

    Args:
        coordinate: Its index.
        spin: Angular velocity per unit speed.
        slide: Velocity of the joint's point per unit speed.
    """

    coordinate: int
    spin: Vector
    slide: Vector

    def share(self, force: Vector, moment: Vector) -> Symbol:
        """The coordinate's part of a wrench."""
        return dot(self.spin, moment) + dot(self.slide, force)


def mass_matrix(
    body: SymbolicSkeleton, q: Sequence[Symbol], rotations: Mapping[int, Matrix], slopes: Sequence[Symbol]
) -> list[list[Symbol]]:
    """The mass matrix of the free coordinates.

    Args:
        body: The skeleton.
        q: Coordinates, dependent ones filled in.
        rotations: Rotations of ball joints that are not given as angles, by body.
        slopes: Slope of each coupler (`SymbolicSkeleton.couple`).

    Returns:
        Rows of symbols, symmetric.
    """
    parents = body.structure.parents
    joints = [joint_motion(body, i, q, None, None, rotations.get(i)) for i in range(len(parents))]
    hung = links(body, joints)
    turns: list[Matrix] = []  # from each body's axes to ground's
    arms: list[Vector] = []
    for link, parent in zip(hung, parents, strict=True):
        turns.append(link.rotation if parent < 0 else product(turns[parent], link.rotation))
        arms.append(link.arm if parent < 0 else turn(turns[parent], link.arm))
    columns = []
    for i, parent in enumerate(parents):
        carrier = i if body.structure.joints[i][0] else parent
        columns.append(_columns(body, i, joints[i], None if carrier < 0 else turns[carrier]))
    composite = [body_inertia(body, i, link.point, turns[i]) for i, link in enumerate(hung)]
    zero = body.trace.constant(0.0)
    matrix = [[zero] * body.structure.speeds for _ in range(body.structure.speeds)]
    for i in reversed(range(len(parents))):
        for column in columns[i]:
            force, moment = _moving_wrench(composite[i], column)
            at = i
            while at >= 0:
                for other in columns[at]:
                    if at != i or other.coordinate <= column.coordinate:
                        entry = other.share(force, moment)
                        matrix[other.coordinate][column.coordinate] = entry
                        matrix[column.coordinate][other.coordinate] = entry
                moment = moment + cross(arms[at], force)
                at = parents[at]
        if parents[i] >= 0:
            composite[parents[i]] = composite[parents[i]] + composite[i].about(arms[i])
    return _reduced(body, matrix, slopes)


def _columns(body: SymbolicSkeleton, i: int, joint: JointMotion, carrier: Matrix | None) -> list[Column]:
    """The joint's coordinates; ``carrier`` turns the axes of the body that carries F to ground's."""
    frame = body.matrix("parent_rotation", i)
    if carrier is not None:
        frame = product(carrier, frame)
    motions: dict[int, tuple[Vector, Vector]] = {}
    for place, coordinate, slope in joint.driven:
        spin, slide = motions.get(coordinate, (body.zero(), body.zero()))
        axis = joint.axes[place] * (-slope if body.structure.joints[i][0] else slope)
        motions[coordinate] = (spin + axis, slide) if place < 3 else (spin, slide + axis)
    return [Column(c, turn(frame, spin), turn(frame, slide)) for c, (spin, slide) in motions.items()]


def _moving_wrench(inertia: RigidInertia, column: Column) -> tuple[Vector, Vector]:
    """What gives a body at rest a unit acceleration of a coordinate: force, and moment about its joint."""
    force = column.slide * inertia.mass + cross(column.spin, inertia.moment)
    return force, turn(inertia.inertia, column.spin) + cross(inertia.moment, column.slide)


def _reduced(body: SymbolicSkeleton, matrix: list[list[Symbol]], slopes: Sequence[Symbol]) -> list[list[Symbol]]:
    """Rows and columns of the free coordinates, dependent ones' added to those of the ones that they follow."""
    everything = range(len(matrix))
    for (dependent, independent, _, _), slope in reversed(list(zip(body.structure.couplers, slopes, strict=True))):
        row = [matrix[independent][c] + slope * matrix[dependent][c] for c in everything]
        row[independent] = row[independent] + slope * (
            matrix[dependent][independent] + slope * matrix[dependent][dependent]
        )
        for c in everything:
            matrix[independent][c] = matrix[c][independent] = row[c]
    return [[matrix[r][c] for c in body.free] for r in body.free]
