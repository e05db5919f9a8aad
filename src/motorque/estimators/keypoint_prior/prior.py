"""The learned prior: what the network guesses from a video's keypoints, as the fit wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.keypoint_prior.features import RATE
from motorque.estimators.keypoint_prior.loss import up_direction
from motorque.estimators.keypoint_prior.mirror import both_ways
from motorque.estimators.keypoint_prior.network import ANGLES, Guess, PoseNetwork
from motorque.estimators.keypoint_prior.weights import SHIPPED, load_weights
from motorque.fitting.motion_prior import PoseGuess
from motorque.series import Keypoints
from motorque.synthesis.people import LANDMARK_NAMES

Array = NDArray[np.float64]

LAPLACE_STD = 2**0.5
"""Standard deviation of a Laplace distribution of scale 1."""
STRETCH = 1800
"""Frames at 30 per second that the network sees at once: one minute. Longer recordings are cut."""
OVERLAP = 60
"""Frames that two stretches share, from one to the other of which the guess goes over."""
NEEDED = ("shoulder_r", "shoulder_l", "hip_r", "hip_l")
"""Landmarks without which the network has nothing to go by."""


@dataclass(frozen=True, eq=False)
class LearnedPrior:
    """Guesses poses from the keypoints of one video; a :class:`motorque.fitting.motion_prior.MotionPrior`.

    Args:
        network: The network.
        calibration: Factor on each standard deviation, by coordinate, ``pelvis`` and ``up``.
    """

    network: PoseNetwork
    calibration: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def load(path: Path = SHIPPED) -> LearnedPrior:
        """The prior from a file of weights; those that come with motorque by default."""
        return LearnedPrior(*load_weights(path))

    def __call__(self, keypoints: Keypoints) -> PoseGuess:
        """Guess the pose in every frame of the keypoints, those without detections included.

        Any frame rate and any length; landmarks that the detector does not know may be missing.

        Raises:
            DataError: Neither shoulder or neither hip is ever seen.
        """
        missing = [n for n in NEEDED if n not in keypoints.names or not keypoints.select((n,)).seen.any()]
        if len(missing) > 2 or {"shoulder_r", "shoulder_l"} <= {*missing} or {"hip_r", "hip_l"} <= {*missing}:
            raise DataError(f"keypoints: {missing[0]} is never seen, and without it no pose can be guessed")
        times, points, confidence = _at_even_steps(keypoints)
        size = torch.tensor([keypoints.size], dtype=torch.float32)
        pieces = [
            self._stretch(torch.from_numpy(points[a:b])[None], torch.from_numpy(confidence[a:b])[None], size)
            for a, b in _stretches(len(times))
        ]
        whole = _joined(pieces, _stretches(len(times)))
        at = np.clip(keypoints.times, times[0], times[-1])
        angles = np.stack([np.interp(at, times, column) for column in np.unwrap(whole["angles"], axis=0).T], -1)
        spread = {name: _interpolated(at, times, whole[name]) for name in ("angle_std", "pelvis_std")}
        pelvis = _nearest_rotation(_interpolated(at, times, whole["pelvis"].reshape(-1, 9)).reshape(-1, 3, 3))
        up = whole["up"].mean(0)
        factor = np.array([self.calibration.get(name, 1.0) for name in ANGLES])
        return PoseGuess(
            ANGLES,
            angles,
            factor * spread["angle_std"],
            pelvis,
            self.calibration.get("pelvis", 1.0) * spread["pelvis_std"],
            up / np.linalg.norm(up),
            float(self.calibration.get("up", 1.0) * whole["up_std"].mean()),
        )

    def _stretch(self, points: Tensor, confidence: Tensor, size: Tensor) -> dict[str, Array]:
        """The guess for one stretch of frames at 30 per second, in the camera's own axes."""
        with torch.no_grad():
            return in_camera(*both_ways(self.network, points.float(), confidence.float(), size))


