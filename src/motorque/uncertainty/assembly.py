"""The chain of an analysis put together: smoothing, motion and loads, and the noise that a band shall hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.mechanics.twists import coordinate_bodies
from motorque.series import Loads
from motorque.skeleton.skeleton import GROUND, Skeleton
from motorque.uncertainty.evidence import EvidencePiece, LoadEvidence, bridged
from motorque.uncertainty.following_loads import following_loads, of_load
from motorque.uncertainty.missed_signal import missed_signal
from motorque.uncertainty.propagate import Chain, marker_offsets_in_coordinates, torque_noise_power
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.smoothing_bias import (
    RESIDUAL_SLOPE,
    TORQUE_SLOPE,
    SignalSpectrum,
    calm_spectrum,
    lost_variance,
    signal_spectrum,
    smoothing_loss,
    thinned,
)
from motorque.uncertainty.torque_gain import TorqueGain, generalized_forces, torque_gain

Array = NDArray[np.float64]

LINES = 64
"""Sines that stand for a signal."""


def chain_of(
    skeleton: Skeleton, coupling: Array, smoothed: Array, loads: Loads, rate: float, cutoff: float | None
) -> Chain:
    """The chain without any noise yet.

    Args:
        skeleton: The skeleton.
        coupling: How all coordinates follow the free ones, shape [T, nq, n].
        smoothed: Smoothed coordinates, rates and accelerations, shape [3, T, nq].
        loads: Loads on bodies at the same frames.
        rate: Sampling rate [Hz].
        cutoff: Low-pass cutoff of the smoothing [Hz], or None.

    Raises:
        DataError: Frames do not belong together.
    """
    frames = smoothed.shape[1]
    if not (len(coupling) == frames == len(loads.times)):
        raise DataError(
            f"bands: {len(coupling)} frames of coordinates, {frames} smoothed and {len(loads.times)} of loads; give "
            "them at the same frames"
        )
    wrenches: dict[str, Array] = {}
    for load in loads.loads:
        own = np.concatenate([load.force, load.moment_about_origin], axis=1)
        wrenches[load.body] = wrenches.get(load.body, np.zeros(1)) + own
    return Chain(skeleton, coupling, Smoother.of(frames, rate, cutoff), smoothed, wrenches)


def with_loads(chain: Chain, measured: LoadEvidence, loads: Loads, *, estimated: bool) -> tuple[Chain, TorqueGain]:
    """The chain with the noise of its loads, or with loads that follow the motion, and its derivatives."""
    gain = torque_gain(chain.skeleton, chain.motion, chain.wrenches)
    following = following_loads(chain.skeleton, gain, loads) if estimated else None
    if following is None:
        return dataclasses.replace(chain, loads=measured.noise), gain
    # Loads that follow have no noise of their own.
    bodies = {body: np.zeros((len(x), following.rows.shape[1], 6)) for body, x in gain.loads.items()}
    passed_on = np.asarray(following(gain.motion), dtype=np.float64)
    by_name = {load.name: of_load(load) for load in loads.loads}
    rows = following.rows.copy()
    for number, name in enumerate(following.names):
        at = slice(chain.skeleton.nv + 6 * number, chain.skeleton.nv + 6 * number + 6)
        rows[:, at], passed_on[:, :, at] = by_name[name] @ rows[:, at], by_name[name] @ passed_on[:, :, at]
    following = dataclasses.replace(following, rows=rows)
    return dataclasses.replace(chain, following=following), TorqueGain(passed_on, bodies)


def with_sources(
    chain: Chain, torque: TorqueGain, evidence: EvidencePiece, measured: LoadEvidence, chosen: Iterable[str]
) -> Chain:
    """The chain with the noise that a band shall hold."""
    chosen = tuple(chosen)
    parts = evidence.parts
    offsets = None
    if "marker placement" in chosen and parts["marker placement"].typical > 0:
        offsets = marker_offsets_in_coordinates(evidence.gain, parts["marker placement"])
    loads = tuple(
        dataclasses.replace(
            x, spreading=x.spreading * ("plate noise" in chosen), offset=x.offset * ("plate offset" in chosen)
        )
        for x in measured.noise
    )
    noise = tuple(n for name, n in evidence.moving.items() if name in chosen)
    chain = dataclasses.replace(chain, noise=noise, offsets=offsets, loads=loads)
    if "smoothing" not in chosen:
        return chain
    smoother, frames = chain.smoother, chain.smoother.frames
    power = evidence.measurement_power()
    lines = signal_spectrum(evidence.values, smoother.rate, power)
    signal = thinned(lines, LINES, np.random.default_rng(0))
    calm = ~evidence.failing(_reach(chain))
    missed = missed_signal(smoother, evidence.values, power, measured.columns(frames), measured.power(frames), calm)
    lost = lost_variance(torque_spectrum(chain, torque, evidence, measured), missed.higher)
    return dataclasses.replace(
        chain,
        signal=signal,
        loss=smoothing_loss(smoother, signal.frequency, missed.higher.cutoff),
        missed=missed,
        hidden=np.outer(missed.local_size() ** 2, lost),
    )


def torque_spectrum(chain: Chain, gain: TorqueGain, evidence: EvidencePiece, measured: LoadEvidence) -> SignalSpectrum:
    """The sines that the torques of the unsmoothed motion and loads are made of, noise taken off.

    In torques inertia and ground forces offset each other as they do, which they would not if each were continued by
    itself. The torques are taken to first order about the smoothed motion: squares of noisy speeds would fill the
    spectrum down to its start.
    """
    smoother, frames = chain.smoother, chain.smoother.frames
    raw = Smoother.of(frames, smoother.rate, None)(evidence.coordinates)
    tau = generalized_forces(chain.skeleton, chain.motion, chain.wrenches)
    tau = np.pad(tau, ((0, 0), (0, gain.motion.shape[2] - tau.shape[1])))
    tau = tau + np.einsum("ktvq,ktq->tv", gain.motion, raw - chain.motion, optimize=True)
    for load in measured.noise:
        own = (measured.unfiltered or {})[load.name]
        tau += np.einsum("tvc,tc->tv", gain.loads[load.body], (own - smoother(own, (0,))[0]) * load.here[:, None])
    cycles = np.arange(frames // 2 + 1) / frames
    noise = torque_noise_power(chain, gain, list(evidence.moving.values()), measured.noise, cycles)
    root = [chain.skeleton.parents[body] == GROUND for body in coordinate_bodies(chain.skeleton)]
    slope = np.full(tau.shape[1], TORQUE_SLOPE)
    slope[: len(root)][root] = RESIDUAL_SLOPE
    tau = bridged(np.asarray(tau, dtype=np.float64), evidence.failing(_reach(chain)), smoother.rate)
    return calm_spectrum(tau, smoother.rate, noise, slope=slope, order=1)


def _reach(chain: Chain) -> int:
    """Frames around a gap in which the smoothed motion, and what was estimated from it, are wrong: as far as the filter
    carries much.
    """
    return round(0.5 * chain.smoother.rate / (chain.smoother.cutoff or chain.smoother.rate))
