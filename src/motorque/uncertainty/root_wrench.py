"""What the ground must do to a body, read off the generalized forces at its root."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import ModelError
from motorque.skeleton.skeleton import GROUND, Skeleton

Floats = NDArray[np.floating[Any]]


def root_wrench(skeleton: Skeleton, q: Floats, tau: Floats) -> tuple[Floats, Floats, Floats]:
    """Force and moment at the root that stand for its six generalized forces.

    Args:
        skeleton: A skeleton whose first body hangs on ground by three angles and three shifts.
        q: Coordinates [rad or m], shape [..., nq].
        tau: Generalized forces [N·m or N], shape [..., nv].

    Returns:
        Force [N], moment about the root joint's centre [N·m], and that centre, all in ground, shape [..., 3].

    Raises:
        ModelError: The first joint is another one.
    """
    joint = skeleton.joints[0]
    order = [e.coordinate for e in joint.elements]
    if skeleton.parents[0] != GROUND or sorted(map(str, order)) != sorted(map(str, joint.coordinates)):
        raise ModelError(f"{skeleton.name}: {joint.name} must have three angles and three shifts of their own")
    kind = q.dtype
    frame = skeleton.parent_rotation[0].numpy().astype(kind)
    axes = skeleton.rotation_axes[0].numpy().astype(kind)
    first = np.broadcast_to(frame @ axes[0], (*q.shape[:-1], 3))
    # Each axis is carried by the turns before it.
    turn = _about(axes[0], q[..., order[0]])
    second = turn @ axes[1]
    third = turn @ (_about(axes[1], q[..., order[1]]) @ axes[2])[..., None]
    directions = np.stack([first, second @ frame.T, third[..., 0] @ frame.T], axis=-2)
    moment = np.linalg.solve(directions, tau[..., order[:3]][..., None])[..., 0]
    along = skeleton.translation_axes[0].numpy().astype(kind) @ frame.T
    force = tau[..., order[3:]] @ np.linalg.inv(along).T
    center = skeleton.parent_position[0].numpy().astype(kind) + q[..., order[3:]] @ along
    return force, moment, center


def _about(axis: Floats, angle: Floats) -> Floats:
    """Rotations about one axis, shape [..., 3, 3] (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=angle.dtype)
    s, c = np.sin(angle)[..., None, None], np.cos(angle)[..., None, None]
    return np.asarray(np.eye(3, dtype=angle.dtype) + s * cross + (1 - c) * (cross @ cross))
