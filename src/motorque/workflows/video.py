"""The main job from video: keypoints first, then one fit of the whole recording, forces and a report.

What comes after the keypoints needs libraries that take seconds to load; they are loaded, and the report's pictures
made, while other processes find keypoints.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from motorque.errors import DataError
from motorque.files.calibration import read_cameras
from motorque.files.calibration_videos import cameras_for_videos
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series import Camera
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.vision.keypoint_processes import Request, find_all_keypoints
from motorque.vision.keypoints import DETECTORS, FPS
from motorque.vision.video import Video
from motorque.workflows.clock import Clock

if TYPE_CHECKING:
    from motorque.fitting.keypoint_fit import Direction
    from motorque.report.film import Takes
    from motorque.skeleton.fullbody import Sex


OUTPUT_RATE = 60.0
"""Frames a second of the results [Hz]: the fit's smooth curves, evenly sampled for filters and derivatives."""

WITH_DEPTH = ("mediapipe",)
"""Detectors that tell depth; with others one video needs the learned prior."""

BESIDE = 15
"""Niceness of what is done beside the detectors."""


@dataclass(frozen=True)
class VideoOptions:
    """What a user may say of a video.

    Args:
        fps: Frames a second to look at, at most.
        fov: Angle of view along the picture's longer side [deg]; from the file or a prior if None.
        facing: The axis of the results' ground that the person faces on average, ``+x``, ``-x``, ``+z`` or ``-z``;
            ``auto`` is +X, and the way that was gone instead where that is far.
        person: Which person to follow where there are several, 0 for the largest; the largest if None.
        turn: By how many degrees to turn the pictures counter-clockwise, 0, 90, 180 or 270; found if None.
        cameras: A calibration file of the cameras, or None for a single camera that is not calibrated.
        detector: ``mediapipe``, ``rtmpose``, or a folder of OpenPose's JSON files.
        detector_model: The detector's own model file, for those that need one.
        pictures: Whether the report shows pictures of the videos.
        blur_faces: Whether the person's face is made coarse in them.
        prior: ``learned`` from many motions, or ``habits``, weak general ones; for a single video.
    """

    fps: float = FPS
    fov: float | None = None
    facing: Direction = "auto"
    person: int | None = None
    turn: int | None = None
    cameras: Path | None = None
    detector: str = "mediapipe"
    detector_model: Path | None = None
    pictures: bool = True
    blur_faces: bool = False
    prior: Literal["learned", "habits"] = "learned"


def analyze_video(
    inputs: Sequence[Path],
    out: Path,
    *,
    options: VideoOptions | None = None,
    model: Path | None = None,
    height: float | None = None,
    mass: float | None = None,
    sex: Sex = "unknown",
    cutoff: float | None = None,
    start: float | None = None,
    end: float | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
    command: str = "",
) -> Path:
    """Analyse one movement seen in one video, or in several of calibrated cameras.

    Args:
        inputs: The videos; the keypoints found in them are kept beside ``out``, in a folder ``<out>.keypoints``.
        out: Folder for ``model.osim``, ``markers.trc`` (the skeleton's keypoints), ``cameras.toml``,
            ``kinematics.mot``, ``loads.mot``, ``kinetics.sto``, ``summary.json``, ``report.html`` and ``tables/``.
        options: Everything that is about the videos.
        model: A generic model of the user's own, of the Rajagopal family; the built-in skeleton if None.
        height: Body height [m].
        mass: Body mass [kg].
        sex: ``f``, ``m`` or ``unknown``.
        cutoff: Low-pass cutoff for the motion [Hz]; 6 if None.
        start: First time [s].
        end: Last time [s].
        journal: Every repair, assumption and warning; also in the report.
        progress: Told how far it is.
        command: The command that repeats the analysis, for the report.

    Returns:
        The path of the report.

    Raises:
        MotorqueError: An input is wrong; nothing is written then but keypoints that were found.
    """
    journal = journal if journal is not None else Journal()
    options = options if options is not None else VideoOptions()
    clock = Clock(progress)
    _check(options, len(inputs), cutoff)
    with clock("reading the calibration", 0.01):
        videos = [Video(path, journal=journal) for path in inputs]
        cameras = _cameras(options.cameras, inputs, videos, journal)
        generic = None
        if model is not None:
            from motorque.files.osim import read_osim

            generic = read_osim(model, journal=journal)
    filmed: Future[Takes | None] = Future()
    meanwhile = threading.Thread(target=_get_ready, args=(filmed, videos, options, start, end), daemon=True)
    meanwhile.start()
    with clock("finding keypoints", 0.02):
        found = _keypoints(inputs, out, options, start, end, journal, progress)
    from motorque.workflows.video_results import Found, Given, write_results

    given = Given(tuple(inputs), options, model, generic, height, mass, sex, cutoff, command)
    write_results(out, given, Found(videos, found, cameras, filmed), clock, journal)
    return out / "report.html"


