"""The noise of force plates, estimated from the plates themselves, and what it does to loads and torques.

A plate measures six channels, best taken about its own middle, where forces and moments have noise of their own. While
nobody stands on it, it should read zero: what it reads is noise, and its mean an offset. Where it is never unloaded, or
was set to zero there, what fluctuates about a smooth curve in the quietest third of the time under load has to do, and
offsets are taken as unknown.

All of this is told from the plate's own samples at its own rate: cameras may be far slower, and stance seen at 30 Hz
has wiggles that would pass for noise. What counts at the motion's rate is the noise's power per hertz, which filters
and resampling leave as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, uniform_filter1d

from motorque.series import Load
from motorque.signals.runs import runs_of
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
"""Samples of the plate under which a piece tells nothing."""

SET_TO_ZERO = 1e-3, 1e-5
"""Range of an unloaded plate's forces under which somebody set it to zero: [N], and as a share of its largest force. No
plate is that quiet; a filter after the zeros leaves less than this."""

PIECE = 0.1
"""Length of the pieces of stance of which the quietest are listened to [s]."""

STANCE_ENDS = 30.0
"""Frequency above which quiet stance has nothing of its own [Hz]: 99 % of the power of ground forces in walking is
below 15 Hz (Antonsson and Mann, J Biomech 18 (1985) 39-47)."""

HIGHEST = 250.0
"""Frequency up to which noise of stance is taken for white [Hz]: amplifiers cut off what is beyond some hundreds."""


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


def estimate_load_noise(load: Load, plate: Array, rate: float, step: float) -> LoadNoise:
    """Noise of a load.

    Args:
        load: The load at the motion's times, filtered, on its body.
        plate: Its plate's force and moment about the ground origin, as measured, at the plate's own rate, shape [N, 6].
        rate: That rate [Hz].
        step: The motion's step [s].
    """
    here = (np.abs(load.force).sum(1) > 0).astype(float)
    middle = _middle(load)
    about = plate.copy()
    about[:, 3:] -= np.cross(middle, plate[:, :3])
    quiet = _unloaded(about, 1 / rate)
    offset = np.zeros(6)
    if quiet:
        readings = _undisturbed([about[part] for part in quiet], 1 / rate)
        shape, size, process = _fluctuation(readings)
        whole = np.concatenate(readings)
        chance = (shape * size) ** 2 * process.spectrum(np.zeros(1)) / len(whole)
        squares = np.maximum(whole.mean(0) ** 2 - chance, 0.0)
        # One plate's six means tell two sizes, of forces and of moments.
        offset = np.sqrt(np.repeat([squares[:3].mean(), squares[3:].mean()], 3))
    else:
        shape, size, process = _about_a_curve(about, rate), 1.0, Process()
    process, variance = resampled(process, step * rate)
    lever = np.eye(6)
    lever[3:, :3] = np.array([[0, -middle[2], middle[1]], [middle[2], 0, -middle[0]], [-middle[1], middle[0], 0]])
    size = size * np.sqrt(variance)
    return LoadNoise(load.name, load.body, lever @ np.diag(shape * size), process, lever @ np.diag(offset), here)


def resampled(process: Process, samples: float) -> tuple[Process, float]:
    """White or AR(1) noise at another rate with as much power per hertz at low frequencies, and its variance there.

    Args:
        process: Noise of variance 1; its order is 1.
        samples: Its samples per sample of the other rate, whole or not.
    """
    memory = process.memory**samples

    def density(m: float) -> float:
        return (1 + m) / (1 - m)

    white = process.white / samples
    lasting = (1 - process.white) * density(process.memory) / density(memory) / samples
    return Process(white / (white + lasting), memory, 1), white + lasting


def _middle(load: Load) -> Array:
    """Mean point of application while loaded [m], or the origin."""
    known = np.isfinite(load.point).all(1) & (load.force[:, 1] > 2 * UNLOADED)
    return load.point[known].mean(0) if known.any() else np.zeros(3)


def _unloaded(channels: Array, step: float) -> list[slice]:
    """Stretches in which the plate measures nothing but its noise; none if it was set to zero there."""
    width = max(3, round(0.02 / step) | 1)
    vertical = np.convolve(np.abs(channels[:, 1]), np.ones(width) / width, mode="same")
    least, trim = max(FEWEST, round(LEAST / step)), round(TRIM / step)
    zero = max(SET_TO_ZERO[0], SET_TO_ZERO[1] * float(np.abs(channels[:, :3]).max()))
    runs = [slice(run.start + trim, run.stop - trim) for run in runs_of(vertical < UNLOADED)]
    return [r for r in runs if r.stop - r.start >= least and np.ptp(channels[r, :3], axis=0).max() > zero]


def _about_a_curve(channels: Array, rate: float) -> Array:
    """Sizes of white noise in the six channels of a plate under load, shape [6]; zeros where nothing tells it.

    Power above what stance itself has, in the quietest third of its pieces, of what is left of a cubic there.
    """
    length = max(FEWEST, round(PIECE * rate))
    trim = round(0.5 * TRIM * rate)
    runs = [(run.start + trim, run.stop - trim) for run in runs_of(np.abs(channels[:, 1]) >= UNLOADED)]
    pieces = np.array([channels[s : s + length] for a, b in runs for s in range(a, b - length + 1, length)])
    hertz = np.fft.rfftfreq(length, 1 / rate)
    above = (hertz >= STANCE_ENDS) & (hertz <= HIGHEST)
    if not len(pieces) or above.sum() < 2:
        return np.zeros(6)
    energy = (np.diff(pieces, 2, axis=1).var(1) / np.maximum(channels.var(0), 1e-12)).sum(1)
    calm = pieces[np.argsort(energy)[: max(1, len(pieces) // 3)]]
    curve = np.linalg.qr(np.vander(np.linspace(-1, 1, length), 4))[0]
    left = calm - curve @ (curve.T @ calm)
    taper = np.hanning(length + 2)[1:-1, None]
    power = np.abs(np.fft.rfft(left * taper, axis=1)) ** 2 / float((taper**2).sum())
    own = power[:, above].mean((0, 1))
    return np.sqrt(np.repeat([own[:3].mean(), own[3:].mean()], 3))


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
        result += [piece[run] for run in runs_of(calm) if run.stop - run.start >= FEWEST]
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
