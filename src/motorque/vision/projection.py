"""Points in space to pixels and back, through lens distortion.

The lens models are those of OpenCV 4 (its documentation, "Camera Calibration and 3D Reconstruction" and "Fisheye camera
model"), checked against it: Brown and Conrady's with up to three radial coefficients in the numerator, three in the
denominator and two tangential ones, and the fisheye model of Kannala and Brandt. A *ray* is where a point would appear
on a plane one metre ahead of an ideal camera: x/z and y/z in the camera's axes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series import Camera, Keypoints

Array = NDArray[np.float64]

TOLERANCE = 1e-13
"""Distance on the plane of rays at which undistortion stops; a pixel is 1e-3 there, and rounding is 1e-16."""

ITERATIONS = 60
"""Newton's steps at most; four or five serve."""

NEGLIGIBLE = 1e-30
"""Coefficients of s = r^2 below this can't matter: at the widest rays, s = 1e4, even s^6 leaves them under 1e-6."""

WIDEST = 100.0
"""Rays further out than this [-], 89.4 degrees, are none for a plane."""


def project(camera: Camera, points: Array) -> Array:
    """Where points in ground appear in the picture.

    Args:
        camera: The camera.
        points: In ground [m], shape [..., 3].

    Returns:
        Pixels, shape [..., 2]; NaN for points behind the camera or outside of what its lens model describes.
    """
    local = np.asarray(points, dtype=np.float64) @ camera.rotation.T + camera.translation
    ahead = local[..., 2] > 0
    depth = np.where(ahead, local[..., 2], np.nan)
    return _to_pixels(camera, distort(camera, local[..., :2] / depth[..., None]))


def pixels_of_rays(camera: Camera, rays: Array) -> Array:
    """Where rays (x/z and y/z in the camera's axes), shape [..., 2], appear in the picture [px]."""
    return _to_pixels(camera, distort(camera, np.asarray(rays, dtype=np.float64)))


def undistort(camera: Camera, pixels: Array) -> Array:
    """The rays that pixels see, with the lens distortion taken out.

    Args:
        camera: The camera.
        pixels: Shape [..., 2].

    Returns:
        x/z and y/z in the camera's axes, shape [..., 2]; NaN where the lens model reaches no such pixel.
    """
    bent = _from_pixels(camera, np.asarray(pixels, dtype=np.float64))
    if not camera.distortion.any() and not camera.fisheye:
        return bent
    return _straight_fisheye(camera, bent) if camera.fisheye else _straight(camera, bent)


def distort(camera: Camera, rays: Array) -> Array:
    """Where an ideal camera's rays, shape [..., 2], go through this lens; NaN beyond what its model describes."""
    if camera.fisheye:
        angle = np.arctan(np.hypot(rays[..., 0], rays[..., 1]))
        angle = np.where(angle <= _fisheye_reach(camera), angle, np.nan)
        ratio = np.where(angle == 0, 1.0, _fisheye(camera, angle)[0] / np.where(angle == 0, 1.0, np.tan(angle)))
        return np.asarray(rays * ratio[..., None])
    if not camera.distortion.any():
        return rays
    inside = (rays**2).sum(-1) <= _reach(camera) ** 2
    return np.where(inside[..., None], _brown(camera, rays)[0], np.nan)


def pinhole(view: Keypoints, camera: Camera) -> tuple[Keypoints, Camera]:
    """The keypoints that the same camera would see without lens distortion, and that camera.

    Points that the lens model does not reach count as not found. Skew is taken out too.

    Raises:
        DataError: The camera's picture has another size than the keypoints'.
    """
    if tuple(view.size) != tuple(camera.size):
        raise DataError(
            f"camera {camera.name} is calibrated for {camera.size[0]}x{camera.size[1]} pixels, the keypoints were "
            f"found in {view.size[0]}x{view.size[1]}; scale the camera first"
        )
    matrix = camera.matrix.copy()
    matrix[0, 1] = 0.0
    plain = replace(camera, matrix=matrix, distortion=np.zeros(0), fisheye=False)
    return replace(view, points=_to_pixels(plain, undistort(camera, view.points))), plain


def _to_pixels(camera: Camera, rays: Array) -> Array:
    return np.asarray(rays @ camera.matrix[:2, :2].T + camera.matrix[:2, 2])


def _from_pixels(camera: Camera, pixels: Array) -> Array:
    return np.asarray((pixels - camera.matrix[:2, 2]) @ np.linalg.inv(camera.matrix[:2, :2]).T)


def _coefficients(camera: Camera) -> Array:
    """k1, k2, p1, p2, k3, k4, k5, k6, zeros where there are fewer."""
    return np.pad(camera.distortion, (0, 8 - len(camera.distortion)))


def _brown(camera: Camera, rays: Array) -> tuple[Array, Array]:
    """Distorted rays, shape [..., 2], and their derivative by the rays, shape [..., 2, 2]."""
    k1, k2, p1, p2, k3, k4, k5, k6 = _coefficients(camera)
    x, y = rays[..., 0], rays[..., 1]
    s = x * x + y * y
    above, below = 1 + s * (k1 + s * (k2 + s * k3)), 1 + s * (k4 + s * (k5 + s * k6))
    radial = above / below
    slope = ((k1 + s * (2 * k2 + s * 3 * k3)) - radial * (k4 + s * (2 * k5 + s * 3 * k6))) / below  # by s
    bent = np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x), y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y], -1
    )
    across = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    by_rays = np.stack(
        [
            np.stack([radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x, across], -1),
            np.stack([across, radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x], -1),
        ],
        -2,
    )
    return bent, by_rays


