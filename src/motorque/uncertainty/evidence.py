"""What a recording says about its own noise, before anything is smoothed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import maximum_filter1d

from motorque.errors import DataError
from motorque.fitting.load_filtering import filter_loads, uniform_columns
from motorque.journal import Journal
from motorque.series import Load, Loads, Markers, Motion
from motorque.signals import butterworth
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.load_noise import LoadNoise, estimate_load_noise
from motorque.uncertainty.marker_gain import MarkerGain, fitted_markers, marker_gain
from motorque.uncertainty.marker_noise import NoisePart, estimate_marker_noise
from motorque.uncertainty.propagate import CoordinateNoise

Array = NDArray[np.float64]

MARKER_SOURCES = ("marker noise", "soft tissue", "marker placement")

LONG = 4000
"""Frames that are taken at once: gains and derivatives of so many take some hundreds of MB, of twenty minutes 20 GB."""

GUESS = 1.5
"""Standard deviation by marker noise from frame to frame beyond which a coordinate is a guess [rad or m]: a quarter
turn, of which derivatives say nothing any more."""

BRIDGE, PASSES = 6.0, 5
"""Cutoff of what bridges a gap [Hz], and how often it is put there and smoothed with its neighbours anew."""


def pieces(frames: int, margin: int) -> list[tuple[slice, slice]]:
    """A recording in pieces of at most :data:`LONG` frames: rows with a margin on either side, and those without it.

    Args:
        frames: Frames of the recording.
        margin: Frames before and after a piece that it is to see.
    """
    count = -(-frames // LONG)
    edges = np.linspace(0, frames, count + 1).round().astype(int).tolist()
    return [
        (slice(max(0, a - margin), min(frames, b + margin)), slice(a, b))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


@dataclass(frozen=True, eq=False)
class EvidencePiece:
    """The markers' noise and the way it takes through inverse kinematics, in some frames.

    Args:
        gain: How coordinates follow markers.
        parts: Noise of the markers by source, of :data:`MARKER_SOURCES`.
        moving: Noise of the free coordinates that comes and goes, by source; sources without any are left out.
        found: What inverse kinematics found, not smoothed.
        sure: Where the markers tell each free coordinate by more than a guess, shape [T, n].
    """

    gain: MarkerGain
    parts: Mapping[str, NoisePart]
    moving: Mapping[str, CoordinateNoise]
    found: Motion
    sure: NDArray[np.bool_]

    @property
    def values(self) -> Array:
        """The free coordinates, not smoothed, shape [T, n]."""
        return self.coordinates[:, list(self.gain.free)]

    @cached_property
    def coordinates(self) -> Array:
        """All coordinates, not smoothed, shape [T, nq], bridged where markers fail.

        A pose is a guess there and jumps; its jumps would pass for movement of the whole recording.
        """
        filled = self.found.values.copy()
        failing = self.gain.told.any(axis=0, keepdims=True) & ~self.gain.told
        for number in np.flatnonzero(failing.sum(0)):
            column = [self.gain.free[number]]
            filled[:, column] = bridged(filled[:, column], failing[:, number], self.found.rate)
        return filled

    def failing(self, reach: int) -> NDArray[np.bool_]:
        """Where markers fail that are there otherwise, and ``reach`` frames around, shape [T]."""
        failing = (self.gain.told.any(axis=0, keepdims=True) & ~self.gain.told).sum(1) > 0
        return np.asarray(maximum_filter1d(failing, 2 * reach + 1), dtype=bool)

    def measurement_power(self) -> Array:
        """Power of the free coordinates' measurement noise at the frequencies k rate / T, shape [T // 2 + 1, n]."""
        cycles = np.arange(len(self.found.times) // 2 + 1) / len(self.found.times)
        noise = self.moving.get("marker noise")
        if noise is None:
            return np.zeros((len(cycles), len(self.gain.free)))
        return np.outer(noise.process.spectrum(cycles), np.diagonal(noise.covariance.mean(0)))


@dataclass(frozen=True, eq=False)
class MarkerEvidence:
    """What a recording of markers says of its own noise.

    Args:
        skeleton: The skeleton with its markers.
        markers: The measured markers.
        weights: Marker weights of inverse kinematics, or None.
        found: What inverse kinematics found, not smoothed.
        free: The coordinates that the fit varies, n of them.
        told: Which of them the markers tell in any frame, shape [n].
        parts: Noise of the markers by source, of :data:`MARKER_SOURCES`.
        whole: All frames in one piece, if they are not too many.
    """

    skeleton: Skeleton
    markers: Markers
    weights: Mapping[str, float] | None
    found: Motion
    free: tuple[int, ...]
    told: NDArray[np.bool_]
    parts: Mapping[str, NoisePart]
    whole: EvidencePiece | None

    @property
    def frames(self) -> int:
        """Frames of the recording, T."""
        return len(self.found.times)

    def between(self, rows: slice) -> EvidencePiece:
        """The evidence in some frames."""
        if self.whole is not None and len(range(*rows.indices(self.frames))) == self.frames:
            return self.whole
        found = rows_of_motion(self.found, rows)
        markers = Markers(self.markers.times[rows], self.markers.positions[rows], self.markers.names)
        gain = marker_gain(self.skeleton, markers, found.values, weights=self.weights, names=self._names())
        return _piece(gain, self.parts, found)

    def _names(self) -> tuple[str, ...]:
        return fitted_markers(self.skeleton, self.markers, self.weights)


def bridged(columns: Array, failing: NDArray[np.bool_], rate: float) -> Array:
    """Columns, shape [T, C], with what is slow in them alone where they fail, [T]; as they are if most of them do.

    Noise of the frames beside a gap must not be stretched over it: it would pass for slow movement.
    """
    known = np.flatnonzero(~failing)
    frames = len(columns)
    cutoff = min(BRIDGE, 0.2 * rate)
    if len(known) == frames or len(known) < max(8, frames // 2):
        return columns
    within = np.clip(np.arange(frames), known[0], known[-1])
    filled = np.asarray(PchipInterpolator(known, columns[known])(within))
    for _ in range(PASSES):
        filled[failing] = butterworth(filled, rate, cutoff, what="gaps")[failing]
    return filled


def rows_of_motion(motion: Motion, rows: slice) -> Motion:
    """Some frames of a motion."""
    return Motion(motion.times[rows], motion.values[rows], motion.names, None)


def rows_of_loads(loads: Loads, rows: slice) -> Loads:
    """Some frames of loads."""
    return Loads(
        loads.times[rows],
        tuple(Load(x.name, x.body, x.force[rows], x.point[rows], x.moment[rows]) for x in loads.loads),
    )


def marker_evidence(
    skeleton: Skeleton, markers: Markers, found: Motion, *, weights: Mapping[str, float] | None = None
) -> MarkerEvidence:
    """The markers' noise, told from what inverse kinematics left over.

    Args:
        skeleton: The skeleton with its markers.
        markers: The measured markers, as they went into inverse kinematics.
        found: What it found, not smoothed.
        weights: Its marker weights.

    Raises:
        DataError: The frames of markers and motion are not the same, or no marker of the skeleton was ever seen.
    """
    frames = len(found.times)
    if len(markers.times) != frames:
        raise DataError(
            f"error bars: {len(markers.times)} frames of markers and {frames} of the motion that was found in them; "
            "give both at the same frames"
        )
    names = fitted_markers(skeleton, markers, weights)
    if not names:
        raise DataError("error bars: none of the skeleton's markers was seen in the recording")
    gains = []
    for _, rows in pieces(frames, 0):
        some = Markers(markers.times[rows], markers.positions[rows], markers.names)
        gain = marker_gain(skeleton, some, found.values[rows], weights=weights, names=names)
        # A long recording keeps its residuals only; gains are found again where they are asked for.
        gains.append(gain if frames <= LONG else dataclasses.replace(gain, gain=np.zeros(0), coupling=np.zeros(0)))
    residual = np.concatenate([g.residual for g in gains])
    told = np.any([g.told.any(0) for g in gains], axis=0)
    mixing = np.mean([g.mixing for g in gains], axis=0)
    parts = dict(zip(MARKER_SOURCES, estimate_marker_noise(residual, mixing), strict=True))
    whole = _piece(gains[0], parts, found) if frames <= LONG else None
    return MarkerEvidence(skeleton, markers, weights, found, gains[0].free, told, parts, whole)


def _piece(gain: MarkerGain, parts: Mapping[str, NoisePart], found: Motion) -> EvidencePiece:
    fast = parts["marker noise"].std
    lost = gain.told & (np.einsum("tnma,m->tn", gain.gain**2, fast**2) > GUESS**2)
    if lost.any():
        kept = np.where(lost[..., None, None], 0.0, gain.gain)
        gain = dataclasses.replace(gain, gain=kept)
    moving = {}
    for name, part in parts.items():
        if part.process is not None and part.typical > 0:
            weighted = (gain.gain * part.std[:, None]).reshape(*gain.gain.shape[:2], -1)
            moving[name] = CoordinateNoise(name, weighted @ weighted.transpose(0, 2, 1), part.process)
    return EvidencePiece(gain, parts, moving, found, gain.told & ~lost)


@dataclass(frozen=True, eq=False)
class LoadEvidence:
    """The noise of measured loads.

    Args:
        noise: Of each load that a plate was found for.
        unfiltered: Force and moment about the ground origin of its plate at the motion's times, shape [T, 6] each.
    """

    noise: tuple[LoadNoise, ...] = ()
    unfiltered: Mapping[str, Array] | None = None

    def columns(self, frames: int) -> Array:
        """The unfiltered columns side by side, shape [T, 6 L]."""
        own = self.unfiltered or {}
        return np.concatenate([np.zeros((frames, 0)), *(own[x.name] for x in self.noise)], axis=1)

    def between(self, rows: slice) -> LoadEvidence:
        """The evidence in some frames."""
        noise = tuple(dataclasses.replace(x, here=x.here[rows]) for x in self.noise)
        return LoadEvidence(noise, {name: x[rows] for name, x in (self.unfiltered or {}).items()})

    def power(self, frames: int) -> Array:
        """Power of their noise at the frequencies k rate / T, shape [T // 2 + 1, 6 L]."""
        cycles = np.arange(frames // 2 + 1) / frames
        power = [np.outer(x.process.spectrum(cycles), (x.spreading**2).sum(1)) for x in self.noise]
        return np.concatenate([np.zeros((len(cycles), 0)), *power], axis=1)


def load_evidence(loads: Loads, plates: Loads | None) -> LoadEvidence:
    """The noise of the plates behind some loads.

    Args:
        loads: Loads on bodies at the motion's times, filtered.
        plates: What was measured, in ground, in any rate, named as ``loads`` (or as their beginning); None if loads
            were not measured.
    """
    if plates is None:
        return LoadEvidence()
    raw = filter_loads(plates, loads.times, None, journal=Journal())
    own, columns = uniform_columns(plates, Journal())
    rate, step = (len(own) - 1) / (own[-1] - own[0]), float(np.median(np.diff(loads.times)))
    during = (own >= loads.times[0] - step) & (own <= loads.times[-1] + step)
    noise, unfiltered = [], {}
    for load in loads.loads:
        number = next((n for n, p in enumerate(raw.loads) if load.name == p.name or load.name.startswith(p.name)), None)
        if number is not None:
            plate = raw.loads[number]
            unfiltered[load.name] = np.concatenate([plate.force, plate.moment_about_origin], axis=1)
            noise.append(estimate_load_noise(load, columns[during, 6 * number : 6 * number + 6], rate, step))
    return LoadEvidence(tuple(noise), unfiltered)
