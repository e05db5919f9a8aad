"""Intervals over people and their recordings: a bootstrap that draws people first, then recordings of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.studies.statistics import CONFIDENCE, Interval

Array = NDArray[np.float64]

DRAWS = 2000
"""Resamples: limits of a 95 % interval are then known to a few per cent of its width."""


@dataclass(frozen=True)
class Resamples:
    """How much each recording counts in each resample; the same for all methods, so that differences are paired.

    Args:
        weights: Shape [N, R]: times drawn times frames.
        frames: Frames of the recordings, shape [R]: the sample itself.
        subjects: How many people they are of.
    """

    weights: Array
    frames: Array
    subjects: int

    def interval(self, statistic: Callable[[Array], Array]) -> Interval:
        """Percentile interval of what is computed from weights [..., R] → [...]; its middle is the sample's own."""
        tail = 50.0 * (1.0 - CONFIDENCE)
        low, high = np.percentile(statistic(self.weights), [tail, 100.0 - tail])
        return Interval(float(statistic(self.frames[None])[0]), float(low), float(high))

    def mean(self, values: Array) -> Interval:
        """Of the mean over frames of what each recording has, shape [R]."""
        return self.interval(lambda weights: _mean(weights, values))

    def difference(self, one: Array, other: Array) -> Interval:
        """Of the difference of two means, recording by recording."""
        return self.mean(np.asarray(one) - np.asarray(other))

    def ratio(self, one: Array, other: Array) -> Interval:
        """Of the quotient of two means, in the same resamples."""
        return self.interval(lambda weights: _mean(weights, one) / _mean(weights, other))


def resamples(
    subjects: Sequence[str], frames: Sequence[float], *, people: bool = True, draws: int = DRAWS, seed: int = 0
) -> Resamples:
    """Resamples with replacement: as many people as there are, then as many recordings of each as there are.

    With a single person only the recordings are drawn: the interval then says nothing of other people.

    Args:
        subjects: Whose each recording is, R of them.
        frames: How many frames each has.
        people: Whether people are drawn too; otherwise each keeps the recordings that there are of them, and only which
            ones is drawn.
        draws: How many resamples.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    names = sorted(set(subjects))
    of = [np.flatnonzero(np.array([s == name for s in subjects])) for name in names]
    times = np.zeros((draws, len(subjects)))
    for slot in range(len(names)):
        chosen = rng.integers(len(names), size=draws) if people else np.full(draws, slot)
        for number, own in enumerate(of):
            rows = np.flatnonzero(chosen == number)
            times[np.ix_(rows, own)] += rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=len(rows))
    count = np.asarray(frames, dtype=np.float64)
    return Resamples(times * count, count, len(names))


def _mean(weights: Array, values: Array) -> Array:
    return np.asarray((weights @ np.asarray(values, dtype=np.float64)) / weights.sum(axis=-1))
