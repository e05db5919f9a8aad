"""Places of worn sensors in metres, whatever a device writes, by how far sensors are apart and how high a head is."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.estimators.inpose.lost_tracking import without_spikes, without_stale
from motorque.estimators.inpose.mixed_units import AT_ONE_PLACE, ELSEWHERE, FARTHER, odd_one
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS, standing_length
from motorque.journal import Journal
from motorque.series.tracks import Tracks

Array = NDArray[np.float64]
Units = Literal["m", "cm", "mm", "in"]
UNITS: dict[Units, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
FOOT = 0.3048
"""A foot [m], in which nobody's places are taken, but are known."""
KNOWN: dict[str, float] = {**{str(unit): metres for unit, metres in UNITS.items()}, "feet": FOOT}
"""All units that places are recognised in [m]."""

NEARER = 0.15
"""The least share of what bones allow at which places are in centimetres or millimetres: nobody holds all sensors so
near to each other throughout, but feet would, taken for centimetres."""
USUAL = (0.25, 0.9)
"""The same where centimetres and inches are to be told apart, which differ by less than that: in 107 recordings, none
of people who are tested, head and hands are 0.27 to 0.68 of it apart; the rest is for statures told wrongly."""
UPRIGHT = (0.45, 1.25)
"""Usual height of a head, in standing lengths, of people who sit or stand, by which they are told apart too."""
HIGHEST = 4.0
"""A single sensor is lower [m]."""
TOO_NEAR = 0.1
"""Share of what bones allow below which sensors are in no unit that somebody said; two hands may be held together."""
HEAD_HEIGHT = (0.4, 1.3)
"""Usual height of a head over a floor at 0, in standing lengths, that a person's can be."""


def in_metres(
    tracks: Tracks, rest: Array, *, units: Units | None = None, floor: float | None = None, journal: Journal
) -> Tracks:
    """Tracks with places in metres, and without what was written while sensors were lost.

    Args:
        tracks: In SMPL's world.
        rest: Rest joints [m], shape [22 or more, 3].
        units: Unit of their places; found by how far sensors are apart, or how high, if not given.
        floor: Height of the floor in their world [m]; None if it is not known.
        journal: Where a conversion is recorded.

    Raises:
        DataError: No unit makes them this person's, or more than one does; or one sensor is in another than the
            others, or at the same place.
    """
    tracks = without_stale(tracks, journal=journal)
    if units is not None and units not in UNITS:
        raise DataError(f"units: there is no {units!r}; there are {', '.join(UNITS)}")
    for one, other, far, _ in _distances(tracks, rest):
        if far == 0:
            raise DataError(
                f"{tracks.source or 'tracks'}: {one} and {other} are at the very same place; one was copied to the "
                "other, or nothing was measured: leave the columns of their places out"
            )
    _check_one_unit(tracks, rest, units)
    if units is None:
        units = _units(tracks, rest, floor)
        if units != "m":
            word = "inches" if units == "in" else units
            journal.repair(f"places are in {word}, by how far sensors are apart; they were made metres", tracks.source)
    else:
        _check_told(tracks, rest, units)
    tracks = without_spikes(dataclasses.replace(tracks, positions=tracks.positions * UNITS[units]), journal=journal)
    pairs = _distances(tracks, rest)
    one, other, far, most = max(pairs, key=lambda pair: pair[2] - pair[3], default=("", "", 0.0, 0.0))
    if far > FARTHER * most + ELSEWHERE:
        feet = USUAL[0] <= FOOT * _share(pairs) <= USUAL[1] and units == "m"
        raise DataError(
            f"{tracks.source or 'tracks'}: {one} and {other} are usually {far:.3g} m apart, and these bones let "
            f"them be {most:.3g} m; check units, the height or the bones"
            + (f" (places in feet would fit: multiply them by {FOOT:g})" if feet else "")
        )
    if far > most:
        journal.warn(
            f"{one} and {other} are usually {far:.3g} m apart, farther than these bones reach ({most:.3g} m): "
            "the person is larger than given, or the sensors sit elsewhere",
            tracks.source,
        )
    return tracks


def _check_one_unit(tracks: Tracks, rest: Array, units: Units | None) -> None:
    """Refuse places of which one sensor's are in another unit than the others'.

    Raises:
        DataError: They are; the message names the sensor and what to multiply its places by.
    """
    if units is None and all(far <= FARTHER * most + ELSEWHERE for _, _, far, most in _distances(tracks, rest)):
        return  # metres, of all of them
    own = [JOINTS.index(name) for name in tracks.names]
    reach = np.array([[_reach(rest, one, other) for other in own] for one in own])
    odd = odd_one(tracks.positions, reach, KNOWN, units)
    if odd is not None:
        number, unit, others, alike = odd
        name = tracks.names[number]
        rest_of = "the others'" if len(tracks.names) > 2 else f"{tracks.names[1 - number]}'s"
        raise DataError(
            f"{tracks.source or 'tracks'}: places of {name} look as if they were in {unit} and {rest_of} in {others}; "
            f"give one unit, such as with {name}'s multiplied by {KNOWN[unit] / KNOWN[others]:.6g}"
            + (f", or --units {others} if all are" if alike and others in UNITS else "")
        )


