"""The most probable motion: a Gaussian posterior in its own coordinates, and residuals that mechanics add.

`signals.adaptive` gives the posterior that noise and motion have by themselves. In its coordinates u, in units of
standard deviations along independent modes, u = 0 is the smoothed motion and moving away costs |u|²/2. Mechanics add
squares of residuals r, and Gauss-Newton minimises the sum: each step solves (1 + JᵀJ) s = -(u + Jᵀr) by conjugate
gradients, which need few steps, since all that the data say is in the identity already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.refine_physics import Residual
from motorque.signals.adaptive import AdaptiveFit

Array = NDArray[np.float64]
Parts = list[Array]
Linearize = Callable[[Parts], tuple[Sequence[Residual], Sequence[Array | None]]]
"""From the values of all parts to the residuals there, and by how much each block of a part's unknowns moves what the
residuals are linearised in: matrices [T, n / k, k, k], or None for the unknowns themselves."""

CLOSE = 1e-6
"""Squared residual of the linear equations, of the first one's, at which conjugate gradients stop."""


def most_probable(fits: Sequence[AdaptiveFit], linearize: Linearize, *, steps: int, inner: int) -> Parts:
    """Values of all parts at the posterior's peak.

    Args:
        fits: The parts' smoothing.
        linearize: What mechanics say, see `Linearize`.
        steps: Of Gauss-Newton.
        inner: Of conjugate gradients in each.
    """
    units = [np.zeros(fit.smoothed.shape) for fit in fits]
    for _ in range(steps):
        residuals, local = linearize(values_at(fits, units))
        if not residuals:
            break
        units = [u + s for u, s in zip(units, _step(fits, units, residuals, local, inner), strict=True)]
    return values_at(fits, units)


def values_at(fits: Sequence[AdaptiveFit], units: Parts) -> Parts:
    """Values of all parts at some coordinates of their posteriors."""
    return [fit.smoothed + fit.moved(u) for fit, u in zip(fits, units, strict=True)]


def _step(
    fits: Sequence[AdaptiveFit],
    units: Parts,
    residuals: Sequence[Residual],
    local: Sequence[Array | None],
    inner: int,
) -> Parts:
    def down(s: Parts) -> Parts:
        return [_through(fit.moved(x), by) for fit, x, by in zip(fits, s, local, strict=True)]

    def back(weights: Sequence[Residual], images: Parts) -> Parts:
        pulls = [r.backward(x) for r, x in zip(weights, images, strict=True)]
        return [
            fit.moved_back(_through(np.sum([pull[n] for pull in pulls], axis=0), None if by is None else by.mT))
            for n, (fit, by) in enumerate(zip(fits, local, strict=True))
        ]

    def normal(s: Parts) -> Parts:
        moved = down(s)
        return [x + y for x, y in zip(s, back(residuals, [r.forward(*moved) for r in residuals]), strict=True)]

    rest = [-(u + x) for u, x in zip(units, back(residuals, [r.residual for r in residuals]), strict=True)]
    step = [np.zeros_like(u) for u in units]
    direction, size = rest, _inner(rest, rest)
    first = size
    for _ in range(inner):
        if size <= CLOSE * first:
            break
        image = normal(direction)
        length = size / _inner(direction, image)
        step = [x + length * d for x, d in zip(step, direction, strict=True)]
        rest = [x - length * y for x, y in zip(rest, image, strict=True)]
        size, before = _inner(rest, rest), size
        direction = [x + size / before * d for x, d in zip(rest, direction, strict=True)]
    return step


def _through(change: Array, by: Array | None) -> Array:
    """Changes [T, n] block by block through matrices [T, n / k, k, k]."""
    if by is None:
        return change
    return (by @ change.reshape(*by.shape[:-1], 1))[..., 0].reshape(change.shape)


def _inner(one: Parts, two: Parts) -> float:
    return float(sum((a * b).sum() for a, b in zip(one, two, strict=True)))