def in_camera(guess: Guess, turn: Tensor) -> dict[str, Array]:
    """A guess for one recording in the camera's own axes, with standard deviations [rad], as arrays by name."""
    back = turn[0].transpose(-1, -2)
    pelvis = back @ guess.pelvis[0]
    # An error e about the turned axes is backᵀe about the camera's own: variances turn with the squares.
    variance = (back.square() @ (LAPLACE_STD * guess.pelvis_scale[0].exp()).square()[..., None])[..., 0]
    up = up_direction(guess, turn)[0]
    return {
        "angles": guess.angles[0].double().numpy(),
        "angle_std": LAPLACE_STD * guess.angle_scale[0].exp().double().numpy(),
        "pelvis": pelvis.double().numpy(),
        "pelvis_std": variance.sqrt().double().numpy(),
        "up": up.double().numpy()[None],
        # The scale is that of the angle itself, whose mean it is under e^(-θ/s) θ dθ: 2 s.
        "up_std": 2 * guess.up_scale.exp().double().numpy(),
    }


def _at_even_steps(keypoints: Keypoints) -> tuple[Array, Array, Array]:
    """Times, points and confidence in the network's order at 30 frames per second.

    A point is interpolated where both frames beside it have it; at other rates each frame is otherwise the nearest.
    """
    first, last = float(keypoints.times[0]), float(keypoints.times[-1])
    times = first + np.arange(max(round((last - first) * RATE) + 1, 1)) / RATE
    points = np.full((len(keypoints.times), len(LANDMARK_NAMES), 2), np.nan)
    confidence = np.zeros(points.shape[:2])
    for index, name in enumerate(LANDMARK_NAMES):
        if name in keypoints.names:
            column = keypoints.names.index(name)
            points[:, index], confidence[:, index] = keypoints.points[:, column], keypoints.confidence[:, column]
    if len(keypoints.times) < 2:
        return times, points, confidence
    after = np.clip(np.searchsorted(keypoints.times, times), 1, len(keypoints.times) - 1)
    gap = keypoints.times[after] - keypoints.times[after - 1]
    share = np.clip((times - keypoints.times[after - 1]) / gap, 0, 1)[:, None]
    nearest = np.where(share[:, 0] < 0.5, after - 1, after)
    between = (1 - share[..., None]) * points[after - 1] + share[..., None] * points[after]
    between = np.where(np.isfinite(between), between, points[nearest])
    sure = np.where(np.isfinite(between).all(-1), (1 - share) * confidence[after - 1] + share * confidence[after], 0.0)
    # Where frames are missing for longer than a tenth of a second, nothing was seen.
    lost = (gap > 0.1) & (np.abs(times - keypoints.times[nearest]) > 0.5 / RATE)
    between[lost], sure[lost] = np.nan, 0.0
    return times, between, sure


def _stretches(frames: int) -> list[tuple[int, int]]:
    """First frame and the one after the last of each stretch that the network sees at once."""
    if frames <= STRETCH:
        return [(0, frames)]
    count = -(-(frames - OVERLAP) // (STRETCH - OVERLAP))
    begins = np.linspace(0, frames - STRETCH, count).round().astype(int)
    return [(int(b), int(b) + STRETCH) for b in begins]


def _joined(pieces: list[dict[str, Array]], stretches: list[tuple[int, int]]) -> dict[str, Array]:
    """Guesses of overlapping stretches as one, going over from one to the next in the middle of what they share."""
    cuts = [0, *((a[1] + b[0]) // 2 for a, b in zip(stretches[:-1], stretches[1:], strict=True)), stretches[-1][1]]
    joined = {}
    for name in pieces[0]:
        parts = [
            piece[name] if name.startswith("up") else piece[name][low - begin : high - begin]
            for piece, (begin, _), low, high in zip(pieces, stretches, cuts[:-1], cuts[1:], strict=True)
        ]
        joined[name] = np.concatenate(parts)
    return joined


def _interpolated(at: Array, times: Array, values: Array) -> Array:
    """Columns of values [N, C] at other times."""
    return np.stack([np.interp(at, times, column) for column in values.T], -1)


def _nearest_rotation(matrix: Array) -> Array:
    """The rotation nearest to each matrix (orthogonal Procrustes), shape [T, 3, 3]."""
    u, _, vt = np.linalg.svd(matrix)
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return u @ vt