def _check_told(tracks: Tracks, rest: Array, units: Units) -> None:
    """Refuse a unit that somebody said in which all sensors are nearer to each other than anybody's.

    Raises:
        DataError: They are.
    """
    pairs = _distances(tracks, rest)
    share = UNITS[units] * _share(pairs)
    if pairs and share < (TOO_NEAR if "head" in tracks.names or len(tracks.names) > 2 else AT_ONE_PLACE):
        one, other, far, most = max(pairs, key=lambda pair: pair[2])
        fits = [unit for unit in UNITS if USUAL[0] <= UNITS[unit] * _share(pairs) <= USUAL[1]]
        raise DataError(
            f"{tracks.source or 'tracks'}: in {units}, {one} and {other} are usually {UNITS[units] * far:.2g} m apart, "
            f"of {most:.3g} m that these bones let them be, which is nobody's; "
            + (f"--units {' or '.join(fits)} would fit, or leave it out" if fits else "check the places")
        )


def _units(tracks: Tracks, rest: Array, floor: float | None) -> Units:
    """The unit of places: another than metres only where sensors are farther apart than anybody's, and not by little.

    Raises:
        DataError: They would be a person's in centimetres and in inches.
    """
    pairs = _distances(tracks, rest)
    if not pairs:
        known = tracks.positions[tracks.there][:, 1]
        size = float(np.median(np.abs(known))) if len(known) else 0.0
        near: list[Units] = [unit for unit in ("m", "cm", "mm") if UNITS[unit] * size < HIGHEST]
        fits: list[Units] = near[:1]
        if fits == ["cm"]:
            fits = _high(tracks, rest, floor, ("cm", "in")) or fits
        return _only(fits, tracks)
    share = _share(pairs)
    if share <= FARTHER:
        return "m"
    fits = [unit for unit in ("cm", "mm", "in") if NEARER <= UNITS[unit] * share <= FARTHER]
    if "cm" in fits and "in" in fits and ("head" in tracks.names or len(tracks.names) > 2):
        fits = [unit for unit in ("cm", "in") if USUAL[0] <= UNITS[unit] * share <= USUAL[1]]
        if len(fits) > 1:
            fits = _high(tracks, rest, floor, ("cm", "in")) or fits
        return _only(fits, tracks)
    return fits[0] if fits else "m"


def _only(fits: list[Units], tracks: Tracks) -> Units:
    if len(fits) > 1:
        raise DataError(
            f"{tracks.source or 'tracks'}: by where sensors are places may be in centimetres or in inches; say which "
            "(--units cm, --units in)"
        )
    return fits[0] if fits else "m"


def _high(tracks: Tracks, rest: Array, floor: float | None, units: tuple[Units, ...]) -> list[Units]:
    """In which of some units the head is as high over the floor as of who sits or stands; none if nobody knows."""
    if floor is None or "head" not in tracks.names:
        return []
    heights = tracks.positions[:, tracks.names.index(JOINTS[HEAD]), 1]
    if not np.isfinite(heights).any():
        return []
    lengths = [(UNITS[unit] * float(np.nanmedian(heights)) - floor) / standing_length(rest) for unit in units]
    return [unit for unit, length in zip(units, lengths, strict=True) if UPRIGHT[0] < length < UPRIGHT[1]]


def _share(pairs: list[tuple[str, str, float, float]]) -> float:
    """How far sensors are apart as a share of what bones allow.

    All pairs count together: short bones, such as collarbones, have other proportions in other skeletons.
    """
    return sum(far for _, _, far, _ in pairs) / max(sum(most for _, _, _, most in pairs), 1e-9)


def _distances(tracks: Tracks, rest: Array) -> list[tuple[str, str, float, float]]:
    """Pairs of sensors, how far they usually are apart, and how far the bones between them let them be."""
    found = []
    for i, one in enumerate(tracks.names):
        for j, other in enumerate(tracks.names[:i]):
            both = tracks.there[:, i] & tracks.there[:, j]
            if both.any():
                far = np.median(np.linalg.norm(tracks.positions[both, i] - tracks.positions[both, j], axis=-1))
                found.append((other, one, float(far), _reach(rest, JOINTS.index(one), JOINTS.index(other))))
    return found


def _reach(rest: Array, one: int, other: int) -> float:
    ways = []
    for joint in (one, other):
        way = {}
        while PARENTS[joint] >= 0:
            way[joint] = float(np.linalg.norm(rest[joint] - rest[PARENTS[joint]]))
            joint = PARENTS[joint]
        ways.append(way)
    return sum(length for joint, length in (ways[0] | ways[1]).items() if (joint in ways[0]) != (joint in ways[1]))
