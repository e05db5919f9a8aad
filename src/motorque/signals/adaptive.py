"""Smoothing that finds by itself how noisy each channel is and how fast it moves, with nothing to set.

A recording y of C channels is taken as motion plus noise, y = x + e, both unknown Gaussian processes:

- motion: the third differences of x are white from frame to frame, with one covariance Q over all channels (a body
  whose jerk is random, with joints that move together). Parabolas cost nothing, high frequencies cost with the sixth
  power. Where channels together bring about something that is known to be slow for its size (torques, by a body's
  inertia), they are believed to move such that these effects are independent of each other too.
- noise: a covariance S, block by block (the three components of one joint), times one spectrum: a share that is new in
  every frame, the rest a first-order autoregression. Blocks that are noisier along one direction (a camera's depth) or
  noisier than others (wrists) are smoothed more, there and only there.

Q, S and the spectrum are those of the largest likelihood (EM); x is then the posterior mean, which is what a Kalman
smoother of this model gives. Both processes are white in the eigenvectors of the third differences (nearly so for the
autoregression), where every step is a small eigenvalue problem: no iteration over frames.

Sources: Whittaker 1923 and Wahba, Spline Models for Observational Data (1990), for smoothing by differences and its
Bayesian reading; Shumway and Stoffer, J. Time Series Analysis 3 (1982) 253-264, for EM on such models; Huber, Ann.
Math. Statist. 35 (1964) 73-101, for the weights of outliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from motorque.errors import DataError

Array = NDArray[np.float64]

ORDER = 3
"""Which differences of the motion are white unless said otherwise: the third, jerk. The second bend with what returns
again and again, such as a walker's way up and down, but let through more noise of what is differentiated twice."""
LEAST = 10
"""Frames below which noise can't be told from motion."""
WINDOW = 240
"""Frames that are taken to be alike in noise and vigour; longer recordings are done in halfway overlapping windows."""
ITERATIONS = 10
"""Of EM: more of them gain no likelihood worth having and begin to take noise that lasts for motion."""
MOTION_PRIOR, NOISE_PRIOR = 60.0, 10.0
"""Frames' worth of belief that channels move independently of each other but for their effects, and that noise is the
same in all directions of a block: what keeps covariances of 72 channels well-defined from 30 frames."""
SLIGHT = 1e-3
"""Effects smaller than this, as a share of the largest one's variance, count as if they were so large."""
OUTLIER = 4.0
"""Residuals beyond this many standard deviations count as if they were there (Huber's weights); of Gaussian noise in
three dimensions 1 in 1,100 is beyond."""

MOSTLY_NOISE = 0.2
"""Coefficients of which less than this is motion tell the spectrum of the noise."""

EVIDENCE = 15.0
"""Deviance that a spectrum must gain to be preferred to one that lasts less. Two numbers more gain as much by chance
once in 1,800 times, and the mistake is costly: motion as slow as such noise is taken away with it."""

_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)
_KEPT = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_SPECTRA = (
    (1.0, 0.0),
    *sorted(((s, k) for s in _SHARES for k in _KEPT), key=lambda x: (1 - x[0]) * (1 + x[1]) / (1 - x[1]) + x[0]),
)
"""Noise that is considered: the share that is new in every frame, and how much of the rest each frame keeps, in
the order of its power at low frequencies."""


@dataclass(frozen=True, eq=False)
class AdaptiveFit:
    """A smoothed window, and the model that it was smoothed with.

    Args:
        smoothed: Posterior mean, shape [T, C].
        noise: Covariance of the noise S, block-diagonal, shape [C, C], in squared units of the values.
        motion: Covariance of the motion's third differences Q, shape [C, C].
        white_share: Share of the noise's variance that is new in every frame.
        kept: How much of the other share is the same one frame later.
        weights: Of each block of channels in each frame, 1 for all but outliers, shape [T, blocks].
        basis: Orthonormal time courses, polynomials first, shape [T, T].
        modes: Combinations of channels that are independent of each other, shape [C, C]: values are basis times
            coefficients times modes.
        spread: Posterior standard deviation of the coefficients, shape [T, C].
    """

    smoothed: Array
    noise: Array
    motion: Array
    white_share: float
    kept: float
    weights: Array
    basis: Array
    modes: Array
    spread: Array

    def moved(self, units: Array) -> Array:
        """Change of the values by coefficients [T, C] in units of their posterior standard deviations."""
        change: Array = self.basis @ ((self.spread * units) @ self.modes)
        return change

    def moved_back(self, change: Array) -> Array:
        """The adjoint of :meth:`moved`."""
        units: Array = self.spread * (self.basis.T @ (change @ self.modes.T))
        return units

    def standard_deviation(self) -> Array:
        """Posterior standard deviation of the smoothed values, shape [T, C]."""
        return np.sqrt(self.basis**2 @ self.spread**2 @ self.modes**2)


