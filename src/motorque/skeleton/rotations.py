"""Positions in other numbers: from one rotation format to another, and a root without singular angles."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.skeleton.functions import Linear
from motorque.skeleton.skeleton import GROUND, Joint, Skeleton
from motorque.spatial import CHECKED_ROTATIONS, ROTATION_TOLERANCE, matrix_to_rotation, rotation_error


def convert_positions(q: Tensor, from_skeleton: Skeleton, to_skeleton: Skeleton) -> Tensor:
    """The same positions as another form of the same skeleton has them.

    Differentiable where the wanted format is: not at a rotation by pi for rotation vectors and not where the second of
    three angles is ±90°. Angles come out within ±pi, the second within ±pi/2.

    Args:
        q: Positions [rad or m, or as ``rotations`` says], shape [..., nq of the first].
        from_skeleton: The skeleton whose positions these are.
        to_skeleton: The same with other ``rotations`` or another root (:func:`free_root`).

    Returns:
        Shape [..., nq of the second].

    Raises:
        DataError: The number of columns does not fit, the skeletons have not the same coordinates, or a rotation is
            none.
        ModelError: Angles are asked for of a joint whose three axes are not orthogonal.
    """
    if from_skeleton.coordinate_names != to_skeleton.coordinate_names:
        raise DataError(
            f"positions of {from_skeleton.name} can't be those of {to_skeleton.name}, whose coordinates differ"
        )
    if q.ndim == 0 or q.shape[-1] != from_skeleton.nq:
        raise DataError(f"{from_skeleton.name}: q needs {from_skeleton.nq} columns, got shape {list(q.shape)}")
    check_rotations(from_skeleton, q)
    coordinates, rotations = from_skeleton.split_positions(q)
    known = {} if rotations is None else dict(zip(from_skeleton.balls, rotations.unbind(-3), strict=True))
    wanted = () if to_skeleton.rotations == "angles" else to_skeleton.balls
    for body, rotation in known.items():
        if body not in wanted:
            coordinates = _with_angles(from_skeleton, body, coordinates, rotation)
    turned = [known[body] if body in known else _from_angles(from_skeleton, body, coordinates) for body in wanted]
    return join_positions(to_skeleton, coordinates, torch.stack(turned, -3) if turned else None)


def join_positions(skeleton: Skeleton, coordinates: Tensor, rotations: Tensor | None) -> Tensor:
    """Positions from what ``Skeleton.split_positions`` takes apart.

    Args:
        skeleton: The skeleton.
        coordinates: One number per coordinate [rad or m], shape [..., nv].
        rotations: Rotations from M to F of the joints of ``skeleton.balls``, shape [..., number of balls, 3, 3]; unused
            where all are angles.

    Returns:
        Shape [..., nq].
    """
    if rotations is None or skeleton.rotations == "angles" or not skeleton.balls:
        return coordinates
    plain, balls = skeleton.position_columns
    kept = [c for c, column in enumerate(skeleton.coordinate_columns) if column >= 0]
    values = matrix_to_rotation(rotations, skeleton.rotations).flatten(-2)
    order = [*plain, *(column for ball in balls for column in ball)]
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return torch.cat([coordinates[..., kept], values], dim=-1)[..., inverse]


def check_rotations(skeleton: Skeleton, q: Tensor) -> None:
    """Hold the rotations in positions to being some; numbers that are not finite pass, their frames' answers are NaN.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq].

    Raises:
        DataError: A quaternion or matrix is no rotation, beyond rounding; 6D numbers give no two directions.
    """
    if skeleton.rotations not in CHECKED_ROTATIONS or not skeleton.balls or q.numel() == 0:
        return
    if torch._C._functorch.is_functorch_wrapped_tensor(q):
        return  # within torch.func's transforms no value can be looked at
    columns = torch.tensor(skeleton.position_columns[1], device=q.device)
    values = q.detach()[..., columns.flatten()].unflatten(-1, tuple(columns.shape))
    error = rotation_error(values, skeleton.rotations)
    error = torch.where(error.isfinite(), error, 0.0).reshape(-1, len(skeleton.balls))
    worst = int(error.argmax())
    largest = float(error.flatten()[worst])
    if largest > ROTATION_TOLERANCE.get(q.dtype, 1e-2):
        frame, ball = divmod(worst, len(skeleton.balls))
        where = f"in frame {frame} the position of joint {skeleton.joints[skeleton.balls[ball]].name!r}"
        if skeleton.rotations == "6d":
            why = "one of its two vectors is zero, or they are parallel; give two directions"
        else:
            what = "the squared length of" if skeleton.rotations == "quaternion" else "a column or the determinant of"
            why = f"{what} its {skeleton.rotations} is off one by {largest:.3g}; normalise it"
        raise DataError(f"{skeleton.name}: {where} is no rotation: {why}")


def free_root(skeleton: Skeleton) -> Skeleton:
    """The same skeleton with a free joint at its root instead of a custom joint of three angles.

    The first three speeds of the root are then its angular velocity in the joint's frame F, which is ground's frame in
    every usual model, no longer the rates of tilt, list and rotation; the others stay, usually the velocity of its
    origin. Coordinates keep their names. With ``rotations="quaternion"`` the root has no singular pose.

    Raises:
        ModelError: No root has three rotations about orthogonal axes, each driven by a coordinate of its own, and
            translations that do not depend on these.
    """
    roots = [body for body, parent in enumerate(skeleton.parents) if parent == GROUND]
    reasons = []
    for body in roots:
        joint = skeleton.joints[body]
        if joint.ball:
            return skeleton
        reason = _why_not_free(skeleton, body)
        if not reason:
            first = joint.elements[0].coordinate
            freed = dataclasses.replace(joint, kind="FreeJoint", ball=(first, first + 1, first + 2))
            joints = (*skeleton.joints[:body], freed, *skeleton.joints[body + 1 :])
            return dataclasses.replace(skeleton, joints=joints)
        reasons.append(f"{joint.name}: {reason}")
    raise ModelError(f"{skeleton.name}: no root joint can become a free joint ({'; '.join(reasons)})")


def _why_not_free(skeleton: Skeleton, body: int) -> str:
    joint = skeleton.joints[body]
    turning, moving = joint.elements[:3], joint.elements[3:]
    coordinates = [element.coordinate for element in turning]
    if joint.reversed:
        return "it runs from the body to ground"
    if any(not isinstance(e.function, Linear) or e.function.slope != 1 or e.factor is not None for e in turning):
        return "not every rotation is by a coordinate itself"
    if coordinates[0] < 0 or coordinates != list(range(coordinates[0], coordinates[0] + 3)):
        return "its rotations have not three coordinates of their own, one after the other"
    if any(c in coordinates for e in moving for c in (e.coordinate, e.factor_coordinate)):
        return "its translations depend on its rotations"
    if any(c in coordinates for coupler in skeleton.couplers for c in (coupler.dependent, coupler.independent)):
        return "a coupler binds one of its rotations"
    if not _orthogonal(skeleton.rotation_axes[body]):
        return "its rotation axes are not orthogonal"
    return ""


def _orthogonal(axes: Tensor) -> bool:
    error = axes.detach() @ axes.detach().T - torch.eye(3, dtype=axes.dtype, device=axes.device)
    return bool(error.abs().max() < 1e-6)


def _angles(joint: Joint) -> list[tuple[float, int]]:
    """Offset and coordinate of a ball joint's three angles."""
    found = []
    for element in joint.elements[:3]:
        if not isinstance(element.function, Linear) or element.function.slope != 1 or element.factor is not None:
            raise ModelError(f"joint {joint.name!r}: its angles are not its coordinates")
        found.append((element.function.intercept, element.coordinate))
    return found


