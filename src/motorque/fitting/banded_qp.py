"""Least squares with non-negative unknowns that are coupled along time only between neighbouring frames.

A primal-dual interior-point method (Mehrotra, SIAM J. Optim. 2 (1992) 575-601); its linear systems are banded, so that
the cost grows linearly with the number of frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded

Array = NDArray[np.float64]

GAP, GRADIENT = 1e-9, 1e-6
"""Mean complementarity and largest gradient residual at which the solution stands, in units of the objective."""
STEPS = 60


def nonnegative_least_squares(rows: Array, right: Array, weight: Array, change: Array) -> tuple[Array, bool]:
    """Minimise ``Σ_t |A_t x_t - b_t|² + Σ weight x² + Σ_t (x_t+1 - x_t)ᵀ C (x_t+1 - x_t)`` over x ≥ 0.

    Args:
        rows: The matrices A_t, shape [T, M, K].
        right: The vectors b_t, shape [T, M].
        weight: Weight of each unknown's square, positive, shape [T, K].
        change: The matrix C, symmetric and positive semidefinite, shape [K, K].

    Returns:
        The unknowns, shape [T, K], and whether the method converged.
    """
    frames, _, count = rows.shape
    hessian = np.einsum("tmi,tmj->tij", rows, rows)
    neighbours = np.full(frames, 2.0)
    neighbours[[0, -1]] = 1.0 if frames > 1 else 0.0
    hessian += neighbours[:, None, None] * change
    hessian[:, np.arange(count), np.arange(count)] += weight
    gradient = -np.einsum("tmi,tm->ti", rows, right).ravel()
    banded = _banded(hessian, change)

    def times(x: Array) -> Array:
        blocks = x.reshape(frames, count)
        product = np.einsum("tij,tj->ti", hessian, blocks)
        coupled = blocks @ change
        product[1:] -= coupled[:-1]
        product[:-1] -= coupled[1:]
        return product.ravel()

    x = np.full(frames * count, 1.0 / count)
    z = np.ones(frames * count)
    for _ in range(STEPS):
        gap = float(x @ z) / len(x)
        residual = times(x) + gradient - z
        if gap < GAP and np.abs(residual).max() < GRADIENT:
            return x.reshape(frames, count), True
        system = banded.copy()
        system[0] += z / x
        factor = (cholesky_banded(system, overwrite_ab=True, lower=True, check_finite=False), True)
        dx = cho_solve_banded(factor, -residual - z, check_finite=False)
        dz = -z - z / x * dx
        step = min(_reach(x, dx), _reach(z, dz))
        centring = (float((x + step * dx) @ (z + step * dz)) / len(x) / gap) ** 3
        correction = (centring * gap - dx * dz) / x
        dx = cho_solve_banded(factor, -residual - z + correction, check_finite=False)
        dz = -z + correction - z / x * dx
        step = 0.995 * min(_reach(x, dx), _reach(z, dz))
        x, z = x + step * dx, z + step * dz
    return x.reshape(frames, count), False


def _banded(hessian: Array, change: Array) -> Array:
    """Lower band form of the block tridiagonal matrix with these diagonal blocks and ``-change`` beside them."""
    frames, count, _ = hessian.shape
    band = np.zeros((2 * count, frames * count))
    for column in range(count):
        for row in range(column, count):
            band[row - column, column::count] = hessian[:, row, column]
        for row in range(count):
            band[count + row - column, column : (frames - 1) * count : count] = -change[row, column]
    return band


def _reach(value: Array, step: Array) -> float:
    """Longest step, at most 1, that keeps the values positive."""
    down = step < 0
    return min(1.0, float((-value[down] / step[down]).min())) if down.any() else 1.0
