"""The noise of markers, estimated from what inverse kinematics leaves over.

A marker's residual, in the axes of its body, is (I - H) n: its noise less what the fit swallowed, with something of the
other markers' noise (`MarkerGain.mixing`). Three kinds are told apart by how they hang together in time:

- *measurement*: white or AR(1), the part of the spectrum that is flat or falls with the square of the frequency;
- *tissue*: what falls more steeply: skin that slides over bone and a model that is not quite the person;
- *offset*: the mean, as of a marker that sits elsewhere than the model has it.

The group's spectrum is fitted by Whittle's likelihood; sizes are then found marker by marker, drawn towards the group.

Sources: Whittle, Ark Mat 2 (1953) 423-434 (the likelihood); for soft tissue's slow, steep spectrum: Leardini et al.,
Gait & Posture 21 (2005) 212-225.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.optimize import minimize, nnls

from motorque.uncertainty.temporal import Process, chain_variance

Array = NDArray[np.float64]

OFFSET_FREEDOM = 6.0
"""How many coordinates of offset the group's size counts for beside a marker's own three."""

GROUP_PULL = 0.15
"""Weight of the group's size beside a marker's own power, which hundreds of samples tell well."""

BINS = 300
"""Most frequencies that a spectrum is fitted at."""

AROUND = 25
"""Frames over which residuals beside a gap are averaged: a fifth of white noise is left, and tissue moves little."""

LEAST_FRAMES = 32
"""Frames under which a spectrum tells nothing."""


@dataclass(frozen=True, eq=False)
class NoisePart:
    """One kind of noise of all markers: sizes [m] per axis, shape [M], and how it hangs together in time.

    ``process`` is None for what stays the same in the axes of the marker's body.
    """

    name: str
    std: Array
    process: Process | None

    @property
    def typical(self) -> float:
        """Root mean square of the markers' sizes [m]."""
        return float(np.sqrt(np.mean(self.std**2)))


def estimate_marker_noise(residual: Array, mixing: Array) -> tuple[NoisePart, NoisePart, NoisePart]:
    """Measurement noise, tissue and offsets of the markers of a recording.

    Args:
        residual: Measured less model markers in the axes of the marker's body [m], shape [T, M, 3]; NaN where unseen.
        mixing: Mean square of a marker's residual per unit of variance of each marker, shape [M, M].

    Returns:
        The three parts, in this order.
    """
    # A gap that is bridged by a line has no noise.
    seen = np.isfinite(residual[..., 0])
    residual = _filled(residual)
    mean = residual.mean(0)
    left = mixing.sum(1)
    frames = len(residual)
    if frames < LEAST_FRAMES:
        power = ((residual - mean) ** 2).mean((0, 2)) / seen.mean(0).clip(1e-9)
        sizes = _sizes(power, mixing, GROUP_PULL)
        zero = np.zeros(len(sizes))
        fast, slow, process, wander = sizes, zero, Process(), Process(0.0, 0.9, 3)
    else:
        cycles, power = _periodograms(residual - mean)
        taper = np.hanning(frames + 2)[1:-1] ** 2
        power /= (taper @ seen / taper.sum()).clip(1e-9)  # a gap in the middle counts for more than one at the ends
        fit = fit_spectrum(cycles, (power / left).mean(1), 1 - 2 * np.pi / frames)
        process, wander = fit.process, fit.wander
        mostly = fit.measurement(cycles) > fit.tissue(cycles)
        fast = fit.fast * _relative(power, cycles, mostly, mixing, left)
        slow = fit.slow * _relative(power, cycles, ~mostly, mixing, left)
    # What a mean over the recording shows of measurement noise. What it shows of tissue is an offset by any other name.
    chance = fast * process.spectrum(np.zeros(1)) / frames
    squares = np.maximum((mean**2).mean(1) - mixing @ chance, 0.0)
    group = squares.sum() / left.sum()
    own = squares / left
    offset = (OFFSET_FREEDOM * group + 3 * own) / (OFFSET_FREEDOM + 3)
    return (
        NoisePart("measurement", np.sqrt(fast), process),
        NoisePart("tissue", np.sqrt(slow), wander),
        NoisePart("offset", np.sqrt(offset), None),
    )


def _filled(residual: Array) -> Array:
    """Residuals with gaps bridged by straight lines, shape [T, M, 3]; a marker that is never seen has zeros.

    The lines lead from what is slow before a gap to what is slow after it: between two single samples they would
    stretch the noise of these two over the gap, which then passes for tissue.
    """
    if np.isfinite(residual).all():
        return residual
    out = residual.copy()
    frame = np.arange(len(out))
    for marker in range(out.shape[1]):
        seen = np.isfinite(out[:, marker, 0])
        if seen.all():
            continue
        known = np.where(seen[:, None], out[:, marker], 0.0)
        count = uniform_filter1d(seen.astype(float), AROUND, mode="constant")[:, None]
        slow = uniform_filter1d(known, AROUND, axis=0, mode="constant") / np.maximum(count, 1e-9)
        for axis in range(3):
            line = np.interp(frame, frame[seen], slow[seen, axis]) if seen.any() else np.zeros(len(frame))
            out[:, marker, axis] = np.where(seen, known[:, axis], line)
    return out


