"""Quintic smoothing splines at equal steps as linear maps, and generalized cross-validation of their penalty.

Splines are sums of B-splines with knots at all frames, in which equations have five diagonals on either side. The
minimiser over all of them is the natural spline. Time is counted in frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.linalg import cho_solve_banded, cholesky_banded, eigh, solve, toeplitz
from scipy.sparse import csr_array, diags_array

from motorque.errors import DataError

Array = NDArray[np.float64]
DEGREE = 5
SMALLEST, LARGEST, STEPS = 1e-2, 1e12, 57
"""Penalties that cross-validation tries [frames⁶]: cutoffs from 0.34 of the frame rate down to 1/600 of it."""

PIECE = 500
"""Most frames that cross-validation looks at together where none are missing."""


@dataclass(frozen=True, eq=False)
class _Basis:
    """B-splines of a number of frames.

    Args:
        at: Values, first and second derivatives of the K splines at the T frames, each sparse [T, K].
        third: Third derivatives where their squares are summed to integrate them, times the roots of the weights of
            that, sparse [3 (T - 1), K].
    """

    at: tuple[csr_array, csr_array, csr_array]
    third: csr_array


@lru_cache(maxsize=8)
def _basis(frames: int) -> _Basis:
    knots = np.concatenate([np.zeros(DEGREE), np.arange(frames), np.full(DEGREE, frames - 1.0)]).astype(np.float64)
    x = np.arange(frames, dtype=np.float64)
    derivatives: list[csr_array] = []
    change = csr_array(diags_array(np.ones(frames + DEGREE - 1)))
    for order in range(4):
        degree, own = DEGREE - order, knots[order : len(knots) - order]
        if order < 3:
            derivatives.append(csr_array(csr_array(BSpline.design_matrix(x, own, degree)) @ change))
            change = _derivative(own, degree) @ change
    # Third derivatives are of degree 2, and three points of Gauss integrate their products exactly.
    points, weights = np.polynomial.legendre.leggauss(3)
    where = (np.arange(frames - 1)[:, None] + 0.5 + 0.5 * points).ravel()
    there = csr_array(BSpline.design_matrix(where, knots[3:-3], DEGREE - 3)) @ change
    root = diags_array(np.tile(np.sqrt(0.5 * weights), frames - 1))
    return _Basis((derivatives[0], derivatives[1], derivatives[2]), csr_array(root @ there))


def _derivative(knots: Array, degree: int) -> csr_array:
    """Coefficients of a spline's derivative, one degree lower, from its own; sparse [K - 1, K]."""
    count = len(knots) - degree - 1
    factor = degree / (knots[degree + 1 : count + degree] - knots[1:count])
    return csr_array(diags_array([-factor, factor], offsets=[0, 1], shape=(count - 1, count)))


@dataclass(frozen=True, eq=False)
class QuinticEquations:
    """Normal equations of a smoothing spline, factorised.

    Args:
        basis: The splines.
        penalty: λ [frames⁶].
        factor: Their Cholesky factor, in LAPACK's banded form.
        weights: Weights of the samples, shape [T].
    """

    basis: _Basis
    penalty: float
    factor: Array
    weights: Array

    @staticmethod
    def of(frames: int, penalty: float, weights: Array | None = None) -> QuinticEquations:
        """The equations of a spline.

        Args:
            frames: How many samples there are.
            penalty: λ [frames⁶].
            weights: Weights of the samples, shape [T]; None for ones.

        Raises:
            DataError: Fewer than three samples weigh anything.
        """
        weights = np.ones(frames) if weights is None else weights
        if np.count_nonzero(weights) < 3:
            raise DataError(
                f"poses: a joint is there in only {np.count_nonzero(weights)} of {frames} frames, too few for a spline"
            )
        basis = _basis(frames)
        banded = _gram(frames, weights.tobytes()) + penalty * _bending(frames)
        return QuinticEquations(basis, penalty, cholesky_banded(banded, lower=True), weights)

    def solved(self, right: Array) -> Array:
        """Coefficients for right sides, both [K, C]."""
        basis, factor = self.basis, (self.factor, True)
        found: Array = cho_solve_banded(factor, right)
        # Large penalties cost the factor digits of what is smooth. Refinement brings them back, as long as residuals
        # are not computed from the summed equations.
        for _ in range(1 if self.penalty < 1e5 else 3):
            near = basis.at[0].T @ (self.weights[:, None] * (basis.at[0] @ found))
            bent = basis.third.T @ (basis.third @ found)
            found = found + cho_solve_banded(factor, right - near - self.penalty * bent)
        return found


@lru_cache(maxsize=32)
def _gram(frames: int, weights: bytes) -> Array:
    at = _basis(frames).at[0]
    return _banded(csr_array(at.T @ diags_array(np.frombuffer(weights)) @ at))


@lru_cache(maxsize=8)
def _bending(frames: int) -> Array:
    third = _basis(frames).third
    return _banded(csr_array(third.T @ third))


def _banded(matrix: csr_array) -> Array:
    """Lower diagonals as LAPACK has them."""
    banded = np.zeros((DEGREE + 1, matrix.shape[0]))
    for k in range(DEGREE + 1):
        banded[k, : matrix.shape[0] - k] = matrix.diagonal(-k)
    return banded


