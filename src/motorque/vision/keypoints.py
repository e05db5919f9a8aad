"""From a video file to the keypoints of one person: read, detect, follow, and keep the result on disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
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
from motorque.vision.frame_choice import FrameChoice
from motorque.vision.keypoint_checks import check_keypoints, check_rate
from motorque.vision.keypoint_file import (
    VideoKeypoints,
    check_ours,
    content_hash,
    read_video_keypoints,
    write_keypoints,
)
from motorque.vision.openpose_json import read_openpose
from motorque.vision.person import Follower, spans
from motorque.vision.picture import turned as turn_picture
from motorque.vision.upright import find_turn
from motorque.vision.video import Frame, Video

FPS = 30.0
"""Frames a second that are looked at, at most: the fit gains nothing from more."""

AHEAD = 3
"""Frames that are decoded ahead of the detector, by a thread of its own."""


def find_keypoints(
    path: Path | str,
    *,
    detector: str | Path | Detector = "mediapipe",
    model: Path | str | None = None,
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
        detector: ``"mediapipe"``, ``"rtmpose"``, a folder of OpenPose's JSON files made from this video, or an object.
        model: ONNX file for ``"rtmpose"``.
        fps: Frames a second to look at, at most [Hz].
        start: Leave out what is before this time [s].
        end: Leave out what is after this time [s].
        person: Which one to follow, 0 for the largest in the first picture with that many; the largest if None.
        turn: By how many degrees to turn the picture counter-clockwise, 0, 90, 180 or 270; found if None.
        cache: File to keep the result in, and to take it from where it was made from the same video in the same way.
        journal: Where everything noticed is recorded.
        progress: Told how far it is.

    Raises:
        FileFormatError: The file is no video, or cannot be read.
        DataError: Nobody is in it, or not that many people; no frame lies between the times; an unknown detector.
        MissingExtraError: The detector is not installed.
        OutputError: The result cannot be kept at ``cache``, or a file is there that is something else.
    """
    path = Path(path)
    if not fps > 0:
        raise DataError(f"fps is {fps:g}; give the frames a second to look at, above zero")
    if turn not in (None, 0, 90, 180, 270):
        raise DataError(f"the picture cannot be turned by {turn} degrees; give 0, 90, 180 or 270")
    own = Journal(listener=lambda notice: journal.add(notice.kind, notice.text, notice.about))
    if cache is not None:
        check_ours(cache)
    video = Video(path, journal=own)
    video.check_interval(start, end)
    if not isinstance(detector, str | Path):
        label, make = detector.label, _already(detector)
    elif str(detector) in DETECTORS:
        label, make = DETECTORS[str(detector)](model)
    else:
        if turn:
            raise DataError(f"the points in {detector} are where they are: no picture is turned; leave --turn out")
        if model is not None:
            raise DataError(f"{model}: is not used with the points in {detector}; leave the model out")
        found = _from_json(video, Path(detector), fps, start, end, person, own)
        if cache is not None:
            write_keypoints(cache, found)
        return found
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
    at_work = make()
    try:
        found = _detect(video, at_work, fps, start, end, person, turn, own, progress)
    finally:
        if at_work is not detector:  # what the caller made stays the caller's
            at_work.close()
    found = replace(found, notices=tuple(own.notices), key=key)
    if cache is not None:
        write_keypoints(cache, found)
    return found


Made = tuple[str, Callable[[], Detector]]
"""A detector's label, and what makes it: it is not made where its result is on disk."""


def _mediapipe(model: Path | str | None) -> Made:
    from motorque.vision.mediapipe_detector import MediaPipeDetector

    if model is not None:
        raise DataError(f"{model}: the detector mediapipe has its model built in; --model goes with --detector rtmpose")
    return MediaPipeDetector.label, MediaPipeDetector


def _rtmpose(model: Path | str | None) -> Made:
    from motorque.vision import rtmpose

    if model is None:
        raise DataError("the detector rtmpose needs a model file of yours: --model FILE.onnx")
    chosen = model
    return rtmpose.label(chosen), lambda: rtmpose.RTMPoseDetector(chosen, finder=rtmpose.finder_if_any())


DETECTORS: dict[str, Callable[[Path | str | None], Made]] = {"mediapipe": _mediapipe, "rtmpose": _rtmpose}
"""The detectors that have a name."""


def _already(detector: Detector) -> Callable[[], Detector]:
    return lambda: detector


def _from_json(
    video: Video,
    folder: Path,
    fps: float,
    start: float | None,
    end: float | None,
    person: int | None,
    journal: Journal,
) -> VideoKeypoints:
    if not folder.is_dir():
        raise DataError(
            f"{folder}: is no detector; give {', '.join(DETECTORS)}, or a folder of OpenPose's JSON files of the video"
        )
    keypoints = read_openpose(folder, times=video.times, size=video.size, person=person, journal=journal)
    keypoints = keypoints.between(start, end)
    chosen = FrameChoice.of_rate(video.rate, fps).choose((k, float(time)) for k, time in enumerate(keypoints.times))
    keypoints = keypoints.frames(np.array([k for k, _ in chosen]))
    check_rate(keypoints, journal, about=str(video.path))
    return VideoKeypoints(keypoints, 0, video.focal_length, (), tuple(journal.notices))


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
        raise DataError(
            f"{about}: one frame only is looked at, a motion needs at least two; give a longer interval or more frames "
            "a second"
        )
    follower.report(journal, about=about)
    for after, before in follower.wrong:
        people = [None if after < time < before else p for p, time in zip(people, times, strict=True)]
    if camera.moving:
        journal.warn(
            f"the camera moves {spans(camera.moving)}; the fit takes it to stand still, so put it on a stand", about
        )
    size = video.size[::-1] if turn in (90, 270) else video.size
    shown = video.picture_size()
    scale = np.array(size) / np.array(shown[::-1] if turn in (90, 270) else shown)
    keypoints = _collect(times, people, detector, size, scale)
    check_keypoints(keypoints, journal, about=about)
    check_rate(keypoints, journal, about=about)
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


def _ahead(frames: Generator[Frame, None, None]) -> Iterator[Frame]:
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
        finally:
            frames.close()  # here, in the thread that has opened the file
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
