"""Cameras matched to videos, and calibrations for pictures of another size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.files.calibration import cameras_for_videos, read_cameras
from motorque.journal import Journal
from motorque.series import Camera
from motorque.vision.projection import project

SIZE = (1080, 1920)


def camera(name: str, size: tuple[int, int] = SIZE, roll: float = 0.0) -> Camera:
    matrix = np.array([[1500.0, 0.0, 0.52 * size[0]], [0.0, 1490.0, 0.47 * size[1]], [0.0, 0.0, 1.0]])
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([1.0, -1.0, -1.0])
    lens = np.array([-0.2, 0.05, 2e-3, -1e-3, 0.01])
    return Camera(name, size, matrix, rotation, np.array([0.1, 1.0, 4.0]), lens)


def match(names: list[str], videos: list[str]) -> tuple[list[str], Journal]:
    journal = Journal()
    found = cameras_for_videos([camera(name) for name in names], [(video, SIZE) for video in videos], journal)
    return [each.name for each in found], journal


@pytest.mark.parametrize(
    ("names", "videos", "expected"),
    [
        (["cam01", "cam02"], ["cam02.mp4", "cam01.mp4"], ["cam02", "cam01"]),
        (["cam_1", "cam_10"], ["walk_Cam10.mp4", "walk_Cam01.mp4"], ["cam_10", "cam_1"]),
        (["Cam0", "Cam1"], ["s/Videos/Cam1/InputMedia/walk/walk.mov", "s/Videos/Cam0/InputMedia/walk/walk.mov"], None),
        (["26580", "26581"], ["trial_3_26581.avi", "trial_3_26580.avi"], ["26581", "26580"]),
        (["int_cam_01_img", "int_cam_02_img"], ["cam02.mp4", "cam01.mp4"], ["int_cam_02_img", "int_cam_01_img"]),
        (["cam1", "cam2", "cam3"], ["cam3.mp4", "cam1.mp4"], ["cam3", "cam1"]),
        (["a", "ab"], ["ab.mp4", "a.mp4"], ["ab", "a"]),
    ],
)
def test_cameras_are_recognised_by_name(names: list[str], videos: list[str], expected: list[str] | None) -> None:
    found, journal = match(names, videos)
    assert found == (expected or ["Cam1", "Cam0"])
    assert [notice.kind for notice in journal.notices] == ["info"]
    assert "by name" in journal.notices[0].text


@pytest.mark.parametrize(
    "videos", [["left.mp4", "right.mp4"], ["cam1_a.mp4", "cam1_b.mp4"], ["cam1_cam2_a.mp4", "cam1_cam2_b.mp4"]]
)
def test_otherwise_they_are_taken_in_order_and_that_is_said(videos: list[str]) -> None:
    found, journal = match(["cam1", "cam2"], videos)
    assert found == ["cam1", "cam2"]
    assert [notice.kind for notice in journal.notices] == ["assumption"]
    assert "in order" in journal.notices[0].text and videos[1] in journal.notices[0].text


def test_another_number_of_cameras() -> None:
    with pytest.raises(DataError, match=r"2 videos, but 3 cameras in the calibration \(a, b, c\)"):
        match(["a", "b", "c"], ["x.mp4", "y.mp4"])
    with pytest.raises(
        DataError, match=r"1 video, but 2 cameras in the calibration \(a, b\); give one video per camera"
    ):
        match(["a", "b"], ["x.mp4"])
    with pytest.raises(DataError, match="3 videos, but 2 cameras"):
        match(["cam1", "cam2"], ["cam1.mp4", "cam2.mp4", "cam3.mp4"])


def points() -> np.ndarray:
    return np.random.default_rng(1).uniform([-0.6, -2.0, -1.0], [0.6, 0.0, 1.0], (50, 3))


@pytest.mark.parametrize("size", [(540, 960), (720, 1280), (2160, 3840), (405, 720), (406, 720)])
def test_a_scaled_picture(size: tuple[int, int]) -> None:
    journal = Journal()
    scaled = cameras_for_videos([camera("a")], [("a.mp4", size)], journal)[0]
    assert scaled.size == size
    factor = np.array(size) / SIZE
    np.testing.assert_allclose(project(scaled, points()), project(camera("a"), points()) * factor, atol=1e-9)
    assert any("scaled" in notice.text and "1080x1920" in notice.text for notice in journal.notices)


def test_a_picture_that_a_codec_cut() -> None:
    journal = Journal()
    cut = cameras_for_videos([camera("a", (1088, 1920))], [("a.mp4", SIZE)], journal)[0]
    assert cut.size == SIZE
    np.testing.assert_array_equal(cut.matrix, camera("a", (1088, 1920)).matrix)
    assert [notice.kind for notice in journal.notices if "8 px" in notice.text] == ["warning"]


@pytest.mark.parametrize("size", [(1080, 1440), (1920, 1440), (1000, 1920), (640, 480)])
def test_a_picture_of_another_shape(size: tuple[int, int]) -> None:
    with pytest.raises(DataError) as caught:
        cameras_for_videos([camera("a")], [("walk.mp4", size)], Journal())
    assert f"{size[0]}x{size[1]}" in str(caught.value) and "1080x1920" in str(caught.value)
    assert "walk.mp4" in str(caught.value) and "camera a" in str(caught.value)


@pytest.mark.parametrize("roll", [np.pi / 2, -np.pi / 2])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_picture_turned_by_a_quarter(roll: float, scale: float) -> None:
    lying = camera("a", (1920, 1080), roll)  # held on its side, calibrated as its sensor sees
    size = (int(1080 * scale), int(1920 * scale))
    journal = Journal()
    turned = cameras_for_videos([lying], [("a.mp4", size)], journal)[0]
    assert turned.size == size
    assert turned.rotation[1, 1] < -0.9  # ground's Y is up in the picture
    seen, now = project(lying, points()), project(turned, points())
    # A turn of the picture about its middle by a quarter, one way or the other.
    off = seen - np.array([960.0, 540.0])
    clockwise = turned.rotation[0] @ lying.rotation[1] < 0
    expected = off @ ([[0, 1], [-1, 0]] if clockwise else [[0, -1], [1, 0]])
    np.testing.assert_allclose(now, (expected + [540.0, 960.0]) * scale, atol=1e-9)
    assert any("quarter" in notice.text for notice in journal.notices)


def test_the_demo_of_pose2sim(data: Path) -> None:
    folder = data / "video" / "pose2sim_balancing"
    journal = Journal()
    cameras = read_cameras(folder / "calibration" / "Calib.qca.txt", journal=journal)
    videos = [(folder / "videos" / f"cam0{n}.mp4", (1080 if n < 3 else 1088, 1920)) for n in (3, 1, 2, 4)]
    found = cameras_for_videos(cameras, videos, journal)
    assert [each.name for each in found] == ["cam03", "cam01", "cam02", "cam04"]
    assert [notice.kind for notice in journal.notices] == ["info", "info", "warning", "warning"]
    for each in found:  # on a tripod, looking down at the middle of a treadmill a few metres away
        assert 1.5 < each.center[1] < 2.3
        middle = project(each, np.array([-1.3, 0.9, 0.0]))
        assert (np.abs(middle - [540, 960]) < [250, 450]).all()
