"""Projection and undistortion, held to OpenCV's, and what happens outside of a lens model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.series import Camera, Keypoints
from motorque.vision.projection import pinhole, pixels_of_rays, project, undistort

cv2 = pytest.importorskip("cv2", reason="OpenCV, the oracle here, comes with mediapipe (pip install motorque[video])")

MATRIX = np.array([[1400.0, 0.0, 953.2], [0.0, 1391.0, 541.7], [0.0, 0.0, 1.0]])
BROWN = {
    "none": [],
    "four": [-0.28, 0.09, 1e-3, -7e-4],
    "five": [-0.31, 0.15, -4e-4, 1.1e-3, -0.04],
    "eight": [0.9, -0.4, 2e-4, -3e-4, 0.02, 1.2, -0.2, -0.05],
}
FISHEYE = {"fisheye": [0.07, -0.02, 6e-3, -9e-4], "fisheye plain": [0.0, 0.0, 0.0, 0.0]}
PIXELS = 1e-9
"""Agreement with OpenCV [px]: rounding of numbers of the size of a thousand."""


def camera(coefficients: list[float], *, fisheye: bool = False, size: tuple[int, int] = (1920, 1080)) -> Camera:
    rotation = Rotation.from_rotvec([0.3, -2.0, 0.4]).as_matrix()
    return Camera("left", size, MATRIX, rotation, np.array([0.2, 1.1, 4.0]), np.array(coefficients), fisheye)


def points_before(which: Camera, spread: float = 0.6) -> np.ndarray:
    rng = np.random.default_rng(4)
    rays = rng.uniform(-spread, spread, (200, 2))
    local = np.c_[rays, np.ones(200)] * rng.uniform(1, 9, 200)[:, None]
    return (local - which.translation) @ which.rotation


@pytest.mark.parametrize("name", BROWN)
def test_project_as_opencv(name: str) -> None:
    which = camera(BROWN[name])
    points = points_before(which)
    turn = cv2.Rodrigues(which.rotation)[0]
    expected = cv2.projectPoints(
        points, turn, which.translation, MATRIX, np.array(BROWN[name]) if BROWN[name] else None
    )
    np.testing.assert_allclose(project(which, points), expected[0][:, 0], rtol=0, atol=PIXELS)


@pytest.mark.parametrize("name", FISHEYE)
def test_project_as_opencv_through_a_fisheye(name: str) -> None:
    which = camera(FISHEYE[name], fisheye=True)
    points = points_before(which, spread=2.5)
    turn = cv2.Rodrigues(which.rotation)[0]
    expected = cv2.fisheye.projectPoints(
        points[:, None], turn, which.translation[:, None], MATRIX, np.array(FISHEYE[name])
    )
    np.testing.assert_allclose(project(which, points), expected[0][:, 0], rtol=0, atol=PIXELS)


@pytest.mark.parametrize("name", [*BROWN, *FISHEYE])
def test_undistort_takes_projection_back(name: str) -> None:
    which = camera({**BROWN, **FISHEYE}[name], fisheye=name in FISHEYE)
    points = points_before(which)
    local = points @ which.rotation.T + which.translation
    rays = undistort(which, project(which, points).reshape(20, 10, 2)).reshape(-1, 2)
    np.testing.assert_allclose(rays, local[:, :2] / local[:, 2:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["four", "five", "eight"])
def test_undistort_as_opencv(name: str) -> None:
    which = camera(BROWN[name])
    pixels = project(which, points_before(which, spread=0.4))
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 2000, 1e-14)
    expected = cv2.undistortPointsIter(pixels[:, None], MATRIX, np.array(BROWN[name]), None, None, stop)[:, 0]
    np.testing.assert_allclose(undistort(which, pixels), expected, rtol=0, atol=PIXELS)


def test_undistort_as_opencv_through_a_fisheye() -> None:
    which = camera(FISHEYE["fisheye"], fisheye=True)
    pixels = project(which, points_before(which, spread=1.5))
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    expected = cv2.fisheye.undistortPoints(pixels[:, None], MATRIX, np.array(FISHEYE["fisheye"]), criteria=stop)[:, 0]
    np.testing.assert_allclose(undistort(which, pixels), expected, rtol=0, atol=PIXELS)


@settings(max_examples=60, deadline=None)
@given(
    k=st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3),
    p=st.lists(st.floats(-5e-3, 5e-3), min_size=2, max_size=2),
    x=st.floats(0, 1920),
    y=st.floats(0, 1080),
)
def test_what_is_undistorted_projects_to_the_same_pixel(k: list[float], p: list[float], x: float, y: float) -> None:
    which = camera([k[0], k[1], p[0], p[1], k[2]])
    ray = undistort(which, np.array([x, y]))
    if np.isfinite(ray).all():
        np.testing.assert_allclose(pixels_of_rays(which, ray), [x, y], rtol=0, atol=1e-6)
    else:  # only where the lens folds the picture over, never near its middle
        assert np.hypot((x - 953.2) / 1400, (y - 541.7) / 1391) > 0.4


def test_behind_the_camera_is_nowhere() -> None:
    which = camera(BROWN["five"])
    point = which.center - 3 * which.rotation[2]
    assert np.isnan(project(which, point)).all()
    assert np.isfinite(project(which, which.center + 3 * which.rotation[2])).all()


def test_beyond_the_fold_of_a_lens_is_nowhere() -> None:
    which = camera([-0.3, 0.0, 0.0, 0.0])  # r (1 - 0.3 r^2) grows up to r = 1 / sqrt(0.9)
    edge = 1 / np.sqrt(0.9)
    assert np.isfinite(pixels_of_rays(which, np.array([0.99 * edge, 0.0]))).all()
    assert np.isnan(pixels_of_rays(which, np.array([1.01 * edge, 0.0]))).all()
    outermost = edge * (1 - 0.3 * edge**2)
    assert np.isfinite(undistort(which, np.array([953.2 + 1400 * 0.999 * outermost, 541.7]))).all()
    assert np.isnan(undistort(which, np.array([953.2 + 1400 * 1.01 * outermost, 541.7]))).all()


def test_a_gap_stays_a_gap() -> None:
    for which in (camera(BROWN["five"]), camera(FISHEYE["fisheye"], fisheye=True)):
        rays = undistort(which, np.array([[np.nan, 3.0], [953.2, 541.7]]))
        assert np.isnan(rays[0]).all()
        np.testing.assert_allclose(rays[1], 0.0, atol=1e-15)


def test_pinhole_takes_the_lens_out_of_keypoints() -> None:
    which = camera(BROWN["five"])
    points = points_before(which, 0.3).reshape(20, 10, 3)
    names = tuple(f"{part}_{side}" for part in ("hip", "knee", "ankle", "heel", "toe") for side in "rl")
    view = Keypoints(np.arange(20) / 30, project(which, points), np.ones((20, 10)), names, (1920, 1080))
    flat, plain = pinhole(view, which)
    assert not plain.distortion.any()
    np.testing.assert_allclose(project(plain, points), flat.points, rtol=0, atol=PIXELS)
    with pytest.raises(DataError, match="1280x720"):
        pinhole(view, camera(BROWN["five"], size=(1280, 720)))
