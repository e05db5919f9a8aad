"""The noise of force plates, estimated from the plates themselves, and what it does to loads and torques.

A plate measures six channels, best taken about its own middle, where forces and moments have noise of their own. While
nobody stands on it, it should read zero: what it reads is noise, and its mean an offset. Where it is never unloaded, or
was set to zero there, the quietest third of the recording has to do, and offsets are taken as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, uniform_filter1d

from motorque.series import Load
from motorque.uncertainty.marker_noise import fit_spectrum
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.temporal import Process

Array = NDArray[np.float64]

UNLOADED = 25.0
"""Vertical force under which nobody stands on a plate [N]: above its noise, under the least load of a foot."""

TRIM = 0.06
"""Ends of an unloaded stretch that are not listened to [s]: filtered plates ring before and after a step."""

LEAST = 0.08
"""Shortest unloaded stretch that is listened to [s]."""

STANDS_OUT = 3.5
"""Standard deviations beyond which a reading is no noise: one in 2000 of normal noise is."""

BRUSH = 0.05
"""Time over which readings are averaged to see what stands out [s]: a toe that brushes the plate does so for longer."""

MEDIAN_TO_DEVIATION = 1.4826
"""Standard deviation over median absolute deviation of normal noise."""

FEWEST = 16
"""Samples under which a piece tells nothing."""


@dataclass(frozen=True, eq=False)
class LoadNoise:
    """Noise of one load at the motion's frames.

    Args:
        name: The load.
        body: The body that it acts on.
        spreading: Six independent channels to force and moment about the ground origin: the channels' sizes and the
            plate's middle, shape [6, 6].
        process: How the channels' noise hangs together in time.
        offset: The same as ``spreading`` for offsets.
        here: 1 where the load is this body's, 0 where the plate is another foot's, shape [T].
    """

    name: str
    body: str
    spreading: Array
    process: Process
    offset: Array
    here: Array

    def spread(self, smoother: Smoother, by_load: Array) -> dict[str, tuple[Array, Array]]:
        """By source: variance of torques [T, nv] and covariance of the wrench [T, 6, 6]."""
        variance = smoother.covariance(self.process.correlation(smoother.frames))[:, 0, 0] * self.here
        result = {}
        for name, factor, size in (("plate noise", self.spreading, variance), ("plate offset", self.offset, self.here)):
            torque = ((by_load @ factor) ** 2).sum(-1) * size[:, None]
            result[name] = (torque, (factor @ factor.T) * size[:, None, None])
        return result


def estimate_load_noise(load: Load, unfiltered: Array, times: Array) -> LoadNoise:
    """Noise of a load.

    Args:
        load: The load at the motion's times, filtered, on its body.
        unfiltered: Its plate's force and moment about the ground origin at the same times, unfiltered, shape [T, 6].
        times: The motion's times [s], shape [T].
    """
    step = float(np.median(np.diff(times)))
    here = (np.abs(load.force).sum(1) > 0).astype(float)
    middle = _middle(load)
    about = unfiltered.copy()
    about[:, 3:] -= np.cross(middle, unfiltered[:, :3])
    quiet, unloaded = _quiet(about, step)
    readings = [about[part] for part in quiet]
    if unloaded:
        readings = _undisturbed(readings, step)
    shape, size, process = _fluctuation(readings)
    offset = np.zeros(6)
    if unloaded:
        whole = np.concatenate(readings)
        chance = (shape * size) ** 2 * process.spectrum(np.zeros(1)) / len(whole)
        squares = np.maximum(whole.mean(0) ** 2 - chance, 0.0)
        # One plate's six means tell two sizes, of forces and of moments.
        offset = np.sqrt(np.repeat([squares[:3].mean(), squares[3:].mean()], 3))
    lever = np.eye(6)
    lever[3:, :3] = np.array([[0, -middle[2], middle[1]], [middle[2], 0, -middle[0]], [-middle[1], middle[0], 0]])
    return LoadNoise(load.name, load.body, lever @ np.diag(shape * size), process, lever @ np.diag(offset), here)


def _middle(load: Load) -> Array:
    """Mean point of application while loaded [m], or the origin."""
    known = np.isfinite(load.point).all(1) & (load.force[:, 1] > 2 * UNLOADED)
    return load.point[known].mean(0) if known.any() else np.zeros(3)


def _quiet(channels: Array, step: float) -> tuple[list[slice], bool]:
    """Stretches in which the plate measures nothing but its noise, and whether it was unloaded there."""
    width = max(3, round(0.02 / step) | 1)
    vertical = np.convolve(np.abs(channels[:, 1]), np.ones(width) / width, mode="same")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (vertical < UNLOADED).astype(int), [0]])))
    least, trim = max(FEWEST, round(LEAST / step)), round(TRIM / step)
    runs = [slice(a + trim, b - trim) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    runs = [r for r in runs if r.stop - r.start >= least and np.ptp(channels[r], axis=0).min() > 0]
    if runs:
        return runs, True
    length = min(len(channels), max(16, len(channels) // 12))
    pieces = [slice(s, s + length) for s in range(0, len(channels) - length + 1, length)]
    energy = [float((np.diff(channels[p], 2, axis=0) / channels.std(0).clip(1e-12)).var()) for p in pieces]
    return [pieces[i] for i in np.argsort(energy)[: max(1, len(pieces) // 3)]], False


def _undisturbed(pieces: list[Array], step: float) -> list[Array]:
    """The pieces without what stands out of their noise: a toe that brushes the plate in swing is no noise."""
    width = max(3, round(BRUSH / step) | 1)
    smooth = [uniform_filter1d(piece, width, axis=0) for piece in pieces]
    whole = np.concatenate(smooth)
    level = np.median(whole, axis=0)
    spread = MEDIAN_TO_DEVIATION * np.median(np.abs(whole - level), axis=0)
    result = []
    for piece, own in zip(pieces, smooth, strict=True):
        disturbed = (np.abs(own - level) > STANDS_OUT * spread).any(1)
        calm = ~binary_dilation(disturbed, iterations=width // 2)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], calm.astype(int), [0]])))
        result += [piece[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= FEWEST]
    return result or pieces


def _fluctuation(pieces: list[Array]) -> tuple[Array, float, Process]:
    """Relative size of each channel, their common size, and the process that all of them follow."""
    longest = max(pieces, key=len)
    frames = len(longest)
    if frames < FEWEST:
        return np.zeros(6), 0.0, Process()
    time = np.linspace(-1, 1, frames)[:, None]
    level = longest - longest.mean(0) - time * (time * longest).mean(0) / (time**2).mean()
    taper = np.hanning(frames + 2)[1:-1]
    whole = np.abs(np.fft.rfft(level * taper[:, None], axis=0)) ** 2 / float((taper**2).sum())
    cycles, power = np.asarray(np.fft.rfftfreq(frames)[2:]), np.asarray(whole[2:])
    # Channels have different units: sizes from the upper half of the spectrum, where nothing moves.
    upper = power[len(power) // 2 :].mean(0)
    shape = np.sqrt(np.maximum(np.repeat([upper[:3].mean(), upper[3:].mean()], 3), 0.0))
    if not (shape > 0).all():
        return np.zeros(6), 0.0, Process()
    fit = fit_spectrum(cycles, (power / shape**2).mean(1), 1 - 2 * np.pi / frames, wanders=False)
    return shape, float(np.sqrt(fit.fast)), fit.process
