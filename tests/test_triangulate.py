"""Triangulation: exact on exact rays, robust to a camera that is wrong, honest where rays say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.series import Camera
from motorque.vision.projection import project, undistort
from motorque.vision.triangulate import triangulate

MATRIX = np.array([[1500.0, 0.0, 540.0], [0.0, 1500.0, 960.0], [0.0, 0.0, 1.0]])


def looking(angle: float, *, distance: float = 4.0, height: float = 1.6, name: str = "") -> Camera:
    """A camera on a circle about the origin that looks at a point one metre above it."""
    center = np.array([distance * np.cos(angle), height, distance * np.sin(angle)])
    ahead = np.array([0.0, 1.0, 0.0]) - center
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    lens = np.array([-0.1, 0.05, 1e-3, -5e-4])
    return Camera(name or f"cam{angle:.1f}", (1080, 1920), MATRIX, rotation, -rotation @ center, lens)


CAMERAS = [looking(angle) for angle in (0.1, 1.3, 2.9, 4.4)]


def moving_points(frames: int = 40, count: int = 9) -> np.ndarray:
    rng = np.random.default_rng(11)
    start = rng.uniform([-0.4, 0.1, -0.4], [0.4, 1.8, 0.4], (count, 3))
    return start + 0.2 * np.sin(np.linspace(0, 5, frames))[:, None, None] * rng.standard_normal((count, 3))


def rays_of(points: np.ndarray, cameras: list[Camera] = CAMERAS, noise: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    pixels = [project(camera, points) for camera in cameras]
    return [undistort(c, p + noise * rng.standard_normal(p.shape)) for c, p in zip(cameras, pixels, strict=True)]


def sure(points: np.ndarray, cameras: list[Camera] = CAMERAS) -> list[np.ndarray]:
    return [np.ones(points.shape[:2]) for _ in cameras]


def test_exact_rays_give_exact_points() -> None:
    points = moving_points()
    found = triangulate(CAMERAS, rays_of(points), sure(points))
    np.testing.assert_allclose(found.position, points, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-7)
    assert found.used.all()
    assert found.mean_error < 1e-7


def test_noise_of_two_pixels_costs_millimetres() -> None:
    points = moving_points()
    found = triangulate(CAMERAS, rays_of(points, noise=2.0), sure(points))
    # One camera: 2 px at 4 m and 1500 px are 5.3 mm across. Four of them round the point leave about 3.8 mm an axis.
    off = found.position - points
    assert 0.002 < off.std() < 0.005
    assert 1.0 < found.mean_error < 3.0


def test_a_wrong_camera_is_left_out() -> None:
    points = moving_points()
    rays = rays_of(points, noise=1.0)
    alone = triangulate(CAMERAS[:2] + CAMERAS[3:], rays[:2] + rays[3:], sure(points)[:3]).position
    rays[2] = rays[2] + [0.1, -0.05]  # 40 cm in space
    found = triangulate(CAMERAS, rays, sure(points))
    assert found.used[[0, 1, 3]].all()
    assert not found.used[2].any()
    np.testing.assert_allclose(found.position, alone, rtol=0, atol=1e-12)
    assert np.median(found.distance[2]) > 0.2


def test_each_point_and_frame_leaves_out_its_own_camera() -> None:
    points = moving_points()
    rays = rays_of(points)
    wrong = np.random.default_rng(5).integers(0, 4, points.shape[:2])
    for v in range(4):
        rays[v][wrong == v] += [0.0, 0.12]
    found = triangulate(CAMERAS, rays, sure(points))
    np.testing.assert_allclose(found.position, points, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.used, np.arange(4)[:, None, None] != wrong)


def test_an_unsure_camera_counts_less() -> None:
    points = moving_points()
    rays = rays_of(points)
    rays[1] = rays[1] + [0.01, 0.0]
    even = triangulate(CAMERAS, rays, sure(points))
    confidence = sure(points)
    confidence[1] = confidence[1] * 0.1
    unsure = triangulate(CAMERAS, rays, confidence)
    assert np.abs(unsure.position - points).mean() < 0.3 * np.abs(even.position - points).mean()


def test_gaps_and_hidden_points() -> None:
    points = moving_points()
    rays, confidence = rays_of(points), sure(points)
    rays[0][3:6] = np.nan
    confidence[1][10] = 0.0
    for v in (0, 1, 2):
        rays[v][20, 4] = np.nan  # only one camera left
    found = triangulate(CAMERAS, rays, confidence)
    missing = np.isnan(found.position).all(-1)
    assert missing[20, 4] and missing.sum() == 1
    assert not found.used[0, 3:6].any() and not found.used[1, 10].any() and not found.used[:, 20, 4].any()
    assert np.isnan(found.error[0, 3:6]).all()
    np.testing.assert_allclose(found.position[~missing], points[~missing], rtol=0, atol=1e-10)


def test_two_cameras_that_agree_on_nothing_still_give_the_point_between() -> None:
    points = moving_points()
    rays = rays_of(points, CAMERAS[:2])
    rays[0] = rays[0] + [0.0, 0.1]
    found = triangulate(CAMERAS[:2], rays, sure(points, CAMERAS[:2]))
    assert found.used.all()
    assert np.median(found.distance) > 0.1


def test_parallel_rays_meet_nowhere() -> None:
    near = [looking(0.1), looking(0.1 + np.deg2rad(1.0))]
    points = moving_points()
    assert np.isnan(triangulate(near, rays_of(points, near), sure(points, near)).position).all()
    wide = [looking(0.1), looking(0.1 + np.deg2rad(8.0))]
    found = triangulate(wide, rays_of(points, wide), sure(points, wide))
    np.testing.assert_allclose(found.position, points, rtol=0, atol=1e-9)


def test_a_point_behind_a_camera_is_none() -> None:
    camera = looking(0.1)
    turned = Rotation.from_euler("y", np.pi).as_matrix()
    behind = Camera("behind", (1080, 1920), MATRIX, turned @ camera.rotation, turned @ camera.translation)
    points = moving_points()
    local = points @ behind.rotation.T + behind.translation
    rays = [rays_of(points, [CAMERAS[1]])[0], local[..., :2] / local[..., 2:]]  # the line, but its other half
    assert np.isnan(triangulate([CAMERAS[1], behind], rays, sure(points)[:2]).position).all()


def test_wrong_questions() -> None:
    points = moving_points()
    with pytest.raises(DataError, match="at least two cameras"):
        triangulate(CAMERAS[:1], rays_of(points)[:1], sure(points)[:1])
    with pytest.raises(DataError, match="4 cameras, but keypoints of 3"):
        triangulate(CAMERAS, rays_of(points)[:3], sure(points))
