"""How far smoothed values may be off where noise and motion were told apart by guess: all guesses, as probable as are.

`signals.adaptive` smooths with the likeliest levels of motion and the likeliest spectrum of noise, as if these were
known. They are not: motion below the noise seems to be none, and noise that lasts seems to be motion. Here each mode's
level of motion and the noise's spectrum are left open, with a flat prior on the standard deviation of motion, and the
errors of the values as they were smoothed are averaged over what remains possible.

Sources: MacKay, Neural Computation 11 (1999) 1035-1068, for what is lost by fixing such levels; Gelman, Bayesian
Analysis 1 (2006) 515-534, for flat priors on standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.signals.adaptive import AdaptiveFit

Array = NDArray[np.float64]

LEVELS = 40
"""Levels of motion that are considered, evenly spaced in their logarithm."""

SHARES, KEPT = (0.0, 0.1, 0.25, 0.5, 0.75), (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SPECTRA = ((1.0, 0.0), *((share, kept) for share in SHARES for kept in KEPT))
"""Noise that is considered: the share that is new in every frame, and how much of the rest each frame keeps."""

SIZES = (0.85, 1.0, 1.2)
"""Its variance at high frequencies, in units of the one found."""

WIDE_SIZES = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 32.0)
"""The same where nothing else tells it: of few channels, much of the noise is easily taken for motion."""

POSSIBLE = 7.0
"""Guesses less probable than the best by this factor's logarithm are not followed (one in a thousand)."""


@dataclass(frozen=True, eq=False)
class Belief:
    """Variances of the coefficients of an `AdaptiveFit`, in its own time courses and modes.

    Args:
        noise: Of the noise that smoothing left, shape [T, C].
        motion: Of the motion that it took away, shape [T, C].
    """

    noise: Array
    motion: Array

    @property
    def variance(self) -> Array:
        """Of both, shape [T, C]."""
        total: Array = self.noise + self.motion
        return total


def belief(fit: AdaptiveFit, values: Array, *, order: int, lasting: bool = True) -> Belief:
    """How far a fit's smoothed values may be off.

    Args:
        fit: The fit.
        values: What was smoothed, shape [T, C].
        order: Which differences of the motion it takes to be white.
        lasting: Whether its noise may last.
    """
    frames, channels = values.shape
    free = slice(order, None)
    back = np.linalg.inv(fit.modes)
    block = channels // fit.weights.shape[1]
    pulled = fit.smoothed + np.repeat(fit.weights, block, axis=1) * (values - fit.smoothed)
    z = (fit.basis.T @ pulled @ back)[free]
    found = (fit.basis.T @ fit.smoothed @ back)[free]
    squares = z**2
    mobility = 1 / (np.diff(fit.basis[:, free], n=order, axis=0) ** 2).sum(0)
    own = _spectrum(frames, fit.white_share, fit.kept)
    # The posterior variance is the gain times the noise's.
    gain = fit.spread[free] ** 2 / own[free, None]
    reach = 10 * (squares / mobility[:, None]).max(initial=1e-300)
    levels = np.exp(np.linspace(np.log(1e-2 / mobility.max()), np.log(max(reach, 1e2 / mobility.max())), LEVELS))
    guesses = _guesses(own, frames, fit, lasting)
    weighed = [_likelihoods(squares, mobility, levels, spectrum[free]) for spectrum in guesses]
    evidence = np.array([top for top, _ in weighed])
    shares = np.where(evidence > evidence.max() - POSSIBLE, np.exp(evidence - evidence.max()), 0.0)
    shares /= shares.sum()
    noise, motion = np.zeros((frames, channels)), np.zeros((frames, channels))
    for share, spectrum, (_, likely) in zip(shares, guesses, weighed, strict=True):
        if share == 0:
            continue
        passed = mobility * levels[:, None] / (mobility * levels[:, None] + spectrum[free])
        # Of each level: posterior variance, and how far its own answer lies from the one that was given.
        first, second = passed.T @ likely, (passed**2).T @ likely
        off = np.maximum(second * squares - 2 * first * z * found + found**2, 0.0)
        total = spectrum[free, None] * first + off
        left = np.minimum(gain**2 * spectrum[free, None], total)
        noise[free] += share * left
        motion[free] += share * (total - left)
        noise[:order] += share * spectrum[:order, None]
    return Belief(noise, motion)


def _spectrum(frames: int, share: float, kept: float) -> Array:
    """Variance of noise of variance 1 along the time courses, as `signals.adaptive` has it, shape [T]."""
    angle = np.pi * np.arange(frames) / frames
    return np.asarray(share + (1 - share) * (1 - kept**2) / (1 - 2 * kept * np.cos(angle) + kept**2))


def _guesses(own: Array, frames: int, fit: AdaptiveFit, lasting: bool) -> list[Array]:
    """Spectra of the noise, as strong where noise shows, in the upper third of all frequencies, as the one found."""
    if not lasting:
        return [size * own for size in WIDE_SIZES]
    high = slice(-(frames // 3), None)
    found = []
    for known in SPECTRA:
        spectrum = _spectrum(frames, *known)
        scaled = spectrum * (own[high].mean() / spectrum[high].mean())
        found += [size * scaled for size in SIZES]
    return found


def _likelihoods(squares: Array, mobility: Array, levels: Array, spectrum: Array) -> tuple[float, Array]:
    """Logarithm of the likelihood of one spectrum, levels left open, and the share of each level, [LEVELS, C]."""
    total = mobility * levels[:, None] + spectrum
    log = -0.5 * ((1 / total) @ squares + np.log(total).sum(1)[:, None]) + 0.5 * np.log(levels)[:, None]
    top = log.max(0)
    likely = np.exp(log - top)
    summed = likely.sum(0)
    return float((top + np.log(summed)).sum()), likely / summed