def _reach(camera: Camera) -> float:
    """The distance from the axis up to which the radial distortion grows, where it can be taken back."""
    k1, k2, _, _, k3, k4, k5, k6 = (float(c) for c in _coefficients(camera))
    # d(r N/D)/dr = (N D + 2 s (N' D - N D')) / D^2 with N and D polynomials of s = r^2
    above, below = np.polynomial.Polynomial([1, k1, k2, k3]), np.polynomial.Polynomial([1, k4, k5, k6])
    s = np.polynomial.Polynomial([0, 1])
    real = _positive_roots(above * below + 2 * s * (above.deriv() * below - above * below.deriv()))
    real += _positive_roots(below)
    return float(np.sqrt(min(real))) if real else np.inf


def _positive_roots(polynomial: np.polynomial.Polynomial) -> list[float]:
    # a leading coefficient too small to bend any ray only overflows the companion matrix
    roots = np.atleast_1d(np.asarray(polynomial.trim(NEGLIGIBLE).roots(), dtype=np.complex128))
    return [float(r.real) for r in roots if abs(r.imag) < 1e-9 * abs(r) and r.real > 0]


def _straight(camera: Camera, bent: Array) -> Array:
    """Newton's method with steps halved where they do not lead nearer."""
    reach = min(_reach(camera), WIDEST)
    rays = bent * np.minimum(1.0, 0.9 * reach / np.maximum(np.linalg.norm(bent, axis=-1, keepdims=True), 1e-300))
    value, slope = _brown(camera, rays)
    miss = np.linalg.norm(value - bent, axis=-1)
    for _ in range(ITERATIONS):
        if not (miss > TOLERANCE).any():
            break
        determinant = slope[..., 0, 0] * slope[..., 1, 1] - slope[..., 0, 1] * slope[..., 1, 0]
        determinant = np.where(np.abs(determinant) > 1e-12, determinant, np.nan)
        off = value - bent
        step = (
            np.stack(
                [
                    slope[..., 1, 1] * off[..., 0] - slope[..., 0, 1] * off[..., 1],
                    slope[..., 0, 0] * off[..., 1] - slope[..., 1, 0] * off[..., 0],
                ],
                -1,
            )
            / determinant[..., None]
        )
        moved = False
        for share in (1.0, 0.5, 0.25, 0.125, 0.0625):
            trial = rays - share * step
            trial_value, trial_slope = _brown(camera, trial)
            trial_miss = np.linalg.norm(trial_value - bent, axis=-1)
            better = (trial_miss < miss) & (np.linalg.norm(trial, axis=-1) <= reach)
            moved |= bool(better.any())
            rays = np.where(better[..., None], trial, rays)
            value = np.where(better[..., None], trial_value, value)
            slope = np.where(better[..., None, None], trial_slope, slope)
            miss = np.where(better, trial_miss, miss)
            step = np.where(better[..., None], 0.0, step)
        if not moved:
            break
    found = miss < 1e-10
    return np.where(found[..., None], rays, np.nan)


def _fisheye(camera: Camera, angle: Array) -> tuple[Array, Array]:
    """Distance from the axis of a ray at this angle [rad], and its derivative by the angle."""
    k = np.pad(camera.distortion, (0, 4 - len(camera.distortion)))
    s = angle * angle
    value = angle * (1 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3]))))
    slope = 1 + s * (3 * k[0] + s * (5 * k[1] + s * (7 * k[2] + s * 9 * k[3])))
    return value, slope


def _fisheye_reach(camera: Camera) -> float:
    """The angle up to which the distance from the axis grows [rad]; at most a right angle."""
    k = np.pad(camera.distortion, (0, 4 - len(camera.distortion)))
    real = _positive_roots(np.polynomial.Polynomial([1.0, *(k * [3, 5, 7, 9]).tolist()]))
    return min(float(np.sqrt(min(real))) if real else np.inf, float(np.arctan(WIDEST)))


def _straight_fisheye(camera: Camera, bent: Array) -> Array:
    distance = np.linalg.norm(bent, axis=-1)
    reach = _fisheye_reach(camera)
    low, high = np.zeros_like(distance), np.full_like(distance, reach)
    angle = np.clip(distance, 0.0, reach)
    for _ in range(ITERATIONS):  # Newton's method inside an interval that always holds the answer
        value, slope = _fisheye(camera, angle)
        off = value - distance
        low, high = np.where(off < 0, angle, low), np.where(off > 0, angle, high)
        step = angle - off / np.where(np.abs(slope) > 1e-12, slope, np.nan)
        angle = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        if not (np.abs(off) > TOLERANCE).any():
            break
    found = np.abs(_fisheye(camera, angle)[0] - distance) < 1e-10
    scale = np.where(distance > 0, np.tan(angle) / np.where(distance > 0, distance, 1.0), 1.0)
    return np.where(found[..., None], bent * scale[..., None], np.nan)
