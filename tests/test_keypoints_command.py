"""``motorque keypoints``: its options arrive, wrong ones are answered in one line, and nothing is left of a failure."""

from __future__ import annotations

import re
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motorque.cli import main
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.vision.keypoint_file import VideoKeypoints
from small_videos import numbered, write_video


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a_folder").mkdir()
    for name in ("v.mp4", "m.onnx", "m.txt"):
        Path(name).write_text("content")
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    noted: list[tuple[Any, dict[str, Any]]] = []
    points = np.zeros((4, 1, 2))
    points[1] = np.nan

    def step(video: Path, **options: Any) -> VideoKeypoints:
        noted.append((video, options))
        return VideoKeypoints(Keypoints(np.arange(4.0), points, np.ones((4, 1)), ("nose",), (64, 48)))

    fake = types.ModuleType("motorque.workflows.keypoints")
    fake.keypoints_step = step  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "motorque.workflows.keypoints", fake)
    return noted


def run(line: str) -> int:
    try:
        return main(shlex.split(line))
    except SystemExit as leave:
        assert isinstance(leave.code, int)
        return leave.code


def test_every_option_arrives(folder: Path, calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "keypoints v.mp4 --out k.npz --detector rtmpose --model m.onnx --fps 25 --start 1 --end 2 --person 1 --turn 180"
    )
    assert run(line) == 0
    ((video, options),) = calls
    assert video == Path("v.mp4") and isinstance(options.pop("journal"), Journal) and callable(options.pop("progress"))
    assert options == {
        "detector": "rtmpose",
        "model": Path("m.onnx"),
        "fps": 25.0,
        "start": 1.0,
        "end": 2.0,
        "person": 1,
        "turn": 180,
        "out": Path("k.npz"),
    }
    assert capsys.readouterr().out == "keypoints: k.npz (4 frames, the person in 3 of them)\n"


def test_defaults(folder: Path, calls: list[Any]) -> None:
    assert run("keypoints v.mp4 --out k.npz") == 0
    options = calls[0][1]
    assert (options["detector"], options["fps"]) == ("mediapipe", 30.0)
    assert [options[name] for name in ("model", "start", "end", "person", "turn")] == [None] * 5


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("keypoints a_folder --out k.npz", "a_folder is a folder"),
        ("keypoints missing.mp4 --out k.npz", "missing.mp4: there is no such file"),
        ("keypoints v.mp4", "--out"),
        ("keypoints v.mp4 --out k.npz --fps 0", "0 is no frame rate; give frames a second above zero"),
        ("keypoints v.mp4 --out k.npz --person -1", "person's number|expected one argument"),
        ("keypoints v.mp4 --out k.npz --person first", "'first' is no person's number; give 0 for the largest"),
        ("keypoints v.mp4 --out k.npz --turn 45", "'45' is no quarter turn; give 0, 90, 180 or 270"),
        ("keypoints v.mp4 --out k.npz --model m.txt", "m.txt is not a .onnx file"),
        ("keypoints v.mp4 --out k.npz --start 2 --end 1", "--end: 1 s is not after --start, 2 s"),
        ("keypoints v.mp4 --out v.mp4", "v.mp4: is an input and would be overwritten"),
        ("keypoints v.mp4 --out a_folder", "there is a folder of that name"),
        ("keypoints v.mp4 --out k.npz --detector yolo", "cannot be read as a video"),
    ],
)
def test_wrong_options_are_one_line(folder: Path, line: str, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in folder.iterdir())
    assert run(line) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and re.search(wrong, said.err), said.err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_wrong_detectors_on_a_video_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(folder / "v.mp4", numbered(10))
    for options, wrong in (
        ("--detector yolo", "motorque: yolo: is no detector; give mediapipe, rtmpose, or a folder of OpenPose's JSON"),
        ("--detector a_folder", "motorque: a_folder: holds no .json file"),
        ("--detector rtmpose", "motorque: the detector rtmpose needs a model file of yours: --model FILE.onnx"),
        ("--model m.onnx", "motorque: m.onnx: the detector mediapipe has its model built in"),
        ("--start 5", "motorque: v.mp4: no frame lies after 5 s; the video lasts 0.33 s"),
    ):
        assert run(f"keypoints v.mp4 --out k.npz {options}") == 2
        said = capsys.readouterr()
        assert said.err.startswith(wrong) and said.err.count("\n") == 1, said.err
        assert not Path("k.npz").exists()
