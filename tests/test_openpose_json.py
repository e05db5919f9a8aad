"""Keypoints that other programs have found: OpenPose's JSON, by the number of points, with people who come and go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.errors import DataError, MotorqueError
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.vision.keypoints import find_keypoints
from motorque.vision.point_orders import BODY_25, BY_COUNT, COCO_17, HALPE_26, OPENPOSE_COCO_18
from small_videos import numbered, write_video


def person(count: int, x: float = 300.0, height: float = 200.0) -> np.ndarray:
    """Points below one another, at x, with confidence 0.8."""
    return np.stack([np.full(count, x), 100 + np.linspace(0, height, count), np.full(count, 0.8)], axis=1)


def write_frames(folder: Path, frames: list[list[np.ndarray]], *, first: int = 0, skip: tuple[int, ...] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, people in enumerate(frames):
        if k not in skip:
            content = {"version": 1.3, "people": [{"pose_keypoints_2d": one.ravel().tolist()} for one in people]}
            (folder / f"cam_{first + k:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


def read(folder: Path, **options: object) -> tuple[Keypoints, str]:
    journal = Journal()
    keypoints = mq.read_openpose(folder, **{"fps": 60.0, "size": (640, 480), "journal": journal, **options})
    return keypoints, " | ".join(f"{notice.kind}: {notice.text}" for notice in journal.notices)


@pytest.mark.parametrize("count", BY_COUNT)
def test_orders_are_known_by_their_number_of_points(tmp_path: Path, count: int) -> None:
    keypoints, said = read(write_frames(tmp_path / "j", [[person(count)]] * 4))
    assert keypoints.names == BY_COUNT[count] and len(set(keypoints.names)) == count
    np.testing.assert_allclose(keypoints.times, np.arange(4) / 60)
    np.testing.assert_allclose(keypoints.points[2], person(count)[:, :2])
    assert (keypoints.confidence == 0.8).all() and said == ""


def test_the_orders_are_those_of_their_makers() -> None:
    """A few numbers that their documentations name: OpenPose's 02_output.md, COCO's annotations, Halpe's list."""
    assert [BODY_25.index(n) for n in ("neck", "pelvis", "hip_l", "ear_r", "big_toe_l", "heel_l", "heel_r")] == [
        1,
        8,
        12,
        17,
        19,
        21,
        24,
    ]
    assert [OPENPOSE_COCO_18.index(n) for n in ("neck", "wrist_r", "hip_r", "ankle_l", "eye_r")] == [1, 4, 8, 13, 14]
    assert [COCO_17.index(n) for n in ("eye_l", "shoulder_r", "wrist_l", "hip_l", "ankle_r")] == [1, 6, 9, 11, 16]
    assert [HALPE_26.index(n) for n in ("head_top", "neck", "pelvis", "big_toe_l", "small_toe_r", "heel_r")] == [
        17,
        18,
        19,
        20,
        23,
        25,
    ]


def test_points_that_were_not_found(tmp_path: Path) -> None:
    one = person(25)
    one[[3, 7]] = 0
    keypoints, _ = read(write_frames(tmp_path / "j", [[one]] * 3))
    assert (~keypoints.seen).sum(1).tolist() == [2, 2, 2] and (keypoints.confidence[:, [3, 7]] == 0).all()


def test_gaps_between_frames_and_numbers_that_start_late(tmp_path: Path) -> None:
    frames = [[person(17, x=300 + k)] for k in range(30)]
    frames[10] = []
    keypoints, said = read(write_frames(tmp_path / "j", frames, first=12, skip=(4, 5)))
    assert len(keypoints.times) == 28 and keypoints.times[0] == 0 and keypoints.times[4] == pytest.approx(6 / 60)
    assert "warning: 2 frames between the first and the last have no file" in said
    assert "warning: the person is not found at 0.17 s" in said


def test_files_of_a_part_of_the_video_keep_their_frames(tmp_path: Path) -> None:
    times = np.arange(91) / 30
    folder = write_frames(tmp_path / "part", [[person(17)]] * 40, first=50)
    part, said = read(folder, fps=None, times=times)
    np.testing.assert_allclose(part.times, times[50:90])
    assert "assumption: the first file has the number 50: frames are counted from 0 in the video" in said
    assert "1.67 s" in said
    for first in (0, 1):  # both are usual
        whole, said = read(write_frames(tmp_path / f"whole{first}", [[person(17)]] * 91, first=first), times=times)
        np.testing.assert_allclose(whole.times, times)
        assert said == ""
    cut, said = read(write_frames(tmp_path / "cut", [[person(17)]] * 91, first=300), times=times)
    np.testing.assert_allclose(cut.times, times)
    assert "warning: the files have the numbers 300 to 390: number 300 is taken for the first of the video's 91" in said
    _, said = read(folder)
    assert "warning: the files have the numbers 50 to 89: number 50 is taken for the video's first frame" in said