def _periodograms(residual: Array) -> tuple[Array, Array]:
    """Frequencies [cycles a frame], without the lowest two, and each marker's mean power over axes, shape [F, M]."""
    frames = len(residual)
    taper = np.hanning(frames + 2)[1:-1]
    power = np.empty((frames // 2 + 1, residual.shape[1]))
    for marker in range(residual.shape[1]):
        spectrum = np.fft.rfft(residual[:, marker] * taper[:, None], axis=0)
        power[:, marker] = (np.abs(spectrum) ** 2).mean(1) / float((taper**2).sum())
    return np.asarray(np.fft.rfftfreq(frames)[2:]), power[2:]


@dataclass(frozen=True)
class SpectrumFit:
    """Variances of the group [m² for markers] and how they hang together in time: measurement, then what wanders."""

    fast: float
    slow: float
    process: Process
    wander: Process

    def measurement(self, cycles: Array) -> Array:
        """Power of the measurement noise by frequency [cycles a frame]."""
        return self.fast * self.process.spectrum(cycles)

    def tissue(self, cycles: Array) -> Array:
        """Power of what wanders by frequency [cycles a frame]."""
        return self.slow * self.wander.spectrum(cycles)


def fit_spectrum(cycles: Array, power: Array, slowest: float, *, wanders: bool = True) -> SpectrumFit:
    """White, AR(1) and tissue by Whittle's likelihood; ``slowest`` is the largest pole that the recording can show."""
    scale = float(power.mean())
    if scale <= 0:
        return SpectrumFit(0.0, 0.0, Process(), Process(0.0, 0.9, 3))
    cycles, power, weight = _binned(cycles, power)
    target, cosine = power / scale, np.cos(2 * np.pi * cycles)

    def parts(x: Array) -> tuple[float, float, float, Process, Process]:
        white, ar, slow = np.exp(np.clip(x[:3], -40, 20))
        slow = slow if wanders else 0.0
        memory, pole = slowest / (1 + np.exp(-np.clip(x[3:], -30, 30)))
        return white, ar, slow, Process(0.0, float(memory), 1), Process(0.0, float(pole), 3)

    def cost(x: Array) -> tuple[float, Array]:
        """Minus the likelihood, and its derivatives."""
        white, ar, slow, first, second = parts(x)
        once, thrice = (_chain_spectrum(cosine, p.memory, p.order) for p in (first, second))
        model = white + ar * once[0] + slow * thrice[0] + 1e-12
        rows = np.stack([np.full_like(model, white), ar * once[0], slow * thrice[0], ar * once[1], slow * thrice[1]])
        poles = np.array([first.memory, second.memory])
        rows[3:] *= (poles * (1 - poles / slowest))[:, None]
        gradient = rows @ (weight * (1 / model - target / model**2))
        gradient[3:] += 2e-4 * x[3:]
        return float(weight @ (np.log(model) + target / model)) + 1e-4 * float(x[3:] @ x[3:]), gradient

    tail = float(np.median(target[-max(4, len(target) // 4) :])) + 1e-9
    starts = [
        np.array([np.log(tail), np.log(ar * tail), np.log(slow), m, p])
        for ar, m in ((0.1, 0.0), (5.0, 2.5))
        for slow, p in ((1e-3, 1.5), (1.0, 2.5))
    ]
    found = min((minimize(cost, x, method="L-BFGS-B", jac=True) for x in starts), key=lambda r: float(r.fun))
    white, ar, slow, first, second = parts(found.x)
    fast = white + ar
    return SpectrumFit(fast * scale, slow * scale, Process(float(white / fast), first.memory, 1), second)


def _binned(cycles: Array, power: Array) -> tuple[Array, Array, Array]:
    """Frequencies, powers and weights of a spectrum, high frequencies put together by a few per cent."""
    edges = np.unique(np.round(np.geomspace(1, len(cycles) + 1, BINS)).astype(int)) - 1
    counts = np.diff(edges)
    return (
        np.add.reduceat(cycles, edges[:-1]) / counts,
        np.add.reduceat(power, edges[:-1]) / counts,
        counts / counts.sum(),
    )


def _chain_spectrum(cosine: Array, pole: float, order: int) -> tuple[Array, Array]:
    """Power of equal AR(1) filters in a row, of variance 1, and its derivative by their pole."""
    shape = 1 + pole**2 - 2 * pole * cosine
    power, change = chain_variance(pole, order)
    spectrum = shape**-order / power
    return spectrum, spectrum * (-order * (2 * pole - 2 * cosine) / shape - change / power)


def _relative(power: Array, cycles: Array, mask: NDArray[np.bool_], mixing: Array, left: Array) -> Array:
    """Each marker's variance over the group's mean, by its power where a part dominates; mean 1."""
    count = power.shape[1]
    if mask.sum() < 3:
        return np.ones(count)
    level = power[mask]
    level = (level / np.maximum((level / left).mean(1, keepdims=True), 1e-300)).mean(0)
    sizes = _sizes(level, mixing, GROUP_PULL)
    return np.asarray(sizes / sizes.mean())


def _sizes(power: Array, mixing: Array, pull: float) -> Array:
    """Variances whose mixture gives each marker's power, none negative, drawn towards a common one."""
    count = len(power)
    group = power.sum() / mixing.sum()
    if group <= 0:
        return np.zeros(count)
    weight = 1 / np.sqrt(np.maximum(power, 0.05 * power.mean()))
    rows = np.concatenate([mixing * weight[:, None], pull * np.eye(count) / np.sqrt(group)])
    values = np.concatenate([power * weight, np.full(count, pull * np.sqrt(group))])
    return np.asarray(nnls(rows, values)[0])
