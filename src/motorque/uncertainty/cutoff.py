"""The low-pass cutoff that a recording asks for, and why.

Three ways, from the oldest to the one that is taken:

- *residual analysis*: where what the filter takes off is as much as the noise, whose size is read off the highest
  cutoffs (Winter, Biomechanics and Motor Control of Human Movement, 4th ed., section 2.2.4.5);
- *generalized cross-validation*: where every sample is best foretold by the others (Craven and Wahba, Numer Math 31
  (1979) 377-403), which takes the noise for white;
- *expected error*: where the noise that passes and the signal that is lost make the least error **of the torques**. The
  noise is that of the markers and plates, its colour included; the signal is what the spectrum of the torques shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.mechanics.twists import coordinate_bodies
from motorque.series import Loads, Motion
from motorque.signals import butterworth
from motorque.skeleton.skeleton import GROUND, Skeleton
from motorque.uncertainty.assembly import chain_of, torque_spectrum, with_loads
from motorque.uncertainty.evidence import (
    EvidencePiece,
    LoadEvidence,
    MarkerEvidence,
    load_evidence,
    pieces,
    rows_of_loads,
)
from motorque.uncertainty.propagate import Chain, torque_noise_power
from motorque.uncertainty.smoother import amplitude
from motorque.uncertainty.smoothing_bias import SignalSpectrum
from motorque.uncertainty.torque_gain import TorqueGain

Array = NDArray[np.float64]

LOWEST, HIGHEST, STEP = 3.0, 20.0, 0.5
"""Cutoffs that are tried [Hz]: below 3 Hz walking itself is lost; above 20 Hz soft tissue moves, not the skeleton."""

MOST_PIECES = 4
"""Pieces of a long recording that the cutoff is told from."""

FILTERS = 80
"""Most cutoffs that residual analysis looks at."""


@dataclass(frozen=True, eq=False)
class CutoffChoice:
    """A cutoff and its reason.

    Args:
        cutoff: Low-pass cutoff [Hz].
        reason: One sentence.
        tried: Cutoffs that were tried [Hz], shape [C].
        noise: Root mean square torque error by noise at each, mean over joints [N·m], shape [C].
        loss: The same by what the filter takes from the motion, shape [C].
        residual_analysis: What residual analysis would have taken [Hz].
        cross_validation: What generalized cross-validation would have taken [Hz].
    """

    cutoff: float
    reason: str
    tried: Array
    noise: Array
    loss: Array
    residual_analysis: float
    cross_validation: float


def cutoffs(rate: float) -> Array:
    """The cutoffs to try at a sampling rate [Hz]."""
    return np.arange(LOWEST, min(HIGHEST, 0.4 * rate) + 1e-9, STEP)


def choose_cutoff(
    skeleton: Skeleton,
    *,
    evidence: MarkerEvidence,
    motion: Motion,
    rate: Array,
    acceleration: Array,
    loads: Loads,
    plates: Loads | None = None,
    cutoff: float | None,
) -> CutoffChoice:
    """The cutoff with the least expected error of the joint torques.

    It is told from the unsmoothed motion; the smoothed one only says where inverse dynamics is taken to first order.

    Args:
        skeleton: The person's skeleton.
        evidence: Noise of the markers (``marker_evidence``).
        motion: The motion, smoothed at any of the usual cutoffs.
        rate: Its first time derivative, shape [T, nq].
        acceleration: Its second one, shape [T, nq].
        loads: Loads on bodies, smoothed alike.
        plates: Measured loads before any filter, or None; as for ``bands_of_analysis``.
        cutoff: The cutoff that motion and loads went through [Hz].

    Raises:
        DataError: The recording is sampled too slowly for any cutoff, or arrays do not belong together.
    """
    measured = load_evidence(loads, plates)
    rate_hz, tried = evidence.found.rate, cutoffs(evidence.found.rate)
    if not len(tried):
        raise DataError(f"at {rate_hz:g} frames a second no cutoff of {LOWEST:g} Hz or more can be told")
    noise, loss = np.zeros(len(tried)), np.zeros(len(tried))
    residual, validation = [], []
    some = pieces(len(motion.times), 0)
    for _, rows in some[:: max(1, len(some) // MOST_PIECES)]:
        piece, plate = evidence.between(rows), measured.between(rows)
        own = rows_of_loads(loads, rows)
        smoothed = np.stack([motion.values[rows], rate[rows], acceleration[rows]])
        chain = chain_of(skeleton, piece.gain.coupling, smoothed, own, rate_hz, cutoff)
        chain, gain = with_loads(chain, plate, own, estimated=plates is None)
        passed, lost = expected_errors(chain, gain, piece, plate, torque_spectrum(chain, gain, piece, plate), tried)
        noise, loss = noise + passed, loss + lost
        residual.append(residual_analysis(piece.values, rate_hz))
        validation.append(cross_validation(piece.values, rate_hz))
    scale = 1 / len(residual)
    return _least_error(tried, scale * noise, scale * loss, float(np.median(residual)), float(np.median(validation)))


def expected_errors(
    chain: Chain,
    gain: TorqueGain,
    evidence: EvidencePiece,
    measured: LoadEvidence,
    torques: SignalSpectrum,
    tried: Array,
) -> tuple[Array, Array]:
    """Mean square over joints of the torque errors by noise and by what the filter takes at some cutoffs, shape [C]."""
    skeleton = chain.skeleton
    rate, frames = chain.smoother.rate, chain.smoother.frames
    # Nobody exerts the moments on the root: they are what is left over.
    root = [skeleton.parents[body] == GROUND for body in coordinate_bodies(skeleton)]
    joints = [i for i, c in enumerate(skeleton.coordinates) if c.rotational and not root[i]]
    joints = joints or list(range(skeleton.nv))
    cycles = np.arange(frames // 2 + 1) / frames
    # Skin and misfit wander as slowly as the movement itself: a filter can't take off one without the other.
    moving = [n for name, n in evidence.moving.items() if name == "marker noise"]
    power = torque_noise_power(chain, gain, moving, measured.noise, cycles)[:, joints]
    size = np.abs(torques.amplitude[:, joints]) ** 2 / 2
    noise, loss = np.empty(len(tried)), np.empty(len(tried))
    for number, cutoff in enumerate(tried):
        noise[number] = _mean(power * amplitude(cycles * rate, rate, cutoff)[:, None] ** 2)
        lost = 1 - amplitude(torques.frequency, rate, cutoff)
        loss[number] = (size * lost[:, None] ** 2).sum(0).mean()
    return noise, loss


def _least_error(tried: Array, noise: Array, loss: Array, residual: float, validation: float) -> CutoffChoice:
    best = int(np.argmin(noise + loss))
    cutoff = float(tried[best])
    total = np.sqrt(noise[best] + loss[best])
    edge = ""
    if best in (0, len(tried) - 1):
        edge = f", the {'lowest' if best == 0 else 'highest'} that is tried"
    reason = (
        f"motion and loads are low-pass filtered at {cutoff:g} Hz{edge}: there the noise that passes "
        f"({np.sqrt(noise[best]):.2g} N·m) and the movement that is lost ({np.sqrt(loss[best]):.2g} N·m) make the "
        f"least error of the joint torques ({total:.2g} N·m, root mean square over joints); residual analysis of the "
        f"angles would take {residual:g} Hz, generalized cross-validation {validation:g} Hz"
    )
    return CutoffChoice(cutoff, reason, tried, np.sqrt(noise), np.sqrt(loss), residual, validation)


def _mean(power: Array) -> float:
    """Variance from the power at the frequencies from 0 to half the sampling rate, mean over columns."""
    return float(np.trapezoid(power, axis=0).mean() / (len(power) - 1))


def residual_analysis(values: Array, rate: float) -> float:
    """Winter's cutoff of some columns, [T, C] [Hz]: each column's own, their median.

    The residuals at the upper half of the cutoffs lie on a line; where it meets zero frequency it tells the noise, and
    the cutoff is where the residual has that size.
    """
    highest = 0.4 * rate
    tried = np.arange(min(1.0, 0.5 * highest), highest, max(0.5, highest / FILTERS))
    left = np.stack([np.sqrt(((values - butterworth(values, rate, c)) ** 2).mean(0)) for c in tried])
    upper = slice(len(tried) // 2, None)
    chosen = []
    for column in left.T:
        slope, level = np.polyfit(tried[upper], column[upper], 1)
        if slope >= 0 or column.max() <= 0:
            continue
        below = np.flatnonzero(column <= level)
        first = int(below[0]) if len(below) else len(tried) - 1
        # Between two cutoffs the residual is taken to fall straight.
        steep = first > 0 and column[first - 1] > column[first] and len(below)
        part = (column[first - 1] - level) / (column[first - 1] - column[first]) if steep else 1.0
        chosen.append(tried[first] - (1 - part) * (tried[first] - tried[max(first - 1, 0)]))
    return round(2 * float(np.median(chosen))) / 2 if chosen else float(tried[-1])


def cross_validation(values: Array, rate: float) -> float:
    """The cutoff of some columns, [T, C], with the least generalized cross-validation score [Hz], their median."""
    tried = cutoffs(rate)
    cycles = np.linspace(0, 0.5, 501)
    scores = []
    for cutoff in tried:
        # How much of a sample's own noise comes back to it: the mean of the filter's response over all frequencies.
        freedom = float(np.trapezoid(amplitude(cycles * rate, rate, float(cutoff)), cycles)) * 2
        left = ((values - butterworth(values, rate, float(cutoff))) ** 2).mean(0)
        scores.append(left / (1 - freedom) ** 2)
    return float(np.median(tried[np.argmin(np.stack(scores), axis=0)]))
