"""The cameras that an analysis of videos writes: whoever reads them can draw its results into the pictures."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import motorque as mq
import motorque.workflows.video as video_workflow
import motorque.workflows.video_results as video_results
from motorque.cli import main
from motorque.journal import Journal
from motorque.report.analysis import Analysis
from motorque.series import Camera, Keypoints
from motorque.vision.keypoint_file import VideoKeypoints
from small_videos import numbered, write_video
from test_keypoint_fit import camera, see, squats

SIZE = (128, 192)


def small(cam: Camera) -> Camera:
    """The camera with small pictures."""
    return dataclasses.replace(cam, size=SIZE, matrix=np.array([[140.0, 0, 64], [0, 140.0, 96], [0, 0, 1]]))


def analyze(
    folder: Path, monkeypatch: pytest.MonkeyPatch, found: list[VideoKeypoints], *options: object
) -> tuple[Path, Analysis]:
    """The folder of the results, and what the report was made from."""
    kept: list[Analysis] = []

    def write_report(analysis: Analysis, folder: Path) -> None:
        kept.append(analysis)
        mq_write_report(analysis, folder)

    mq_write_report = video_results.write_report
    monkeypatch.setattr(video_workflow, "find_all_keypoints", lambda requests, **options: found)
    monkeypatch.setattr(video_results, "write_report", write_report)
    videos = []
    for number, one in enumerate(found, 1):
        wide, tall = one.as_shown().size
        videos.append(write_video(folder / f"cam{number}.mp4", numbered(len(one.keypoints.times), (tall, wide))))
    out = folder / "out"
    line = ["analyze", *videos, "--height", 1.7, "--mass", 70, "--no-pictures", "--out", out, *options]
    assert main([str(word) for word in line]) == 0
    return out, kept[0]


def shown(view: Any) -> np.ndarray:
    """Where the report has the skeleton, in the picture as a player shows it, shape [T, K, 2]."""
    k = view.keypoints
    drawn = Keypoints(k.times, view.reprojected, np.ones(view.reprojected.shape[:2]), k.names, k.size)
    return VideoKeypoints(drawn, view.turned).as_shown().points


@pytest.mark.parametrize("turned", [0, 90, 180])
def test_one_camera_projects_the_markers_to_where_the_report_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turned: int
) -> None:
    times, _, points = squats()
    found = VideoKeypoints(see(small(camera()), times, points), turned)
    out, analysis = analyze(tmp_path, monkeypatch, [found], "--prior", "habits")
    journal = Journal()
    (read,) = mq.read_cameras(out / "cameras.toml", journal=journal)
    assert not journal.notices and read.name == "cam1" and read.size == found.as_shown().size
    markers = mq.read_trc(out / "markers.trc", journal=Journal())
    assert analysis.video is not None
    (view,) = analysis.video.views
    expected = shown(view)
    pixels = mq.project(read, markers.positions)
    for k, name in enumerate(markers.names):
        np.testing.assert_allclose(pixels[:, k], expected[:, view.keypoints.names.index(name)], atol=1e-3)

    told = json.loads((out / "summary.json").read_text())["video"]["views"][0]
    assert told["turned_deg"] == turned
    c = told["camera"]
    local = markers.positions @ np.array(c["rotation"]).T + c["translation_m"]
    flat = local @ np.array(c["matrix_px"]).T
    order = [view.keypoints.names.index(name) for name in markers.names]
    np.testing.assert_allclose(flat[..., :2] / flat[..., 2:], view.reprojected[:, order], atol=1e-3)
    assert "focal length assumed" in c["source"]
    assert "the file has no metadata of the lens" in (out / "summary.json").read_text()
    assert c["distortion"] == [] and c["fisheye"] is False


def test_several_cameras_are_written_under_their_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file can be given as the calibration of the same videos."""
    times, _, points = squats()
    pair = [dataclasses.replace(small(camera(a, d)), name=n) for a, d, n in ((60.0, 4.0, "cam1"), (-50.0, 5.0, "cam2"))]
    mq.write_cameras(tmp_path / "Calib.toml", pair)
    found = [VideoKeypoints(see(cam, times, points)) for cam in pair]
    out, analysis = analyze(tmp_path, monkeypatch, found, "--cameras", tmp_path / "Calib.toml")
    read = mq.read_cameras(out / "cameras.toml", journal=Journal())
    assert [one.name for one in read] == ["cam1", "cam2"]
    markers = mq.read_trc(out / "markers.trc", journal=Journal())
    assert analysis.video is not None
    for one, view in zip(read, analysis.video.views, strict=True):
        order = [view.keypoints.names.index(name) for name in markers.names]
        np.testing.assert_allclose(mq.project(one, markers.positions), view.reprojected[:, order], atol=1e-3)
    refused = ["analyze", "cam1.mp4", "cam2.mp4", "--cameras", "out/cameras.toml", "--out", "out"]
    monkeypatch.chdir(tmp_path)
    assert main(refused) == 2  # it would be written over


@pytest.mark.parametrize(
    "lens", [(), (0.1, -0.2, 1e-3, 2e-3), (0.1, -0.2, 1e-3, 2e-3, 0.05), tuple(0.01 * np.arange(8))]
)
@pytest.mark.parametrize("upside_down", [False, True])
def test_what_is_written_is_read(tmp_path: Path, lens: tuple[float, ...], upside_down: bool) -> None:
    """Cameras far apart, held anyhow, with any name: the file itself says where up is, and that lengths are metres."""
    rotation = Rotation.from_rotvec([0.3, 2.0, 0.4 + np.pi * upside_down]).as_matrix()
    matrix = np.array([[1500.0, 0.5, 540.2], [0.0, 1502.0, 960.7], [0.0, 0.0, 1.0]])
    odd = 'a "quoted"\\ \u00e9\U0001f600\x7f'
    cameras = [
        Camera(odd, (1080, 1920), matrix, rotation, np.array([0.1, 0.2, 3.0]), np.array(lens)),
        Camera("fish", (1080, 1920), matrix, rotation, np.array([90.0, 0, 0]), np.array([0.1, 0.0, 0.0, 0.01]), True),
    ]
    mq.write_cameras(tmp_path / "c.toml", cameras)
    journal = Journal()
    for one, two in zip(cameras, mq.read_cameras(tmp_path / "c.toml", journal=journal), strict=True):
        assert (two.name, two.size, two.fisheye) == (one.name, one.size, one.fisheye)
        for what in ("matrix", "rotation", "translation"):
            np.testing.assert_allclose(getattr(two, what), getattr(one, what), atol=1e-12)
        np.testing.assert_allclose(two.distortion[: len(one.distortion)], one.distortion, atol=0)
        assert not two.distortion[len(one.distortion) :].any()
    assert not journal.notices
    table = tomllib.loads((tmp_path / "c.toml").read_text(encoding="utf-8"))["cam_01"]
    # Pose2Sim's world has Z up, and OpenCV's pixels begin in the middle of the first one.
    world = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    np.testing.assert_allclose(Rotation.from_rotvec(table["rotation"]).as_matrix(), rotation @ world, atol=1e-12)
    np.testing.assert_allclose(np.array(table["matrix"])[:2, 2], [539.7, 960.2], atol=1e-9)
