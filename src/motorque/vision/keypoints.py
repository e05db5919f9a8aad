"""From a video file to the keypoints of one person: read, detect, follow, and keep the result on disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from motorque import __version__
from motorque.errors import DataError, MotorqueError
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series import Keypoints
from motorque.vision.camera_motion import CameraMotion
from motorque.vision.detector import Detector, Person
from motorque.vision.keypoint_checks import check_keypoints
from motorque.vision.keypoint_file import VideoKeypoints, content_hash, read_video_keypoints, write_keypoints
from motorque.vision.person import Follower, spans
from motorque.vision.picture import turned as turn_picture
from motorque.vision.upright import find_turn
from motorque.vision.video import Frame, Video

FPS = 30.0
"""Frames a second that are looked at, at most: the fit gains nothing from more."""

AHEAD = 3
"""Frames that are decoded ahead of the detector, by a thread of its own."""


def detect_keypoints(
    path: Path | str,
    *,
    detector: Callable[[], Detector],
    label: str,
    fps: float = FPS,
    start: float | None = None,
    end: float | None = None,
    person: int | None = None,
    turn: int | None = None,
    cache: Path | None = None,
    journal: Journal,
    progress: Progress = silent,
) -> VideoKeypoints:
    """The keypoints of one person in a video.

    Args:
        path: The video.
        detector: Makes the detector; not called where the result is already on disk.
        label: The detector's label.
        fps: Frames a second to look at, at most [Hz].
        start: Leave out what is before this time [s].
        end: Leave out what is after this time [s].
        person: Which one to follow, 0 for the largest; the largest if None.
        turn: By how many degrees to turn the picture counter-clockwise, 0, 90, 180 or 270; found if None.
        cache: File to keep the result in, and to take it from where it was made from the same video in the same way.
        journal: Where everything noticed is recorded.
        progress: Told how far it is.

    Raises:
        FileFormatError: The file is no video, or cannot be read.
        DataError: Nobody is in it, or not that many people; or no frame lies between the times.
        OutputError: The result cannot be kept at ``cache``.
    """
    path = Path(path)
    own = Journal(listener=lambda notice: journal.add(notice.kind, notice.text, notice.about))
    video = Video(path, journal=own)
    key = {
        "video": content_hash(path),
        "detector": label,
        "fps": fps,
        "start": start,
        "end": end,
        "person": person,
        "turn": turn,
        "motorque": __version__,
    }
    kept = _kept(cache, key, journal)
    if kept is not None:
        for notice in kept.notices:
            journal.add(notice.kind, notice.text, notice.about)
        return kept
    progress("loading the detector", 0.0)
    at_work = detector()
    try:
        found = _detect(video, at_work, fps, start, end, person, turn, own, progress)
    finally:
        at_work.close()
    found = replace(found, notices=tuple(own.notices), key=key)
    if cache is not None:
        write_keypoints(cache, found)
    return found


def _kept(cache: Path | None, key: dict[str, Any], journal: Journal) -> VideoKeypoints | None:
    if cache is None or not cache.exists():
        return None
    try:
        kept = read_video_keypoints(cache)
    except MotorqueError:
        journal.info("what was kept of an earlier run is damaged; the keypoints are found again", str(cache))
        return None
    if kept.key != key:
        return None
    journal.info("the keypoints are those of an earlier run on the same video with the same settings", str(cache))
    return kept


def _detect(
    video: Video,
    detector: Detector,
    fps: float,
    start: float | None,
    end: float | None,
    person: int | None,
    turn: int | None,
    journal: Journal,
    progress: Progress,
) -> VideoKeypoints:
    about = str(video.path)
    if turn is None:
        turn = find_turn(video, detector, start=start, end=end, journal=journal, about=about)
    follower, camera = Follower(detector, person), CameraMotion()
    first = start or 0.0
    length = max(min(video.duration if end is None else end, video.duration) - first, 1e-9)
    times, people = [], []
    for frame in _ahead(video.frames(start=start, end=end, fps=fps, journal=journal)):
        picture = turn_picture(frame.picture, turn) if turn else frame.picture
        seen = follower.next(frame.time, picture)
        camera.look(frame.time, picture, None if seen is None else seen.points)
        times.append(frame.time)
        people.append(seen)
        progress("finding keypoints", min((frame.time - first) / length, 1.0))
    if len(times) < 2:
        raise DataError(f"{about}: one frame only lies between the times; a motion needs at least two")
    follower.report(journal, about=about)
    if camera.moving:
        journal.warn(
            f"the camera moves {spans(camera.moving)}; the fit takes it to stand still, so put it on a stand", about
        )
    size = video.size[::-1] if turn in (90, 270) else video.size
    shown = video.picture_size()
    scale = np.array(size) / np.array(shown[::-1] if turn in (90, 270) else shown)
    keypoints = _collect(times, people, detector, size, scale)
    check_keypoints(keypoints, journal, about=about)
    return VideoKeypoints(keypoints, turn, video.focal_length, tuple(camera.moving))


def _collect(
    times: list[float], people: list[Person | None], detector: Detector, size: tuple[int, int], scale: Any
) -> Keypoints:
    """Keypoints in pixels of the full picture; what lies outside of it is a guess of the detector, and left out."""
    frames, count = len(times), len(detector.names)
    points, confidence = np.full((frames, count, 2), np.nan), np.zeros((frames, count))
    world = np.full((frames, count, 3), np.nan)
    for k, person in enumerate(people):
        if person is not None:
            points[k], confidence[k] = person.points * scale, person.confidence
            if person.world is not None:
                world[k] = person.world
    with np.errstate(invalid="ignore"):
        outside = ((points < 0) | (points > np.array(size))).any(-1)
    points[outside], confidence[outside] = np.nan, 0.0
    in_space = world if np.isfinite(world).any() else None
    return Keypoints(np.array(times), points, confidence, detector.names, size, detector.label, in_space)


def _ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, made by another thread while the detector works on earlier ones; a few at a time."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=AHEAD)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        last: Any = None
        try:
            for frame in frames:
                if not put(frame):
                    return
        except BaseException as error:  # handed to whoever waits for the frames
            last = error
        put(last)

    thread = threading.Thread(target=work, name="motorque-frames", daemon=True)
    thread.start()
    try:
        while isinstance(item := ready.get(), Frame):
            yield item
        if item is not None:
            raise item
    finally:
        stop.set()
        thread.join()
