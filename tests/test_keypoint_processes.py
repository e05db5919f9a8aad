"""Keypoints of several videos, each found by a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.vision import keypoint_processes
from motorque.vision.keypoint_processes import Request, find_all_keypoints
from motorque.vision.keypoints import find_keypoints
from motorque.vision.point_orders import BODY_25
from small_videos import numbered, write_video


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """A small video with OpenPose's points of one person in every frame."""
    video = write_video(tmp_path / "one.mp4", numbered(12, (192, 128)))
    folder = tmp_path / "json"
    folder.mkdir()
    for k in range(12):
        points = [[20.0 + 3 * j + k, 30.0 + 2 * j, 0.9] for j in range(len(BODY_25))]
        people = [{"pose_keypoints_2d": [x for point in points for x in point]}]
        (folder / f"one_{k:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    return Request(video, tmp_path / "kept.npz", detector=str(folder))


def test_a_request_survives_its_way(request_: Request) -> None:
    full = dataclasses.replace(request_, model=Path("m.onnx"), start=0.5, end=2.0, person=1, turn=90)
    assert Request.unpacked(full.packed()) == full
    assert Request.unpacked(request_.packed()) == request_


def test_another_process_finds_the_same(request_: Request) -> None:
    journal, told = Journal(), list[float]()
    apart = find_all_keypoints([request_] * 2, journal=journal, progress=lambda what, share: told.append(share))
    here = find_keypoints(request_.path, detector=request_.detector, journal=Journal())
    for found in apart:
        assert (found.keypoints.points == here.keypoints.points).all()
        assert found.keypoints.names == here.keypoints.names


def test_what_is_wrong_is_said_as_in_one_process(request_: Request, tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    for wrong, kind in ((dataclasses.replace(request_, path=empty), FileFormatError),
                        (dataclasses.replace(request_, start=50.0), DataError)):  # fmt: skip
        with pytest.raises(kind) as here:
            wrong.answer(Journal(), lambda what, share: None)
        with pytest.raises(kind) as apart:
            find_all_keypoints([request_, wrong], journal=Journal())
        assert str(apart.value) == str(here.value)


def test_a_killed_process_is_named(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_processes, "SERVE", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    with pytest.raises(DataError, match="ended from outside .*signal 15"):
        find_all_keypoints([request_], journal=Journal())


def test_what_others_print_first_is_passed_over(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a ``sitecustomize`` may, before the process's own words: more than fits into a pipe, in no encoding."""
    noise = "import os; os.write(1, b'\\xff hello\\n42\\n' + b'x' * 300_000 + b'\\n')"
    monkeypatch.setattr(keypoint_processes, "SERVE", f"{noise}; {keypoint_processes.SERVE}")
    (found,) = find_all_keypoints([request_], journal=Journal())
    assert len(found.keypoints.times) == 12


def test_a_process_that_does_not_end_is_ended(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_processes, "PATIENCE", 0.5)
    silent = "import os, time; os.write(1, b'{}\\n'); os.close(1); time.sleep(60)"
    monkeypatch.setattr(keypoint_processes, "SERVE", silent)
    with pytest.raises(DataError, match="ended from outside .*signal 9"):
        find_all_keypoints([request_], journal=Journal())


def test_a_fault_is_no_wrong_input(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from motorque.vision import keypoint_processes as k; k.find_keypoints = None; k.serve()"
    monkeypatch.setattr(keypoint_processes, "SERVE", code)
    with pytest.raises(RuntimeError, match="TypeError"):
        find_all_keypoints([request_], journal=Journal())


def test_the_current_folder_holds_no_modules(request_: Request, tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('taken from the current folder')")
    code = (
        "from pathlib import Path; from motorque.journal import Journal\n"
        "from motorque.vision.keypoint_processes import Request, find_all_keypoints\n"
        f"find_all_keypoints([Request.unpacked({request_.packed()!r})], journal=Journal()); print('found')"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "found\n", done.stderr
