"""What a recording says about its own noise, before anything is smoothed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.load_filtering import filter_loads
from motorque.journal import Journal
from motorque.series import Loads, Markers, Motion
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.load_noise import LoadNoise, estimate_load_noise
from motorque.uncertainty.marker_gain import MarkerGain, marker_gain
from motorque.uncertainty.marker_noise import NoisePart, estimate_marker_noise
from motorque.uncertainty.propagate import CoordinateNoise

Array = NDArray[np.float64]

MARKER_SOURCES = ("marker noise", "soft tissue", "marker placement")


@dataclass(frozen=True, eq=False)
class MarkerEvidence:
    """The markers' noise and the way it takes through inverse kinematics.

    Args:
        gain: How coordinates follow markers.
        parts: Noise of the markers by source, of :data:`MARKER_SOURCES`.
        moving: Noise of the free coordinates that comes and goes, by source; sources without any are left out.
        found: What inverse kinematics found, not smoothed.
    """

    gain: MarkerGain
    parts: Mapping[str, NoisePart]
    moving: Mapping[str, CoordinateNoise]
    found: Motion

    @property
    def values(self) -> Array:
        """The free coordinates, not smoothed, shape [T, n]."""
        return self.found.values[:, list(self.gain.free)]

    def measurement_power(self) -> Array:
        """Power of the free coordinates' measurement noise at the frequencies k rate / T, shape [T // 2 + 1, n]."""
        cycles = np.arange(len(self.found.times) // 2 + 1) / len(self.found.times)
        noise = self.moving.get("marker noise")
        if noise is None:
            return np.zeros((len(cycles), len(self.gain.free)))
        return np.outer(noise.process.spectrum(cycles), np.diagonal(noise.covariance.mean(0)))


def marker_evidence(
    skeleton: Skeleton, markers: Markers, found: Motion, *, weights: Mapping[str, float] | None = None
) -> MarkerEvidence:
    """The markers' noise, told from what inverse kinematics left over.

    Args:
        skeleton: The skeleton with its markers.
        markers: The measured markers, as they went into inverse kinematics.
        found: What it found, not smoothed.
        weights: Its marker weights.
    """
    gain = marker_gain(skeleton, markers, found.values, weights=weights)
    parts = dict(zip(MARKER_SOURCES, estimate_marker_noise(gain), strict=True))
    moving = {}
    for name, part in parts.items():
        if part.process is not None and part.typical > 0:
            weighted = (gain.gain * part.std[:, None]).reshape(*gain.gain.shape[:2], -1)
            moving[name] = CoordinateNoise(name, weighted @ weighted.transpose(0, 2, 1), part.process)
    return MarkerEvidence(gain, parts, moving, found)


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
    unfiltered = {}
    for load in loads.loads:
        plate = next((p for p in raw.loads if load.name == p.name or load.name.startswith(p.name)), None)
        if plate is not None:
            unfiltered[load.name] = np.concatenate([plate.force, plate.moment_about_origin], axis=1)
    noise = [estimate_load_noise(x, unfiltered[x.name], loads.times) for x in loads.loads if x.name in unfiltered]
    return LoadEvidence(tuple(noise), unfiltered)
