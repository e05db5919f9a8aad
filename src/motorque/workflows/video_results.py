"""From the keypoints of videos to the person's motion, forces, files and report."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from motorque.errors import DataError
from motorque.estimators.keypoint_prior.prior import LearnedPrior
from motorque.files.calibration_toml import write_cameras
from motorque.files.external_loads import write_loads
from motorque.files.motion_files import write_kinetics, write_motion
from motorque.files.osim import OsimModel
from motorque.files.osim_scale import scale_osim
from motorque.files.output import OutputFolder
from motorque.files.trc import write_trc
from motorque.fitting.ground_loads import ground_estimate
from motorque.fitting.keypoint_fit import KeypointFit, fit_keypoints
from motorque.fitting.motion_prior import MotionPrior
from motorque.journal import Journal
from motorque.mechanics.compiled import machine
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.report.analysis import Analysis, Subject
from motorque.report.film import Takes
from motorque.report.video import VideoEvidence, VideoView
from motorque.report.write import write_report
from motorque.series import Camera, Keypoints, Markers, Motion
from motorque.skeleton.fullbody import Sex, fullbody
from motorque.skeleton.fullbody_tables import GENERIC_HEIGHT
from motorque.uncertainty.motion_bands import bands_of_motion
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.vision.person import by_size
from motorque.vision.projection import project
from motorque.vision.video import Video
from motorque.workflows.analyze import FEWEST_FRAMES, kinetics_of
from motorque.workflows.clock import Clock, versions
from motorque.workflows.error_bars import error_bars, with_error_bars, write_error_bars
from motorque.workflows.person import ASSUMED, Person, height_of, of_mass, weigh
from motorque.workflows.recording import input_file
from motorque.workflows.smoothing import DEFAULT_CUTOFF, FILTER, smooth
from motorque.workflows.video import OUTPUT_RATE, VideoOptions, view_names
from motorque.workflows.video_cameras import camera_source, cameras_as_shown, note_lens

Array = NDArray[np.float64]

CROPPED, CROPPED_STD = 1.1, 0.08
"""A video's focal length over that in its metadata, and the spread of its logarithm: that of the lens where the whole
sensor is used, up to 1.3 times as long where its edge is kept for steadying the picture."""

FEWEST_IN_VIDEO = 4
"""Frames of a video that a curve with accelerations takes."""


@dataclass(frozen=True)
class Given:
    """What the user gave; see :func:`motorque.workflows.video.analyze_video`."""

    inputs: tuple[Path, ...]
    options: VideoOptions
    model: Path | None
    generic: OsimModel | None
    height: float | None
    mass: float | None
    sex: Sex
    cutoff: float | None
    command: str


@dataclass(frozen=True)
class Found:
    """What was read and found: each video, its keypoints, the calibrated cameras if there are any, and pictures for the
    report that are being made already.
    """

    videos: Sequence[Video]
    keypoints: Sequence[VideoKeypoints]
    cameras: tuple[Camera, ...] | None
    takes: Future[Takes | None] | None = None


def get_ready() -> None:
    """Load what libraries only load at their first use."""
    machine.why_not()


def write_results(out: Path, given: Given, found: Found, clock: Clock, journal: Journal) -> None:
    """Fit, find forces, and write every file and the report.

    Raises:
        MotorqueError: An input is wrong; nothing is written then.
    """
    inputs, options, cameras = given.inputs, given.options, found.cameras
    views = [view.as_shown() if cameras is not None else view.keypoints for view in found.keypoints]
    _check_length(given, views)
    _check_frames(inputs[0], views)
    if cameras is None:
        note_lens(options.fov, found.keypoints[0], str(inputs[0]), journal)
    with clock("fitting the skeleton to the keypoints", 0.55):
        skeleton = fullbody() if given.generic is None else given.generic.skeleton
        fit = fit_keypoints(
            skeleton,
            views,
            cameras=cameras,
            height=given.height,
            **_field_of_view(options, found.keypoints[0]),
            towards=options.facing,
            prior=_prior(options, len(inputs)),
            journal=journal,
        )
    with OutputFolder(out) as folder:
        person = _person(given.generic, fit, given.height, given.mass, given.sex, journal)
        with clock("smoothing", 0.75):
            raw = _evenly(fit.motion)
            chosen = given.cutoff if given.cutoff is not None else DEFAULT_CUTOFF
            motion, rate, acceleration, applied = smooth(
                person.skeleton, raw, chosen, given.cutoff is not None, journal
            )
        with clock("ground forces", 0.8):
            ground = ground_estimate(person.skeleton, motion, cutoff=None, journal=journal)
            loads = ground.loads
            person = weigh(person, motion, None, journal)
        with clock("inverse dynamics", 0.84):
            kinetics = kinetics_of(person.skeleton, motion, rate, acceleration, loads)
            poses = forward_kinematics(person.skeleton, torch.as_tensor(motion.values))
        with clock("error bars", 0.85):
            bands = error_bars(
                lambda: bands_of_motion(
                    person.skeleton,
                    motion=motion,
                    rate=rate,
                    acceleration=acceleration,
                    loads=loads,
                    estimated=True,
                    cutoff=applied,
                    posterior=fit.posterior,
                    ground=ground,
                    mass_known=person.subject.mass_source != ASSUMED,
                    height_known=given.height is not None,
                ),
                journal,
            )
            motion, kinetics, loads = with_error_bars(bands, motion, kinetics, loads)
        with clock("writing files", 0.87):
            person.write_model(folder.path / "model.osim")
            write_trc(folder.path / "markers.trc", Markers(fit.motion.times, fit.keypoints, fit.keypoint_names))
            shown = cameras_as_shown(fit.cameras, found.keypoints, view_names(inputs), calibrated=cameras is not None)
            write_cameras(folder.path / "cameras.toml", shown)
            write_motion(folder.path / "kinematics.mot", motion, person.skeleton)
            write_loads(folder.path / "loads.mot", loads)
            write_kinetics(folder.path / "kinetics.sto", kinetics, person.skeleton)
            write_error_bars(folder.path, bands, motion, kinetics, loads, person.skeleton)
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
                        (given.model, "model"),
                    ]
                    if path is not None
                ),
                settings={
                    "cutoff_hz": applied,
                    "filter": FILTER,
                    "loads": "estimated from the motion",
                    "keypoints_fps": options.fps,
                    "detector": views[0].source,
                    "motion_prior": options.prior if len(inputs) == 1 else "habits",
                    "start_s": float(motion.times[0]),
                    "end_s": float(motion.times[-1]),
                },
                versions=versions("av", "mediapipe"),
                command=given.command,
                journal=journal,
                timings=clock.seconds,
                bands=bands,
                video=_evidence(given, found, fit),
            )
            write_report(analysis, folder.path)


def _check_frames(about: Path, views: Sequence[Keypoints]) -> None:
    """Refuse what shows the person too seldom to be a movement."""
    most = max(int(view.seen.any(1).sum()) for view in views)
    if most < FEWEST_IN_VIDEO:
        raise DataError(
            f"{about}: the person is seen in {most} of the frames looked at, accelerations need {FEWEST_IN_VIDEO}; "
            "give a longer video or interval, or more frames a second"
        )


def _check_length(given: Given, views: Sequence[Keypoints]) -> None:
    """Raise where there is too little to differentiate twice, before anything is fitted."""
    start, end = max(v.times[0] for v in views), min(v.times[-1] for v in views)
    if (end - start) * OUTPUT_RATE + 1 < FEWEST_FRAMES or any(len(v.times) < FEWEST_IN_VIDEO for v in views):
        raise DataError(
            f"{given.inputs[0]}: {min(len(v.times) for v in views)} frames over {max(end - start, 0.0):.2f} s are too "
            f"few for a motion, whose accelerations need {FEWEST_IN_VIDEO}; give a longer video or interval"
        )


def _prior(options: VideoOptions, views: int) -> MotionPrior | None:
    """What guesses poses; several cameras need nobody to guess."""
    if views > 1 or options.prior == "habits":
        return None
    return LearnedPrior.load()


class Lens(TypedDict, total=False):
    """Angle of view along the picture's longer side [rad], and how surely that is known."""

    fov: float
    fov_std: float