@dataclass(frozen=True, eq=False)
class QuinticSmoother:
    """Samples to a smoothing spline's values at the frames, or to those of one of its derivatives by frames.

    Args:
        equations: The spline's.
        order: 0, 1 or 2.
    """

    equations: QuinticEquations
    order: int

    def forward(self, x: Array) -> Array:
        """See `LinearMap`."""
        basis, weights = self.equations.basis, self.equations.weights
        found: Array = basis.at[self.order] @ self.equations.solved(basis.at[0].T @ (weights[:, None] * x))
        return found

    def backward(self, y: Array) -> Array:
        """See `LinearMap`."""
        basis, weights = self.equations.basis, self.equations.weights
        found: Array = weights[:, None] * (basis.at[0] @ self.equations.solved(basis.at[self.order].T @ y))
        return found


def degrees_of_freedom(frames: int, penalties: Array) -> Array:
    """Trace of the smoother [-], shape of ``penalties``.

    Where data go on for ever the smoother turns every frequency θ (by frame) by 1 / (1 + λ r(θ)), r(θ) = (2 sin ½θ)⁶ /
    b(θ) with the sampled B-spline's b; T samples have three that cost nothing and T - 3 at θ = π (i - 2) / T, after
    Speckman's asymptotics of the ends.
    """
    theta = np.pi * (np.arange(4, frames + 1) - 2.0) / frames
    b = (33 + 26 * np.cos(theta) + np.cos(2 * theta)) / 60
    r = (2 * np.sin(0.5 * theta)) ** 6 / b
    found: Array = 3 + (1 / (1 + np.multiply.outer(penalties, r))).sum(-1)
    return found


def cross_validated_penalty(values: Array, there: NDArray[np.bool_] | None, *, inflation: float) -> Array:
    """The penalties of least generalized cross-validation, one for the three components of each row together.

    Args:
        values: Samples, shape [T, N, 3].
        there: Which of them count, shape [T, N]; None for all.
        inflation: Factor on degrees of freedom.

    Returns:
        Shape [N] [frames⁶].
    """
    frames, rows, _ = values.shape
    tried = np.geomspace(SMALLEST, LARGEST, STEPS)
    scores = np.empty((STEPS, rows))
    gaps: dict[bytes, list[int]] = {}
    for i in range(rows):
        gaps.setdefault(b"" if there is None or there[:, i].all() else there[:, i].tobytes(), []).append(i)
    for key, members in gaps.items():
        columns = values[:, members].reshape(frames, -1)
        if not key:
            # Of a long recording piece by piece, which is as good: how far a spline sees is a fraction of a piece.
            pieces = -(-frames // PIECE)
            count = frames // pieces
            found = [_by_modes(columns[k * count : (k + 1) * count], tried) for k in range(pieces)]
            squares, freedom = (np.sum([x[part] for x in found], axis=0) for part in (0, 1))
            count = pieces * count
        else:
            weights = np.ones(frames) if there is None else there[:, members[0]].astype(np.float64)
            squares, freedom, count = *_by_solving(columns, weights, tried), int(weights.sum())
        squares = squares.reshape(STEPS, len(members), 3).sum(-1)
        share = np.maximum(1 - inflation * freedom / count, 1e-6)
        scores[:, members] = np.log(squares / count + 1e-300) - 2 * np.log(share)[:, None]
    return _lowest(np.log(tried), scores)


def _by_solving(columns: Array, weights: Array, tried: Array) -> tuple[Array, Array]:
    """Squared residuals of columns, shape [penalties, C], and degrees of freedom, shape [penalties]."""
    frames, count = len(columns), int(weights.sum())
    squares = np.empty((len(tried), columns.shape[1]))
    for k, penalty in enumerate(tried):
        smoother = QuinticSmoother(QuinticEquations.of(frames, float(penalty), weights), 0)
        squares[k] = (weights[:, None] * (columns - smoother.forward(columns)) ** 2).sum(axis=0)
    # Fewer samples on the same curve: as many as there are, a little farther apart.
    return squares, degrees_of_freedom(max(count, 4), tried * (count / frames) ** 5)


def _by_modes(columns: Array, tried: Array) -> tuple[Array, Array]:
    """As :func:`_by_solving` without gaps, all penalties at once."""
    modes, cost = _modes(len(columns))
    passed = 1 / (1 + np.multiply.outer(tried, cost))
    return (1 - passed) ** 2 @ (modes.T @ columns) ** 2, passed.sum(axis=1)


@lru_cache(maxsize=8)
def _modes(frames: int) -> tuple[Array, Array]:
    """Orthonormal time courses, the columns of [T, T], that every smoothing spline scales by 1 / (1 + λ cost).

    The third differences of the samples of a natural spline are its third derivative against B-splines of degree 2,
    of which that derivative itself is made: Reinsch, Numer. Math. 10 (1967) 177-183.
    """
    difference = np.diff(np.eye(frames), n=3, axis=0)
    count = frames - 3
    products = toeplitz(np.concatenate([[66.0, 26.0, 1.0], np.zeros(count)])[:count]) / 120
    cost, modes = eigh(difference.T @ solve(products, difference, assume_a="pos"))
    cost[:3] = 0.0  # parabolas
    return modes, np.maximum(cost, 0.0)


def _lowest(x: Array, scores: Array) -> Array:
    """Where the parabola through the lowest of equally spaced scores and its neighbours is lowest; exp of it."""
    step, best = x[1] - x[0], scores.argmin(axis=0)
    inner = np.clip(best, 1, len(x) - 2)
    rows = np.arange(scores.shape[1])
    one, two, three = (scores[inner + k, rows] for k in (-1, 0, 1))
    bend = one - 2 * two + three
    shift = np.where((bend > 0) & (best == inner), 0.5 * (one - three) / np.where(bend > 0, bend, 1.0), best - inner)
    found: Array = np.exp(x[inner] + step * np.clip(shift, -1, 1))
    return found
