"""Monte Carlo through the chain: drawn noise, smoothed by the chain's own smoothing, through its own inverse dynamics.

Noise is drawn in the free coordinates, where inverse kinematics has brought it, so that a draw costs no fit; everything
after that is the chain itself. Draws and frames go through the compiled inverse dynamics as one batch, in single
precision: its rounding is a millionth of a torque.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.propagate import Chain, Spread
from motorque.uncertainty.torque_gain import generalized_forces

Array = NDArray[np.float64]
Single = NDArray[np.float32]

NUMBERS = 2_000_000
"""Numbers of coordinates held at once by a thread (8 MB for each of a handful of arrays)."""


def monte_carlo(chain: Chain, *, draws: int, seed: int) -> Spread:
    """Mean squared differences from the undisturbed result.

    Args:
        chain: The chain with its noise.
        draws: How many draws.
        seed: Seed of the random numbers; the same one gives the same result.

    Returns:
        Variances of angles, torques and wrenches.
    """
    frames, columns = chain.motion.shape[1:]
    single = _Single.of(chain)
    size = max(1, min(draws, NUMBERS // (frames * columns)))
    counts = [min(size, draws - start) for start in range(0, draws, size)]
    streams = np.random.default_rng(seed).spawn(len(counts))
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        # Summed in the order of the draws, whichever is done first.
        sums = list(pool.map(single.sums, streams, counts))
    angle, torque = sum(s[0] for s in sums), sum(s[1] for s in sums)
    wrench = {x.name: np.asarray(sum(s[2][n] for s in sums) / draws) for n, x in enumerate(chain.loads)}
    # What the filter took from torques where noise hides it has a size only; it is added as it is.
    hidden = 0.0 if chain.hidden is None else chain.hidden
    return Spread(np.asarray(angle / draws), np.asarray(torque / draws + hidden), wrench)


@dataclass(frozen=True, eq=False)
class _Single:
    """A chain in single precision, ready to be drawn from."""

    chain: Chain
    skeleton: Skeleton
    motion: Single
    wrenches: dict[str, Single]
    plain: Single
    factors: list[Single]
    offsets: Single | None
    coupling: Single
    loss: Single | None

    @classmethod
    def of(cls, chain: Chain) -> _Single:
        skeleton = chain.skeleton.to(dtype=torch.float32)
        wrenches = {body: w.astype(np.float32) for body, w in chain.wrenches.items()}
        motion = chain.motion.astype(np.float32)
        loss = None
        if chain.loss is not None:
            change = np.concatenate([chain.loss.values[None], chain.loss.ends[1:]])
            loss = np.concatenate([change.real, change.imag], axis=2).astype(np.float32)
        return cls(
            chain,
            skeleton,
            motion,
            wrenches,
            generalized_forces(skeleton, motion, wrenches).astype(np.float32),
            [_factor(n.covariance).astype(np.float32) for n in chain.noise],
            None if chain.offsets is None else chain.offsets.transpose(0, 2, 1).astype(np.float32),
            chain.coupling.transpose(0, 2, 1).astype(np.float32),
            loss,
        )

    def sums(self, rng: np.random.Generator, count: int) -> tuple[Array, Array, list[Array]]:
        """Sums of squares over some draws: angles [T, nq], torques [T, nv] and each load's wrench [T, 6, 6]."""
        chain = self.chain
        frames, columns = chain.motion.shape[1:]
        x = np.zeros((frames, count, chain.free), dtype=np.float32)
        for noise, factor in zip(chain.noise, self.factors, strict=True):
            x += noise.process.draw(rng, frames, (count, chain.free)) @ factor
        if self.offsets is not None:
            x += rng.standard_normal((count, self.offsets.shape[1]), dtype=np.float32) @ self.offsets
        smooth = chain.smoother(x)
        lost = self._smoothing_error(rng, count)
        if lost is not None:
            smooth += lost[0]
        moved = smooth @ self.coupling
        angle = np.einsum("tdv,tdv->tv", moved[0], moved[0], dtype=np.float64)
        moved += self.motion[:, :, None]
        wrenches = {body: np.repeat(w[:, None], count, axis=1) for body, w in self.wrenches.items()}
        squares = []
        for number, load in enumerate(chain.loads):
            change = _load_change(chain, number, rng, count)
            own = slice(6 * number, 6 * number + 6)
            here = load.here[:, None, None].astype(np.float32)
            wrenches[load.body] += change if lost is None else change + lost[1][..., own] * here
            change = change if lost is None else change + lost[2][..., own] * here
            squares.append(np.asarray(change.transpose(0, 2, 1) @ change, dtype=np.float64))
        rows = {body: w.reshape(-1, 6) for body, w in wrenches.items()}
        tau = generalized_forces(self.skeleton, moved.reshape(3, -1, columns), rows)
        tau = tau.reshape(frames, count, -1) - self.plain[:, None]
        if chain.following is not None:
            tau = chain.following(tau.transpose(0, 2, 1)).transpose(0, 2, 1)
        return angle, np.einsum("tdv,tdv->tv", tau, tau, dtype=np.float64), squares

    def _smoothing_error(self, rng: np.random.Generator, count: int) -> tuple[Single, Single, Single] | None:
        """Draws of what smoothing loses: free coordinates [3, T, count, n], load columns as the torques feel them and
        by themselves [T, count, 6 L].
        """
        chain = self.chain
        if chain.signal is None or self.loss is None or chain.missed is None:
            return None
        amplitude = chain.signal.amplitude
        lines, free = amplitude.shape
        phase = (rng.standard_normal((lines, count)) + 1j * rng.standard_normal((lines, count))) / np.sqrt(2)
        sines = (phase[:, :, None] * amplitude[:, None, :]).reshape(lines, -1)
        right = np.concatenate([sines.real, -sines.imag]).astype(np.float32)
        out = (self.loss.reshape(-1, 2 * lines) @ right).reshape(3, chain.smoother.frames, count, free)
        motion, *loads = chain.missed.moved()
        sign = rng.standard_normal((count, len(motion)), dtype=np.float32)
        if motion.any():
            out += (sign @ motion.transpose(1, 2, 0, 3).astype(np.float32)).reshape(out.shape)
        together, alone = (sign @ x.transpose(1, 0, 2).astype(np.float32) for x in loads)
        return out, together, alone


def _factor(covariance: Array) -> Array:
    """Upper factors R with Rᵀ R = covariance, shape [T, n, n]; directions without noise are allowed."""
    scale = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-30))
    unit = covariance / scale[:, :, None] / scale[:, None, :]
    lower = np.linalg.cholesky(unit + 1e-9 * np.eye(covariance.shape[1]))
    return np.asarray((lower * scale[:, :, None]).transpose(0, 2, 1))


def _load_change(chain: Chain, number: int, rng: np.random.Generator, count: int) -> Single:
    """Draws of a load's noise, force and moment about the ground origin, shape [T, count, 6]."""
    load = chain.loads[number]
    frames = chain.smoother.frames
    here = load.here[:, None, None].astype(np.float32)
    noise = chain.smoother(load.process.draw(rng, frames, (count, 6)), (0,))[0]
    change = noise @ load.spreading.T.astype(np.float32)
    change += rng.standard_normal((count, 6), dtype=np.float32) @ load.offset.T.astype(np.float32)
    return np.asarray(change * here, dtype=np.float32)
