"""Monte Carlo through the chain: drawn noise, smoothed by the chain's own smoothing, through its own inverse dynamics.

Noise is drawn in the free coordinates, where inverse kinematics has brought it, so that a draw costs no fit; everything
after that is the chain itself. Draws and frames go through the compiled inverse dynamics as one batch, in single
precision: its rounding is a millionth of a torque.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.uncertainty.propagate import Chain, Spread
from motorque.uncertainty.torque_gain import generalized_forces

Array = NDArray[np.float64]
Single = NDArray[np.float32]

NUMBERS = 4_000_000
"""Numbers of coordinates held at once (16 MB for each of a handful of arrays)."""


def monte_carlo(chain: Chain, *, draws: int, seed: int) -> Spread:
    """Mean squared differences from the undisturbed result.

    Args:
        chain: The chain with its noise.
        draws: How many draws.
        seed: Seed of the random numbers; the same one gives the same result.

    Returns:
        Variances of angles, torques and wrenches.
    """
    rng = np.random.default_rng(seed)
    frames, columns = chain.motion.shape[1:]
    skeleton = chain.skeleton.to(dtype=torch.float32)
    base = {body: w.astype(np.float32) for body, w in chain.wrenches.items()}
    motion = chain.motion.astype(np.float32)
    plain = generalized_forces(skeleton, motion, base)
    factors = [_factor(n.covariance).astype(np.float32) for n in chain.noise]
    offsets = None if chain.offsets is None else _few(chain.offsets).astype(np.float32)
    coupling = chain.coupling.transpose(0, 2, 1).astype(np.float32)
    angle, torque = np.zeros((frames, columns)), np.zeros(plain.shape)
    wrench = {load.name: np.zeros((frames, 6, 6)) for load in chain.loads}
    size = max(1, min(draws, NUMBERS // (frames * columns)))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        x = np.zeros((frames, count, chain.free), dtype=np.float32)
        for noise, factor in zip(chain.noise, factors, strict=True):
            x += noise.process.draw(rng, frames, (count, chain.free)) @ factor
        if offsets is not None:
            x += rng.standard_normal((count, offsets.shape[1]), dtype=np.float32) @ offsets
        smooth = chain.smoother(x)
        lost = _smoothing_error(chain, rng, count)
        if lost is not None:
            smooth += lost[0]
        disturbed = motion[:, :, None] + smooth @ coupling
        wrenches = {body: np.repeat(w[:, None], count, axis=1) for body, w in base.items()}
        for number, load in enumerate(chain.loads):
            change = _load_change(chain, number, rng, count)
            own = slice(6 * number, 6 * number + 6)
            here = load.here[:, None, None].astype(np.float32)
            wrenches[load.body] += change if lost is None else change + lost[1][..., own] * here
            change = change if lost is None else change + lost[2][..., own] * here
            wrench[load.name] += np.einsum("tdi,tdj->tij", change, change, optimize=True)
        rows = {body: w.reshape(-1, 6) for body, w in wrenches.items()}
        tau = generalized_forces(skeleton, disturbed.reshape(3, -1, columns), rows)
        tau = tau.reshape(frames, count, -1) - plain[:, None]
        torque += np.einsum("tdv,tdv->tv", tau, tau)
        moved = disturbed[0] - motion[0][:, None]
        angle += np.einsum("tdv,tdv->tv", moved, moved)
    # What the filter took from torques where noise hides it has a size only; it is added as it is.
    hidden = 0.0 if chain.hidden is None else chain.hidden
    return Spread(angle / draws, torque / draws + hidden, {name: w / draws for name, w in wrench.items()})


def _factor(covariance: Array) -> Array:
    """Upper factors R with Rᵀ R = covariance, shape [T, n, n]; directions without noise are allowed."""
    scale = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-30))
    unit = covariance / scale[:, :, None] / scale[:, None, :]
    lower = np.linalg.cholesky(unit + 1e-9 * np.eye(covariance.shape[1]))
    return np.asarray((lower * scale[:, :, None]).transpose(0, 2, 1))


def _few(offsets: Array) -> Array:
    """The same offsets by as few independent numbers as they need, shape [T, K, n].

    Offsets that move the coordinates alike over the whole recording are one: principal components of the gains, the
    coordinates in units of their own size, until a millionth of the variance is left.
    """
    frames, free, count = offsets.shape
    scale = np.sqrt((offsets**2).sum(2).mean(0)).clip(1e-30)
    flat = (offsets / scale[:, None]).reshape(-1, count)
    value, vector = np.linalg.eigh(flat.T @ flat)
    keep = np.cumsum(value) > 1e-6 * value.sum()
    return np.asarray((offsets @ vector[:, keep]).transpose(0, 2, 1))


def _smoothing_error(chain: Chain, rng: np.random.Generator, count: int) -> tuple[Single, Single, Single] | None:
    """Draws of what smoothing loses: free coordinates [3, T, count, n], load columns as the torques feel them and by
    themselves [T, count, 6 L].
    """
    if chain.signal is None or chain.loss is None or chain.missed is None:
        return None
    amplitude = chain.signal.amplitude
    lines, free = amplitude.shape
    phase = (rng.standard_normal((lines, count)) + 1j * rng.standard_normal((lines, count))) / np.sqrt(2)
    sines = (phase[:, :, None] * amplitude[:, None, :]).reshape(lines, -1)
    right = np.concatenate([sines.real, -sines.imag]).astype(np.float32)
    change = np.concatenate([chain.loss.change[:1], chain.loss.ends[1:]])
    left = np.concatenate([change.real, change.imag], axis=2).astype(np.float32)
    out = (left.reshape(-1, 2 * lines) @ right).reshape(3, chain.smoother.frames, count, free)
    motion, *loads = chain.missed.moved()
    sign = rng.standard_normal((count, len(motion)), dtype=np.float32)
    out += np.einsum("ds,sktn->ktdn", sign, motion.astype(np.float32), optimize=True)
    together, alone = (np.einsum("ds,stc->tdc", sign, x.astype(np.float32), optimize=True) for x in loads)
    return out, together, alone


def _load_change(chain: Chain, number: int, rng: np.random.Generator, count: int) -> Single:
    """Draws of a load's noise, force and moment about the ground origin, shape [T, count, 6]."""
    load = chain.loads[number]
    frames = chain.smoother.frames
    here = load.here[:, None, None].astype(np.float32)
    noise = chain.smoother(load.process.draw(rng, frames, (count, 6)), (0,))[0]
    change = noise @ load.spreading.T.astype(np.float32)
    change += rng.standard_normal((count, 6), dtype=np.float32) @ load.offset.T.astype(np.float32)
    return np.asarray(change * here, dtype=np.float32)
