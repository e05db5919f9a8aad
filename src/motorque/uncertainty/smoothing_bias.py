"""What smoothing takes from the motion itself, seen as a process with the recording's own spectrum.

The recording is signal plus noise; the noise's spectrum is known (`marker_noise`). What is left of the recording's
spectrum is the signal's, and where noise covers it, it is continued by the power law that human movement follows.
Smoothing is a known linear map; what it does to sines of every frequency, at every frame, ends included, is therefore
known, and so is the size of its error.

Each frequency is kept as one vector over all coordinates, with a common phase: which coordinate moves
with which is kept, and only when is left open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.uncertainty.smoother import Smoother, amplitude

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

CLEAR = 3.0
"""Power over noise at which a frequency's signal is taken from the recording itself."""

SLOPE, SLOPE_WEIGHT = 3.0, 4.0
"""How amplitudes of coordinates fall, as a power of the frequency, beyond what can be seen, and how many octave bands
that prior counts for. Marker-driven walking, 3 to 40 Hz, falls with the power 2.6 to 3.2; a cubic spline's corners
give 3."""

TORQUE_SLOPE = 2.0
"""The same for joint torques: in walking they fall with the power 1.5 up to 15 Hz, with 3 beyond."""

RESIDUAL_SLOPE = 0.5
"""The same for the forces and moments on the root, which nobody exerts: what is left over there falls hardly at all."""

STRETCH, FEWEST_STRETCHES, OUTSTANDING = 1.28, 5, 4.0
"""Length of the stretches that calm ones are picked from [s], about a stride; how few are not picked from; and how many
times the median's power makes one that is not calm. Strides of walking differ by less than twice."""


@dataclass(frozen=True, eq=False)
class SignalSpectrum:
    """A signal as sines with one phase for all columns.

    Args:
        frequency: [Hz], shape [F].
        amplitude: Complex amplitudes of each column, shape [F, columns]: the signal is the sum of
            Re(amplitude · exp(i 2π f t + i phase)) with phases that are free.
    """

    frequency: Array
    amplitude: Complex


def signal_spectrum(
    values: Array, rate: float, noise: Array, *, slope: float | Array = SLOPE, order: int = 2
) -> SignalSpectrum:
    """The sines that a recording is made of, noise taken off.

    Args:
        values: Unsmoothed columns, shape [T, C].
        rate: Sampling rate [Hz].
        noise: Power of the noise of each column at the frequencies k rate / T, mean over a period equal to its
            variance, shape [T // 2 + 1, C].
        slope: Power of the frequency with which amplitudes fall beyond what is seen, for all columns or each, [C].
        order: How often to difference before the spectrum: about the power with which it falls.
    """
    frames = len(values)
    cycles, spectrum = _bent_spectrum(values, order, frames)
    noise = noise[1 : len(cycles) + 1]
    power = _smooth(np.abs(spectrum) ** 2)
    wanted = _wanted(cycles, power, noise, slope)
    spectrum = np.sqrt(wanted / np.maximum(power, 1e-300)) * _coordinated(spectrum, power > CLEAR * noise)
    # A sine of amplitude A has variance A²/2; the power P at one of T/2 frequencies stands for a variance of 2 P / T.
    return SignalSpectrum(cycles * rate, spectrum * 2 / np.sqrt(frames))


