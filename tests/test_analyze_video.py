"""`motorque analyze` on videos: from the command line to the files, on made keypoints and on a real recording."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import motorque.workflows.video as video_workflow
from motorque.cli import main
from motorque.files.motion_files import read_motion
from motorque.files.osim import load_skeleton
from motorque.journal import Journal
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.workflows.video import view_names
from small_videos import numbered, write_video
from test_keypoint_fit import camera, see, squats


@pytest.fixture
def squat_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small video whose keypoints, made from known squats, need not be found."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "squat.mp4"
    write_video(path, numbered(91, (192, 128)))
    times, _, points = squats()
    cam = camera(focal=140.0)
    matrix = np.array([[140.0, 0, 64], [0, 140.0, 96], [0, 0, 1]])
    cam = dataclasses.replace(cam, size=(128, 192), matrix=matrix)
    found = VideoKeypoints(see(cam, times, points))
    monkeypatch.setattr(video_workflow, "find_all_keypoints", lambda requests, **options: [found for _ in requests])
    return path


def run(*arguments: object) -> int:
    return main(["analyze", *map(str, arguments)])


@pytest.mark.parametrize("prior", ["learned", "habits"])
def test_one_video_gives_every_result(squat_video: Path, prior: str) -> None:
    assert run(squat_video, "--height", 1.7, "--mass", 70, "--prior", prior, "--out", "out") == 0
    out = squat_video.parent / "out"
    names = {"model.osim", "markers.trc", "kinematics.mot", "loads.mot", "kinetics.sto", "summary.json", "report.html"}
    assert names <= {p.name for p in out.iterdir()}
    motion = read_motion(out / "kinematics.mot", load_skeleton(out / "model.osim"), journal=Journal())
    times, q, _ = squats()
    k = motion.names.index("knee_angle_r")
    expected = np.interp(motion.times, times, q[:, k])
    assert np.degrees(np.abs(motion.values[:, k] - expected).mean()) < 6.0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["motion_prior"] == prior
    assert summary["subject"]["mass_kg"] == pytest.approx(70)
    assert "video" in summary


def test_a_model_of_ones_own_is_scaled(squat_video: Path, data: Path) -> None:
    model = data / "models" / "LaiUhlrich2022.osim"
    assert run(squat_video, "--height", 1.7, "--model", model, "--prior", "habits", "--out", "out") == 0
    scaled = load_skeleton(squat_video.parent / "out" / "model.osim")
    assert scaled.total_mass() == pytest.approx(75.3, abs=1.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--height", "180"], "did you mean 1.8"),
        (["--fov", "3"], "angle of view"),
        (["--static", "squat.mp4"], "is not a"),
        (["--loads", "grf.mot"], "no such file"),
        (["--units", "mm"], "goes with marker recordings"),
        (["--cameras", "missing.toml"], "no such file"),
        (["--facing", "up"], "invalid choice"),
    ],
)
def test_wrong_options_are_one_line(squat_video, arguments, words, capsys) -> None:  # type: ignore[no-untyped-def]
    try:
        code = run(squat_video, *arguments, "--out", "out")
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    told = capsys.readouterr().err.strip()
    assert words in told and "\n" not in told
    assert not (squat_video.parent / "out").exists()


@pytest.mark.parametrize(
    ("frames", "seen", "words"),
    [(2, 2, "are too few for a motion"), (3, 3, "are too few for a motion"), (40, 3, "the person is seen in 3 of the")],
)
def test_too_few_frames_are_one_line(squat_video, frames, seen, words, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    (whole,) = video_workflow.find_all_keypoints([squat_video])
    cut = whole.keypoints.frames(np.arange(frames))
    points, confidence = cut.points.copy(), cut.confidence.copy()
    points[seen:], confidence[seen:] = np.nan, 0.0
    few = VideoKeypoints(dataclasses.replace(cut, points=points, confidence=confidence, world=None))
    monkeypatch.setattr(video_workflow, "find_all_keypoints", lambda requests, **options: [few for _ in requests])
    assert run(squat_video, "--out", "out") == 2
    told = capsys.readouterr().err.strip()
    assert words in told and "\n" not in told
    assert not Path("out").exists()


def test_options_of_videos_are_refused_for_markers(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    Path("walk.trc").write_text("content")
    assert run("walk.trc", "--fov", 60, "--out", "out") == 2
    assert "--fov: goes with videos" in capsys.readouterr().err


def test_videos_and_markers_do_not_mix(squat_video, capsys) -> None:  # type: ignore[no-untyped-def]
    Path("walk.trc").write_text("content")
    assert run(squat_video, "walk.trc", "--out", "out") == 2
    assert "videos or a marker recording" in capsys.readouterr().err


def test_several_videos_need_a_calibration(squat_video, capsys) -> None:  # type: ignore[no-untyped-def]
    assert run(squat_video, squat_video, "--out", "out") == 2
    assert "--cameras" in capsys.readouterr().err


def test_views_have_names_of_their_own() -> None:
    assert view_names([Path("a.mp4"), Path("b.mp4")]) == ("a", "b")
    assert view_names([Path("Cam0/x.mp4"), Path("Cam1/x.mp4")]) == ("Cam0_x", "Cam1_x")
    assert view_names([Path("x.mp4"), Path("x.mp4")]) == ("1_x", "2_x")


def test_a_text_called_video_is_named(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    Path("song.mp4").write_bytes(b"not a video at all")
    assert run("song.mp4", "--out", "out") == 2
    told = capsys.readouterr().err.strip()
    assert "song.mp4" in told and "\n" not in told
    assert not Path("out").exists() and not Path("out.keypoints").exists()


def test_nobody_in_the_video_leaves_nothing_behind(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("mediapipe", reason="mediapipe is not installed (extra video)")
    monkeypatch.chdir(tmp_path)
    write_video(Path("grey.mp4"), numbered(20, (192, 128)))
    assert run("grey.mp4", "--out", "out") == 2
    told = capsys.readouterr().err.strip()
    assert "nobody is found" in told
    assert {p.name for p in tmp_path.iterdir()} == {"grey.mp4"}


def test_a_real_walk(data: Path, tmp_path: Path) -> None:
    """Near marker-based motion capture; `benchmarks/video_angles.py` has the figures."""
    pytest.importorskip("mediapipe", reason="mediapipe is not installed (extra video)")
    folder = data / "video" / "opencap_walk"
    out = tmp_path / "out"
    assert main(["analyze", str(folder / "video.mp4"), "--out", str(out), "--quiet", "--no-pictures"]) == 0
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
    from video_angles import compare, read_angles, read_bodies

    mean, _, _ = compare(read_bodies(folder / "sample_mocap.json"), read_angles(out / "kinematics.mot"))
    assert mean < 5.0
