"""Normal equations of a fit over a whole recording: unknowns of each frame, coupled to the two frames before and after
them, and a few unknowns that all frames share.

The matrix is banded along time with a border for the shared ones; it is factored in banded form, so that time and
memory grow linearly with the number of frames, and the shared unknowns are found by their Schur complement.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded, solve_triangular

Array = NDArray[np.float64]


@dataclass(eq=False)
class NormalEquations:
    """Half the cost's second derivative (Gauss-Newton) and gradient, gathered term by term.

    Args:
        frames: Number of frames T.
        local: Unknowns of a frame, n.
        shared: Unknowns of all frames, G.
    """

    frames: int
    local: int
    shared: int
    cost: float = 0.0
    diagonal: Array = field(init=False)  # [T, n, n]
    next: Array = field(init=False)  # [T - 1, n, n]: frame t with t + 1
    second: Array = field(init=False)  # [T - 2, n]: t with t + 2, the same unknown only
    border: Array = field(init=False)  # [T, n, G]
    corner: Array = field(init=False)  # [G, G]
    gradient: Array = field(init=False)  # [T, n]
    shared_gradient: Array = field(init=False)  # [G]

    def __post_init__(self) -> None:
        frames, n, shared = self.frames, self.local, self.shared
        self.diagonal = np.zeros((frames, n, n))
        self.next = np.zeros((max(frames - 1, 0), n, n))
        self.second = np.zeros((max(frames - 2, 0), n))
        self.border = np.zeros((frames, n, shared))
        self.corner = np.zeros((shared, shared))
        self.gradient = np.zeros((frames, n))
        self.shared_gradient = np.zeros(shared)

    def add(self, residual: Array, weight: Array, by_local: Array, by_shared: Array | None, at: slice) -> None:
        """A term ``Σ weight residual²`` of single frames; its cost is counted by whoever knows its loss.

        Args:
            residual: Shape [T', R].
            weight: Shape [T', R].
            by_local: Derivative by the frame's unknowns, shape [T', R, n].
            by_shared: Derivative by the shared unknowns, shape [T', R, G], or None.
            at: Which frames.
        """
        weighted = by_local * weight[..., None]
        turned = weighted.swapaxes(-1, -2)
        self.diagonal[at] += turned @ by_local
        self.gradient[at] += (turned @ residual[..., None])[..., 0]
        if by_shared is not None:
            flat = (by_shared * weight[..., None]).reshape(-1, self.shared)
            self.border[at] += turned @ by_shared
            self.corner += flat.T @ by_shared.reshape(-1, self.shared)
            self.shared_gradient += flat.T @ residual.reshape(-1)

    def add_diagonal(self, residual: Array, weight: Array) -> None:
        """A term ``Σ weight residual²`` with one residual for each local unknown, shapes [T, n], of unit derivative."""
        index = np.arange(self.local)
        self.diagonal[:, index, index] += weight
        self.gradient += weight * residual
        self.cost += float((weight * residual**2).sum())

    def add_step(
        self, residual: Array, weight: Array, first: Array, second: Array, by_shared: Array, at: slice
    ) -> None:
        """A term of two frames that follow each other: t in ``at``, and t + 1.

        Args:
            residual: Shape [T', R].
            weight: Shape [T', R].
            first: Derivative by frame t's unknowns, shape [T', R, n].
            second: Derivative by frame t + 1's, shape [T', R, n].
            by_shared: Derivative by the shared ones, shape [T', R, G].
            at: Which frames t.
        """
        after = slice(at.start + 1, at.stop + 1)
        left, right = (first * weight[..., None]).swapaxes(-1, -2), (second * weight[..., None]).swapaxes(-1, -2)
        self.diagonal[at] += left @ first
        self.diagonal[after] += right @ second
        self.next[at] += left @ second
        self.gradient[at] += (left @ residual[..., None])[..., 0]
        self.gradient[after] += (right @ residual[..., None])[..., 0]
        self.border[at] += left @ by_shared
        self.border[after] += right @ by_shared
        flat = (by_shared * weight[..., None]).reshape(-1, self.shared)
        self.corner += flat.T @ by_shared.reshape(-1, self.shared)
        self.shared_gradient += flat.T @ residual.reshape(-1)
        self.cost += float((weight * residual**2).sum())

    def add_acceleration(self, residual: Array, weight: Array, steps: Array) -> None:
        """A term on second differences: residual ``a x_t + b x_t+1 + c x_t+2``, for every local unknown.

        Args:
            residual: Shape [T - 2, n].
            weight: Shape [T - 2, n].
            steps: The three factors a, b, c, shape [T - 2, 3].
        """
        index = np.arange(self.local)
        a, b, c = (steps[:, k, None] for k in range(3))
        for offset, factor in ((0, a), (1, b), (2, c)):
            at = slice(offset, offset + len(residual))
            self.diagonal[at, index, index] += weight * factor**2
            self.gradient[at] += weight * factor * residual
        for offset, product in ((0, a * b), (1, b * c)):
            at = slice(offset, offset + len(residual))
            self.next[at, index, index] += weight * product
        self.second += weight * a * c
        self.cost += float((weight * residual**2).sum())

    def add_shared(self, residual: Array, weight: Array) -> None:
        """A term ``Σ weight residual²`` with one residual for each shared unknown, shapes [G]."""
        self.corner[np.diag_indices(self.shared)] += weight
        self.shared_gradient += weight * residual
        self.cost += float((weight * residual**2).sum())

    def held(self) -> NormalEquations:
        """The same equations with the shared unknowns held where they are."""
        system = copy.copy(self)
        system.border = np.zeros_like(self.border)
        system.corner = np.eye(self.shared)
        system.shared_gradient = np.zeros(self.shared)
        return system

    def factored(self, damping: float) -> Factored:
        """The matrix, its diagonal raised by a share of itself, ready to be solved with."""
        return Factored(self, damping)


FLOOR = 1e-9
"""Added to the diagonal, so that an unknown that nothing holds stays where it is [1/rad² or 1/m²]."""


class Factored:
    """A factored system; raises `numpy.linalg.LinAlgError` where the matrix is not positive definite."""

    def __init__(self, system: NormalEquations, damping: float) -> None:
        self.system, self.damping = system, damping
        frames, n, shared = system.frames, system.local, system.shared
        size = frames * n
        band = 3 * n - 1 if frames > 2 else 2 * n - 1 if frames > 1 else n - 1
        lower = np.zeros((band + 1, size))
        column = n * np.arange(frames)[:, None]
        rows, columns = np.tril_indices(n)
        lower[rows - columns, column + columns] = system.diagonal[:, rows, columns]
        lower[0] += damping * lower[0] + FLOOR
        if frames > 1:
            i, j = (grid.ravel() for grid in np.indices((n, n)))
            # Unknown j of frame t + 1 stands below unknown i of frame t.
            lower[n + j - i, column[:-1] + i] = system.next[:, i, j]
        if frames > 2:
            lower[2 * n, (column[:-2] + np.arange(n)).ravel()] = system.second.ravel()
        self.factor = cholesky_banded(lower, overwrite_ab=True, lower=True, check_finite=False)
        border = system.border.reshape(size, shared)
        self.spread = self._banded(border) if border.any() else border  # held: nothing to spread
        corner = system.corner.copy()
        corner[np.diag_indices(shared)] *= 1 + damping
        self.schur = corner - border.T @ self.spread

    def _banded(self, right: Array) -> Array:
        return np.asarray(cho_solve_banded((self.factor, True), right, check_finite=False))

    def step(self) -> tuple[Array, Array]:
        """The step that the equations ask for: of the local unknowns [T, n] and of the shared ones [G]."""
        system = self.system
        shape = (system.frames, system.local)
        own = self._banded(system.gradient.ravel())
        border = system.border.reshape(len(own), system.shared)
        shared = np.asarray(-np.linalg.solve(self.schur, system.shared_gradient - border.T @ own))
        return -(own + self.spread @ shared).reshape(shape), shared

    def drawn(self, noise: Array) -> Array:
        """Draws of the local unknowns if the shared ones were known, from white noise, both of shape [T, n, draws].

        Back substitution in the Cholesky factor's transpose, two frames at a time: they are coupled to the next two.
        """
        frames, n, count = noise.shape
        pairs, size = (frames + 1) // 2, 2 * n
        padded = np.zeros((pairs * size + size, count))
        padded[: frames * n] = noise.reshape(frames * n, count)
        row, column = np.indices((2 * size, size))
        band, offset = row - column, np.arange(pairs)[:, None, None] * size
        inside = (band >= 0) & (band < len(self.factor)) & (offset + row < frames * n)
        blocks = np.where(
            inside,
            self.factor[np.clip(band, 0, len(self.factor) - 1), np.minimum(offset + column, frames * n - 1)],
            np.where(band == 0, 1.0, 0.0),
        )
        for k in range(pairs - 1, -1, -1):
            own, after = slice(k * size, (k + 1) * size), slice((k + 1) * size, (k + 2) * size)
            right = padded[own] - blocks[k, size:].T @ padded[after]
            padded[own] = solve_triangular(blocks[k, :size], right, lower=True, trans="T", check_finite=False)
        return padded[: frames * n].reshape(frames, n, count)

    def covariance(self) -> Array:
        """Covariance of each frame's local unknowns, everything else open, shape [T, n, n]."""
        shared = self.shared_gain()
        return np.asarray(self.own_covariance() + shared @ shared.swapaxes(-1, -2))

    def shared_factor(self) -> Array:
        """Lower factor L of the shared unknowns' covariance L Lᵀ, shape [G, G]."""
        return np.linalg.cholesky(np.linalg.inv(self.schur))

    def shared_gain(self) -> Array:
        """What the shared unknowns leave open of the local ones, by as many independent numbers of variance 1, which
        move the shared ones by :meth:`shared_factor`; shape [T, n, G].
        """
        spread = self.spread.reshape(self.system.frames, self.system.local, -1)
        return np.asarray(-spread @ self.shared_factor())

    def own_covariance(self) -> Array:
        """Covariance of each frame's local unknowns if the shared ones were known, shape [T, n, n].

        Two frames together are one block of a block tridiagonal matrix. With its Schur complements ``D`` from the front
        and the blocks ``B`` beside the diagonal, the inverse's own blocks follow from the back:
        ``S_k = D_k⁻¹ + D_k⁻¹ B_k S_(k+1) B_kᵀ D_k⁻¹`` (Takahashi's recursion).
        """
        system, n = self.system, self.system.local
        frames, pairs = system.frames, (system.frames + 1) // 2
        diagonal = np.tile(np.eye(2 * n), (pairs, 1, 1))  # an even number of frames: the last may stand for nothing
        beside = np.zeros((max(pairs - 1, 0), 2 * n, 2 * n))
        own = system.diagonal * (1 + self.damping * np.eye(n)) + FLOOR * np.eye(n)
        diagonal[:, :n, :n] = own[::2]
        diagonal[: frames // 2, n:, n:] = own[1::2]
        diagonal[: frames // 2, :n, n:] = system.next[::2]
        diagonal[: frames // 2, n:, :n] = system.next[::2].swapaxes(-1, -2)
        later = system.next[1::2]
        beside[: len(later), n:, :n] = later
        index = np.arange(n)
        for odd in (0, 1):
            second = system.second[odd::2]
            beside[: len(second), odd * n + index, odd * n + index] = second
        inverse = np.empty_like(diagonal)
        for k in range(pairs):
            if k:
                diagonal[k] -= beside[k - 1].T @ inverse[k - 1] @ beside[k - 1]
            inverse[k] = np.linalg.inv(diagonal[k])
        for k in range(pairs - 2, -1, -1):
            across = inverse[k] @ beside[k]
            inverse[k] += across @ inverse[k + 1] @ across.T
        return np.stack([inverse[:, :n, :n], inverse[:, n:, n:]], axis=1).reshape(-1, n, n)[:frames]
