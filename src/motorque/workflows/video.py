"""The main job from video: keypoints, one fit of the whole recording, then forces and a report as from markers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from motorque.errors import DataError
from motorque.files.calibration import read_cameras
from motorque.files.calibration_videos import cameras_for_videos
from motorque.files.external_loads import write_loads
from motorque.files.motion_files import write_kinetics, write_motion
from motorque.files.osim import OsimModel, read_osim
from motorque.files.osim_scale import scale_osim
from motorque.files.output import OutputFolder
from motorque.files.trc import write_trc
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.keypoint_fit import Direction, KeypointFit, fit_keypoints
from motorque.fitting.motion_prior import MotionPrior
from motorque.journal import Journal
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.progress import Progress, silent
from motorque.report.analysis import Analysis, Subject
from motorque.report.video import VideoEvidence, VideoView
from motorque.report.write import write_report
from motorque.series import Camera, Keypoints, Markers, Motion
from motorque.skeleton.fullbody import Sex, fullbody
from motorque.skeleton.fullbody_tables import GENERIC_HEIGHT
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.vision.keypoints import FPS, find_keypoints
from motorque.vision.projection import project
from motorque.vision.video import Video
from motorque.workflows.analyze import DEFAULT_CUTOFF, FEWEST_FRAMES, Clock, kinetics_of, smooth, versions
from motorque.workflows.person import ASSUMED, Person, height_of, of_mass, weigh
from motorque.workflows.recording import input_file

Array = NDArray[np.float64]

OUTPUT_RATE = 60.0
"""Frames a second of the results [Hz]: the fit's smooth curves, evenly sampled for filters and derivatives."""


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
        out: Folder for ``model.osim``, ``markers.trc`` (the skeleton's keypoints), ``kinematics.mot``, ``loads.mot``,
            ``kinetics.sto``, ``summary.json``, ``report.html`` and ``tables/``.
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
    with clock("reading the calibration", 0.01):
        videos = [Video(path, journal=journal) for path in inputs]
        cameras = _cameras(options.cameras, inputs, videos, journal)
        generic = None if model is None else read_osim(model, journal=journal)
    with clock("finding keypoints", 0.02):
        found = _keypoints(inputs, out, options, start, end, journal, progress)
    views = [view.as_shown() if cameras is not None else view.keypoints for view in found]
    with clock("fitting the skeleton to the keypoints", 0.55):
        skeleton = fullbody() if generic is None else generic.skeleton
        fit = fit_keypoints(
            skeleton,
            views,
            cameras=cameras,
            height=height,
            fov=_field_of_view(options, found[0]),
            towards=options.facing,
            prior=_prior(options, len(inputs)),
            journal=journal,
        )
    with OutputFolder(out) as folder:
        person = _person(generic, fit, height, mass, sex, journal)
        with clock("smoothing", 0.75):
            raw = _evenly(fit.motion)
            if len(raw.times) < FEWEST_FRAMES:
                raise DataError(f"{inputs[0]}: {len(raw.times)} frames are too few, accelerations need {FEWEST_FRAMES}")
            chosen = cutoff if cutoff is not None else DEFAULT_CUTOFF
            motion, rate, acceleration, applied = smooth(person.skeleton, raw, chosen, cutoff is not None, journal)
        with clock("ground forces", 0.8):
            loads = estimate_ground_loads(person.skeleton, motion, cutoff=None, journal=journal)
            person = weigh(person, motion, None, journal)
        with clock("inverse dynamics", 0.84):
            kinetics = kinetics_of(person.skeleton, motion, rate, acceleration, loads)
            poses = forward_kinematics(person.skeleton, torch.as_tensor(motion.values))
        with clock("writing files", 0.86):
            person.write_model(folder.path / "model.osim")
            write_trc(folder.path / "markers.trc", Markers(fit.motion.times, fit.keypoints, fit.keypoint_names))
            write_motion(folder.path / "kinematics.mot", motion, person.skeleton)
            write_loads(folder.path / "loads.mot", loads)
            write_kinetics(folder.path / "kinetics.sto", kinetics, person.skeleton)
        with clock("writing the report", 0.9):
            analysis = Analysis(
                title=inputs[0].stem,
                skeleton=person.skeleton,
                subject=person.subject,
                motion=motion,
                velocity=rate,
                acceleration=acceleration,
                body_rotation=poses.rotation.numpy(),
                body_position=poses.position.numpy(),
                center_of_mass=center_of_mass(person.skeleton, poses).numpy(),
                loads=loads,
                kinetics=kinetics,
                scales=person.scales,
                inputs=tuple(
                    input_file(path, role)
                    for path, role in [
                        *((p, "video") for p in inputs),
                        (options.cameras, "calibration"),
                        (model, "model"),
                    ]
                    if path is not None
                ),
                settings={
                    "cutoff_hz": applied,
                    "filter": "Butterworth, order 4 in total, forward and backward, cutoff corrected for both passes",
                    "loads": "estimated from the motion",
                    "keypoints_fps": options.fps,
                    "detector": views[0].source,
                    "motion_prior": options.prior if len(inputs) == 1 else "habits",
                    "start_s": float(motion.times[0]),
                    "end_s": float(motion.times[-1]),
                },
                versions=versions("av", "mediapipe"),
                command=command,
                journal=journal,
                timings=clock.seconds,
                video=_evidence(inputs, videos, found, views, cameras, fit, options),
            )
            write_report(analysis, folder.path)
    return out / "report.html"


def _cameras(
    calibration: Path | None, inputs: Sequence[Path], videos: Sequence[Video], journal: Journal
) -> tuple[Camera, ...] | None:
    if calibration is None:
        if len(inputs) > 1:
            raise DataError(f"{len(inputs)} videos need to know where their cameras stood; give --cameras CALIBRATION")
        return None
    read = read_cameras(calibration, journal=journal)
    return cameras_for_videos(read, [(path, video.size) for path, video in zip(inputs, videos, strict=True)], journal)


def _keypoints(
    inputs: Sequence[Path],
    out: Path,
    options: VideoOptions,
    start: float | None,
    end: float | None,
    journal: Journal,
    progress: Progress,
) -> list[VideoKeypoints]:
    kept = out.with_name(out.name + ".keypoints")
    found = []
    for number, path in enumerate(inputs):

        def share(what: str, fraction: float, number: int = number) -> None:
            progress(what, 0.02 + 0.53 * (number + fraction) / len(inputs))

        os.makedirs(kept, exist_ok=True)
        found.append(
            find_keypoints(
                path,
                detector=options.detector,
                model=options.detector_model,
                fps=options.fps,
                start=start,
                end=end,
                person=options.person,
                turn=options.turn,
                cache=kept / f"{path.stem}.npz",
                journal=journal,
                progress=share,
            )
        )
    return found


def _prior(options: VideoOptions, views: int) -> MotionPrior | None:
    """What guesses poses; several cameras need nobody to guess."""
    if views > 1 or options.prior == "habits":
        return None
    from motorque.estimators.keypoint_prior.prior import LearnedPrior

    return LearnedPrior.load()


def _field_of_view(options: VideoOptions, found: VideoKeypoints) -> float | None:
    """Along the picture's longer side [rad]: as given, or as the video's file tells it."""
    if options.fov is not None:
        return float(np.radians(options.fov))
    if found.focal_length is None:
        return None
    return float(2 * np.arctan(0.5 * max(found.keypoints.size) / found.focal_length))


def _person(
    generic: OsimModel | None, fit: KeypointFit, height: float | None, mass: float | None, sex: Sex, journal: Journal
) -> Person:
    """The scaled skeleton with its mass."""
    scales = fit.scales
    source = "given"
    if height is None:
        height, source = height_of(scales), "from the fitted segments"
        journal.warn(
            f"no height was given: the picture alone does not tell size; {height:.2f} m follows from what is usual, "
            "give or take 6 %, and lengths and forces with it (give --height)",
            "height",
        )
    mass_source = "given"
    if mass is None:
        mass, mass_source = fullbody().total_mass() * (height / GENERIC_HEIGHT) ** 2, ASSUMED
    known = "given" if sex != "unknown" else "not given"
    subject = Subject(mass, mass_source, height, source, sex, known)
    if generic is None:
        return Person(of_mass(fit.skeleton, mass, sex), None, subject, scales, None)
    scaled = scale_osim(generic, scales, mass=mass, journal=journal)
    return Person(scaled.skeleton, None, subject, scales, scaled)


def _evenly(motion: Motion) -> Motion:
    """The same motion at even times, by cubic splines."""
    times = motion.times
    if len(times) < 4:
        return motion
    count = max(2, int((times[-1] - times[0]) * OUTPUT_RATE + 1e-6) + 1)
    even = times[0] + np.arange(count) / OUTPUT_RATE
    std = motion.std
    if std is not None:
        std = np.stack([np.interp(even, times, column) for column in std.T], axis=1)
    return Motion(even, CubicSpline(times, motion.values)(even), motion.names, std)


def _evidence(
    inputs: Sequence[Path],
    videos: Sequence[Video],
    found: Sequence[VideoKeypoints],
    views: Sequence[Keypoints],
    cameras: Sequence[Camera] | None,
    fit: KeypointFit,
    options: VideoOptions,
) -> VideoEvidence:
    shown = []
    for number, (path, video, view) in enumerate(zip(inputs, videos, views, strict=True)):
        camera = fit.cameras[number]
        used = view.frames(np.clip(np.searchsorted(view.times, fit.motion.times - 1e-6), 0, len(view.times) - 1))
        points = np.full((*used.points.shape[:2], 2), np.nan)
        for column, name in enumerate(used.names):
            if name in fit.keypoint_names:
                points[:, column] = project(camera, fit.keypoints[:, fit.keypoint_names.index(name)])
        shown.append(
            VideoView(
                name=path.stem if len(inputs) > 1 else "video",
                file=str(path),
                keypoints=used,
                camera=camera,
                reprojected=points,
                video=video,
                turned=0 if cameras is not None else found[number].turned,
                person="the largest in the picture" if options.person is None else f"number {options.person}",
                camera_source="calibration file" if cameras is not None else "estimated with the motion",
            )
        )
    std = fit.motion.std
    typical = {} if std is None else dict(zip(fit.motion.names, np.median(std, axis=0).tolist(), strict=True))
    notes = tuple(f"the camera of {p.name} moves" for p, view in zip(inputs, found, strict=True) if view.moving)
    return VideoEvidence(
        tuple(shown), typical, views[0].source, notes, pictures=options.pictures, blur_faces=options.blur_faces
    )

