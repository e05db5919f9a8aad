"""How bodies of a symbolic skeleton hang together, from joint to joint.

Every body is seen from its own joint: from the origin of the joint's frame M, which is a point of the body (of the part
of it that moves with the joint, where translations do). Quantities about these points need one shift per body, and no
distance from anywhere else enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motorque.mechanics.compiled.symbolic import JointMotion, SymbolicSkeleton
from motorque.mechanics.compiled.vectors import Matrix, Vector, product, turn


@dataclass(frozen=True)
class Link:
    """A body against the one that carries it.

    Args:
        rotation: From the body's axes to its parent's.
        arm: From the parent's joint to the body's, in the parent's axes [m]; from ground's origin where there is none.
        point: The body's joint in its own axes [m].
    """

    rotation: Matrix
    arm: Vector
    point: Vector


def links(body: SymbolicSkeleton, joints: Sequence[JointMotion]) -> list[Link]:
    """All bodies' links, parents first."""
    found: list[Link] = []
    for i, (parent, joint) in enumerate(zip(body.structure.parents, joints, strict=True)):
        rf, pf = body.matrix("parent_rotation", i), body.vector("parent_position", i)
        rm, pm = body.matrix("child_rotation", i), body.vector("child_position", i)
        across = product(product(rf, joint.rotation), rm.T)
        in_f = pf + turn(rf, joint.shift)
        is_reversed = body.structure.joints[i][0]
        arm, point = (pm, in_f) if is_reversed else (in_f, pm)
        if parent >= 0:
            arm = arm - found[parent].point
        found.append(Link(across.T if is_reversed else across, arm, point))
    return found