def adaptive_fit(
    values: Array,
    *,
    block: int = 1,
    order: int = ORDER,
    lasting: bool = True,
    effects: Array | None = None,
    what: str = "motion",
) -> AdaptiveFit:
    """Fit noise and motion of one window and smooth it.

    Args:
        values: Samples at a constant rate, shape [T, C].
        block: How many neighbouring channels share a noise covariance.
        order: Which differences of the motion are white, 2 or 3.
        lasting: Whether noise may last; of few channels, too little tells it from motion.
        effects: What channels bring about together, such as the torques that accelerations ask for: matrices at some
            moments of the window, shape [K, E, C].
        what: What is smoothed, for messages.

    Raises:
        DataError: Too few frames, or a value that is no number.
    """
    values = np.asarray(values, dtype=np.float64)
    _check(values, what)
    weights = np.ones((len(values), values.shape[1] // block))
    fit = _em(values, values, block, order, lasting, effects, None, weights)
    for _ in range(4):
        weights = _weights(values - fit.smoothed, fit.noise, block)
        if np.abs(weights - fit.weights).max() < 0.05:
            break
        # An outlier's place is taken by a value that pulls as much as its weight lets it.
        pulled = fit.smoothed + np.repeat(weights, block, axis=1) * (values - fit.smoothed)
        fit = _em(values, pulled, block, order, lasting, effects, fit, weights)
    return fit


def adaptive_smoothing(values: Array, *, block: int = 1, window: int = WINDOW, what: str = "motion") -> Array:
    """Smooth a recording of any length; see the module for how.

    Args:
        values: Samples at a constant rate, shape [T, C].
        block: How many neighbouring channels share a noise covariance: 3 for rotation vectors and places.
        window: Frames of one window, see :data:`WINDOW`.
        what: What is smoothed, for messages.

    Returns:
        Shape [T, C].

    Raises:
        DataError: Too few frames, or a value that is no number.
    """
    values = np.asarray(values, dtype=np.float64)
    _check(values, what)
    total, weight = np.zeros_like(values), np.zeros(len(values))
    for first, last in windows(len(values), window):
        share = blend(first, last, len(values))
        total[first:last] += share[:, None] * adaptive_fit(values[first:last], block=block, what=what).smoothed
        weight[first:last] += share
    smoothed: Array = total / weight[:, None]
    return smoothed


def windows(frames: int, window: int = WINDOW) -> list[tuple[int, int]]:
    """First and last (exclusive) frame of windows of equal length that overlap by half, or of one that is enough."""
    if frames <= window:
        return [(0, frames)]
    count = int(np.ceil(2 * frames / window)) - 1
    starts = np.round(np.linspace(0, frames - window, max(count, 2))).astype(int)
    return [(int(start), int(start) + window) for start in starts]


def blend(first: int, last: int, frames: int) -> Array:
    """How much a window counts along its frames, less towards ends that others overlap; shape [last - first]."""
    x = (np.arange(last - first) + 0.5) / (last - first)
    rise = np.sin(np.pi * x) ** 2
    rise = np.where((x < 0.5) & (first == 0), 1.0, rise)
    return np.where((x > 0.5) & (last == frames), 1.0, rise)


def _check(values: Array, what: str) -> None:
    if len(values) < LEAST:
        raise DataError(
            f"{what}: {len(values)} frames are too few to tell noise from motion, at least {LEAST} are needed; use a "
            "longer recording"
        )
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0][0])
        raise DataError(f"{what}: a value in frame {frame} is not a number; fill the gap or cut the recording there")


