"""What a device says while somebody moves: each frame in SMPL's world and metres, and the first second plausible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.estimators.inpose.sensor_units import UNITS, Units, in_metres
from motorque.estimators.inpose.sensors import Convention, check_plausible, in_smpls_world
from motorque.estimators.inpose.tree import RATE
from motorque.journal import Journal
from motorque.series.poses import Up
from motorque.series.tracks import Tracks

Array = NDArray[np.float64]
Measurements = Mapping[str, tuple[Array | None, Array | None]]
"""By joint, its place and its rotation, None where not measured."""


@dataclass(frozen=True)
class Device:
    """In what a device says where its sensors are and how they are turned.

    Args:
        up: What is up in its world; y, but without a word of it, if None.
        convention: What its rotations are, see :func:`motorque.estimators.inpose.sensors.in_smpls_world`.
        units: Unit of its places.

    Raises:
        DataError: There is no such axis, convention or unit.
    """

    up: Up | None = None
    convention: Convention = "smpl"
    units: Units = "m"

    def __post_init__(self) -> None:
        if self.units not in UNITS:
            raise DataError(f"stream: there is no unit {self.units!r}; there are {', '.join(UNITS)}")
        self.read({"head": (np.zeros(3), np.eye(3))})

    @property
    def plain(self) -> bool:
        """Whether what it says is taken as it is."""
        return self.up in (None, "y") and self.convention == "smpl" and self.units == "m"

    def read(self, measured: Measurements) -> Measurements:
        """A frame in SMPL's world and metres."""
        if self.plain or not measured:
            return measured
        found = in_smpls_world(tracks([measured], tuple(measured)), up=self.up or "y", convention=self.convention)
        places, turns = UNITS[self.units] * found.positions[0], found.rotations[0]
        there, seen = found.there[0], found.seen[0]
        return {
            name: (places[k] if there[k] else None, turns[k] if seen[k] else None) for k, name in enumerate(measured)
        }

    def check(self, frames: list[Measurements], joints: tuple[str, ...], rest: Array) -> None:
        """Refuse what a person with these bones can't have worn.

        Args:
            frames: As read, one after the other at 60 Hz.
            joints: The stream's.
            rest: Rest joints [m], shape [22 or more, 3].

        Raises:
            DataError: Rotations, sides or units do not fit.
        """
        own, unheard = tracks(frames, joints), Journal()
        try:
            check_plausible(own, up=self.up, convention=self.convention, journal=unheard)
            in_metres(own, rest, units="m", journal=unheard)
        except DataError as error:
            raise DataError(f"{error} (in Python: stream(up=…, convention=…, units=…))") from None


def tracks(frames: list[Measurements], joints: tuple[str, ...]) -> Tracks:
    """Frames at 60 Hz as tracks of some joints, NaN where not measured."""
    places = np.full((len(frames), len(joints), 3), np.nan)
    turns = np.full((len(frames), len(joints), 3, 3), np.nan)
    for number, frame in enumerate(frames):
        for joint, (place, turn) in frame.items():
            where = number, joints.index(joint)
            places[where] = np.nan if place is None else place
            if turn is not None:  # as orthonormal as tracks are asked to be
                left, _, right = np.linalg.svd(turn)
                turns[where] = left @ right
    return Tracks(np.arange(len(frames)) / RATE, joints, places, turns, source="stream")
