"""What smoothing took from the motion, as far as the recording itself shows it.

Between the cutoff and a higher one, up to which the signal still stands clear of the noise, the loss is measured: it is
the difference of the two smoothed motions, at the very frames where it is large (a foot that lands), with all
coordinates and loads as they belong together. When within a half period of the cutoff it is largest is left open: the
difference is moved by up to a quarter period to either side. What lies beyond the higher cutoff is left to
`smoothing_bias`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.uncertainty.smoother import Smoother, amplitude

Array = NDArray[np.float64]

HIGHER = (np.inf, 4.0, 3.0, 2.5, 2.0, 1.6, 1.3)
"""Higher cutoffs that are tried, in units of the cutoff, the highest first; without any filter before all."""

HIGHEST = 0.25
"""Highest of them as a share of the sampling rate: nearer to half of it a filter rings at the recording's ends for
longer than it is padded there."""

MOSTLY_SIGNAL = 0.5
"""Largest share of noise in the difference, for half of the coordinates."""

WAVE = 0.85
"""Size of a standard deviation beside a loss's root mean square. A loss is a wave of known size, and 90 % of a sine lie
within 1.40 times its root mean square, not within 1.645 as of noise."""

SHIFTS = 5
"""Places that a difference is moved to, over half a period of the cutoff."""


@dataclass(frozen=True, eq=False)
class MissedSignal:
    """A loss that was measured, and the places that it may have.

    Args:
        higher: The smoothing up to which the motion's loss is measured; the one that was done if none of it is.
        motion: Of the free coordinates and their two derivatives, shape [3, T, n].
        with_motion: Of the loads' columns between the same two cutoffs, shape [T, 6 L].
        loads: Of the loads' columns, up to a cutoff of their own, shape [T, 6 L].
        shifts: Frames that it may be moved by.
    """

    higher: Smoother
    motion: Array
    with_motion: Array
    loads: Array
    shifts: tuple[int, ...]

    def moved(self) -> tuple[Array, Array, Array]:
        """All places of motion, loads with it, and loads, each with its share of the size: [S, 3, T, n], [S, T, 6 L]
        twice.
        """
        frames = self.motion.shape[1]
        rows = np.clip(np.arange(frames) + np.array(self.shifts)[:, None], 0, frames - 1)
        share = WAVE / np.sqrt(len(self.shifts))
        motion = self.motion[:, rows].transpose(1, 0, 2, 3)
        return motion * share, self.with_motion[rows] * share, self.loads[rows] * share

    def local_size(self) -> Array:
        """Size of what the loads lost at each frame over its mean over the recording, half of it even; shape [T]."""
        size = ((self.loads / self.loads.std(0).clip(1e-9)) ** 2).mean(1) if self.loads.size else np.zeros(0)
        if not size.any():
            return np.ones(self.motion.shape[1])
        rows = np.clip(np.arange(len(size)) + np.array(self.shifts)[:, None], 0, len(size) - 1)
        local = size[rows].mean(0)
        return np.asarray(np.sqrt(0.5 + 0.5 * local / local.mean()))


def missed_signal(
    smoother: Smoother, values: Array, noise: Array, loads: Array, load_noise: Array, calm: NDArray[np.bool_]
) -> MissedSignal:
    """The measured part of the loss; zero where noise hides it or nothing is filtered.

    Args:
        smoother: The smoothing that was done.
        values: Unsmoothed free coordinates, shape [T, n].
        noise: Power of their noise at the frequencies k rate / T, shape [T // 2 + 1, n].
        loads: Unfiltered load columns, shape [T, 6 L].
        load_noise: Power of theirs, shape [T // 2 + 1, 6 L].
        calm: Where markers tell the motion, which the loss is measured at, shape [T].
    """
    motion, higher = _measured(smoother, values, noise, (0, 1, 2), calm)
    gone, _ = _measured(smoother, loads, load_noise, (0,), np.ones_like(calm))
    together = np.zeros_like(loads)
    if higher is not smoother and loads.size:
        together = higher(loads, (0,))[0] - smoother(loads, (0,))[0]
    inside = _inside(smoother)[:, None]
    motion, together = motion * inside, together * inside
    cutoff = smoother.cutoff or np.inf
    reach = 0.25 * smoother.rate / cutoff
    shifts = tuple(int(s) for s in np.round(np.linspace(-reach, reach, SHIFTS)))
    return MissedSignal(higher, motion, together, gone[0], shifts)


def _inside(smoother: Smoother) -> Array:
    """From 0 at the recording's ends to 1 half a period of the cutoff from them, shape [T].

    At the ends a higher cutoff errs itself, by as much as the lower one or more; what smoothing does there is known
    from `smoothing_bias`.
    """
    frame = np.arange(smoother.frames)
    away = np.minimum(frame, frame[::-1])
    reach = 0.0 if smoother.cutoff is None else 0.5 * smoother.rate / smoother.cutoff
    return np.asarray(np.clip(away / max(reach, 1.0), 0.0, 1.0))


def _measured(
    smoother: Smoother, values: Array, noise: Array, orders: tuple[int, ...], calm: NDArray[np.bool_]
) -> tuple[Array, Smoother]:
    """Loss up to the highest cutoff at which noise leaves it in sight, less the noise's share, and that smoothing."""
    rate, frames = smoother.rate, smoother.frames
    plain = smoother(values, orders)
    frequency = np.arange(frames // 2 + 1) * rate / frames
    turn = (2 * np.pi * frequency)[:, None]
    for factor in HIGHER:
        if smoother.cutoff is None or not values.size or HIGHEST * rate < factor * smoother.cutoff < np.inf:
            continue
        higher = Smoother.of(frames, rate, None if factor == np.inf else factor * smoother.cutoff)
        passed = amplitude(frequency, rate, higher.cutoff) - amplitude(frequency, rate, smoother.cutoff)
        difference = higher(values, orders) - plain
        chance = np.stack([(passed[:, None] ** 2 * turn ** (2 * k) * noise).mean(0) for k in orders])
        size = (difference[:, calm] ** 2).mean(1) if calm.any() else np.zeros_like(chance)
        share = np.minimum(chance / np.maximum(size, 1e-30 + 1e-9 * chance), 1e9)
        if np.median(share[-1]) <= MOSTLY_SIGNAL:
            return difference * np.sqrt(np.clip(1 - share, 0, 1))[:, None], higher
    return np.zeros_like(plain), smoother