def _field_of_view(options: VideoOptions, found: VideoKeypoints) -> Lens:
    """As given, or as the video's file tells it."""
    if options.fov is not None:
        return {"fov": float(np.radians(options.fov))}
    if found.focal_length is None:
        return {}
    focal = CROPPED * found.focal_length
    return {"fov": float(2 * np.arctan(0.5 * max(found.keypoints.size) / focal)), "fov_std": CROPPED_STD}


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


def _evidence(given: Given, found: Found, fit: KeypointFit) -> VideoEvidence:
    inputs, options, cameras = given.inputs, given.options, found.cameras
    shown, names = [], view_names(inputs)
    for number, (path, video, view) in enumerate(zip(inputs, found.videos, fit.views, strict=True)):
        camera = fit.cameras[number]
        points = np.full((*view.points.shape[:2], 2), np.nan)
        for column, name in enumerate(view.names):
            if name in fit.keypoint_names:
                points[:, column] = project(camera, fit.keypoints[:, fit.keypoint_names.index(name)])
        shown.append(
            VideoView(
                name=names[number] if len(inputs) > 1 else "video",
                file=str(path),
                keypoints=view,
                camera=camera,
                reprojected=points,
                video=video,
                turned=0 if cameras is not None else found.keypoints[number].turned,
                person="the largest in the picture" if options.person is None else by_size(options.person),
                camera_source=camera_source(options.fov, found.keypoints[number], calibrated=cameras is not None),
            )
        )
    std = fit.motion.std
    typical = {} if std is None else dict(zip(fit.motion.names, np.median(std, axis=0).tolist(), strict=True))
    notes = tuple(
        f"the camera of {p.name} moves" for p, view in zip(inputs, found.keypoints, strict=True) if view.moving
    )
    return VideoEvidence(
        tuple(shown),
        typical,
        fit.views[0].source,
        notes,
        pictures=options.pictures,
        blur_faces=options.blur_faces,
        takes=found.takes,
    )
