"""Draws of a fit's errors as whole courses over time, lively where the motion is lively.

The fit allows every joint the accelerations of a sprinter, so that none is held back; taken at its word an open error
shakes as much while a person stands still. How lively a person is shows in what was fitted: drawn are errors of the
same normal equations with the accelerations that were found instead. What this takes from the errors' size is given
back as errors that last, for it was taken as if the detector erred anew every tenth of a second.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from motorque.errors import DataError
from motorque.fitting.keypoint_normal import NormalEquations
from motorque.fitting.keypoint_piece import Stretch
from motorque.fitting.keypoint_posterior import Posterior
from motorque.fitting.keypoint_problem import acceleration_std, acceleration_steps

Array = NDArray[np.float64]

LOCAL = 0.3
"""How long a person is as lively as at a moment: standard deviation of a Gaussian window [s]."""
LEAST_SHIFT, LEAST_TURN, LEAST_ANGLE = 0.15, 0.5, 1.0
"""Nobody stands stiller than this [m/s², rad/s², rad/s²]: a quiet stance sways by a tenth of it, arms do not."""
LASTING = 1.0
"""Time from one independent value of lasting errors to the next [s]."""
DAMPING = 1e-6


def draw_errors(left: Posterior, acceleration: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Errors of the fitted coordinates.

    Args:
        left: What the fit left open, at its own times.
        acceleration: Second derivative of the fitted coordinates, smoothed, at those times, shape [T, n].
        count: How many draws.
        rng: Where they come from.

    Returns:
        Errors that come and go [rad or m], shape [T, n, count], and the numbers that all frames share, shape
        [K, count], of standard deviation ``left.staying``; the latter's errors are ``left.shared @ numbers``.

    Raises:
        DataError: The accelerations do not belong to the fit.
    """
    if acceleration.shape != left.own.shape[:2]:
        raise DataError(
            f"posterior: accelerations have the shape {acceleration.shape}, the fit {left.own.shape[:2]}; give them at "
            "the fit's times and for its coordinates"
        )
    own = np.zeros((*acceleration.shape, count))
    for stretch in left.stretches:
        at = slice(stretch.first, stretch.first + stretch.equations.frames)
        drawn = left.by_local[at] @ _of_stretch(stretch, left.times[at], acceleration[at], count, rng)
        own[at] += np.sqrt(stretch.share)[:, None, None] * drawn
    numbers = left.staying * rng.standard_normal((left.shared.shape[2], count))
    return own + _lasting(left, own, rng), numbers


def liveliness(times: Array, acceleration: Array) -> Array:
    """How fast errors change: variances of the local unknowns' accelerations, shape [T, n]: those of the motion about
    each moment. What a fit misses of a fast motion is as fast, and of a person who stands there is nothing to miss.
    """
    count = acceleration.shape[1]
    step = float(np.median(np.diff(times))) if len(times) > 1 else LOCAL
    square = gaussian_filter1d(acceleration**2, LOCAL / step, axis=0, mode="nearest")
    # Coordinates begin with the pelvis' turns, unknowns with its shifts, along and about ground's axes.
    turn, shift = (np.repeat(square[:, part].mean(1, keepdims=True), 3, axis=1) for part in (slice(3), slice(3, 6)))
    return np.concatenate([shift, turn, square[:, 6:count]], axis=1)


def _of_stretch(stretch: Stretch, times: Array, acceleration: Array, count: int, rng: np.random.Generator) -> Array:
    """Draws of the local unknowns of one stretch, shape [T, n, count]."""
    usual = acceleration_std(stretch.names)
    least = np.concatenate([np.full(3, LEAST_SHIFT), np.full(3, LEAST_TURN), np.full(len(usual) - 6, LEAST_ANGLE)])
    # Wider are the errors for what the model gets wrong; accelerations are as large as found, not wider.
    square = np.maximum(liveliness(times, acceleration), least**2) / stretch.wider**2
    calm = _calmer(stretch.equations, times, square, usual)
    try:
        system = calm.held().factored(0.0)
    except LinAlgError:  # nothing is known of something; with a little damping it is at least a number
        system = calm.held().factored(DAMPING)
    return stretch.wider * system.drawn(rng.standard_normal((*acceleration.shape, count)))


def _calmer(system: NormalEquations, times: Array, square: Array, usual: Array) -> NormalEquations:
    """The equations with accelerations of these variances [T, n] instead of the usual ones."""
    if system.frames < 3:
        return system
    result = copy.copy(system)
    result.diagonal, result.next, result.second = system.diagonal.copy(), system.next.copy(), system.second.copy()
    result.gradient = system.gradient.copy()
    steps, worth = acceleration_steps(times)
    extra = worth[:, None] * np.maximum(1 / square[1:-1] - 1 / usual**2, 0.0)
    result.add_acceleration(np.zeros_like(extra), extra, steps)
    return result


def _lasting(left: Posterior, own: Array, rng: np.random.Generator) -> Array:
    """Errors that last, of the size that the others fall short of the fit's covariance, shape [T, n, count]."""
    count = own.shape[2]
    variance = np.diagonal(left.own, axis1=1, axis2=2)
    missing = np.clip(1 - ((own**2).mean(2) / variance).mean(1), 0.0, 1.0)
    step = float(np.median(np.diff(left.times))) if len(left.times) > 1 else LASTING
    # A contact that begins changes the covariance within a frame; an error that lasts does not jump with it. Bringing
    # the smooth one to each frame's size again would: on the tests' squats it doubled the draws' accelerations.
    covariance = gaussian_filter1d(left.own * missing[:, None, None], LOCAL / step, axis=0, mode="nearest")
    scale = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-30))
    unit = covariance / scale[:, :, None] / scale[:, None, :] + 1e-9 * np.eye(own.shape[1])
    factor = scale[:, :, None] * np.linalg.cholesky(unit)
    place = (left.times - left.times[0]) / LASTING
    knots = rng.standard_normal((int(place[-1]) + 2, own.shape[1], count))
    before = np.floor(place).astype(np.int64)
    angle = 0.5 * np.pi * (0.5 - 0.5 * np.cos(np.pi * (place - before)))  # weights whose squares add up to 1
    course = np.cos(angle)[:, None, None] * knots[before] + np.sin(angle)[:, None, None] * knots[before + 1]
    return np.asarray(factor @ course)
