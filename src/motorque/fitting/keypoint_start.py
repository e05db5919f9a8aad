"""Where the fit to keypoints begins: poses from the detector's own idea of space, from a motion prior or from several
cameras, and where the person stands from the picture alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import interp1d
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation, Slerp

from motorque.fitting.ik import inverse_kinematics
from motorque.fitting.keypoint_body import KeypointBody
from motorque.fitting.pose_habits import limits
from motorque.journal import Journal
from motorque.series import Markers
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import Marker, Skeleton

Array = NDArray[np.float64]

CAMERA_TO_LEVEL = np.diag([1.0, -1.0, -1.0])
"""From a level camera's axes (x right, y down, z ahead) to ground's (x right, y up, z towards the camera)."""

SAMPLE, MOST_SAMPLES = 0.2, 20
"""A start is made from a pose every so often [s], but from no more than this many; the fit does the rest."""

STEADY = 0.5
"""Time over which a person's distance from the camera is steadied for the start [s]."""


def poses_from_space(body: KeypointBody, keypoints: Array, times: Array) -> tuple[Array, Array, Array]:
    """Poses whose keypoints come nearest to points in space.

    Args:
        body: The skeleton with its keypoints.
        keypoints: The points [m], shape [T, K, 3], Y up; NaN where there is none.
        times: Time of each frame [s], shape [T].

    Returns:
        Pelvis position [m], shape [T, 3], pelvis rotation, shape [T, 3, 3], and joint angles [rad], shape [T, N].
    """
    names = [a.name for a in body.attachments]
    size = _relative_size(body, keypoints)
    skeleton = scale_lengths(body.skeleton, torch.full((len(body.skeleton.body_names), 3), size).double())
    offsets = torch.as_tensor(body.point_offset[: len(names)] * size)
    marked = _with_points(skeleton, body, names, offsets)
    chosen = _sampled(times, np.isfinite(keypoints).all(-1).sum(1))
    # The poses are too far apart in time for one to tell that its neighbour is wrong.
    some = Markers(times[chosen], keypoints[chosen], tuple(names))
    q = inverse_kinematics(marked, some, in_sequence=False, journal=Journal()).motion.values
    low, high = limits(body.names)
    angles = np.clip((q[:, body.columns] + np.pi) % (2 * np.pi) - np.pi, low, high)
    position, rotation = body.pelvis_pose(q)
    if len(chosen) == 1:
        return tuple(np.repeat(part, len(times), axis=0) for part in (position, rotation, angles))  # type: ignore
    between = np.clip(times, times[chosen[0]], times[chosen[-1]])
    return (
        interp1d(times[chosen], position, axis=0)(between),
        Slerp(times[chosen], Rotation.from_matrix(rotation))(between).as_matrix(),
        interp1d(times[chosen], angles, axis=0)(between),
    )


