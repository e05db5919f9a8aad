"""Setting up the fit to keypoints: what the views saw on common frames, what is known beforehand, where to begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.keypoint_attachments import ATTACHMENTS, GROUPS
from motorque.fitting.keypoint_body import KeypointBody
from motorque.fitting.keypoint_gaps import FEWEST_KEYPOINTS
from motorque.fitting.keypoint_problem import KeypointProblem, Shared, State
from motorque.fitting.keypoint_start import CAMERA_TO_LEVEL, facing, place, poses_from_space, space_from_detector
from motorque.fitting.keypoint_views import View, free_rotation
from motorque.fitting.motion_prior import PoseGuess
from motorque.series import Camera, Keypoints
from motorque.skeleton.fullbody_tables import GENERIC_HEIGHT
from motorque.skeleton.skeleton import Skeleton
from motorque.vision.projection import undistort
from motorque.vision.triangulate import triangulate

Array = NDArray[np.float64]

RATE = 30.0
"""Frames a second that the fit looks at: more tell no more, detectors' errors last longer than that [Hz]."""
FOCAL, FOCAL_STD, GIVEN_FOCAL_STD = 0.75, 0.1, 0.02
"""Focal length of phones' main cameras while filming, in parts of the picture's longer side, the spread of its
logarithm among them, and the spread of one that was given."""
PITCH_STD, ROLL_STD = np.radians(4.0), np.radians(2.0)
"""How far from level people hold a phone or set up a tripod."""
TILTED = 2.0
"""A camera that seems tilted by more than this many standard deviations is not one that somebody holds level."""
HEIGHT_STD, UNKNOWN_HEIGHT_STD = 0.01, 0.06
"""Spread of the logarithm of a given height, and of that of adults of both sexes."""
KEYPOINT_STD = 0.023
"""How far a detector's keypoints are off at the person's distance [m]."""
CAMERA_HEIGHT, FLOOR_STD = 1.3, 0.5
"""Height of a camera above the floor, and its spread [m]."""
PELVIS_HEIGHT = 0.93
"""Height of the generic pelvis' frame above the floor while standing [m]."""
LEAST_CONFIDENCE = 0.05
"""A keypoint that the detector doubts counts at least this much: its doubt is not about where the point is."""


@dataclass(frozen=True)
class Observed:
    """What all views saw, on the same frames.

    Args:
        times: Time of each frame [s], shape [T].
        names: Keypoints, K of them.
        points: For each view, lens distortion taken out, relative to the principal point [px], shape [T, K, 2]; NaN
            where not seen.
        confidence: For each view, shape [T, K].
        world: The first view's own idea of the points in space [m], shape [T, K, 3], or None.
        sizes: Width and height of each view's picture [px].
    """

    times: Array
    names: tuple[str, ...]
    points: list[Array]
    confidence: list[Array]
    world: Array | None
    sizes: list[tuple[int, int]]

    def frames(self, which: NDArray[np.int64]) -> Observed:
        """Only the frames with these indices."""
        world = None if self.world is None else self.world[which]
        points, confidence = [p[which] for p in self.points], [c[which] for c in self.confidence]
        return Observed(self.times[which], self.names, points, confidence, world, self.sizes)

    @property
    def weights(self) -> list[Array]:
        """For each view, how much a keypoint counts, shape [T, K]; 0 where it was not seen."""
        return [
            np.where(np.isfinite(p).all(-1), np.clip(c, LEAST_CONFIDENCE, 1.0), 0.0)
            for p, c in zip(self.points, self.confidence, strict=True)
        ]


def observe(views: Sequence[Keypoints], cameras: Sequence[Camera] | None, rate: float = RATE) -> Observed:
    """The keypoints that the skeleton follows, on frames that all views share.

    Raises:
        DataError: There are none, or the views have no time in common.
    """
    names = tuple(n for n in ATTACHMENTS if any(n in v.names and v.seen[:, v.names.index(n)].any() for v in views))
    if len(names) < FEWEST_KEYPOINTS:
        raise DataError(
            f"only {len(names)} of the keypoints that the skeleton follows are ever seen; is somebody there?"
        )
    first = views[0]
    start, end = max(v.times[0] for v in views), min(v.times[-1] for v in views)
    inside = (first.times >= start - 1e-6) & (first.times <= end + 1e-6)
    if not inside.any():
        raise DataError("the videos have no time in common; cut them to the same interval")
    shown = np.flatnonzero(inside)
    keep = shown[thinned(first.times[shown], rate)]
    times = first.times[keep]
    points, confidence = [], []
    for number, view in enumerate(views):
        at, sure = _on_frames(view, names, times)
        if cameras is None:
            at = at - 0.5 * np.array(view.size)
        else:
            camera = cameras[number]
            flat = undistort(camera, at)
            at = flat * np.diag(camera.matrix)[:2]
        points.append(at)
        confidence.append(sure)
    counted = np.sum([np.isfinite(p).all(-1).sum(1) >= FEWEST_KEYPOINTS for p in points], axis=0) > 0
    if not counted.any():
        raise DataError("in no frame are enough keypoints seen; is somebody there?")
    within = slice(int(np.argmax(counted)), len(counted) - int(np.argmax(counted[::-1])))
    world = None
    if len(views) == 1 and first.world is not None:
        world = np.full((len(times), len(names), 3), np.nan)
        for k, name in enumerate(names):
            if name in first.names:
                world[:, k] = first.world[keep, first.names.index(name)]
        world = world[within]
    return Observed(
        times[within],
        names,
        [p[within] for p in points],
        [c[within] for c in confidence],
        world,
        [v.size for v in views],
    )


