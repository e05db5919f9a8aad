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
from motorque.signals.filters import butterworth
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
        fit: Modes [C, C] of what is uncertain.
        belief: Variances of their coefficients.
        left: Time courses in which the noise that is left is in the result, after all filters, shape [t, t].
        lost: Those in which it lacks movement, shape [t, t]: no filter gives that back.
    """

    fit: AdaptiveFit
    belief: Belief
    left: Array
    lost: Array

    @property
    def courses(self) -> tuple[Array, Array]:
        """Time courses by source of :data:`SOURCES`."""
        return self.left, self.lost

    def powers(self, courses: tuple[Array, Array]) -> tuple[Array, Array]:
        """Variance of each mode at each frame, by source of :data:`SOURCES`, shape [t, C] each.

        Args:
            courses: Products of two rows of weights of the time courses by source, shape [t, courses] each.
        """
        return courses[0] @ self.belief.noise, courses[1] @ self.belief.motion

    def drawn(self, rng: np.random.Generator, count: int, share: Array) -> NDArray[np.float32]:
        """Draws of errors, shape [t, count, C], their variances times a share of each frame [t]."""
        single = self.left is self.lost
        sizes = [self.belief.variance] if single else [self.belief.noise, self.belief.motion]
        found = np.zeros((len(share), count, len(self.fit.modes)), dtype=np.float32)
        for courses, variance in zip(self.courses, sizes, strict=False):
            size = np.sqrt(variance).astype(np.float32)
            units = rng.standard_normal((len(size), count, size.shape[1]), dtype=np.float32) * size[:, None]
            modes = units @ self.fit.modes.astype(np.float32)
            weights = (np.sqrt(share)[:, None] * courses).astype(np.float32)
            found += (weights @ modes.reshape(len(size), -1)).reshape(found.shape)
        return found


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
        higher: The poses with what a ceiling over smoothing took from them, as far as it may be movement, if there is
            one.
    """

    poses: Poses
    chart: PoseChart
    windows: tuple[Window, ...]
    higher: Poses | None = None

    @staticmethod
    def of(smoothed: SmoothedPoses) -> PosePosterior:
        """The posterior of smoothed poses.

        Raises:
            ValueError: They come without what they were smoothed with, as refined ones do.
        """
        if smoothed.chart is None:
            raise ValueError("poses without the fits that they were smoothed with")
        frames, rate, ceiling = len(smoothed.poses.times), smoothed.poses.rate, smoothed.ceiling

        def channels(fit: AdaptiveFit, values: Array, order: int, lasting: bool) -> Channels:
            found = belief(fit, values, order=order, lasting=lasting)
            if ceiling is None:
                return Channels(fit, found, fit.basis, fit.basis)
            left = butterworth(fit.basis, rate, ceiling)
            # Beyond twice the ceiling a recording's own guess of what it lacks is not to be trusted: `pose_ceiling`.
            lost = fit.basis if 2 * ceiling >= rate / 2 else butterworth(fit.basis, rate, 2 * ceiling)
            return Channels(fit, found, left, lost)

        total = np.zeros(frames)
        for window in smoothed.windows:
            total[window.first : window.last] += blend(window.first, window.last, frames)
        found = []
        for window in smoothed.windows:
            span = slice(window.first, window.last)
            turned = channels(window.turned, window.vectors, ORDER, True)
            moved = channels(window.moved, window.places, PLACE_ORDER, False)
            share = blend(window.first, window.last, frames) / total[span]
            found.append(Window(window.first, window.last, share, turned, moved))
        return PosePosterior(smoothed.poses, smoothed.chart, tuple(found), smoothed.higher)

    @cached_property
    def vectors(self) -> Array:
        """Vectors of the most probable rotations in the chart less its own, shape [T, 24, 3]."""
        return self.chart.vectors(self.poses.rotations) - self.chart.offset

    @cached_property
    def under_ceiling(self) -> Array | None:
        """What a ceiling over smoothing took of vectors and place and may be movement [rad, m], shape [T, 75]."""
        if self.higher is None:
            return None
        turned = self.chart.vectors(self.higher.rotations) - self.chart.offset - self.vectors
        return np.concatenate(
            [turned.reshape(len(turned), -1), self.higher.translation - self.poses.translation], axis=1
        )

    def drawn(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Draws of what the vectors in the chart and the root's place differ by [rad, m], shape [count, T, 75]."""
        frames = len(self.poses.times)
        found = np.zeros((frames, count, 75), dtype=np.float32)
        for window in self.windows:
            # Independent draws of overlapping windows: their variances, not they themselves, are blended.
            span = slice(window.first, window.last)
            found[span, :, :72] += window.turned.drawn(rng, count, window.share)
            found[span, :, 72:] += window.moved.drawn(rng, count, window.share)
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
                for total, power in zip(found, channels.powers((channels.left**2, channels.lost**2)), strict=True):
                    own = (power @ pairs.reshape(len(pairs), -1)).reshape(len(power), -1, 3, 3)
                    total[span, blocks] += window.share[:, None, None, None] * own
        return found[0], found[1]
