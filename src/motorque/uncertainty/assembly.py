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
from motorque.uncertainty.evidence import LoadEvidence, MarkerEvidence
from motorque.uncertainty.missed_signal import missed_signal
from motorque.uncertainty.propagate import Chain, marker_offsets_in_coordinates, torque_noise_power
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.smoothing_bias import (
    RESIDUAL_SLOPE,
    TORQUE_SLOPE,
    SignalSpectrum,
    lost_variance,
    signal_spectrum,
    smoothing_loss,
    thinned,
)
from motorque.uncertainty.torque_gain import TorqueGain, generalized_forces

Array = NDArray[np.float64]

LINES = 64
"""Sines that stand for a signal."""


def chain_of(
    skeleton: Skeleton,
    evidence: MarkerEvidence,
    measured: LoadEvidence,
    smoothed: Array,
    loads: Loads,
    cutoff: float | None,
) -> Chain:
    """The chain without any noise yet; raises :class:`DataError` where frames do not belong together."""
    frames = smoothed.shape[1]
    if not (len(evidence.found.times) == frames == len(loads.times)):
        raise DataError(
            f"bands: {len(evidence.found.times)} frames of coordinates, {frames} smoothed and {len(loads.times)} of "
            "loads; give them at the same frames"
        )
    wrenches: dict[str, Array] = {}
    for load in loads.loads:
        own = np.concatenate([load.force, load.moment_about_origin], axis=1)
        wrenches[load.body] = wrenches.get(load.body, np.zeros(1)) + own
    smoother = Smoother.of(frames, evidence.found.rate, cutoff)
    return Chain(skeleton, evidence.gain.coupling, smoother, smoothed, wrenches, loads=measured.noise)


def with_sources(
    chain: Chain, torque: TorqueGain, evidence: MarkerEvidence, measured: LoadEvidence, chosen: Iterable[str]
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
    missed = missed_signal(smoother, evidence.values, power, measured.columns(frames), measured.power(frames))
    lost = lost_variance(torque_spectrum(chain, torque, evidence, measured), missed.higher)
    return dataclasses.replace(
        chain,
        signal=signal,
        loss=smoothing_loss(missed.higher, signal.frequency),
        missed=missed,
        hidden=np.outer(missed.local_size() ** 2, lost),
    )


def torque_spectrum(chain: Chain, gain: TorqueGain, evidence: MarkerEvidence, measured: LoadEvidence) -> SignalSpectrum:
    """The sines that the torques of the unsmoothed motion and loads are made of, noise taken off.

    In torques inertia and ground forces offset each other as they do, which they would not if each were continued by
    itself. The torques are taken to first order about the smoothed motion: squares of noisy speeds would fill the
    spectrum down to its start.
    """
    smoother, frames = chain.smoother, chain.smoother.frames
    raw = Smoother.of(frames, smoother.rate, None)(evidence.found.values)
    tau = generalized_forces(chain.skeleton, chain.motion, chain.wrenches)
    tau = tau + np.einsum("ktvq,ktq->tv", gain.motion, raw - chain.motion, optimize=True)
    for load in measured.noise:
        own = (measured.unfiltered or {})[load.name]
        tau += np.einsum("tvc,tc->tv", gain.loads[load.body], (own - smoother(own, (0,))[0]) * load.here[:, None])
    cycles = np.arange(frames // 2 + 1) / frames
    noise = torque_noise_power(chain, gain, list(evidence.moving.values()), measured.noise, cycles)
    root = [chain.skeleton.parents[body] == GROUND for body in coordinate_bodies(chain.skeleton)]
    slope = np.where(root, RESIDUAL_SLOPE, TORQUE_SLOPE)
    return signal_spectrum(np.asarray(tau, dtype=np.float64), smoother.rate, noise, slope=slope, order=1)