def _on_frames(view: Keypoints, names: tuple[str, ...], times: Array) -> tuple[Array, Array]:
    """A view's points and their confidence at these times; a frame between two is interpolated between them."""
    points = np.full((len(times), len(names), 2), np.nan)
    sure = np.zeros((len(times), len(names)))
    after = np.clip(np.searchsorted(view.times, times), 1, max(len(view.times) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(view.times) - 1)
    gap = view.times[after] - view.times[before]
    share = np.clip((times - view.times[before]) / np.where(gap > 0, gap, 1.0), 0, 1)
    share = np.where(np.abs(share - np.round(share)) < 1e-3, np.round(share), share)[:, None]
    for k, name in enumerate(names):
        if name in view.names:
            column = view.names.index(name)
            a, b = view.points[before, column], view.points[after, column]
            points[:, k] = np.where(share == 0, a, np.where(share == 1, b, (1 - share) * a + share * b))
            c, d = view.confidence[before, column], view.confidence[after, column]
            sure[:, k] = (1 - share[:, 0]) * c + share[:, 0] * d
    return points, np.where(np.isfinite(points).all(-1), sure, 0.0)


def thinned(times: Array, rate: float) -> NDArray[np.int64]:
    """Indices of the frames nearest to an even grid of at most ``rate`` [Hz]."""
    if len(times) < 2 or np.median(np.diff(times)) > 0.8 / rate:
        return np.arange(len(times))
    grid = np.arange(times[0], times[-1] + 1e-9, 1 / rate)
    return np.unique(np.searchsorted(0.5 * (times[1:] + times[:-1]), grid))


@dataclass(frozen=True)
class Known:
    """What is known beforehand.

    Args:
        height: Of the person [m], or None.
        fov: Angle of view along the picture's longer side [rad] of a camera that is not calibrated, or None.
        fov_std: Spread of the logarithm of the focal length that it means.
        heading: Of ground about the vertical against a camera that is not calibrated [rad]; the person's mean facing
            at the start if None.
    """

    height: float | None = None
    fov: float | None = None
    fov_std: float = GIVEN_FOCAL_STD
    heading: float | None = None


def set_up(
    skeleton: Skeleton, seen: Observed, cameras: Sequence[Camera] | None, known: Known, guess: PoseGuess | None
) -> tuple[KeypointProblem, dict[str, State]]:
    """The problem, and where to begin: one state for each way to tell depth.

    Raises:
        DataError: There is none: one view, no depth from the detector, no motion prior.
    """
    body = KeypointBody(skeleton, [ATTACHMENTS[n] for n in seen.names])
    layout = Shared(tuple(dict.fromkeys(a.kind for a in body.attachments)), len(seen.points))
    size = (known.height or GENERIC_HEIGHT) / GENERIC_HEIGHT
    mean, std = np.zeros(layout.count), np.ones(layout.count)
    mean[layout.whole] = np.log(size)
    std[layout.whole] = HEIGHT_STD if known.height else UNKNOWN_HEIGHT_STD
    std[layout.groups] = [g.std for g in GROUPS]
    spread = {a.kind: a.std for a in body.attachments}
    std[layout.offsets] = np.repeat([spread[kind] for kind in layout.kinds], 3)
    mean[layout.floor], std[layout.floor] = -CAMERA_HEIGHT, FLOOR_STD
    weights = seen.weights
    points = [np.nan_to_num(p) for p in seen.points]
    first = None if cameras is None else cameras[0]
    focal = focal_length(seen.sizes[0], known.fov) if first is None else float(first.matrix[0, 0])
    if first is None:
        (pitch, pitch_std), (roll, roll_std) = camera_attitude(guess)
        mean[layout.camera(0)] = pitch, roll, np.log(focal)
        std[layout.camera(0)] = pitch_std, roll_std, FOCAL_STD if known.fov is None else known.fov_std
    if cameras is None or len(cameras) == 1:
        states, views = _start_one(
            body, seen, points[0], weights[0], first, focal, guess, mean, mean[layout.camera(0)], known.heading
        )
    else:
        states, views = _start_many(body, seen, cameras, points, weights, mean)
    if first is not None:  # the floor lies below the pelvis, wherever the calibration has its origin
        height = float(np.median(next(iter(states.values())).position[:, 1]))
        mean[layout.floor] = height - PELVIS_HEIGHT * size
        states = {label: dataclasses.replace(state, shared=mean.copy()) for label, state in states.items()}
    return KeypointProblem(body, seen.times, views, mean, std, guess), states


def camera_attitude(guess: PoseGuess | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Pitch and roll of a camera that is not calibrated, each with its standard deviation [rad].

    People hold phones about level. Where the motion prior sees the vertical clearly elsewhere, it is right.
    """
    if guess is None:
        return (0.0, PITCH_STD), (0.0, ROLL_STD)
    x, y, z = guess.up / np.linalg.norm(guess.up)
    seen = (-float(np.arcsin(z)), float(np.arctan2(x, -y)))
    result = []
    for angle, std in zip(seen, (PITCH_STD, ROLL_STD), strict=True):
        if abs(angle) > TILTED * np.hypot(std, guess.up_std):
            result.append((angle, guess.up_std))
        else:
            weight = 1 / guess.up_std**2, 1 / std**2
            result.append((angle * weight[0] / sum(weight), sum(weight) ** -0.5))
    return result[0], result[1]


def focal_length(size: tuple[int, int], fov: float | None) -> float:
    """Focal length [px] for an angle of view along the longer side [rad], or the usual one."""
    longer = max(size)
    return FOCAL * longer if fov is None else 0.5 * longer / float(np.tan(0.5 * fov))


def _start_many(
    body: KeypointBody,
    seen: Observed,
    cameras: Sequence[Camera],
    points: list[Array],
    weights: list[Array],
    mean: Array,
) -> tuple[dict[str, State], list[View]]:
    flat = [p / np.diag(c.matrix)[:2] for p, c in zip(seen.points, cameras, strict=True)]
    space = triangulate(cameras, flat, seen.confidence).position
    position, rotation, angles = poses_from_space(body, space, seen.times)
    views = []
    for camera, at, weight, size in zip(cameras, points, weights, seen.sizes, strict=True):
        depth = np.maximum(position @ camera.rotation[2] + camera.translation[2], 0.5)
        focal = float(np.mean(np.diag(camera.matrix)[:2]))
        views.append(View(at, weight, KEYPOINT_STD * focal / depth, camera, size))
    return {"cameras": State(position, rotation, angles, mean.copy())}, views


def _start_one(
    body: KeypointBody,
    seen: Observed,
    points: Array,
    weight: Array,
    camera: Camera | None,
    focal: float,
    guess: PoseGuess | None,
    mean: Array,
    attitude: Array,
    heading: float | None,
) -> tuple[dict[str, State], list[View]]:
    """States from what one view tells, and the view; a camera without calibration is at ground's origin."""
    poses: dict[str, tuple[Array, Array]] = {}  # pelvis to the camera's axes, and angles
    if seen.world is not None:
        space = space_from_detector(seen.world, points, weight > 0, focal)
        _, rotation, angles = poses_from_space(body, np.where(weight[..., None] > 0, space, np.nan), seen.times)
        poses["detector"] = CAMERA_TO_LEVEL @ rotation, angles
    if guess is not None:
        angles = np.zeros((len(seen.times), len(body.names)))
        for k, name in enumerate(guess.names):
            if name in body.names:
                angles[:, body.names.index(name)] = guess.mean[:, k]
        poses["prior"] = guess.pelvis, angles
    if not poses:
        raise DataError(
            "these keypoints come without depth: one video needs a motion prior then, such as --prior learned"
        )
    if heading is None:
        heading = facing(CAMERA_TO_LEVEL @ next(iter(poses.values()))[0])
    turn = camera.rotation if camera is not None else free_rotation(heading, attitude[0], attitude[1])  # from ground
    stand = np.zeros(3) if camera is None else camera.center
    factors, offsets = np.full(len(GROUPS), np.exp(mean[0])), np.zeros((len(body.point_body), 3))
    keypoints = len(body.attachments)
    states, depth = {}, np.zeros(len(seen.times))
    for label, (rotation, angles) in poses.items():
        arms = body.points(angles, factors, offsets).position[:, :keypoints] @ rotation.swapaxes(-1, -2)
        position = place(arms, points, weight, focal, seen.times)
        depth = position[:, 2]
        states[label] = State(stand + position @ turn, turn.T @ rotation, angles, mean.copy())
    return states, [View(points, weight, KEYPOINT_STD * focal / depth, camera, seen.sizes[0], heading)]


def refined(coarse: KeypointProblem, seen: Observed, guess: PoseGuess | None) -> KeypointProblem:
    """The same problem on more frames.

    Args:
        coarse: The problem on some of the frames.
        seen: What the views saw in all frames.
        guess: What the motion prior says of all frames.
    """
    views = [
        dataclasses.replace(
            view,
            points=np.nan_to_num(points),
            weight=weight,
            std=np.interp(seen.times, coarse.times, view.std),
        )
        for view, points, weight in zip(coarse.views, seen.points, seen.weights, strict=True)
    ]
    return dataclasses.replace(coarse, times=seen.times, views=views, guess=guess)
