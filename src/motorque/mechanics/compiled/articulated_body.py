"""Forward dynamics as straight-line code: the articulated-body algorithm in the bodies' own axes, about their joints.

The accelerations are those of the bodies when no speed changes, which inverse dynamics knows, plus what the changes of
speed add. For the second part alone velocities play no role: inward, each body with everything beyond it gets an
inertia and a wrench from which what its joint lets go is taken out, one direction at a time; outward, the directions'
accelerations follow in reverse.

Taking a direction out is one step of Gaussian elimination. Where it is one of the body's axes a row and a column vanish
for good. A joint with three rotations lets all of them go, so that the body's own axes do as directions: what it passes
on resists nothing but translation, and a free root passes nothing on. Its own coordinates come in only where forces
enter and accelerations leave.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 7.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from motorque.mechanics.compiled.inertias import ArticulatedInertia, body_inertia
from motorque.mechanics.compiled.links import Link, links
from motorque.mechanics.compiled.newton_euler import Wrench, motion_wrenches
from motorque.mechanics.compiled.pivots import Extent, Shrinkage, skewness
from motorque.mechanics.compiled.symbolic import JointMotion, SymbolicSkeleton, joint_motion
from motorque.mechanics.compiled.trace import Symbol
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross, dot, turn, turn_back

Six = list[Symbol]
"""Angular, then linear."""


@dataclass
class Step:
    """A direction that was taken out.

    Args:
        direction: Per unit speed, in the body's axes about its joint.
        gain: Acceleration that it takes away per unit acceleration of the body.
        inverse: Its acceleration per unit of force along it.
        rate: Its acceleration where the body has none.
    """

    direction: Six
    gain: Six
    inverse: Symbol
    rate: Symbol


@dataclass
class Group:
    """Three coordinates that let all rotations go, or all translations.

    Args:
        first: 0 for rotations, 3 for translations.
        coordinates: Their indices.
        inverse: Rows take an acceleration in frame F to theirs.
        skew: How far their axes are from orthogonal, as of `pivots.skewness`.
        force: What the coordinates' forces come to, in the axes of the body that carries F.
    """

    first: int
    coordinates: list[int]
    inverse: Matrix
    skew: Symbol
    force: Vector


@dataclass
class Freedom:
    """What a joint lets go.

    Args:
        groups: Rotations or translations that it lets go altogether.
        singles: Its other coordinates, and the direction of each.
        steps: What was taken out, in that order, groups first.
    """

    groups: list[Group]
    singles: list[tuple[int, Six]]
    steps: list[Step] = field(default_factory=list)


def forward_dynamics(
    body: SymbolicSkeleton,
    q: Sequence[Symbol],
    v: Sequence[Symbol],
    forces: Sequence[Symbol],
    rotations: Mapping[int, Matrix],
    loads: Mapping[int, Wrench],
) -> tuple[list[Symbol], Symbol]:
    """Accelerations; couplers are not looked at.

    Args:
        body: The skeleton.
        q: Coordinates.
        v: Speeds.
        forces: Generalized forces.
        rotations: Rotations of ball joints that are not given as angles, by body.
        loads: Force and moment about the ground origin on bodies, in ground, by body.

    Returns:
        One symbol per speed, infinite or NaN where forces meet no inertia; and how far inertia shrinks at most as other
        coordinates are let go, see `pivots`.
    """
    parents = body.structure.parents
    joints = [joint_motion(body, i, q, v, None, rotations.get(i)) for i in range(len(parents))]
    hung = links(body, joints)
    wrenches = [
        (force, moment - cross(link.point, force))
        for link, (force, moment) in zip(hung, motion_wrenches(body, joints, loads), strict=True)
    ]
    rigid = [body_inertia(body, i, link.point) for i, link in enumerate(hung)]
    inertias, extents = [ArticulatedInertia.rigid(x) for x in rigid], [Extent.of(x) for x in rigid]
    shrinkage = Shrinkage(body.trace)
    freedoms = [_freedom(body, i, joints[i], forces) for i in range(len(parents))]
    for i in reversed(range(len(parents))):
        link, parent = hung[i], parents[i]
        inertia, (force, moment) = _released(body, i, link, freedoms[i], forces, inertias[i], wrenches[i])
        _watch(shrinkage, extents[i], freedoms[i])
        if parent >= 0:
            extents[parent] = extents[parent] + extents[i].moved(link.rotation, link.arm)
            moment = moment + cross(link.arm, force)
            wrenches[parent] = (wrenches[parent][0] + force, wrenches[parent][1] + moment)
            inertias[parent] = inertias[parent] + inertia.moved(link.rotation, link.arm)
    # A coordinate that moves nothing has no acceleration.
    accelerations = [force / 0.0 for force in forces]
    moving: list[tuple[Vector, Vector]] = []
    for i, parent in enumerate(parents):
        spin_rate, acceleration = (body.zero(), body.zero()) if parent < 0 else moving[parent]
        moving.append(_accelerated(body, i, hung[i], freedoms[i], (spin_rate, acceleration), accelerations))
    return accelerations, shrinkage.largest()


def _watch(shrinkage: Shrinkage, extent: Extent, freedom: Freedom) -> None:
    """Compare what elimination left of a joint's directions with what they move."""
    steps = iter(freedom.steps)
    for group in freedom.groups:
        taken, first = [next(steps) for _ in range(3)], group.first
        gains = taken[0].gain[first + 1], taken[0].gain[first + 2], taken[1].gain[first + 2]
        most = extent.second if first == 0 else extent.mass
        shrinkage.group(most, [step.inverse for step in taken], gains, group.skew)
    for step in steps:
        shrinkage.single(extent.most(step.direction[:3], step.direction[3:]), step.inverse)