@lru_cache(maxsize=8)
def _courses(frames: int, order: int) -> tuple[Array, Array]:
    """Orthonormal time courses, polynomials first, shape [T, T], and their squared differences, shape [T]."""
    differences = np.diff(np.eye(frames), n=order, axis=0)
    # Singular values of the differences are found to more digits than eigenvalues of their square.
    _, sizes, rows = np.linalg.svd(differences, full_matrices=False)
    polynomials = np.linalg.qr(np.vander(np.linspace(-1, 1, frames), order, increasing=True))[0]
    basis = np.concatenate([polynomials, rows[::-1].T], axis=1)
    return basis, np.concatenate([np.zeros(order), sizes[::-1] ** 2])


def _spectrum(frames: int, share: float, kept: float) -> Array:
    """Variance of noise of variance 1 along the time courses, shape [T]."""
    angle = np.pi * np.arange(frames) / frames
    lasting = (1 - kept**2) / (1 - 2 * kept * np.cos(angle) + kept**2)
    return share + (1 - share) * lasting


@lru_cache(maxsize=8)
def _spectra(frames: int) -> Array:
    return np.array([_spectrum(frames, *known) for known in _SPECTRA])


def _em(
    values: Array,
    pulled: Array,
    block: int,
    order: int,
    lasting: bool,
    effects: Array | None,
    start: AdaptiveFit | None,
    weights: Array,
) -> AdaptiveFit:
    frames, channels = values.shape
    basis, stiffness = _courses(frames, order)
    held, free = basis[:, :order], slice(order, None)
    data = basis.T @ pulled
    mobility = 1 / stiffness[free]
    # Below rounding of the values no noise can be told; nor does it matter there.
    floor = 1e-14 * np.ptp(values, axis=0).max(initial=0.0) ** 2 + 1e-20
    if start is None:
        noise, motion = _first_guess(data[free], mobility, block, floor, effects)
    else:
        noise, motion = start.noise, start.motion
    candidates = _spectra(frames)
    chosen = 0 if start is None else _SPECTRA.index((start.white_share, start.kept))
    count = frames - order
    modes, level, gain = np.eye(channels), np.zeros(channels), np.zeros((count, channels))
    mean, variance = gain, gain
    for step in range(ITERATIONS + 1):
        level, directions = eigh(motion, noise)
        level = np.maximum(level, 0.0)
        z = data[free] @ directions
        prior = mobility[:, None] * level
        if step and lasting:
            chosen = _likeliest(z, prior / (prior + candidates[chosen][free, None]), candidates[:, free])
        spectrum = candidates[chosen][free, None]
        gain = prior / (prior + spectrum)
        mean, variance = gain * z, gain * spectrum
        modes = (noise @ directions).T
        if step == ITERATIONS:
            break
        moved = mean / np.sqrt(mobility)[:, None]
        left = (z - mean) / np.sqrt(spectrum)
        moving = moved.T @ moved + np.diag((variance / mobility[:, None]).sum(0))
        erring = left.T @ left + np.diag((variance / spectrum).sum(0))
        motion = _believed(modes.T @ (moving / count) @ modes, count, effects)
        motion += floor * np.finfo(float).eps * np.eye(channels)
        noise = _in_blocks(modes.T @ (erring / count) @ modes + floor * np.eye(channels), block, count)
    smoothed = held @ data[:order] + basis[:, free] @ (mean @ modes)
    spread = np.sqrt(np.concatenate([np.repeat(candidates[chosen][:order, None], channels, 1), variance]))
    return AdaptiveFit(smoothed, noise, motion, *_SPECTRA[chosen], weights, basis, modes, spread)