def _sampled(times: Array, count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Frames at most every `SAMPLE` seconds, of those in which at least half of the usual number of points is seen."""
    full = np.flatnonzero(count >= 0.5 * count.max())
    step = max(SAMPLE, (times[full[-1]] - times[full[0]]) / MOST_SAMPLES)
    bins = np.floor((times[full] - times[full[0]]) / step + 1e-6)
    _, first = np.unique(bins, return_index=True)
    return full[first]


def _with_points(skeleton: Skeleton, body: KeypointBody, names: list[str], offsets: torch.Tensor) -> Skeleton:
    markers = [Marker(name, int(body.point_body[k])) for k, name in enumerate(names)]
    return skeleton.with_markers(markers, offsets)


def _relative_size(body: KeypointBody, points: Array) -> float:
    """Size of the person in space relative to the generic skeleton, by the lengths of thighs, shanks and upper arms."""
    names = [a.name for a in body.attachments]
    zero = np.zeros((1, len(body.names)))
    generic = body.points(zero, np.ones(body.masks.shape[0]), body.point_offset * 0).position[0]
    ratios = []
    for first, second in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow")):
        for side in "rl":
            a, b = f"{first}_{side}", f"{second}_{side}"
            if a in names and b in names:
                i, j = names.index(a), names.index(b)
                length = np.nanmedian(np.linalg.norm(points[:, i] - points[:, j], axis=-1))
                ratios.append(length / np.linalg.norm(generic[i] - generic[j]))
    return float(np.nanmedian(ratios)) if len(ratios) and np.isfinite(ratios).any() else 1.0


def space_from_detector(world: Array, points: Array, seen: NDArray[np.bool_], focal: float) -> Array:
    """The detector's idea of the points in space, turned into a level camera's ground [m], shape [T, K, 3].

    A detector sees a crop and thinks that it looks straight at it; the ray to the person tells how far it really
    turned.

    Args:
        world: The detector's points [m], shape [T, K, 3]: x right, y down, z away.
        points: The same in the picture, relative to the principal point [px], shape [T, K, 2].
        seen: Which of them were seen, shape [T, K].
        focal: Focal length [px].
    """
    count = np.maximum(seen.sum(1), 1)[:, None]
    middle = (points * seen[..., None]).sum(1) / count
    ray = np.column_stack([middle, np.full(len(middle), focal)])
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    axis = np.cross([0.0, 0.0, 1.0], ray)
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    turn = Rotation.from_rotvec(axis / np.maximum(length, 1e-12) * np.arcsin(np.minimum(length, 1.0)))
    return np.einsum("tij,tkj->tki", turn.as_matrix(), world) @ CAMERA_TO_LEVEL.T


def place(arms: Array, points: Array, weight: Array, focal: float, times: Array) -> Array:
    """Where the pelvis is in the camera's axes, so that points about it appear where they were seen.

    With x = f X / Z every point gives two equations that are linear in the pelvis' position.

    Args:
        arms: The points relative to the pelvis in the camera's axes [m], shape [T, K, 3].
        points: Where they were seen, relative to the principal point [px], shape [T, K, 2].
        weight: How much each counts, shape [T, K]; 0 where it was not seen.
        focal: Focal length [px].
        times: Time of each frame [s], shape [T].

    Returns:
        Shape [T, 3] [m]; the distance is steadied over time, and carried over frames without points.
    """
    ratio = points / focal
    rows = np.zeros((*ratio.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -ratio
    right = ratio * arms[..., 2:] - arms[..., :2]
    w = weight[..., None, None]
    matrix = (rows * w).swapaxes(-1, -2) @ rows
    vector = ((rows * w).swapaxes(-1, -2) @ right[..., None])[..., 0].sum(1)
    matrix = matrix.sum(1)
    enough = (weight > 0).sum(1) >= 4
    found = np.full((len(times), 3), np.nan)
    found[enough] = np.linalg.solve(matrix[enough], vector[enough][..., None])[..., 0]
    good = enough & (found[:, 2] > 0.3)
    if not good.any():
        return np.tile([0.0, 0.0, 4.0], (len(times), 1))
    depth = np.interp(times, times[good], found[good, 2])
    if len(times) > 2:
        window = max(1, int(STEADY / float(np.median(np.diff(times))))) | 1
        depth = median_filter(depth, size=min(window, len(times)), mode="nearest")
    # At the steadied distance, the direction that fits best.
    flat = matrix[:, :2, :2]
    side = vector[:, :2] - matrix[:, :2, 2] * depth[:, None]
    across = np.full((len(times), 2), np.nan)
    across[good] = np.linalg.solve(flat[good], side[good][..., None])[..., 0]
    steady = [np.interp(times, times[good], across[good, k]) for k in range(2)]
    return np.column_stack([*steady, depth])


def facing(rotation: Array) -> float:
    """Mean direction of the pelvis' forward axis about the vertical [rad]: 0 along +X, positive towards -Z."""
    forward = rotation[:, :, 0]
    return float(np.arctan2(-forward[:, 2].mean(), forward[:, 0].mean()))
