"""Error bars on every angle, torque and load of an analysis."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.load_filtering import THRESHOLD, filter_loads
from motorque.journal import Journal
from motorque.series import Kinetics, Load, Loads, Markers, Motion
from motorque.series.markers import within
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.load_noise import LoadNoise, estimate_load_noise
from motorque.uncertainty.marker_gain import MarkerGain, marker_gain
from motorque.uncertainty.marker_noise import NoisePart, estimate_marker_noise
from motorque.uncertainty.missed_signal import missed_signal
from motorque.uncertainty.monte_carlo import monte_carlo
from motorque.uncertainty.propagate import (
    Chain,
    CoordinateNoise,
    Spread,
    marker_noise_in_coordinates,
    marker_offsets_in_coordinates,
    propagate,
    torque_noise_power,
)
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.smoothing_bias import TORQUE_SLOPE, lost_variance, signal_spectrum, smoothing_loss, thinned
from motorque.uncertainty.torque_gain import TorqueGain, generalized_forces, torque_gain

Array = NDArray[np.float64]

LINES = 64
"""Sines that stand for a signal."""

SOURCES = (
    "marker noise",
    "soft tissue",
    "marker placement",
    "plate noise",
    "plate offset",
    "smoothing",
)
"""What a band can hold, and by default does."""

Method = Literal["monte carlo", "linear"]


@dataclass(frozen=True, eq=False)
class LoadBand:
    """Standard deviations of a load: force [N], point [m] (NaN where there is none) and moment [N·m], each [T, 3]."""

    force: Array
    point: Array
    moment: Array


@dataclass(frozen=True, eq=False)
class Bands:
    """Standard deviations of a whole analysis; a 90 % band is 1.645 of them to either side.

    Args:
        times: [s], shape [T].
        names: Coordinate names.
        angles: Of the coordinates [rad or m], shape [T, nq]; NaN for coordinates that nothing measured tells.
        torques: Of the generalized forces [N·m or N], shape [T, nv].
        loads: By load name.
        by_source: Standard deviations of angles and torques from each source alone, root mean square over time, by
            source and then "angles" and "torques", each of shape [nq] or [nv].
        included: What is in the band, with its size in words.
        excluded: What is not, and why.
        method: ``monte carlo`` or ``linear``.
        draws: How many draws, 0 if linear.
        seed: Seed of the draws.
    """

    times: Array
    names: tuple[str, ...]
    angles: Array
    torques: Array
    loads: Mapping[str, LoadBand]
    by_source: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    included: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    method: Method = "linear"
    draws: int = 0
    seed: int = 0

    def between(self, start: float | None, end: float | None) -> Bands:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.times, start, end, "bands")
        loads = {n: LoadBand(b.force[keep], b.point[keep], b.moment[keep]) for n, b in self.loads.items()}
        return dataclasses.replace(
            self, times=self.times[keep], angles=self.angles[keep], torques=self.torques[keep], loads=loads
        )

    def on_motion(self, motion: Motion) -> Motion:
        """The motion with these standard deviations."""
        return Motion(motion.times, motion.values, motion.names, self.angles)

    def on_kinetics(self, kinetics: Kinetics) -> Kinetics:
        """The generalized forces with these standard deviations."""
        return Kinetics(kinetics.times, kinetics.values, kinetics.names, self.torques)

    def on_loads(self, loads: Loads) -> Loads:
        """The loads with these standard deviations of their forces."""
        return Loads(
            loads.times,
            tuple(
                dataclasses.replace(x, force_std=self.loads[x.name].force) if x.name in self.loads else x
                for x in loads.loads
            ),
        )


def bands_of_analysis(
    skeleton: Skeleton,
    *,
    markers: Markers,
    found: Motion,
    motion: Motion,
    rate: Array,
    acceleration: Array,
    loads: Loads,
    plates: Loads | None = None,
    cutoff: float | None = None,
    weights: Mapping[str, float] | None = None,
    sources: Iterable[str] = SOURCES,
    method: Method = "monte carlo",
    draws: int = 500,
    seed: int = 0,
) -> Bands:
    """Error bars of an analysis of markers, from nothing but the recording itself.

    Everything is at the same frames, the ones that were smoothed (margins included); cut the result with
    :meth:`Bands.between`.

    Args:
        skeleton: The person's skeleton.
        markers: The measured markers, as they went into inverse kinematics.
        found: What inverse kinematics found, not smoothed.
        motion: The same, smoothed.
        rate: Its first time derivative, shape [T, nq].
        acceleration: Its second one, shape [T, nq].
        loads: Loads on bodies at the motion's times, as they went into inverse dynamics.
        plates: Measured loads before any filter, in ground, in any rate, named as ``loads`` (or as their beginning);
            None if loads were not measured.
        cutoff: Low-pass cutoff that motion and loads went through [Hz], or None.
        weights: Marker weights of inverse kinematics.
        sources: What the band shall hold, of :data:`SOURCES`.
        method: ``monte carlo`` through the chain, or ``linear`` propagation.
        draws: Draws of the former.
        seed: Their seed.

    Raises:
        DataError: A source is not known, or arrays do not belong together.
    """
    chosen = tuple(sources)
    unknown = [s for s in chosen if s not in SOURCES]
    if unknown:
        raise DataError(f"bands: no source {unknown[0]!r}; there are {', '.join(SOURCES)}")
    gain = marker_gain(skeleton, markers, found.values, weights=weights)
    parts = dict(zip(("marker noise", "soft tissue", "marker placement"), estimate_marker_noise(gain), strict=True))
    moving = {
        name: CoordinateNoise(name, marker_noise_in_coordinates(gain, part), part.process)
        for name, part in parts.items()
        if part.process is not None and part.typical > 0
    }
    unfiltered = _unfiltered(loads, plates, motion.times)
    noisy = tuple(estimate_load_noise(x, unfiltered[x.name], motion.times) for x in loads.loads if x.name in unfiltered)
    smoothed = np.stack([motion.values, rate, acceleration])
    chain = _chain(skeleton, gain, parts, moving, noisy, found, motion, smoothed, loads, unfiltered, cutoff, chosen)
    torque = torque_gain(skeleton, chain.motion, chain.wrenches)
    if chain.missed is not None:
        hidden = _hidden(chain, torque, list(moving.values()), noisy, found, unfiltered)
        chain = dataclasses.replace(chain, hidden=hidden)
    spreads = propagate(chain, torque)
    spreads = {name: s for name, s in spreads.items() if name in chosen}
    total = _sum(spreads, chain)
    if method == "monte carlo":
        drawn = monte_carlo(chain, draws=draws, seed=seed)
        total = Spread(drawn.angles, drawn.torques, {**total.wrenches, **drawn.wrenches})
    angles = np.sqrt(total.angles)
    angles[:, list(gain.unseen)] = np.nan
    return Bands(
        motion.times,
        motion.names,
        angles,
        np.sqrt(total.torques),
        {load.name: load_band(load, total.wrenches.get(load.name)) for load in loads.loads},
        {
            name: {"angles": np.sqrt(s.angles.mean(0)), "torques": np.sqrt(s.torques.mean(0))}
            for name, s in spreads.items()
        },
        {name: _size(name, parts, chain) for name in spreads},
        {name: "switched off" for name in SOURCES if name not in spreads},
        method,
        draws if method == "monte carlo" else 0,
        seed,
    )


def _chain(
    skeleton: Skeleton,
    gain: MarkerGain,
    parts: Mapping[str, NoisePart],
    moving: Mapping[str, CoordinateNoise],
    noisy: tuple[LoadNoise, ...],
    found: Motion,
    motion: Motion,
    smoothed: Array,
    loads: Loads,
    unfiltered: Mapping[str, Array],
    cutoff: float | None,
    chosen: tuple[str, ...],
) -> Chain:
    frames = len(motion.times)
    if not (len(found.times) == len(gain.gain) == frames == len(loads.times)):
        raise DataError(
            f"bands: {len(found.times)} frames of coordinates, {frames} smoothed and {len(loads.times)} of loads; give "
            "them at the same frames"
        )
    smoother = Smoother.of(frames, motion.rate, cutoff)
    noise = tuple(n for name, n in moving.items() if name in chosen)
    offsets = None
    if "marker placement" in chosen and parts["marker placement"].typical > 0:
        offsets = marker_offsets_in_coordinates(gain, parts["marker placement"])
    signal = loss = missed = None
    if "smoothing" in chosen:
        values = found.values[:, list(gain.free)]
        columns = np.concatenate([np.zeros((frames, 0)), *(unfiltered[x.name] for x in noisy)], axis=1)
        power = _noise_power(frames, moving.get("marker noise"), len(gain.free)), _load_power(frames, noisy)
        signal = thinned(signal_spectrum(values, motion.rate, power[0]), LINES, np.random.default_rng(0))
        missed = missed_signal(smoother, values, power[0], columns, power[1])
        loss = smoothing_loss(missed.higher, signal.frequency)
    quiet = tuple(
        dataclasses.replace(
            x,
            spreading=x.spreading * ("plate noise" in chosen),
            offset=x.offset * ("plate offset" in chosen),
        )
        for x in noisy
    )
    wrenches: dict[str, Array] = {}
    for load in loads.loads:
        own = np.concatenate([load.force, load.moment_about_origin], axis=1)
        wrenches[load.body] = wrenches.get(load.body, 0.0) + own
    return Chain(
        skeleton,
        gain.coupling,
        smoother,
        smoothed,
        wrenches,
        noise,
        offsets,
        quiet,
        signal,
        loss,
        missed,
    )


def _unfiltered(loads: Loads, plates: Loads | None, times: Array) -> dict[str, Array]:
    """Force and moment about the ground origin of each load's plate at the motion's times, shape [T, 6] each."""
    if plates is None:
        return {}
    raw = filter_loads(plates, times, None, journal=Journal())
    result = {}
    for load in loads.loads:
        plate = next((p for p in raw.loads if load.name == p.name or load.name.startswith(p.name)), None)
        if plate is not None:
            result[load.name] = np.concatenate([plate.force, plate.moment_about_origin], axis=1)
    return result


def _noise_power(frames: int, noise: CoordinateNoise | None, free: int) -> Array:
    """Power of the coordinates' measurement noise by frequency, shape [T // 2 + 1, n]."""
    cycles = np.arange(frames // 2 + 1) / frames
    if noise is None:
        return np.zeros((len(cycles), free))
    return np.outer(noise.process.spectrum(cycles), np.diagonal(noise.covariance.mean(0)))


def _load_power(frames: int, loads: tuple[LoadNoise, ...]) -> Array:
    """Power of the load columns' noise by frequency, shape [T // 2 + 1, 6 L]."""
    cycles = np.arange(frames // 2 + 1) / frames
    power = [np.outer(load.process.spectrum(cycles), (load.spreading**2).sum(1)) for load in loads]
    return np.concatenate([np.zeros((len(cycles), 0)), *power], axis=1)


def _hidden(
    chain: Chain,
    gain: TorqueGain,
    moving: Sequence[CoordinateNoise],
    noisy: Sequence[LoadNoise],
    found: Motion,
    unfiltered: Mapping[str, Array],
) -> Array:
    """Variance of the torques that smoothing took where noise hides it, shape [T, nv].

    Torques of the unsmoothed motion and loads have a spectrum of their own, in which inertia and ground forces offset
    each other as they do; beyond the noise it is continued like those of coordinates.
    """
    assert chain.missed is not None
    frames, smoother = chain.smoother.frames, chain.smoother
    # To first order about the smoothed motion: squares of noisy speeds would fill the spectrum down to its start.
    raw = Smoother.of(frames, smoother.rate, None)(found.values)
    tau = generalized_forces(chain.skeleton, chain.motion, chain.wrenches)
    tau = tau + np.einsum("ktvq,ktq->tv", gain.motion, raw - chain.motion, optimize=True)
    for load in chain.loads:
        lost = (unfiltered[load.name] - smoother(unfiltered[load.name], (0,))[0]) * load.here[:, None]
        tau += np.einsum("tvc,tc->tv", gain.loads[load.body], lost)
    noise = torque_noise_power(chain, gain, moving, noisy, np.arange(frames // 2 + 1) / frames)
    lines = signal_spectrum(tau, smoother.rate, noise, slope=TORQUE_SLOPE, order=1)
    return np.outer(chain.missed.local_size() ** 2, lost_variance(lines, chain.missed.higher))


def _sum(spreads: Mapping[str, Spread], chain: Chain) -> Spread:
    total = Spread(np.zeros(chain.motion.shape[1:]), np.zeros((chain.motion.shape[1], chain.skeleton.nv)))
    for spread in spreads.values():
        total = total.plus(spread)
    return total


def load_band(load: Load, wrench: Array | None) -> LoadBand:
    """Standard deviations of a load from the covariance of its force and moment about the ground origin.

    Args:
        load: The load.
        wrench: Covariance, shape [T, 6, 6], or None where nothing is known.
    """
    frames = len(load.force)
    nothing = np.full((frames, 3), np.nan)
    if wrench is None:
        return LoadBand(nothing, nothing, nothing)
    force = np.sqrt(np.diagonal(wrench, axis1=1, axis2=2)[:, :3])
    defined = np.isfinite(load.point).all(1) & (load.force[:, 1] >= THRESHOLD)
    vertical = np.where(defined, load.force[:, 1], 1.0)
    x, h, z = np.nan_to_num(load.point).T
    # Of the point x = (M_z + h F_x) / F_y, z = (h F_z - M_x) / F_y by force and moment.
    by = np.zeros((frames, 2, 6))
    by[:, 0, 0], by[:, 0, 1], by[:, 0, 5] = h, -x, 1.0
    by[:, 1, 2], by[:, 1, 1], by[:, 1, 3] = h, -z, -1.0
    by /= vertical[:, None, None]
    across = np.sqrt(np.maximum(np.diagonal(by @ wrench @ by.transpose(0, 2, 1), axis1=1, axis2=2), 0.0))
    point = np.stack([across[:, 0], np.zeros(frames), across[:, 1]], axis=1)
    # The free moment M_y - (z F_x - x F_z); about the origin where there is no point.
    free = np.zeros((frames, 1, 6))
    free[:, 0, 4], free[:, 0, 0], free[:, 0, 2] = 1.0, -z, x
    free += -load.force[:, 0, None, None] * by[:, 1:2] + load.force[:, 2, None, None] * by[:, :1]
    turning = np.sqrt(np.maximum((free @ wrench @ free.transpose(0, 2, 1))[:, 0, 0], 0.0))
    about_point = np.stack([np.zeros(frames), turning, np.zeros(frames)], axis=1)
    about_origin = np.sqrt(np.diagonal(wrench, axis1=1, axis2=2)[:, 3:])
    return LoadBand(
        force, np.where(defined[:, None], point, np.nan), np.where(defined[:, None], about_point, about_origin)
    )


def _size(name: str, parts: Mapping[str, NoisePart], chain: Chain) -> str:
    """A source's size in words."""
    if name in parts:
        part = parts[name]
        process = part.process
        text = f"{1e3 * part.typical:.2g} mm per marker and axis"
        if name == "marker noise" and process is not None:
            share = 1 - process.white
            step = 1 / chain.smoother.rate
            lasting = -step / np.log(process.memory) if process.memory > 0 else 0.0
            text += f", {100 * process.white:.0f} % of it white"
            text += f", the rest lasting {1e3 * lasting:.0f} ms" if share > 0.05 else ""
        return text
    if name in ("plate noise", "plate offset"):
        rows = [x.spreading if name == "plate noise" else x.offset for x in chain.loads]
        sizes = ", ".join(f"{np.sqrt((r[:3] ** 2).sum() / 3):.2g}" for r in rows)
        return f"{sizes} N per axis"
    return "what the low-pass filter and the recording's ends take from the motion and the loads"