def _from_angles(skeleton: Skeleton, body: int, coordinates: Tensor) -> Tensor:
    """Rotation from M to F of a joint given as angles about its axes; [..., 3, 3]."""
    import roma  # slow to import, and seldom needed

    first, second, third = (
        roma.rotvec_to_rotmat((coordinates[..., c, None] + offset) * axis)
        for (offset, c), axis in zip(
            _angles(skeleton.joints[body]), skeleton.rotation_axes[body].unbind(0), strict=True
        )
    )
    return first @ second @ third


def _with_angles(skeleton: Skeleton, body: int, coordinates: Tensor, rotation: Tensor) -> Tensor:
    """The coordinates with the angles that make up a joint's rotation filled in."""
    axes, joint = skeleton.rotation_axes[body], skeleton.joints[body]
    if not _orthogonal(axes):
        raise ModelError(f"{skeleton.name}: joint {joint.name!r} turns about axes that are not orthogonal")
    # In the frame of the three axes, made right-handed by the third one's sign, the rotation is Rx Ry Rz.
    normal = torch.linalg.cross(axes[0], axes[1])
    sign = (normal * axes[2]).sum().sign()
    frame = torch.stack([axes[0], axes[1], normal], dim=-1)
    r = frame.mT @ rotation @ frame
    angles = (
        torch.atan2(-r[..., 1, 2], r[..., 2, 2]),
        torch.atan2(r[..., 0, 2], torch.hypot(r[..., 0, 0], r[..., 0, 1])),
        sign * torch.atan2(-r[..., 0, 1], r[..., 0, 0]),
    )
    driven = _angles(joint)
    values = [angle - offset for angle, (offset, _) in zip(angles, driven, strict=True)]
    index = torch.tensor([c for _, c in driven], device=rotation.device)
    return coordinates.index_copy(-1, index, torch.stack(values, dim=-1))
