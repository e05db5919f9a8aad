"""What a video's evidence amounts to: reprojection errors, how well each coordinate is seen, where the camera is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.labels import Label, split_side
from motorque.report.quality import rms
from motorque.report.video import VideoEvidence, VideoView
from motorque.series import Camera

Array = NDArray[np.float64]

WELL, FAIRLY = 2.0, 5.0
"""Standard deviations up to which an angle counts as seen well and fairly [deg].

McGinley, Baker, Wolfe, Morris, "The reliability of three-dimensional kinematic gait measurements: a systematic
review", Gait & Posture 29 (2009) 360-369: errors of 2° or less are acceptable, those of 2 to 5° reasonable but to be
considered in the interpretation, those above 5° may mislead it."""

SIGHT_SOURCE = "McGinley et al. 2009, Gait Posture 29:360–369"

SIGHTS = ("well", "fairly", "hardly")


@dataclass(frozen=True)
class KeypointError:
    """Reprojection error of one keypoint [px], or all NaN where it was never found.

    Args:
        name: The keypoint.
        side: ``r``, ``l`` or empty.
        rms: Root mean square over the frames.
        median: Median.
        maximum: Largest.
        worst_time: When the largest was, in the motion's clock [s].
        seen: Share of the frames in which it was found [-].
        rms_m: The root mean square at the person's distance [m].
    """

    name: str
    side: str
    rms: float
    median: float
    maximum: float
    worst_time: float
    seen: float
    rms_m: float


@dataclass(frozen=True)
class Standpoint:
    """Where a camera stands and what it looks at.

    Args:
        field_of_view: Angles over the width and the height of the picture [deg].
        focal_length: Mean of both directions [px].
        pitch: How far it looks up [deg]; negative when it looks down.
        roll: How far it is turned clockwise about its axis [deg]: the horizon falls to the left in the picture.
        height: Above the ground [m].
        distance: To the person's centre of mass: mean, smallest, largest [m].
        bearing: Where it stands as the person sees it, clockwise from above [deg]: 0 ahead, 90 on the right; the
            mean over the recording.
        turning: How far the bearing strays from its mean, standard deviation [deg].
    """

    field_of_view: tuple[float, float]
    focal_length: float
    pitch: float
    roll: float
    height: float
    distance: tuple[float, float, float]
    bearing: float
    turning: float

    @property
    def sees_from(self) -> str:
        """The bearing in words."""
        if self.turning > 60:
            return "all round, as the person turns"
        return _SECTORS[round(self.bearing / 45) % 8]


_SECTORS = (
    "the front", "the front right", "the right", "the back right",
    "the back", "the back left", "the left", "the front left",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ViewResult:
    """One view summed up.

    Args:
        view: The view.
        keypoints: Errors of the keypoints that were fitted, worst first; those never found last.
        frame_rms: Over all keypoints in each of the view's frames [px], shape [F]; NaN where none was found.
        total_rms: Over everything [px].
        total_median: Over everything [px].
        total_rms_m: The root mean square at the person's distance [m].
        standpoint: Its camera.
    """

    view: VideoView
    keypoints: list[KeypointError]
    frame_rms: Array
    total_rms: float
    total_median: float
    total_rms_m: float
    standpoint: Standpoint


@dataclass(frozen=True)
class AngleSight:
    """How well the videos see one coordinate.

    Args:
        label: The coordinate.
        std: Its standard deviation [deg or m].
        unit: ``°`` or ``m``.
        sight: One of :data:`SIGHTS`; empty for a position.
    """

    label: Label
    std: float
    unit: str
    sight: str


@dataclass(frozen=True, eq=False)
class VideoResults:
    """All that is shown of the videos; coordinates from the best seen to the worst, positions last."""

    evidence: VideoEvidence
    views: list[ViewResult]
    sights: list[AngleSight]


def video_results(analysis: Analysis, named: dict[str, Label]) -> VideoResults | None:
    """The videos' evidence summed up, or None where the motion does not come from videos."""
    evidence = analysis.video
    if evidence is None:
        return None
    return VideoResults(evidence, [_view_result(analysis, view) for view in evidence.views], _sights(analysis, named))


