"""Where inverse kinematics starts: the free body that hangs on ground is laid onto its markers frame by frame."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.skeleton.functions import Linear
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def rigid_fit(source: Array, target: Array, weights: Array) -> tuple[Array, Array]:
    """Rotation and translation that carry weighted points onto others, frame by frame.

    Args:
        source: Points of the body [m], shape [M, 3].
        target: Measured points [m], shape [T, M, 3]; any finite number where the weight is zero.
        weights: Weights, shape [T, M].

    Returns:
        Rotation matrices [T, 3, 3] and translations [T, 3] with target ≈ R source + t.

    Source: Kabsch, Acta Cryst. A32 (1976) 922.
    """
    total = weights.sum(-1, keepdims=True).clip(1e-300)
    mean_source = weights @ source / total
    mean_target = (weights[..., None] * target).sum(1) / total
    a = source[None] - mean_source[:, None]
    b = target - mean_target[:, None]
    covariance = np.einsum("tm,tmi,tmj->tij", weights, b, a)
    u, _, vt = np.linalg.svd(covariance)
    flip = np.ones((len(target), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * flip[:, None, :]) @ vt
    return rotation, mean_target - np.einsum("tij,tj->ti", rotation, mean_source)


def starting_poses(skeleton: Skeleton, targets: Tensor, weights: Tensor, base: Tensor) -> Tensor:
    """The base pose with every free root joint moved so that its body fits the measured markers.

    Args:
        skeleton: The skeleton with the markers to be fitted.
        targets: Measured markers [m], shape [T, M, 3], finite.
        weights: Their weights, zero where not seen, shape [T, M].
        base: Coordinates to start from [rad or m], shape [nq].

    Returns:
        Coordinates, shape [T, nq]. Joints to ground that are not free (fewer than six coordinates, or driven by other
        functions than the coordinate itself) stay as they are.
    """
    q = base.expand(len(targets), -1).clone()
    model = marker_positions(skeleton, base).numpy()
    poses = forward_kinematics(skeleton, base)
    on = skeleton.marker_body.numpy()
    seen = (weights > 0).numpy()
    for body in range(len(skeleton.joints)):
        coordinates = _free_root(skeleton, body)
        if coordinates is None:
            continue
        members = np.array([b != GROUND and body in skeleton.ancestors(int(b)) for b in on])
        rotation, shift, count = _fit(model, targets.numpy(), seen, on == body, members)
        # New body pose = fitted motion applied to the base pose; then solve X_F X_FM X_M^-1 = pose for X_FM.
        r0, p0 = poses.rotation[body].numpy(), poses.position[body].numpy()
        r = rotation @ r0
        p = rotation @ p0 + shift
        rf, pf = skeleton.parent_rotation[body].numpy(), skeleton.parent_position[body].numpy()
        rm, pm = skeleton.child_rotation[body].numpy(), skeleton.child_position[body].numpy()
        across = rf.T @ r @ rm
        origin = (p + r @ pm - pf) @ rf
        axes = skeleton.rotation_axes[body].numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # gimbal lock: any of the equal solutions will do as a start
            angles = Rotation.from_matrix(across).as_davenport(axes, "intrinsic")
        amounts = origin @ np.linalg.inv(skeleton.translation_axes[body].numpy())
        values = np.concatenate([angles, amounts], axis=1)
        for element, (coordinate, function) in enumerate(coordinates):
            column = (values[:, element] - function.intercept) / function.slope
            q[:, coordinate] = torch.where(torch.as_tensor(count >= 3), torch.as_tensor(column), q[:, coordinate])
    return skeleton.couple(q)


def _free_root(skeleton: Skeleton, body: int) -> list[tuple[int, Linear]] | None:
    """For each element of a free joint to ground its coordinate and line; None if the joint is something else."""
    joint = skeleton.joints[body]
    if skeleton.parents[body] != GROUND or joint.reversed or len(joint.coordinates) != 6:
        return None
    found = []
    for element in joint.elements:
        if element.coordinate < 0 or element.factor is not None or not isinstance(element.function, Linear):
            return None
        if skeleton.coordinates[element.coordinate].locked or element.function.slope == 0:
            return None
        found.append((element.coordinate, element.function))
    a = skeleton.rotation_axes[body].numpy()
    if abs(a[0] @ a[1]) > 1e-9 or abs(a[1] @ a[2]) > 1e-9 or len({c for c, _ in found}) < 6:
        return None
    return found


def _fit(model: Array, targets: Array, seen: Mask, own: Mask, members: Mask) -> tuple[Array, Array, NDArray[np.int64]]:
    """Rigid fit on a body's own markers where at least three that span a plane are seen, else on all beyond it."""
    rotation, shift = rigid_fit(model, targets, (seen & members).astype(float))
    count = (seen & members).sum(-1)
    enough = (seen & own).sum(-1) >= 3
    if enough.any() and _planar_extent(model[own]) > 0.02:
        r, t = rigid_fit(model, targets, (seen & own).astype(float))
        rotation = np.where(enough[:, None, None], r, rotation)
        shift = np.where(enough[:, None], t, shift)
    return rotation, shift, count


def _planar_extent(points: Array) -> float:
    """Second singular value of a point cloud [m]: how far it is from a line."""
    return float(np.linalg.svd(points - points.mean(0), compute_uv=False)[1]) if len(points) >= 3 else 0.0