def _first_guess(data: Array, mobility: Array, block: int, floor: float, effects: Array | None) -> tuple[Array, Array]:
    """Noise and motion covariance from each channel by itself: the smoothing of the largest likelihood on a grid."""
    ratios = np.exp(np.linspace(np.log(1e-3), np.log(1e10), 66))  # noise over motion, per frame
    gains = mobility / (mobility + ratios[:, None])
    squares = data**2
    noise = ((1 - gains) @ squares) / len(data)
    deviance = len(data) * np.log(noise + floor) - np.log(1 - gains).sum(1)[:, None]
    # What returns at one frequency may as well be noise as motion, by this prior: then it is motion.
    ends = np.full((1, deviance.shape[1]), np.inf)
    dip = (deviance <= np.concatenate([ends, deviance[:-1]])) & (deviance < np.concatenate([deviance[1:], ends]))
    best = (dip & (deviance < deviance.min(0) + EVIDENCE)).argmax(0)
    picked = gains[best].T
    rest = data - picked * data
    moved = picked * data / np.sqrt(mobility)[:, None]
    count = len(data)
    motion = _believed(moved.T @ moved / count, count, effects)
    channels = data.shape[1]
    guess = _in_blocks(rest.T @ rest / count + floor * np.eye(channels), block, count)
    return guess, motion + floor * np.finfo(float).eps * np.eye(channels)


def _believed(motion: Array, count: int, effects: Array | None) -> Array:
    """The motion's covariance, drawn towards one of the same channels' sizes without ties but those of effects."""
    size = np.sqrt(np.diag(motion))
    apart = np.diag(size**2)
    if effects is not None and size.max() > 0:
        # Two beliefs at once, each channel and each effect by itself as large as it was found: precisions add up.
        size = np.maximum(size, 1e-9 * size.max())
        squares = ((effects @ motion) * effects).sum(-1).mean(0)
        squares += SLIGHT * squares.max()
        by = (effects * size / np.sqrt(squares)[:, None]).reshape(-1, len(motion))
        apart = np.linalg.inv(np.eye(len(motion)) + by.T @ by / len(effects))
        size = size / np.sqrt(np.diag(apart))
        apart = size[:, None] * apart * size
    believed: Array = (count * motion + MOTION_PRIOR * apart) / (count + MOTION_PRIOR)
    return believed


def _in_blocks(covariance: Array, block: int, count: int) -> Array:
    """Only the blocks on the diagonal of a covariance, drawn a little towards equal size in all directions."""
    blocks = len(covariance) // block
    parts = covariance.reshape(blocks, block, blocks, block)[np.arange(blocks), :, np.arange(blocks)]
    # The geometric mean: of directions one of which is far noisier, the arithmetic one would make the others noisy too.
    even = np.exp(np.linalg.slogdet(parts)[1] / block)[:, None, None] * np.eye(block)
    parts = (count * parts + NOISE_PRIOR * even) / (count + NOISE_PRIOR)
    found = np.zeros((blocks, block, blocks, block))
    found[np.arange(blocks), :, np.arange(blocks)] = parts
    return found.reshape(covariance.shape)


def _likeliest(z: Array, gain: Array, candidates: Array) -> int:
    """Which spectrum explains best what is nearly all noise, each mode's level being free.

    Where motion counts, what it leaves unexplained would be taken for noise that lasts.
    """
    noisy = gain < MOSTLY_NOISE
    squares = np.where(noisy, z**2, 0.0)
    counts = noisy.sum(0)
    levels = (1 / candidates) @ squares / np.maximum(counts, 1)
    deviance = np.log(np.maximum(levels, 1e-300)) @ counts + np.log(candidates) @ noisy.sum(1)
    # Of those that explain it as well as can be told, the one that lasts least.
    return int(np.flatnonzero(deviance < deviance.min() + EVIDENCE)[0])


def _weights(residual: Array, noise: Array, block: int) -> Array:
    """Huber's weights of every block in every frame, shape [T, blocks]."""
    frames, channels = residual.shape
    blocks = channels // block
    parts = noise.reshape(blocks, block, blocks, block)[np.arange(blocks), :, np.arange(blocks)]
    rest = residual.reshape(frames, blocks, block).transpose(1, 2, 0)
    size = np.sqrt(np.einsum("bif,bif->fb", rest, np.linalg.solve(parts, rest)))
    weights: Array = np.minimum(1.0, OUTLIER / np.maximum(size, 1e-9))
    return weights
