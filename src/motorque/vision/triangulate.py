"""Points in space from what several calibrated cameras saw of them.

A detector errs by centimetres on the body, whatever the camera, so what is minimised is the distance in space between a
point and the rays that should meet there, weighted by the detector's confidence: that is linear. A camera that is wrong
altogether (a hidden joint, left and right exchanged) is found by trying every pair of cameras and asking which others
agree with it, and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series import Camera

Array = NDArray[np.float64]

TOLERANCE = 0.08
"""Distance between a ray and a point beyond which they do not belong together [m]. MediaPipe's points are biased by 1
to 3 cm and jitter by 1 to 2 cm, hidden ones by more; a knee taken for the other one is off by 15 cm and more."""

LEAST_CONFIDENCE = 0.05
"""Points of less are not used: the detector says that it did not see them."""

PARALLEL = 1e-3
"""Rays meet nowhere in particular where the smallest eigenvalue of the mean projector across them is less than this:
for two of equal weight at an angle a that is (1 - cos a) / 2, so about 3.6 degrees."""


@dataclass(frozen=True)
class Triangulation:
    """Points in space and how well the cameras agree on them.

    Args:
        position: In ground [m], shape [T, K, 3]; NaN where fewer than two cameras agree.
        error: Distance in each picture between the keypoint and the point in space [px], without lens distortion,
            shape [V, T, K]; NaN where the camera did not see it. Cameras that were left out are included.
        distance: The same in space: from the ray to the point [m], shape [V, T, K].
        used: Which cameras the position rests on, shape [V, T, K].
    """

    position: Array
    error: Array
    distance: Array
    used: NDArray[np.bool_]

    @property
    def mean_error(self) -> float:
        """Mean distance over the cameras used, all points and frames [px]; NaN if there are none."""
        return float(self.error[self.used].mean()) if self.used.any() else float("nan")


def triangulate(
    cameras: Sequence[Camera],
    rays: Sequence[Array],
    confidence: Sequence[Array],
    *,
    tolerance: float = TOLERANCE,
) -> Triangulation:
    """Where the points are that several cameras saw at the same times.

    Args:
        cameras: V of them.
        rays: For each camera x/z and y/z in its axes (:func:`motorque.vision.projection.undistort`), shape [T, K, 2];
            NaN where a point was not seen.
        confidence: For each camera the detector's, 0 to 1, shape [T, K].
        tolerance: Distance between a ray and a point beyond which the camera is left out [m].

    Raises:
        DataError: Fewer than two cameras, or their numbers or shapes differ.
    """
    if len(cameras) < 2:
        raise DataError("a point in space needs at least two cameras; one camera shows only its direction")
    if not len(cameras) == len(rays) == len(confidence):
        raise DataError(f"{len(cameras)} cameras, but keypoints of {len(rays)}; give one set of keypoints per camera")
    flat = np.stack([np.asarray(r, dtype=np.float64) for r in rays])
    sure = np.stack([np.asarray(c, dtype=np.float64) for c in confidence])
    if flat.shape[:-1] != sure.shape or flat.shape[-1:] != (2,):
        raise DataError(f"keypoints of shape {list(flat.shape)} do not fit confidence of shape {list(sure.shape)}")
    seen = np.isfinite(flat).all(-1) & (sure >= LEAST_CONFIDENCE)
    weight = np.where(seen, sure, 0.0)
    centers = np.stack([camera.center for camera in cameras])
    directions = _directions(cameras, np.where(seen[..., None], flat, 0.0))

    used = _agreeing(centers, directions, weight, tolerance)
    position = _nearest(centers, directions, weight * used)
    for _ in range(2):
        distance = _distance(centers, directions, position)
        again = seen & (distance <= tolerance)
        used = np.where(again.sum(0) >= 2, again, used)
        position = _nearest(centers, directions, weight * used)
    known = np.isfinite(position).all(-1)
    used = used & known
    distance = np.where(seen, _distance(centers, directions, position), np.nan)
    return Triangulation(position, np.where(seen, _pixels(cameras, flat, position), np.nan), distance, used)


def _directions(cameras: Sequence[Camera], rays: Array) -> Array:
    """Unit vectors along the rays in ground, shape [V, T, K, 3]."""
    local = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], -1)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    return np.stack([each @ camera.rotation for each, camera in zip(local, cameras, strict=True)])


def _across(directions: Array) -> Array:
    """Projectors onto the planes across the rays, shape [..., 3, 3]."""
    return np.eye(3) - directions[..., :, None] * directions[..., None, :]


def _nearest(centers: Array, directions: Array, weight: Array) -> Array:
    """The points with the least weighted sum of squared distances to their rays, shape [T, K, 3].

    The sum's gradient vanishes where sum(w P) x = sum(w P c), with P the projector across a ray and c its camera.
    """
    projector = weight[..., None, None] * _across(directions)
    total = projector.sum(0)
    right = np.einsum("vtkij,vj->tki", projector, centers)
    least = np.linalg.eigvalsh(total)[..., 0] / np.maximum(weight.sum(0), 1e-300)
    known = ((weight > 0).sum(0) >= 2) & (least > PARALLEL)
    solved = np.linalg.solve(np.where(known[..., None, None], total, np.eye(3)), right[..., None])[..., 0]
    ahead = (np.einsum("vtki,vtki->vtk", directions, solved - centers[:, None, None]) > 0) | (weight == 0)
    return np.where((known & ahead.all(0))[..., None], solved, np.nan)


def _distance(centers: Array, directions: Array, position: Array) -> Array:
    """From each ray to the point [m], shape [V, T, K]; infinite where the point lies behind the camera."""
    off = position - centers[:, None, None]
    along = np.einsum("vtki,vtki->vtk", off, directions)
    across = np.linalg.norm(off - along[..., None] * directions, axis=-1)
    return np.where(along < 0, np.inf, across)


def _agreeing(centers: Array, directions: Array, weight: Array, tolerance: float) -> NDArray[np.bool_]:
    """The cameras that agree with the best pair of cameras, shape [V, T, K].

    The best pair is that whose point has the least sum over all cameras of w min(distance, tolerance)^2.
    """
    count = len(centers)
    best = np.full(weight.shape[1:], np.inf)
    chosen = np.zeros(weight.shape, dtype=bool)
    for pair in combinations(range(count), 2):
        both = np.zeros(weight.shape)
        both[list(pair)] = np.where((weight[list(pair)] > 0).all(0), weight[list(pair)], 0.0)
        point = _nearest(centers[list(pair)], directions[list(pair)], both[list(pair)])
        distance = _distance(centers, directions, point)
        agrees = (weight > 0) & (distance <= tolerance)
        agrees[list(pair)] = both[list(pair)] > 0
        # Of pairs that nobody else agrees with, the one that meets best is taken.
        cost = (weight * np.minimum(np.nan_to_num(distance, nan=np.inf), tolerance) ** 2).sum(0)
        cost = cost + np.where(np.isfinite(point).all(-1), distance[list(pair)].max(0) * 1e-6, np.inf)
        better = cost < best
        best = np.where(better, cost, best)
        chosen = np.where(better, agrees, chosen)
    return chosen


def _pixels(cameras: Sequence[Camera], rays: Array, position: Array) -> Array:
    """Distance in the picture between keypoints and points in space [px], shape [V, T, K]."""
    errors = []
    for camera, seen in zip(cameras, rays, strict=True):
        local = position @ camera.rotation.T + camera.translation
        depth = np.where(local[..., 2] > 0, local[..., 2], np.nan)
        off = local[..., :2] / depth[..., None] - seen
        errors.append(np.linalg.norm(off @ camera.matrix[:2, :2].T, axis=-1))
    return np.stack(errors)
