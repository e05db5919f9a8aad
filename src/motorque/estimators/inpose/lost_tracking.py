"""What devices write while they have lost a sensor: its last value again, zeros, places far away for a moment.

None of it was measured, and taken for a measurement it bends the whole body.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.signals.runs import runs_of

Array = NDArray[np.float64]

STALE = 0.5
"""From so long on a sensor that says exactly the same is lost [s], where others have moved meanwhile; numbers that are
written in millimetres do stay the same for less."""
MOVED = 0.05
"""By how much another sensor must have moved, as a share of how far sensors usually are apart."""
SPIKE = 0.1
"""A sensor that is somewhere else for no longer than this [s] was never there."""
FAR, FAST, BACK = 0.3, 30.0, 10.0
"""It is somewhere else if it moves by more than this [m] and faster than this [m/s], and back if it then is where it
could have gone at this speed [m/s]: far faster than wrists of people who throw."""


def without_stale(tracks: Tracks, *, journal: Journal) -> Tracks:
    """Tracks without values that are only repeated, and without places that are zero for a while.

    Args:
        tracks: In any unit.
        journal: Where what is left out is recorded.
    """
    places, turns = tracks.positions.copy(), tracks.rotations.copy()
    moved, zero = MOVED * _apart(tracks), dict[bytes, list[str]]()
    for number, name in enumerate(tracks.names):
        nothing = (tracks.positions[:, number] == 0).all(axis=-1)
        if nothing.any() and (tracks.there[:, number] & ~nothing).any():
            places[nothing, number] = np.nan
            empty = nothing & (turns[:, number] == np.eye(3)).all(axis=(-1, -2))
            turns[empty, number] = np.nan
            zero.setdefault(nothing.tobytes(), []).append(name)
        lost = np.zeros(len(tracks.times), dtype=bool)
        for first, last in _runs(tracks, number):
            long = tracks.times[last] - tracks.times[first] >= STALE
            if long and _others(tracks.positions[first : last + 1], number) > moved:
                lost[first + 1 : last + 1] = True
        if lost.any():
            places[lost, number], turns[lost, number] = np.nan, np.nan
            _say(f"{name} says the same again and again while others move", tracks.times[lost], tracks.source, journal)
    for rows, names in zero.items():
        times = tracks.times[np.frombuffer(rows, dtype=bool)]
        _say(f"{whose(names)} place is exactly zero", times, tracks.source, journal)
    return dataclasses.replace(tracks, positions=places, rotations=turns)


def without_spikes(tracks: Tracks, *, journal: Journal) -> Tracks:
    """Tracks without places that a sensor was at for a moment, farther off than anybody goes.

    Args:
        tracks: In metres.
        journal: Where what is left out is recorded, and jumps that stay.
    """
    places = tracks.positions.copy()
    for number, name in enumerate(tracks.names):
        rows = np.flatnonzero(tracks.there[:, number])
        at, times = tracks.positions[rows, number], tracks.times[rows]
        far = np.linalg.norm(np.diff(at, axis=0), axis=-1)
        jumps = np.flatnonzero(far > np.maximum(FAR, FAST * np.diff(times)))
        lost, stays, until = np.zeros(len(rows), dtype=bool), [], -1
        for jump in jumps:
            if jump < until:
                continue
            after = np.flatnonzero((times > times[jump + 1]) & (times <= times[jump + 1] + SPIKE))
            gone = np.linalg.norm(at[after] - at[jump], axis=-1)
            back = after[gone <= np.maximum(FAR, BACK * (times[after] - times[jump]))]
            if len(back):
                lost[jump + 1 : back[0]] = True
                until = int(back[0])
            else:
                stays.append(int(jump))
        if lost.any():
            places[rows[lost], number] = np.nan
            _say(f"{name} is somewhere else for a moment", times[lost], tracks.source, journal)
        if stays:
            first = stays[0]
            also = f", and jumps {len(stays) - 1} times more" if len(stays) > 1 else ""
            journal.warn(
                f"{name} moves by {far[first]:.2g} m within {times[first + 1] - times[first]:.2g} s at "
                f"{times[first]:.2f} s{also}: tracking was lost or begun anew, and bodies jump with it",
                tracks.source,
            )
    return dataclasses.replace(tracks, positions=places)


def whose(names: Sequence[str]) -> str:
    """Sensors in words: "head's, left_wrist's and right_wrist's"."""
    *others, last = [f"{name}'s" for name in names]
    return f"{', '.join(others)} and {last}" if others else last


def _runs(tracks: Tracks, number: int) -> list[tuple[int, int]]:
    """First and last rows between which a sensor says exactly the same, and says something."""
    flat = np.concatenate([tracks.positions[:, number], tracks.rotations[:, number].reshape(-1, 9)], axis=-1)
    some = np.isfinite(flat).any(axis=-1)
    same = ((flat[1:] == flat[:-1]) | (np.isnan(flat[1:]) & np.isnan(flat[:-1]))).all(axis=-1) & some[1:]
    return [(run.start, run.stop) for run in runs_of(same)]


def _others(places: Array, number: int) -> float:
    """By how much the other sensors have moved at most."""
    rest = np.delete(places, number, axis=1)
    known = rest[:, np.isfinite(rest).any(axis=(0, 2))]
    return float((np.nanmax(known, axis=0) - np.nanmin(known, axis=0)).max()) if known.size else 0.0


def _apart(tracks: Tracks) -> float:
    """How far sensors usually are from the first one of a row."""
    from_first = tracks.positions - tracks.positions[:, :1]
    sizes = np.linalg.norm(from_first, axis=-1)[:, 1:]
    return float(np.median(sizes[np.isfinite(sizes)])) if np.isfinite(sizes).any() else np.inf


def _say(what: str, times: Array, source: str, journal: Journal) -> None:
    journal.repair(f"{what} in {len(times)} rows from {times[0]:.2f} s on: taken as not measured there", source)
