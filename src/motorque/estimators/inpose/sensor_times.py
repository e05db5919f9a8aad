"""Rows of tracks brought to 60 Hz, each sensor's from its own times; gaps and uneven times are said."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, Slerp

from motorque.errors import DataError
from motorque.estimators.inpose.lost_tracking import whose
from motorque.estimators.inpose.resample import check_pauses
from motorque.estimators.inpose.tree import RATE
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.signals.runs import runs_of

Array = NDArray[np.float64]

LONGEST_GAP = 0.1
"""Gaps of up to this are bridged [s]; in longer ones nothing is measured."""
UNEVEN = 0.02
"""How much times between rows may vary without a word, as a share of their median."""
SLOWEST, FASTEST = 10.0, 2000.0
"""Rows per second that can be brought to 60."""
LATEST = 1.0
"""The most that a sensor may be late [s]: more is another recording."""


def at_60_hz(tracks: Tracks, *, delays: Mapping[str, float] | None = None, journal: Journal) -> Tracks:
    """Tracks at an even 60 Hz: rotations along their shortest ways, places along curves that do not overshoot.

    Each sensor has its own rows, those in which it was measured: sensors with clocks of their own may take turns.

    Args:
        tracks: With times [s].
        delays: By how much sensors' rows are later than what they show [s], by joint; those of others are not.
        journal: Where uneven times and gaps are recorded.

    Returns:
        From the first row on; where sensors are late, while all of them say something.

    Raises:
        DataError: The rate is none that can be taken, times jump, or a delay is none of a sensor.
    """
    times, late = tracks.times, _delays(delays or {}, tracks)
    where = tracks.source or "tracks"
    if len(times) < 2:
        raise DataError(f"{where}: a single row is no movement; give a recording")
    steps = np.diff(times)
    step = float(np.median(steps))
    if not SLOWEST * 0.99 <= 1 / step <= FASTEST:  # times are written to some digits
        hint = f"give {SLOWEST:g} to {FASTEST:g}, with times in seconds"
        for name, factor in (("milliseconds", 1e-3), ("microseconds", 1e-6), ("nanoseconds", 1e-9)):
            if SLOWEST <= 1 / (step * factor) <= FASTEST:
                hint = f"they look like {name}: divide them by {1 / factor:g}"
                break
        if np.all(steps == np.round(steps)) and step == 1:
            hint = "they look like numbers of frames: divide them by the rows a second to have seconds"
        raise DataError(f"{where}: {1 / step:.3g} rows a second can't be brought to 60; {hint}")
    try:
        check_pauses(times)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    uneven = float(np.abs(steps / step - 1).max())
    begin, end = times[0] - late.min(), times[-1] - late.max()
    if late.any():
        journal.info(f"rows were taken earlier: {_listed(tracks.names, late)}", where)
    wanted = begin + np.arange(int(np.floor((end - begin) * RATE + 0.01)) + 1) / RATE
    even = not late.any() and len(wanted) == len(times) and np.abs(times - wanted).max() < 0.01 / RATE
    if even and tracks.there.all() and tracks.seen.all():
        found = dataclasses.replace(tracks, times=wanted)
    else:
        if even:
            times = wanted  # rows stay as they are, but for short gaps
        elif uneven > UNEVEN:
            journal.repair(
                (
                    f"times between rows vary by up to {uneven:.0%} of {1000 * step:.3g} ms"
                    if uneven <= 1
                    else f"rows are usually {1000 * step:.3g} ms and up to {steps.max():.3g} s apart"
                )
                + "; all were brought to 60 Hz",
                where,
            )
        elif not np.isclose(1 / step, RATE, rtol=1e-4):
            journal.info(f"{1 / step:.4g} rows a second were brought to 60", where)
        inside = wanted.clip(max=end)
        positions = np.full((len(wanted), len(tracks.names), 3), np.nan)
        rotations = np.full((len(wanted), len(tracks.names), 3, 3), np.nan)
        for number in range(len(tracks.names)):
            own = times - late[number]
            rows = np.flatnonzero(tracks.there[:, number])
            near = _bridged(own[rows], inside)
            if near.any():
                curve = PchipInterpolator(own[rows], tracks.positions[rows, number])
                positions[near, number] = curve(inside[near])
            rows = np.flatnonzero(tracks.seen[:, number])
            near = _bridged(own[rows], inside)
            if near.any():
                way = Slerp(own[rows], Rotation.from_matrix(tracks.rotations[rows, number]))
                rotations[near, number] = way(inside[near]).as_matrix()
        found = Tracks(wanted, tracks.names, positions, rotations, tracks.source)
    _say_gaps(found, journal)
    return found


def _bridged(times: Array, wanted: Array) -> NDArray[np.bool_]:
    """Which times lie between two measurements that are near enough to each other."""
    if len(times) < 2:
        return np.zeros(len(wanted), dtype=bool)
    after = np.searchsorted(times, wanted, side="left").clip(1, len(times) - 1)
    inside = (wanted >= times[0] - 1e-9) & (wanted <= times[-1] + 1e-9)
    gap = times[after] - times[after - 1]
    exact = np.isclose(wanted, times[after], atol=1e-6) | np.isclose(wanted, times[after - 1], atol=1e-6)
    found: NDArray[np.bool_] = inside & ((gap <= 1.01 * LONGEST_GAP) | exact)
    return found & (wanted >= times[0]) & (wanted <= times[-1])


def _delays(delays: Mapping[str, float], tracks: Tracks) -> Array:
    """By how much each sensor is late [s], shape [N].

    Raises:
        DataError: There is no such sensor, a delay is none, or nothing of the recording is left.
    """
    for name, delay in delays.items():
        if name not in tracks.names:
            raise DataError(f"delays: there is no sensor of {name!r}; there are {', '.join(tracks.names)}")
        if not abs(delay) <= LATEST:
            raise DataError(f"delays: {name} can't be {1000 * delay:g} ms late; give at most {1000 * LATEST:g} ms")
    found = np.array([float(delays.get(name, 0.0)) for name in tracks.names])
    if len(tracks.times) > 1 and tracks.times[-1] - tracks.times[0] <= np.ptp(found):
        raise DataError(f"{tracks.source or 'tracks'}: sensors that are so late have no moment in common")
    return found


def _listed(names: tuple[str, ...], late: Array) -> str:
    return ", ".join(f"{name}'s by {1000 * delay:g} ms" for name, delay in zip(names, late, strict=True) if delay)


def _say_gaps(tracks: Tracks, journal: Journal) -> None:
    """Say for how long sensors are lost; one line for all that are at the same times."""
    alike: dict[bytes, tuple[NDArray[np.bool_], list[tuple[str, str]]]] = {}
    for number, name in enumerate(tracks.names):
        for there, what in ((tracks.there[:, number], "place"), (tracks.seen[:, number], "rotation")):
            if there.any() and not there.all():
                alike.setdefault(there.tobytes(), (there, []))[1].append((name, what))
    for there, lost in alike.values():
        gaps = [(tracks.times[gap.start], (gap.stop - gap.start) / RATE) for gap in runs_of(~there)]
        longest = max(gaps, key=lambda gap: gap[1])
        also = f", the longest of {len(gaps)} gaps" if len(gaps) > 1 else ""
        verb = "is" if len(lost) == 1 else "are"
        journal.warn(
            f"{_whose(lost)} {verb} missing for {longest[1]:.2g} s from {longest[0]:.2f} s{also}: nothing is told of "
            f"{'it' if len(lost) == 1 else 'them'} there, and the pose is the prior's guess",
            tracks.source,
        )


def _whose(lost: list[tuple[str, str]]) -> str:
    """Places and rotations in words: "head's place and rotation and left_wrist's place"."""
    kinds: dict[str, str] = {}
    for name, what in lost:
        kinds[name] = f"{kinds[name]} and {what}" if name in kinds else what
    if len(set(kinds.values())) == 1:
        return f"{whose(list(kinds))} {lost[0][1] if len(lost) == len(kinds) else 'place and rotation'}"
    return " and ".join(f"{name}'s {what}" for name, what in kinds.items())