def _freedom(body: SymbolicSkeleton, i: int, joint: JointMotion, forces: Sequence[Symbol]) -> Freedom:
    """The directions that a joint lets go."""
    is_reversed = body.structure.joints[i][0]
    inner, outer = body.matrix("parent_rotation", i), body.matrix("child_rotation", i)
    in_f: dict[int, tuple[Vector, Vector]] = {}
    places: dict[int, set[int]] = {}
    for place, coordinate, slope in joint.driven:
        spin, slide = in_f.get(coordinate, (body.zero(), body.zero()))
        axis = joint.axes[place] * (-slope if is_reversed else slope)
        in_f[coordinate] = (spin + axis, slide) if place < 3 else (spin, slide + axis)
        places.setdefault(coordinate, set()).add(place)
    groups = []
    for first in (0, 3):
        mine = {c for c, used in places.items() if any(first <= p < first + 3 for p in used)}
        used = {p for c in mine for p in places[c]}
        if len(mine) == 3 and used == {first, first + 1, first + 2}:
            coordinates = sorted(mine)
            axes = [in_f.pop(c)[first // 3] for c in coordinates]
            inverse = _inverse(axes)
            total = turn_back(inverse, Vector(forces[c] for c in coordinates))
            groups.append(Group(first, coordinates, inverse, skewness(axes, inverse), turn(inner, total)))

    def in_body(axis: Vector) -> Vector:
        return turn(inner, axis) if is_reversed else turn(outer, turn_back(joint.rotation, axis))

    return Freedom(groups, [(c, [*in_body(spin), *in_body(slide)]) for c, (spin, slide) in in_f.items()])


def _inverse(columns: Sequence[Vector]) -> Matrix:
    """The inverse of a matrix with these columns."""
    a, b, c = columns
    across = cross(b, c)
    scale = 1.0 / dot(a, across)
    return Matrix((across * scale, cross(c, a) * scale, cross(a, b) * scale))


def _released(
    body: SymbolicSkeleton,
    i: int,
    link: Link,
    freedom: Freedom,
    forces: Sequence[Symbol],
    inertia: ArticulatedInertia,
    wrench: Wrench,
) -> tuple[ArticulatedInertia, Wrench]:
    """Take a joint's directions out; inertia in the body's axes, wrench about its joint in its parent's."""
    zero = body.trace.constant(0.0)
    is_reversed = body.structure.joints[i][0]
    matrix = [[*a, *b] for a, b in zip(inertia.turning, inertia.mixed, strict=True)]
    matrix += [[*a, *b] for a, b in zip(inertia.mixed.T, inertia.sliding, strict=True)]
    needed: Six = [*wrench[1], *wrench[0]]
    passed = [body.zero(), body.zero()]
    for group in freedom.groups:
        own = group.force if is_reversed else turn_back(link.rotation, group.force)
        passed[group.first // 3] = turn(link.rotation, group.force) if is_reversed else group.force
        for place, force in enumerate(own, start=group.first):
            direction = [zero] * 6
            direction[place] = body.trace.constant(1.0)
            freedom.steps.append(_take_out(matrix, needed, direction, force))
            needed[place] = zero  # it is known what the joint transmits here: the force of the group
    for coordinate, direction in freedom.singles:
        freedom.steps.append(_take_out(matrix, needed, direction, forces[coordinate]))
    blocks = [Matrix(Vector(row[b : b + 3]) for row in matrix[a : a + 3]) for a, b in ((0, 0), (0, 3), (3, 3))]
    moment, thrust = (turn(link.rotation, Vector(needed[a : a + 3])) + passed[a // 3] for a in (0, 3))
    return ArticulatedInertia(*blocks), (thrust, moment)


def _take_out(matrix: list[Six], needed: Six, direction: Six, force: Symbol) -> Step:
    """Take a direction out of an inertia and of the wrench that it needs, in place."""
    column = [dot(row, direction) for row in matrix]
    inverse = 1.0 / dot(direction, column)
    gain = [x * inverse for x in column]
    rate = (force - dot(direction, needed)) * inverse
    zero = force.trace.constant(0.0)
    entries = [place for place, x in enumerate(direction) if x.value != 0]
    gone = entries[0] if len(entries) == 1 else None
    if gone is not None and direction[gone].value in (1.0, -1.0):
        gain[gone] = direction[gone]
    for r in range(6):
        needed[r] = needed[r] + column[r] * rate
        for c in range(r, 6):
            matrix[r][c] = matrix[c][r] = zero if gone in (r, c) else matrix[r][c] - gain[r] * column[c]
    if gone is not None and direction[gone].value in (1.0, -1.0):
        needed[gone] = force * direction[gone]
    return Step(direction, gain, inverse, rate)


def _accelerated(
    body: SymbolicSkeleton,
    i: int,
    link: Link,
    freedom: Freedom,
    parent: tuple[Vector, Vector],
    accelerations: list[Symbol],
) -> tuple[Vector, Vector]:
    """Angular acceleration, and acceleration of the joint, of a body in its axes; puts the joint's into the list."""
    is_reversed = body.structure.joints[i][0]
    carried = [parent[0], parent[1] + cross(parent[0], link.arm)]  # in the parent's axes
    own: Six = [x for vector in carried for x in turn_back(link.rotation, vector)]
    before = list(own)
    grouped = 3 * len(freedom.groups)
    for (coordinate, _), step in reversed(list(zip(freedom.singles, freedom.steps[grouped:], strict=True))):
        change = step.rate - dot(step.gain, own)
        accelerations[coordinate] = change
        own = [x + s * change for x, s in zip(own, step.direction, strict=True)]
    places = [group.first + n for group in freedom.groups for n in range(3)]
    for place, step in reversed(list(zip(places, freedom.steps[:grouped], strict=True))):
        own[place] = step.rate - dot(step.gain[:place] + step.gain[place + 1 :], own[:place] + own[place + 1 :])
    frame = body.matrix("parent_rotation", i)
    for group in freedom.groups:
        mine = slice(group.first, group.first + 3)
        if is_reversed:
            gained = Vector(own[mine]) - Vector(before[mine])
        else:
            gained = turn(link.rotation, Vector(own[mine])) - carried[group.first // 3]
        for coordinate, x in zip(group.coordinates, turn(group.inverse, turn_back(frame, gained)), strict=True):
            accelerations[coordinate] = x
    return Vector(own[:3]), Vector(own[3:])