def _check(options: VideoOptions, videos: int, cutoff: float | None) -> None:
    """Refuse what would only be seen to be wrong after minutes of work."""
    if cutoff is not None and not 0 < cutoff < 0.5 * OUTPUT_RATE:
        raise DataError(
            f"--cutoff: {cutoff:g} Hz is not below {0.5 * OUTPUT_RATE:g} Hz, half the rate of a video's results; "
            "give a lower one, such as 6"
        )
    if options.detector not in DETECTORS and videos > 1:
        raise DataError(f"{options.detector}: one folder holds the keypoints of one video, not of {videos}; give one")
    if options.detector not in WITH_DEPTH and videos == 1 and options.prior == "habits":
        raise DataError(
            f"--prior: the keypoints of {options.detector} come without depth, and one video needs --prior learned then"
        )


def _get_ready(
    filmed: Future[Takes | None],
    videos: Sequence[Video],
    options: VideoOptions,
    start: float | None,
    end: float | None,
) -> None:
    """Load what comes after the keypoints, and make the report's pictures unless they need the fit."""
    if sys.platform == "linux":  # where threads have priorities of their own: the detectors must not wait for this one
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BESIDE)
    try:
        import_module("motorque.workflows.video_results").get_ready()
        made = None
        if options.pictures and not options.blur_faces:
            from motorque.report.film import film_ahead

            made = film_ahead(videos, options.turn or 0, start, end)
        filmed.set_result(made)
    except BaseException as error:  # for whoever wants the pictures
        filmed.set_exception(error)


def _cameras(
    calibration: Path | None, inputs: Sequence[Path], videos: Sequence[Video], journal: Journal
) -> tuple[Camera, ...] | None:
    if calibration is None:
        if len(inputs) > 1:
            raise DataError(f"{len(inputs)} videos need to know where their cameras stood; give --cameras CALIBRATION")
        return None
    read = read_cameras(calibration, journal=journal)
    return cameras_for_videos(read, [(path, video.size) for path, video in zip(inputs, videos, strict=True)], journal)


def view_names(inputs: Sequence[Path]) -> tuple[str, ...]:
    """A short name for each video, no two alike: the file's, with its folder's or a number where that is not enough."""
    for names in (
        [path.stem for path in inputs],
        [f"{path.absolute().parent.name}_{path.stem}" for path in inputs],
    ):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{number}_{path.stem}" for number, path in enumerate(inputs, 1))


def keypoint_folder(out: Path) -> Path:
    """Where the keypoints of the results in ``out`` are kept: beside it, also where that is ``.`` or ``..``."""
    if out.name in ("", ".."):
        out = out.resolve()
    return out.parent / f"{out.name}.keypoints"


def _keypoints(
    inputs: Sequence[Path],
    out: Path,
    options: VideoOptions,
    start: float | None,
    end: float | None,
    journal: Journal,
    progress: Progress,
) -> list[VideoKeypoints]:
    kept = keypoint_folder(out)
    made = [folder for folder in (kept, *kept.parents) if not folder.exists()]
    os.makedirs(kept, exist_ok=True)
    requests = [
        Request(
            path=path,
            cache=kept / f"{name}.npz",
            detector=options.detector,
            model=options.detector_model,
            fps=options.fps,
            start=start,
            end=end,
            person=options.person,
            turn=options.turn,
        )
        for path, name in zip(inputs, view_names(inputs), strict=True)
    ]
    try:
        return find_all_keypoints(requests, journal=journal, progress=lambda w, share: progress(w, 0.02 + 0.53 * share))
    finally:
        with suppress(OSError):  # a folder with keypoints stays, an empty one goes, with those above that were made
            for folder in dict.fromkeys([kept, *made]):
                folder.rmdir()
