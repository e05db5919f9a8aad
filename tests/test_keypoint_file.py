"""Keypoints on disk: written whole, read with suspicion, made anew where anything that they depend on has changed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.errors import DataError, FileFormatError, OutputError
from motorque.journal import Journal, Notice
from motorque.series import Keypoints
from motorque.vision import keypoint_file
from motorque.vision.keypoint_file import VideoKeypoints, read_video_keypoints, write_keypoints
from motorque.vision.keypoints import find_keypoints
from small_videos import RED, FigureFinder, background, draw_figure, write_video


def some(frames: int = 5, *, world: bool = True) -> Keypoints:
    random = np.random.default_rng(0)
    points = random.uniform(0, 100, (frames, 3, 2))
    points[1, 2] = np.nan
    space = random.normal(size=(frames, 3, 3)) if world else None
    return Keypoints(
        np.arange(frames) / 30,
        points,
        random.uniform(0, 1, (frames, 3)),
        ("nose", "hip_r", "hip_l"),
        (100, 100),
        "made",
        space,
    )


def same(one: Keypoints, two: Keypoints) -> None:
    for name in ("times", "points", "confidence", "world"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (one.names, one.size, one.source) == (two.names, two.size, two.source)


@pytest.mark.parametrize("world", [True, False])
def test_what_is_written_is_read(tmp_path: Path, world: bool) -> None:
    path = tmp_path / "k.npz"
    mq.write_keypoints(path, some(world=world))
    same(mq.read_keypoints(path), some(world=world))

    whole = VideoKeypoints(
        some(), 180, 812.5, (1.0, 2.5), (Notice("warning", "the camera moves", "v.mp4"),), {"fps": 30.0}
    )
    write_keypoints(path, whole)
    read = read_video_keypoints(path)
    same(read.keypoints, whole.keypoints)
    assert (read.turned, read.focal_length, read.moving, read.notices, read.key) == (
        180,
        812.5,
        (1.0, 2.5),
        whole.notices,
        whole.key,
    )


def archive(path: Path, **changes: object) -> Path:
    write_keypoints(path, some())
    with np.load(path) as arrays:
        content = dict(arrays)
    content.update(changes)  # type: ignore[arg-type]
    np.savez(path, **{name: value for name, value in content.items() if value is not None})  # type: ignore[arg-type]
    return path


def test_what_is_no_keypoint_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "empty.npz").touch()
    whole = io.BytesIO()
    np.savez(whole, a=np.zeros(3))
    (tmp_path / "other.npz").write_bytes(whole.getvalue())
    write_keypoints(tmp_path / "cut.npz", some(500))
    content = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    damaged = bytearray(content)
    damaged[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    (tmp_path / "damaged.npz").write_bytes(bytes(damaged))
    archive(tmp_path / "pickled.npz", names=np.array([{"a": 1}], dtype=object))
    archive(tmp_path / "times.npz", times=np.array([0.0, 0.0, 1.0, 2.0, 3.0]))
    archive(tmp_path / "shape.npz", points=np.zeros((5, 2)))
    archive(tmp_path / "confidence.npz", confidence=np.full((5, 3), 2.0))
    archive(tmp_path / "about.npz", about=np.array("[1, 2]"))
    archive(tmp_path / "version.npz", about=np.array('{"version": 99, "source": "", "turned": 0}'))
    archive(tmp_path / "words.npz", times=np.array(list("abcde")))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(FileFormatError) as caught:
            mq.read_keypoints(path)
        assert str(path) in str(caught.value) and "motorque keypoints" in str(caught.value), path.name
    for name in ("missing.npz", "."):
        with pytest.raises(FileFormatError, match="check the name|is a folder"):
            mq.read_keypoints(tmp_path / name)


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_file, "LARGEST", 2**20)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("times.npy", bytes(2**21))
    assert path.stat().st_size < 10_000
    with pytest.raises(FileFormatError, match="no keypoints are that large"):
        mq.read_keypoints(path)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = []
    for k in range(20):
        picture = background((120, 240))
        draw_figure(picture, 60 + 3 * k, 60, 80, RED)
        frames.append(picture)
    return write_video(tmp_path / "v.mp4", frames, codec="libx264", options={"crf": "12"})


def test_the_result_is_kept_and_used_again(tmp_path: Path, video: Path) -> None:
    cache, finder = tmp_path / "out" / "k.npz", FigureFinder()
    first, again = Journal(), Journal()
    found = find_keypoints(video, detector=finder, cache=cache, journal=first)
    looked = finder.followed
    assert looked >= 20
    kept = find_keypoints(video, detector=finder, cache=cache, journal=again)
    assert finder.followed == looked and not finder.closed
    same(found.keypoints, kept.keypoints)
    assert [notice for notice in again.notices if notice.kind != "info"] == first.notices
    assert "those of an earlier run" in again.notices[0].text

    for change in ({"fps": 15}, {"start": 0.2}, {"end": 0.4}, {"turn": 0}, {"person": 0}):
        find_keypoints(video, detector=finder, cache=cache, journal=Journal(), **change)  # type: ignore[arg-type]
        assert finder.followed > looked, change
        looked = finder.followed
    finder.label = "other figures"  # type: ignore[misc]
    find_keypoints(video, detector=finder, cache=cache, journal=Journal(), person=0)
    assert finder.followed > looked
    looked = finder.followed
    video.write_bytes(video.read_bytes() + b"\0")  # another file, though it looks the same
    find_keypoints(video, detector=finder, cache=cache, journal=Journal(), person=0)
    assert finder.followed > looked


def test_what_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, video: Path) -> None:
    cache, journal = tmp_path / "k.npz", Journal()
    found = find_keypoints(video, detector=FigureFinder(), cache=cache, journal=Journal())
    cache.write_bytes(cache.read_bytes()[:200])
    again = find_keypoints(video, detector=FigureFinder(), cache=cache, journal=journal)
    same(found.keypoints, again.keypoints)
    assert any("is damaged; the keypoints are found again" in notice.text for notice in journal.notices)
    same(mq.read_keypoints(cache), found.keypoints)


@pytest.mark.parametrize(("fps", "few"), [(30, False), (10, False), (6, True)])
def test_few_frames_a_second_are_said(tmp_path: Path, video: Path, fps: float, few: bool) -> None:
    cache = tmp_path / "k.npz"
    for _ in range(2):  # also of what was kept
        journal = Journal()
        find_keypoints(video, detector=FigureFinder(), fps=fps, cache=cache, journal=journal)
        said = [notice.text for notice in journal.notices if notice.kind == "warning"]
        assert any(f"only {fps} frames a second are looked at" in text for text in said) == few


def test_nothing_else_is_written_over(tmp_path: Path, video: Path) -> None:
    precious = {"notes.txt": b"precious", "text.npz": b"precious"}
    for name, first in (("other.npz", "a"), ("motion.npz", "times")):
        whole = io.BytesIO()
        np.savez_compressed(whole, **{first: np.zeros(3)})  # type: ignore[arg-type]
        precious[name] = whole.getvalue()
    for name, content in precious.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OutputError, match=f"{name}: is there already and holds no keypoints"):
            find_keypoints(video, detector=FigureFinder(), cache=tmp_path / name, journal=Journal())
        assert (tmp_path / name).read_bytes() == content


def test_nothing_is_kept_of_a_failure(tmp_path: Path, video: Path) -> None:
    cache = tmp_path / "k.npz"
    with pytest.raises(DataError, match="nobody is found"):
        find_keypoints(video, detector=FigureFinder(colours=[]), cache=cache, journal=Journal())
    with pytest.raises(DataError, match="no frame lies "):
        find_keypoints(video, detector=FigureFinder(), start=5.0, turn=0, cache=cache, journal=Journal())
    with pytest.raises(DataError, match="one frame only"):
        find_keypoints(video, detector=FigureFinder(), end=0.01, turn=0, cache=cache, journal=Journal())
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        find_keypoints(video, detector=FigureFinder(), cache=tmp_path / "file" / "k.npz", journal=Journal())


def test_wrong_settings(video: Path) -> None:
    for settings, wrong in (
        ({"fps": 0.0}, "fps is 0"),
        ({"turn": 45}, "cannot be turned by 45"),
        ({"detector": "openpose"}, "openpose: is no detector; give mediapipe, rtmpose, or a folder"),
        ({"detector": "rtmpose"}, "needs a model file"),
        ({"detector": "mediapipe", "model": "m.onnx"}, "has its model built in"),
    ):
        with pytest.raises(DataError, match=wrong):
            find_keypoints(video, journal=Journal(), **settings)  # type: ignore[arg-type]


def test_a_fault_while_decoding_ends_the_thread_that_decodes(video: Path) -> None:
    import threading

    class Failing(FigureFinder):
        def follow(self, picture: object, region: object) -> None:
            raise RuntimeError("the model is broken")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the model is broken"):
        find_keypoints(video, detector=Failing(), turn=0, journal=Journal())
    assert threading.active_count() == before