def test_one_person_is_followed_by_place(tmp_path: Path) -> None:
    """Two walk towards each other, listed in any order; a third one appears in a single frame."""
    frames = []
    for k in range(40):
        people = [person(25, 100 + 5 * k, 200), person(25, 500 - 2 * k, 150)]
        frames.append(people[:: 1 if k % 3 else -1] + ([person(25, 350, 300)] if k == 20 else []))
    folder = write_frames(tmp_path / "j", frames)
    large, said = read(folder)
    np.testing.assert_allclose(large.points[:, 0, 0], 100 + 5 * np.arange(40))
    assert "assumption: up to 3 people are in a frame; the largest when the first appeared is followed" in said
    small, said = read(folder, person=1)
    assert "the second largest (number 1) is followed" in said
    np.testing.assert_allclose(small.points[:, 0, 0], 500 - 2 * np.arange(40))
    with pytest.raises(DataError, match="no frame shows 4 people at once, at most 3; choose --person 0 to 2"):
        read(folder, person=3)
    alone = write_frames(tmp_path / "alone", [[person(25)]] * 3)
    with pytest.raises(DataError, match="no frame shows 8 people at once, at most 1; leave --person out"):
        read(alone, person=7)


def test_somebody_else_after_a_long_absence_is_said(tmp_path: Path) -> None:
    frames = [[person(25, 100)]] * 10 + [[]] * 90 + [[person(25, 600)]] * 10
    keypoints, said = read(write_frames(tmp_path / "j", frames))
    assert (keypoints.points[-5:, 0, 0] == 600).all()
    assert "warning: after being lost, perhaps another person is followed from 1.7 s" in said


def test_what_openpose_did_not_write(tmp_path: Path) -> None:
    good = [[person(25)]] * 3
    cases: list[tuple[Path, str]] = []

    def case(name: str, wrong: str, content: str | None = None, file: str = "cam_000000000001_keypoints.json") -> Path:
        folder = write_frames(tmp_path / name, good)
        if content is not None:
            (folder / file).write_text(content)
        cases.append((folder, wrong))
        return folder

    case("broken", "is not what OpenPose writes", "{")
    case("list", "is not what OpenPose writes", "[]")
    case("deep", "is not what OpenPose writes", "[" * 100_000)
    case("words", "is not what OpenPose writes", '{"people": [{"pose_keypoints_2d": ["a", 1, 1]}]}')
    case("infinite", "all numbers", '{"people": [{"pose_keypoints_2d": [1e999, 1, 1]}]}')
    case("pairs", "x, y and confidence", '{"people": [{"pose_keypoints_2d": [1, 2, 3, 4]}]}')
    case("mixed", "the same in all frames", '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}')
    case("unnumbered", "has no frame number in its name", "{}", "keypoints.json")
    case("twice", "has the same frame number", "{}", "other_000000000001.json")
    case("far", "is far from the others'", "{}", "cam_099999999999_keypoints.json")
    cases.append((write_frames(tmp_path / "none", [[], []]), "nobody is in any of its 2 frames"))
    cases.append((write_frames(tmp_path / "count", [[person(21)]] * 2), "21 points a person; known are 17, 18, 25, 26"))
    cases.append((write_frames(tmp_path / "one", [[person(17)]]), "holds one frame only"))
    cases.append((write_frames(tmp_path / "empty", []), "holds no .json file"))
    cases.append((tmp_path / "missing", "is no folder of JSON files"))
    share = person(25) * (1 / 640, 1 / 480, 1)
    cases.append((write_frames(tmp_path / "share", [[share]] * 3), "shares of the picture's size"))
    for folder, wrong in cases:
        with pytest.raises(MotorqueError) as caught:
            read(folder)
        assert wrong in str(caught.value) and str(folder) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(DataError, match="give the video too, or its frame rate with --fps"):
        read(tmp_path / "broken", fps=None)


def test_without_a_size_it_is_guessed_and_said(tmp_path: Path) -> None:
    keypoints, said = read(write_frames(tmp_path / "j", [[person(25)]] * 3), size=None)
    assert keypoints.size == (301, 301) and "warning: the picture's size is not known" in said


def test_a_folder_with_its_video(tmp_path: Path) -> None:
    """The video gives times, size and nothing else: frames are thinned to 30 a second like any."""
    video = write_video(tmp_path / "v.mp4", numbered(60, (480, 640)), fps=60)
    folder = write_frames(tmp_path / "j", [[person(25, 100 + k)] for k in range(60)])
    found = find_keypoints(video, detector=folder, start=0.25, cache=tmp_path / "k.npz", journal=Journal())
    assert found.keypoints.size == (640, 480) and len(found.keypoints.times) == 23
    np.testing.assert_allclose(found.keypoints.times, 0.25 + np.arange(23) / 30, atol=2e-3)
    np.testing.assert_allclose(found.keypoints.points[:, 0, 0], 115 + 2 * np.arange(23))
    assert mq.read_keypoints(tmp_path / "k.npz").names == BODY_25

    for settings, wrong in (({"turn": 90}, "no picture is turned; leave --turn out"),
                            ({"model": "m.onnx"}, "m.onnx: is not used")):  # fmt: skip
        with pytest.raises(DataError, match=wrong):
            find_keypoints(video, detector=folder, journal=Journal(), **settings)  # type: ignore[arg-type]

    write_frames(tmp_path / "j", [[person(25)]] * 70)
    with pytest.raises(DataError, match="up to number 69, the video 60"):
        find_keypoints(video, detector=folder, journal=Journal())