def calm_spectrum(values: Array, rate: float, noise: Array, *, slope: float | Array, order: int) -> SignalSpectrum:
    """The same without phases, of the calm stretches of a longer recording.

    A marker that is lost or comes back makes the motion jump: one frame's torque of thousands of N·m, whose spectrum is
    flat and would pass for movement at all frequencies. Stretches whose power stands far out of the others' are left
    out, column by column. A recording of less than some seconds is taken as it is.

    Args:
        values: As for :func:`signal_spectrum`; likewise the others.
        rate: Sampling rate [Hz].
        noise: Power of the noise.
        slope: Power of the frequency with which amplitudes fall beyond what is seen.
        order: How often to difference.
    """
    frames = len(values)
    length = round(STRETCH * rate)
    starts = range(0, frames - length + 1, max(1, length // 2))
    if len(starts) < FEWEST_STRETCHES or length <= 4 * order:
        whole = signal_spectrum(values, rate, noise, slope=slope, order=order)
        return SignalSpectrum(whole.frequency, np.abs(whole.amplitude).astype(complex))
    each = [_bent_spectrum(values[s : s + length], order, length) for s in starts]
    cycles, powers = each[0][0], np.stack([np.abs(x) ** 2 for _, x in each])
    usual = np.median(powers, axis=0)
    unrest = (powers / np.maximum(usual, 1e-300)).mean(1)  # [stretches, columns]
    calm = unrest <= OUTSTANDING * np.median(unrest, axis=0)
    power = _smooth((powers * calm[:, None]).sum(0) / calm.sum(0))
    own = np.linspace(0, 0.5, len(noise))
    noise = np.stack([np.interp(cycles, own, column) for column in noise.T], axis=1)
    return SignalSpectrum(
        cycles * rate, np.sqrt(_wanted(cycles, power, noise, slope)).astype(complex) * 2 / length**0.5
    )


def _bent_spectrum(values: Array, order: int, frames: int) -> tuple[Array, Complex]:
    """Frequencies k / T [cycles a frame] but zero, [F], and the spectrum of columns by way of their differences."""
    # Differences are nearly as strong at high frequencies as at low ones, so that nothing leaks between them.
    bent = np.diff(values, order, axis=0)
    taper = np.hanning(len(bent) + 2)[1:-1]
    cycles = np.arange(1, frames // 2 + 1) / frames
    spectrum = np.fft.rfft(bent * taper[:, None], n=frames, axis=0)[1:] / np.sqrt((taper**2).sum())
    whitening = ((2 - 2 * np.cos(2 * np.pi * cycles)) ** (order / 2))[:, None]
    return cycles, np.asarray(spectrum / whitening)


def _wanted(cycles: Array, power: Array, noise: Array, slope: float | Array) -> Array:
    """The signal's power, column by column, shape [F, C]."""
    slopes = np.broadcast_to(np.asarray(slope, dtype=np.float64), (power.shape[1],))
    columns = zip(power.T, noise.T, slopes, strict=True)
    return np.stack([_signal_power(cycles, p, n, float(s)) for p, n, s in columns], 1)


def _coordinated(spectrum: Complex, clear: NDArray[np.bool_]) -> Complex:
    """The spectrum, with the phases of frequencies that noise hides taken from ones that it does not.

    Noise moves joints against each other; people move them together, and together their masses pull less. A hidden
    frequency gets the phases (not the sizes) of one of the highest that most columns show, one after the other.
    """
    shown = np.flatnonzero(clear.mean(1) > 0.5)
    if not len(shown) or len(shown) == len(spectrum):
        return spectrum
    pattern = shown[shown >= shown.max() // 3]
    hidden = np.flatnonzero(clear.mean(1) <= 0.5)
    out = spectrum.copy()
    borrowed = spectrum[pattern[np.arange(len(hidden)) % len(pattern)]]
    out[hidden] = np.abs(spectrum[hidden]) * np.exp(1j * np.angle(borrowed))
    return out


def _smooth(power: Array) -> Array:
    """Power averaged over neighbouring frequencies, ever more of them as they rise."""
    total = np.concatenate([np.zeros((1, power.shape[1])), np.cumsum(power, axis=0)])
    index = np.arange(len(power))
    half = np.minimum(1 + index // 8, 12)
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(power))
    result: Array = (total[high] - total[low]) / (high - low)[:, None]
    return result


def _signal_power(cycles: Array, power: Array, noise: Array, slope: float) -> Array:
    """The signal's power: the recording's less the noise's where it is clear, continued by a power law."""
    over = np.maximum(power - noise, 0.0)
    clear = power > CLEAR * noise
    hidden = np.flatnonzero(~clear)
    edge = int(hidden[0]) if len(hidden) else len(cycles)
    if edge == len(cycles):
        return over
    if edge < 3:
        return over * (np.arange(len(cycles)) < max(edge, 1))
    # The slope over the last octave or two that can be seen, with the prior's weight.
    first = max(1, edge // 4)
    x, y = np.log(cycles[first:edge]), np.log(np.maximum(over[first:edge], 1e-300)) / 2
    weight = 1 / cycles[first:edge]
    weight = weight / weight.sum() * 4 * np.log2(edge / first)
    spread = float(weight @ (x - np.average(x, weights=weight)) ** 2)
    own = -float(weight @ ((x - np.average(x, weights=weight)) * y)) / max(spread, 1e-12)
    fall = (spread * own + SLOPE_WEIGHT * 0.1 * slope) / (spread + SLOPE_WEIGHT * 0.1)
    fall = float(np.clip(fall, slope - 1, slope + 2))
    anchor = slice(max(first, edge - max(3, edge // 4)), edge)
    level = np.log(np.maximum(over[anchor], 1e-300)).mean() / 2 + fall * np.log(cycles[anchor]).mean()
    law = np.exp(2 * (level - fall * np.log(cycles)))
    return np.where(np.arange(len(cycles)) < edge, over, np.minimum(law, np.maximum(power, noise)))


@dataclass(frozen=True, eq=False)
class Loss:
    """What smoothing does to sines less what it should do; to be multiplied by a sine's complex amplitude, of which the
    real part counts.

    Args:
        ends: By order of derivative, what the middle of a long recording would not have, shape [3, T, F], complex.
        values: Of the values themselves, with what lies beyond the cutoff up to which the loss is measured, [T, F].
    """

    ends: Complex
    values: Complex


def smoothing_loss(smoother: Smoother, frequency: Array, measured: float | None) -> Loss:
    """Smoothed sines less the sines themselves at every frame.

    Args:
        smoother: The smoothing.
        frequency: [Hz], shape [F].
        measured: Cutoff up to which the loss in the middle of the recording is known otherwise [Hz]; None if all of it.
    """
    turn = 2 * np.pi * frequency
    angle = np.outer(np.arange(smoother.frames) / smoother.rate, turn)
    sines = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    smoothed = smoother(sines)
    found = smoothed[..., : len(turn)] + 1j * smoothed[..., len(turn) :]
    true = np.exp(1j * angle)
    passed = amplitude(frequency, smoother.rate, smoother.cutoff)
    ends = found - np.stack([true, 1j * turn * true, -(turn**2) * true]) * passed
    beyond = (1 - amplitude(frequency, smoother.rate, measured)) * true
    return Loss(np.asarray(ends, dtype=complex), np.asarray(ends[0] - beyond, dtype=complex))


def lost_variance(spectrum: SignalSpectrum, smoother: Smoother) -> Array:
    """Mean square of what the filter takes from columns in the middle of a recording, shape [columns]."""
    lost = 1 - amplitude(spectrum.frequency, smoother.rate, smoother.cutoff)
    return np.asarray(0.5 * ((np.abs(spectrum.amplitude) * lost[:, None]) ** 2).sum(0))


def thinned(spectrum: SignalSpectrum, lines: int, rng: np.random.Generator) -> SignalSpectrum:
    """At most so many sines, of the same power: high frequencies put together, the lowest left alone."""
    count = len(spectrum.frequency)
    if count <= lines:
        return spectrum
    edges = np.unique(np.round(np.geomspace(1, count + 1, 4 * lines)).astype(int)) - 1
    while len(edges) - 1 > lines:
        # The finest steps are those at low frequencies, where single lines matter; thin the rest.
        edges = np.concatenate([edges[: lines // 3], edges[lines // 3 :: 2], [count]])
        edges = np.unique(edges)
    phase = np.exp(2j * np.pi * rng.random((count, 1)))
    mixed = np.add.reduceat(spectrum.amplitude * phase, edges[:-1], axis=0)
    # The mixture has the right power on average only; it is given each column's power exactly.
    power = np.add.reduceat(np.abs(spectrum.amplitude) ** 2, edges[:-1], axis=0)
    mixed *= np.sqrt(power / np.maximum(np.abs(mixed) ** 2, 1e-300))
    weight = np.abs(spectrum.amplitude).sum(1) + 1e-300
    middle = np.add.reduceat(spectrum.frequency * weight, edges[:-1]) / np.add.reduceat(weight, edges[:-1])
    return SignalSpectrum(middle, mixed)