def _view_result(analysis: Analysis, view: VideoView) -> ViewResult:
    camera, times = view.camera, view.times
    error = view.reprojection
    if error is None:
        error = np.full(view.keypoints.points.shape[:2], np.nan)
    body = np.stack([np.interp(times, analysis.times, analysis.center_of_mass[:, k]) for k in range(3)], axis=1)
    depth = (body @ camera.rotation.T + camera.translation)[:, 2]
    metres = np.maximum(depth, 0.0) / _focal(camera)
    # Keypoints that no part of the skeleton stands for (a nose) have no error.
    fitted = np.isfinite(error).any(0) | ~view.keypoints.seen.any(0)
    found = [_keypoint_error(view, k, error[:, k], metres) for k in np.flatnonzero(fitted).tolist()]
    return ViewResult(
        view,
        sorted(found, key=lambda e: -np.nan_to_num(e.rms, nan=-1.0)),
        rms(error, 1),
        float(rms(error)),
        _median(error),
        float(rms(error * metres[:, None])),
        standpoint(analysis, camera),
    )


def _keypoint_error(view: VideoView, k: int, error: Array, metres: Array) -> KeypointError:
    name = view.keypoints.names[k]
    known = np.isfinite(error)
    worst = int(np.where(known, error, -1.0).argmax())
    return KeypointError(
        name=name,
        side=split_side(name)[1],
        rms=float(rms(error)),
        median=_median(error),
        maximum=float(error[worst]) if known.any() else np.nan,
        worst_time=float(view.times[worst]) if known.any() else np.nan,
        seen=float(view.keypoints.seen[:, k].mean()),
        rms_m=float(rms(error * metres)),
    )


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _focal(camera: Camera) -> float:
    return float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))


def standpoint(analysis: Analysis, camera: Camera) -> Standpoint:
    """Where a camera stands, relative to ground and to the person of an analysis."""
    wide, tall = camera.size
    (fx, _, cx), (_, fy, cy), _ = camera.matrix
    right, down, ahead = camera.rotation
    to_camera = camera.center - analysis.center_of_mass
    distance = np.linalg.norm(to_camera, axis=1)
    names = [name.lower() for name in analysis.skeleton.body_names]
    # The pelvis' own x axis is the way that the person faces; a skeleton without one faces ground's X.
    facing = analysis.body_rotation[:, names.index("pelvis"), :, 0] if "pelvis" in names else np.eye(3)[:1]
    angles = np.arctan2(to_camera[:, 2], to_camera[:, 0]) - np.arctan2(facing[:, 2], facing[:, 0])
    mean = np.exp(1j * angles).mean()
    # The standard deviation of directions (Mardia and Jupp, Directional Statistics, 2000, eq. 2.3.14).
    turning = np.degrees(np.sqrt(max(0.0, -2.0 * np.log(max(abs(mean), 1e-12)))))
    return Standpoint(
        field_of_view=(
            float(np.degrees(np.arctan(cx / fx) + np.arctan((wide - cx) / fx))),
            float(np.degrees(np.arctan(cy / fy) + np.arctan((tall - cy) / fy))),
        ),
        focal_length=_focal(camera),
        pitch=float(np.degrees(np.arcsin(np.clip(ahead[1], -1.0, 1.0)))),
        roll=float(np.degrees(np.arctan2(-right[1], -down[1]))),
        height=float(camera.center[1]),
        distance=(float(distance.mean()), float(distance.min()), float(distance.max())),
        bearing=float(np.degrees(np.angle(mean)) % 360.0),
        turning=float(turning),
    )


def _sights(analysis: Analysis, named: dict[str, Label]) -> list[AngleSight]:
    assert analysis.video is not None
    given, motion = analysis.video.angle_std, analysis.motion
    typical = None if motion.std is None else rms(motion.std, 0)
    found = []
    for column, name in enumerate(motion.names):
        label = named.get(name)
        std = float(given[name]) if name in given else np.nan if typical is None else float(typical[column])
        # A standard deviation of zero is that of a coordinate which was held, or not a finding at all.
        if label is None or label.follows or not std > 0 or not np.isfinite(std):
            continue
        if label.rotational:
            degrees = float(np.degrees(std))
            sight = SIGHTS[0] if degrees <= WELL else SIGHTS[1] if degrees <= FAIRLY else SIGHTS[2]
            found.append(AngleSight(label, degrees, "°", sight))
        else:
            found.append(AngleSight(label, std, "m", ""))
    return sorted(found, key=lambda s: (not s.label.rotational, s.std))
