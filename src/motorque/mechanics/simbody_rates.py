"""How Simbody 3.8 turns the axes of a custom joint, which is not how they turn.

The angular acceleration of a joint with three rotations, one after the other, holds the terms ω1 × ω2 and (ω1 + ω2) ×
ω3: each axis is carried by the rotations before it. Simbody's function-based mobilizer takes, in their place, the
angular velocity that the joint's *first coordinate* causes about all three axes, and the one that its *first two
coordinates* cause. Where each coordinate drives one rotation, in order, that is the same. Where one coordinate drives
several rotations (the knee of the Rajagopal and LaiArnold models, whose flexion also turns the shank in and out) it
is not: the term ω3 × ω2 is added. Joint moments in walking change by 0.1 to 0.5 % of their peak.

Only an answer that has to equal OpenSim's needs this; seen on the wheel, where body accelerations differ from second
differences of body positions by exactly that term.
"""

from __future__ import annotations

from torch import Tensor

from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import Skeleton


def carrying_rotations(skeleton: Skeleton, *, as_simbody: bool) -> tuple[Tensor, Tensor]:
    """Which of a joint's three rotations carry its second axis and its third.

    Args:
        skeleton: The skeleton.
        as_simbody: Whether custom joints follow Simbody instead of geometry.

    Returns:
        Two masks, 0 or 1, each of shape [B, 3, 1].
    """
    second = [[1.0, 0.0, 0.0] for _ in skeleton.joints]
    third = [[1.0, 1.0, 0.0] for _ in skeleton.joints]
    if as_simbody:
        for body, joint in enumerate(skeleton.joints):
            if joint.kind != "CustomJoint" or not joint.coordinates:
                continue
            driven = [element.coordinate for element in joint.elements[:3]]
            # Simbody masks nothing in the second case unless there is a third coordinate.
            two = joint.coordinates[:2] if len(joint.coordinates) > 2 else joint.coordinates
            second[body] = [float(c == joint.coordinates[0]) for c in driven]
            third[body] = [float(c in two) for c in driven]
    like = skeleton.mass
    return tuple(constant(m, like.device, like.dtype)[..., None] for m in (second, third))  # type: ignore[return-value]
