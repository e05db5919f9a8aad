"""What a recording of poses leaves open: the poses that it may as well have been, given noise and movement.

Smoothing (`fitting.pose_smoothing`) finds noise and movement of a recording from itself. The poses that are as probable
given both differ from the smoothed ones by the noise that is left and by the movement that smoothing took away; their
spread at every frame, joint and derivative is the error bar, smoothing bias included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.pose_chart import PoseChart
from motorque.fitting.pose_smoothing import SmoothedPoses
from motorque.series.poses import Poses
from motorque.signals.adaptive import ORDER, AdaptiveFit, blend
from motorque.uncertainty.level_belief import Belief, belief

Array = NDArray[np.float64]

PLACE_ORDER = 2
"""Which differences of the root's path are white, as `fitting.pose_smoothing` has it."""

SOURCES = ("pose noise", "smoothing")
"""What spreads the poses: noise that smoothing left, and movement that it took away."""


@dataclass(frozen=True, eq=False)
class Channels:
    """Rotations or places of one window.

    Args:
        fit: Time courses [t, t] and modes [C, C] of what is uncertain.
        belief: Variances of their coefficients.
    """

    fit: AdaptiveFit
    belief: Belief

    def powers(self, courses: Array) -> tuple[Array, Array]:
        """Variance of each mode at each frame, by source of :data:`SOURCES`, shape [t, C] each.

        Args:
            courses: Products of two rows of weights of the time courses, shape [t, courses].
        """
        return courses @ self.belief.noise, courses @ self.belief.motion


@dataclass(frozen=True, eq=False)
class Window:
    """One window of a recording: frames, how much it counts at each (in variances), and what is open in it."""

    first: int
    last: int
    share: Array
    turned: Channels
    moved: Channels


@dataclass(frozen=True, eq=False)
class PosePosterior:
    """The poses that a recording may have been.

    Args:
        poses: The most probable ones.
        chart: What their vectors are counted from.
        windows: What is uncertain.
    """

    poses: Poses
    chart: PoseChart
    windows: tuple[Window, ...]

    @staticmethod
    def of(smoothed: SmoothedPoses) -> PosePosterior:
        """The posterior of smoothed poses.

        Raises:
            ValueError: They come without what they were smoothed with, as refined ones do.
        """
        if smoothed.chart is None:
            raise ValueError("poses without the fits that they were smoothed with")
        frames = len(smoothed.poses.times)
        total = np.zeros(frames)
        for window in smoothed.windows:
            total[window.first : window.last] += blend(window.first, window.last, frames)
        found = []
        for window in smoothed.windows:
            span = slice(window.first, window.last)
            turned = Channels(window.turned, belief(window.turned, window.vectors, order=ORDER))
            moved = Channels(window.moved, belief(window.moved, window.places, order=PLACE_ORDER, lasting=False))
            share = blend(window.first, window.last, frames) / total[span]
            found.append(Window(window.first, window.last, share, turned, moved))
        return PosePosterior(smoothed.poses, smoothed.chart, tuple(found))

    @cached_property
    def vectors(self) -> Array:
        """Vectors of the most probable rotations in the chart less its own, shape [T, 24, 3]."""
        return self.chart.vectors(self.poses.rotations) - self.chart.offset

    def drawn(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Draws of what the vectors in the chart and the root's place differ by [rad, m], shape [count, T, 75]."""
        frames = len(self.poses.times)
        found = np.zeros((frames, count, 75), dtype=np.float32)
        for window in self.windows:
            for channels, columns in ((window.turned, slice(0, 72)), (window.moved, slice(72, 75))):
                size = np.sqrt(channels.belief.variance).astype(np.float32)
                units = rng.standard_normal((len(size), count, size.shape[1]), dtype=np.float32) * size[:, None]
                modes = units @ channels.fit.modes.astype(np.float32)
                # Independent draws of overlapping windows: their variances, not they themselves, are blended.
                courses = (np.sqrt(window.share)[:, None] * channels.fit.basis).astype(np.float32)
                moved = (courses @ modes.reshape(len(size), -1)).reshape(modes.shape)
                found[window.first : window.last, :, columns] += moved
        return found.transpose(1, 0, 2)

    def covariances(self) -> tuple[Array, Array]:
        """Covariance of each joint's vector and of the place [rad², m²], by source, shape [T, 25, 3, 3] each."""
        frames = len(self.poses.times)
        found = tuple(np.zeros((frames, 25, 3, 3)) for _ in SOURCES)
        for window in self.windows:
            span = slice(window.first, window.last)
            for channels, blocks in ((window.turned, slice(0, 24)), (window.moved, slice(24, 25))):
                modes = channels.fit.modes.reshape(len(channels.fit.modes), -1, 3)
                pairs = modes[..., :, None] * modes[..., None, :]
                for total, power in zip(found, channels.powers(channels.fit.basis**2), strict=True):
                    own = (power @ pairs.reshape(len(pairs), -1)).reshape(len(power), -1, 3, 3)
                    total[span, blocks] += window.share[:, None, None, None] * own
        return found[0], found[1]
