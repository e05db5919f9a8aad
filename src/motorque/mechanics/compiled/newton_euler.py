"""Inverse dynamics as straight-line code: the recursive Newton-Euler algorithm in the bodies' own frames.

Outward, angular velocity, angular acceleration and the acceleration of the origin of each body, gravity taken as an
acceleration of the ground upwards; inward, the wrench that each joint transmits, projected on what the joint moves.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 5.3, in classical vectors; the accelerations of
joints with three rotations as in `mechanics.inverse_dynamics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motorque.mechanics.compiled.symbolic import JointMotion, SymbolicSkeleton, joint_motion
from motorque.mechanics.compiled.trace import Symbol
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross, dot, product, turn, turn_back

Wrench = tuple[Vector, Vector]
"""Force and moment."""


@dataclass
class BodyState:
    """Velocity and acceleration of a body, in its own axes: angular velocity, its derivative, acceleration of the
    origin less gravity.
    """

    spin: Vector
    spin_rate: Vector
    acceleration: Vector


def inverse_dynamics(
    body: SymbolicSkeleton,
    q: Sequence[Symbol],
    v: Sequence[Symbol] | None,
    a: Sequence[Symbol] | None,
    rotations: Mapping[int, Matrix],
    loads: Mapping[int, Wrench],
) -> list[Symbol]:
    """Generalized forces.

    Args:
        body: The skeleton.
        q: Coordinates.
        v: Speeds, or None for rest.
        a: Accelerations, or None for none.
        rotations: Rotations of ball joints that are not given as angles, by body.
        loads: Force and moment about the ground origin on bodies, in ground, by body.

    Returns:
        One symbol per speed.
    """
    structure = body.structure
    count = len(structure.parents)
    joints = [joint_motion(body, i, q, v, a, rotations.get(i)) for i in range(count)]
    wrenches = motion_wrenches(body, joints, loads)
    forces = [body.trace.constant(0.0)] * structure.speeds
    for i in reversed(range(count)):
        parent = structure.parents[i]
        force, moment = _inward(body, i, joints[i], wrenches[i], forces)
        if parent >= 0:
            wrenches[parent] = (wrenches[parent][0] + force, wrenches[parent][1] + moment)
    return forces


def motion_wrenches(body: SymbolicSkeleton, joints: Sequence[JointMotion], loads: Mapping[int, Wrench]) -> list[Wrench]:
    """What each body needs from its neighbours to move as its joints do: force, and moment about its origin."""
    ground = BodyState(body.zero(), body.zero(), -body.vector("gravity", 0))
    states: list[BodyState] = []
    for i, parent in enumerate(body.structure.parents):
        states.append(_outward(body, i, joints[i], ground if parent < 0 else states[parent]))
    wrenches = [_inertial_wrench(body, i, state) for i, state in enumerate(states)]
    for i, wrench in loads_on_bodies(body, joints, loads).items():
        wrenches[i] = (wrenches[i][0] - wrench[0], wrenches[i][1] - wrench[1])
    return wrenches


def _moved(spin: Vector, spin_rate: Vector, acceleration: Vector, arm: Vector) -> Vector:
    """Acceleration of a point at an arm from one whose acceleration is known."""
    if arm.is_zero:
        return acceleration
    return acceleration + cross(spin_rate, arm) + cross(spin, cross(spin, arm))


def _outward(body: SymbolicSkeleton, i: int, joint: JointMotion, parent: BodyState) -> BodyState:
    is_reversed, _, _, second, third = body.structure.joints[i]
    turns = [axis * rate for axis, rate in zip(joint.axes[:3], joint.rates[:3], strict=True)]
    spin, spin_rate, slide, slide_rate = body.zero(), body.zero(), body.zero(), body.zero()
    for axis, rate, acceleration in zip(joint.axes[:3], joint.rates[:3], joint.accelerations[:3], strict=True):
        spin, spin_rate = spin + axis * rate, spin_rate + axis * acceleration
    if not body.structure.joints[i][1]:  # a ball joint's speeds are the derivative of nothing: no axes that turn
        for carries, carried in ((second, turns[1]), (third, turns[2])):
            for turning, one in zip(carries, turns, strict=True):
                if turning:
                    spin_rate = spin_rate + cross(one, carried)
    for axis, rate, acceleration in zip(joint.axes[3:], joint.rates[3:], joint.accelerations[3:], strict=True):
        slide, slide_rate = slide + axis * rate, slide_rate + axis * acceleration
    outer = "child" if not is_reversed else "parent"
    inner = "parent" if not is_reversed else "child"
    frame, arm = body.matrix(f"{inner}_rotation", i), body.vector(f"{inner}_position", i)
    w, dw = turn_back(frame, parent.spin), turn_back(frame, parent.spin_rate)
    at = turn_back(frame, _moved(parent.spin, parent.spin_rate, parent.acceleration, arm))
    if is_reversed:  # the tree's parent carries M, and F moves against it
        w, dw, at = turn(joint.rotation, w), turn(joint.rotation, dw), turn(joint.rotation, at)
        w = w - spin
        dw = dw - spin_rate - cross(w, spin)
        at = _moved(w, dw, at - slide_rate - cross(w, slide) * 2.0, -joint.shift)
    else:
        at = _moved(w, dw, at, joint.shift) + slide_rate + cross(w, slide) * 2.0
        w, dw = w + spin, dw + spin_rate + cross(w, spin)
        w, dw, at = turn_back(joint.rotation, w), turn_back(joint.rotation, dw), turn_back(joint.rotation, at)
    frame, arm = body.matrix(f"{outer}_rotation", i), body.vector(f"{outer}_position", i)
    w, dw, at = turn(frame, w), turn(frame, dw), turn(frame, at)
    return BodyState(w, dw, _moved(w, dw, at, -arm))


def _inertial_wrench(body: SymbolicSkeleton, i: int, state: BodyState) -> Wrench:
    """What makes the body move as it does: force, and moment about its origin."""
    mass, center, inertia = body.scalar("mass", i), body.vector("mass_center", i), body.inertia(i)
    force = _moved(state.spin, state.spin_rate, state.acceleration, center) * mass
    moment = turn(inertia, state.spin_rate) + cross(state.spin, turn(inertia, state.spin))
    return force, moment + cross(center, force)


def _inward(body: SymbolicSkeleton, i: int, joint: JointMotion, wrench: Wrench, forces: list[Symbol]) -> Wrench:
    """Put the joint's generalized forces into ``forces``; the wrench on its parent, about the parent's origin."""
    is_reversed = body.structure.joints[i][0]
    outer = "child" if not is_reversed else "parent"
    inner = "parent" if not is_reversed else "child"
    frame, arm = body.matrix(f"{outer}_rotation", i), body.vector(f"{outer}_position", i)
    force, moment = turn_back(frame, wrench[0]), turn_back(frame, wrench[1] - cross(arm, wrench[0]))
    if is_reversed:  # in F, about M's origin
        moment = moment - cross(joint.shift, force)
        in_f = (-force, -moment)
    else:
        force, moment = turn(joint.rotation, force), turn(joint.rotation, moment)
        in_f = (force, moment)
    for place, coordinate, slope in joint.driven:
        share = dot(joint.axes[place], in_f[1] if place < 3 else in_f[0])
        forces[coordinate] = forces[coordinate] + slope * share
    if is_reversed:
        force, moment = turn_back(joint.rotation, force), turn_back(joint.rotation, moment)
    else:
        moment = moment + cross(joint.shift, force)
    frame, arm = body.matrix(f"{inner}_rotation", i), body.vector(f"{inner}_position", i)
    force, moment = turn(frame, force), turn(frame, moment)
    return force, moment + cross(arm, force)


def poses(
    body: SymbolicSkeleton, joints: Sequence[JointMotion], wanted: Sequence[int]
) -> dict[int, tuple[Matrix, Vector]]:
    """Rotation to ground and origin in ground of some bodies and of all that carry them."""
    found: dict[int, tuple[Matrix, Vector]] = {}
    needed = set()
    for i in wanted:
        while i >= 0:
            needed.add(i)
            i = body.structure.parents[i]
    for i in sorted(needed):
        rotation, position = pose_in_parent(body, i, joints[i])
        parent = body.structure.parents[i]
        if parent >= 0:
            carrier, origin = found[parent]
            rotation, position = product(carrier, rotation), origin + turn(carrier, position)
        found[i] = rotation, position
    return found


def pose_in_parent(body: SymbolicSkeleton, i: int, joint: JointMotion) -> tuple[Matrix, Vector]:
    """Rotation to the parent body and origin in it."""
    rf, pf = body.matrix("parent_rotation", i), body.vector("parent_position", i)
    rm, pm = body.matrix("child_rotation", i), body.vector("child_position", i)
    across = product(product(rf, joint.rotation), rm.T)
    shift = pf + turn(rf, joint.shift) - turn(across, pm)
    if body.structure.joints[i][0]:
        return across.T, -turn_back(across, shift)
    return across, shift


def loads_on_bodies(
    body: SymbolicSkeleton, joints: Sequence[JointMotion], loads: Mapping[int, Wrench]
) -> dict[int, Wrench]:
    """Loads in the axes of their bodies, about the bodies' origins."""
    where = poses(body, joints, list(loads))
    result = {}
    for i, (force, moment) in loads.items():
        rotation, position = where[i]
        result[i] = turn_back(rotation, force), turn_back(rotation, moment - cross(position, force))
    return result
