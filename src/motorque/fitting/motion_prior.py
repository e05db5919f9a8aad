"""What somebody who has seen many people move would say of a video: the fitter's start and prior.

The fitter defines the interface only; a learned estimator is passed in from above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motorque.series import Keypoints

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PoseGuess:
    """A first idea of a person's pose in each frame, from one view.

    Args:
        names: Names of the skeleton's coordinates that are guessed; no pelvis coordinate is among them.
        mean: Their values [rad], shape [T, N].
        std: Their standard deviations [rad], shape [T, N].
        pelvis: Rotation of the pelvis to the camera's axes (x right, y down, z ahead), shape [T, 3, 3].
        pelvis_std: Standard deviation of that rotation's angle about each of the camera's axes [rad], shape [T, 3].
        up: Which way is up, in the camera's axes, a unit vector, shape [3].
        up_std: Standard deviation of its direction [rad].
    """

    names: tuple[str, ...]
    mean: Array
    std: Array
    pelvis: Array
    pelvis_std: Array
    up: Array
    up_std: float

    def frames(self, which: NDArray[np.int64]) -> PoseGuess:
        """Only the frames with these indices."""
        return PoseGuess(
            self.names,
            self.mean[which],
            self.std[which],
            self.pelvis[which],
            self.pelvis_std[which],
            self.up,
            self.up_std,
        )


class MotionPrior(Protocol):
    """Anything that guesses poses from the keypoints of one video."""

    def __call__(self, keypoints: Keypoints) -> PoseGuess:
        """Guess the pose in every frame of the keypoints, those without detections included."""
        ...
