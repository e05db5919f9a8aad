"""Linear propagation: from the covariance of what was measured to that of angles, torques and loads.

At each frame the coordinates' noise has the covariance that the markers' noise gives through inverse kinematics, and
the smoothing makes values, speeds and accelerations of it, correlated with each other. Within the filter's reach (a
tenth of a second) the gain of inverse kinematics is taken as constant for noise that comes and goes; for offsets, which
stay, its change is the whole matter and is followed exactly. Torques follow by the derivatives of inverse dynamics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.following_loads import FollowingLoads
from motorque.uncertainty.load_noise import LoadNoise
from motorque.uncertainty.marker_gain import MarkerGain
from motorque.uncertainty.marker_noise import NoisePart
from motorque.uncertainty.missed_signal import MissedSignal
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.smoothing_bias import Loss, SignalSpectrum
from motorque.uncertainty.temporal import Process
from motorque.uncertainty.torque_gain import TorqueGain

Array = NDArray[np.float64]

COLUMNS = 48
"""Offsets followed at once: their smoothed gains take some tens of MB for ten seconds."""


@dataclass(frozen=True, eq=False)
class CoordinateNoise:
    """Noise of the free coordinates before smoothing.

    Args:
        name: What it comes from.
        covariance: Shape [T, n, n].
        process: How it hangs together in time.
    """

    name: str
    covariance: Array
    process: Process


@dataclass(frozen=True, eq=False)
class Chain:
    """Everything between the measurement and the torques, at the motion's frames.

    Args:
        skeleton: The skeleton.
        coupling: How all coordinates follow the free ones, shape [T, nq, n].
        smoother: The smoothing.
        motion: Smoothed coordinates, rates and accelerations, shape [3, T, nq].
        wrenches: Force and moment about the ground origin by loaded body, shape [T, 6] each.
        noise: Noise of the free coordinates that comes and goes.
        offsets: What stays: gains of the free coordinates by independent offsets of variance 1, shape [T, n, K].
        loads: Noise of the loads.
        signal: Spectrum of the free coordinates; None without smoothing's loss.
        loss: What smoothing does to its sines.
        missed: What smoothing lost as far as it was measured; ``loss`` is what lies beyond, or None.
        hidden: Variance of the torques that lies beyond, in the middle of the recording, shape [T, nv], or None.
        following: How estimated loads follow the motion; torques then have six more columns for each load, behind.
    """

    skeleton: Skeleton
    coupling: Array
    smoother: Smoother
    motion: Array
    wrenches: Mapping[str, Array]
    noise: tuple[CoordinateNoise, ...] = ()
    offsets: Array | None = None
    loads: tuple[LoadNoise, ...] = ()
    signal: SignalSpectrum | None = None
    loss: Loss | None = None
    missed: MissedSignal | None = None
    hidden: Array | None = None
    following: FollowingLoads | None = None

    @property
    def free(self) -> int:
        """Number of free coordinates, n."""
        return int(self.coupling.shape[2])


@dataclass(frozen=True, eq=False)
class Spread:
    """Variances at each frame.

    Args:
        angles: Of the coordinates [rad² or m²], shape [T, nq].
        torques: Of the generalized forces, shape [T, nv].
        wrenches: Covariance of each load's force and moment about the ground origin, shape [T, 6, 6].
    """

    angles: Array
    torques: Array
    wrenches: Mapping[str, Array] = field(default_factory=dict)

    def plus(self, other: Spread) -> Spread:
        """The spread of both, if they are independent."""
        names = [*self.wrenches, *(n for n in other.wrenches if n not in self.wrenches)]
        none = np.zeros(1)
        both = {n: self.wrenches.get(n, none) + other.wrenches.get(n, none) for n in names}
        return Spread(self.angles + other.angles, self.torques + other.torques, both)


def marker_offsets_in_coordinates(gain: MarkerGain, part: NoisePart) -> Array:
    """Gain of the free coordinates by the markers' offsets in units of their size, shape [T, n, K].

    The 3 M offsets are put together into as few independent numbers as they need. Offsets that move the coordinates
    alike over the whole recording are one: principal components of the gains, the coordinates in units of their own
    size, until a millionth of the variance is left.
    """
    offsets = (gain.gain * part.std[:, None]).reshape(*gain.gain.shape[:2], -1)
    scale = np.sqrt(np.einsum("tnk,tnk->n", offsets, offsets) / len(offsets)).clip(1e-30)
    flat = (offsets / scale[:, None]).reshape(-1, offsets.shape[2])
    value, vector = np.linalg.eigh(flat.T @ flat)
    keep = np.cumsum(value) > 1e-6 * value.sum()
    return np.asarray(offsets @ vector[:, keep])


def torque_noise_power(
    chain: Chain, gain: TorqueGain, noises: Sequence[CoordinateNoise], loads: Sequence[LoadNoise], cycles: Array
) -> Array:
    """Power of the noise of unsmoothed torques by frequency [cycles a frame], mean over frames; shape [F, nv]."""
    by_free = gain.motion @ chain.coupling
    turn = (2 * np.pi * cycles * chain.smoother.rate)[:, None]
    power = np.zeros((len(cycles), by_free.shape[2]))
    for noise in noises:
        carried = by_free @ noise.covariance

        def together(k: int, m: int, carried: Array = carried) -> Array:
            return np.asarray(np.einsum("tvn,tvn->v", carried[k], by_free[m]) / len(carried[k]))

        each = together(0, 0) + turn**2 * (together(1, 1) - 2 * together(0, 2)) + turn**4 * together(2, 2)
        power += noise.process.spectrum(cycles)[:, None] * each
    for load in loads:
        each = (((gain.loads[load.body] @ load.spreading) ** 2).sum(-1) * load.here[:, None]).mean(0)
        power += load.process.spectrum(cycles)[:, None] * each
    return power


def propagate(chain: Chain, gain: TorqueGain) -> dict[str, Spread]:
    """Variances of angles, torques and loads, source by source; their sum is the whole."""
    by_free = gain.motion @ chain.coupling  # [3, T, nv, n]
    result: dict[str, Spread] = {}
    for noise in chain.noise:
        moments = chain.smoother.covariance(noise.process.correlation(chain.smoother.frames))
        torque = np.zeros(by_free.shape[1:3])
        carried = [by_free[k] @ noise.covariance for k in range(3)]
        for k in range(3):
            for other in range(k + 1):
                twice = 1 if k == other else 2
                torque += twice * moments[:, k, other, None] * np.einsum("tvn,tvn->tv", carried[k], by_free[other])
        angle = ((chain.coupling @ noise.covariance) * chain.coupling).sum(-1) * moments[:, 0, 0, None]
        result[noise.name] = Spread(angle, torque)
    if chain.offsets is not None:
        result["marker placement"] = _of_offsets(chain, by_free)
    for load in chain.loads:
        found = load.spread(chain.smoother, np.asarray(gain.loads[load.body]))
        for name, (torque, wrench) in found.items():
            spread = Spread(np.zeros(chain.motion.shape[1:]), torque, {load.name: wrench})
            result[name] = result[name].plus(spread) if name in result else spread
    if chain.signal is not None and chain.loss is not None:
        result["smoothing"] = _of_smoothing(chain, by_free, gain)
    return result


def _of_offsets(chain: Chain, by_free: Array) -> Spread:
    assert chain.offsets is not None
    torque, angle = np.zeros(by_free.shape[1:3]), np.zeros(chain.coupling.shape[:2])
    for start in range(0, chain.offsets.shape[2], COLUMNS):
        smooth = chain.smoother(np.ascontiguousarray(chain.offsets[..., start : start + COLUMNS]))
        angle += ((chain.coupling @ smooth[0]) ** 2).sum(-1)
        torque += (np.einsum("ktvn,ktnc->tvc", by_free, smooth, optimize=True) ** 2).sum(-1)
    return Spread(angle, torque)


def _of_smoothing(chain: Chain, by_free: Array, gain: TorqueGain) -> Spread:
    assert chain.signal is not None and chain.loss is not None
    amplitude = chain.signal.amplitude
    values, ends = chain.loss.values, chain.loss.ends
    angle, torque = np.zeros(chain.coupling.shape[:2]), np.zeros(by_free.shape[1:3])
    wrenches = {load.name: np.zeros((len(angle), 6, 6)) for load in chain.loads}
    for part in _blocks(len(angle), 64):
        # Complex amplitude of every line's error at every frame: forces [K, nv, F], the real part counts.
        force = sum(ends[k, part, None] * (by_free[k, part] @ amplitude.T) for k in range(3))
        moved = values[part, None] * (chain.coupling[part] @ amplitude.T)
        angle[part] = 0.5 * (np.abs(moved) ** 2).sum(-1)
        torque[part] = 0.5 * (np.abs(force) ** 2).sum(-1)
    if chain.missed is not None:
        for own, together, alone in zip(*chain.missed.moved(), strict=True):
            angle += np.einsum("tqn,tn->tq", chain.coupling, own[0]) ** 2
            lost = np.einsum("ktvn,ktn->tv", by_free, own, optimize=True)
            for number, load in enumerate(chain.loads):
                columns = slice(6 * number, 6 * number + 6)
                lost += np.einsum("tvc,tc->tv", gain.loads[load.body], together[:, columns] * load.here[:, None])
                wrench = alone[:, columns] * load.here[:, None]
                wrenches[load.name] += wrench[:, :, None] * wrench[:, None]
            torque += lost**2
    if chain.hidden is not None:
        torque += chain.hidden
    return Spread(angle, torque, wrenches)


def _blocks(frames: int, size: int) -> Sequence[slice]:
    return [slice(start, min(start + size, frames)) for start in range(0, frames, size)]
