"""What is wrong with marker trajectories, found from the markers alone, and put right where that is possible."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.gap_bridging import bridge, white_noise
from motorque.fitting.marker_breaks import bad_samples, breaks_in, crossing_at, first_exchanged
from motorque.fitting.marker_neighbours import distance_spread, predict
from motorque.fitting.side_intervals import exchanged_intervals
from motorque.fitting.side_names import swap_sides
from motorque.journal import Journal
from motorque.series import Markers

Array = NDArray[np.float64]

_FROZEN_TIME = 0.1
"""Exact repetition over more than this is no measurement [s]."""
_FROZEN_SAMPLES = 4
_FROZEN_NEIGHBOURS = 0.005
"""Neighbours that move less than this say nothing about a marker that stands still [m]."""
_MUCH, _SEVERAL = 0.2, 3
"""Share of a marker's samples, and number of such markers, whose loss says that something greater is wrong."""


@dataclass(frozen=True)
class MarkerProblem:
    """Something wrong with one marker over a stretch of frames.

    Args:
        kind: ``gap`` (samples are missing), ``frozen`` (it stands still while its neighbours move), ``jumping`` (it is
            somewhere else all of a sudden), ``swapped`` (it carries another marker's label, and that one this one's)
            or ``sides`` (all left markers carry the right ones' labels and the other way round).
        marker: The marker's name; empty for ``sides``.
        first: First frame of the stretch; of the longest stretch for a gap.
        last: Last frame of the stretch, inclusive.
        start: Time of the first frame [s].
        end: Time of the last frame [s].
        samples: How many samples are concerned; all missing ones for a gap.
        other: The other marker of a swap.
        size: How far the marker was off [m], where that is known.
        stretches: Number of separate gaps.
    """

    kind: Literal["gap", "frozen", "jumping", "swapped", "sides"]
    marker: str
    first: int
    last: int
    start: float
    end: float
    samples: int
    other: str = ""
    size: float = 0.0
    stretches: int = 1

    def __str__(self) -> str:
        when = f"from {self.start:.2f} to {self.end:.2f} s"
        if self.kind == "gap":
            longest = f"the longest {when}"
            return f"{self.marker}: {self.samples} samples are missing in {self.stretches} gaps, {longest}"
        if self.kind == "frozen":
            return f"{self.marker} stands still {when} while the markers around it move"
        if self.kind == "jumping":
            return f"{self.marker} is off by {100 * self.size:.0f} cm {when}, all of a sudden"
        if self.kind == "sides":
            return f"left and right are exchanged on the whole body {when}"
        return f"{self.marker} and {self.other} carry each other's label {when}"


def find_problems(markers: Markers) -> list[MarkerProblem]:
    """What is wrong with the markers of a recording, judged by continuity and by the distances between markers.

    A frozen marker repeats its position exactly for over 0.1 s while its neighbours move. A jump is a step that no body
    makes: away from the trend of the frames around it by over 4 cm and by more than an acceleration of 60 m/s² allows.
    A step tells where something changed, not which side of it is wrong; the side that fits worse to the markers around
    it is. Two markers that step onto each other's path are swapped. Where four out of five pairs of left and right
    markers do so at once, the sides of the whole body are, and that is put right before anything else is judged. Steps
    of under 4 cm, a marker that is misplaced throughout, and labels that are swapped throughout can't be seen in the
    markers alone.

    Args:
        markers: A recording, in metres, of any up axis.

    Returns:
        The problems, exchanged sides and swaps first, then by marker and time; none for a clean recording without gaps.
    """
    if len(markers.times) < 3:
        return _gaps(markers)
    positions = markers.positions.copy()
    sides = _sides(markers, positions)
    _exchange(positions, markers.names, sides)
    spread, middle = distance_spread(positions, markers.rate)
    frozen = _frozen(markers, positions, spread)
    for problem in frozen:
        positions[problem.first : problem.last + 1, markers.names.index(problem.marker)] = np.nan
    swaps = _swaps(markers, positions)
    _exchange(positions, markers.names, swaps)
    jumps = _jumps(markers, positions, spread, middle)
    gaps = _gaps(Markers(markers.times, _mended(markers, sides + swaps), markers.names))
    order = {name: index for index, name in enumerate(markers.names)}
    return sides + swaps + sorted([*frozen, *jumps, *gaps], key=lambda p: (order[p.marker], p.first))


def repair(markers: Markers, problems: Sequence[MarkerProblem], *, journal: Journal) -> Markers:
    """The markers with swapped labels put right, and frozen and jumping samples made gaps; gaps stay as they are.

    Args:
        markers: The recording in which the problems were found.
        problems: As from `find_problems`.
        journal: Where each repair is recorded.
    """
    positions = _mended(markers, problems)
    seen = np.isfinite(positions[..., 0]).sum(axis=0)
    for problem in problems:
        if problem.kind in ("frozen", "jumping"):
            positions[problem.first : problem.last + 1, markers.names.index(problem.marker)] = np.nan
    for problem in problems:
        if problem.kind == "sides":
            journal.repair(f"{problem}; put right", "markers")
    swapped = {frozenset((p.marker, p.other, str(p.first))): p for p in problems if p.kind == "swapped"}
    for problem in swapped.values():
        journal.repair(f"{problem}; exchanged", problem.marker)
    grouped: dict[tuple[str, str], list[MarkerProblem]] = {}
    for problem in problems:
        if problem.kind in ("frozen", "jumping"):
            grouped.setdefault((problem.marker, problem.kind), []).append(problem)
    for (marker, _), group in grouped.items():
        more = f" and {len(group) - 1} times more" if len(group) > 1 else ""
        count = sum(p.samples for p in group)
        journal.repair(f"{group[0]}{more}; {count} samples are taken out", marker)
    _warn_of_loss(markers.names, seen, np.isfinite(positions[..., 0]).sum(axis=0), journal)
    return Markers(markers.times, positions, markers.names)


def _warn_of_loss(names: Sequence[str], before: NDArray[np.int_], after: NDArray[np.int_], journal: Journal) -> None:
    """Say it where much of several markers was taken out; samples of each marker before and after, shape [M]."""
    lost = 1.0 - after / np.maximum(before, 1)
    much = np.flatnonzero((before > 0) & (lost > _MUCH))
    if len(much) >= _SEVERAL:
        worst = much[np.argsort(-lost[much], kind="stable")]
        named = ", ".join(f"{names[column]} {100 * lost[column]:.0f} %" for column in worst[:5])
        journal.warn(
            f"over {100 * _MUCH:.0f} % of the samples of {len(much)} markers were taken out ({named}"
            f"{', …' if len(much) > 5 else ''}): the recording is bad or its labels are wrong in a way that is not "
            "understood; look at them before you trust the result",
            "markers",
        )


def fill_gaps(markers: Markers, *, longest: float = 0.2, journal: Journal) -> Markers:
    """The markers with their short gaps filled by cubic splines, smoothing ones where there is noise.

    Longer gaps and the ends stay missing.

    Args:
        markers: A recording.
        longest: Longest gap that is filled, as the time that is missing [s].
        journal: Where the numbers of filled and remaining samples are recorded.
    """
    seen = markers.seen
    if seen.all():
        return markers
    positions = markers.positions.copy()
    step = 1.0 / markers.rate if len(markers.times) > 1 else 1.0
    filled: dict[str, int] = {}
    for column, name in enumerate(markers.names):
        known = np.flatnonzero(seen[:, column])
        if len(known) < 2 or len(known) == len(seen):
            continue
        noise = white_noise(markers.positions[:, column], seen[:, column])
        # A long gap parts the splines, so that nothing beyond it bends them.
        parts = np.split(known, np.flatnonzero(np.diff(markers.times[known]) > longest + 1.5 * step) + 1)
        for part in (p for p in parts if len(p) >= 2 and p[-1] - p[0] >= len(p)):
            rows = slice(int(part[0]), int(part[-1]) + 1)
            missing = part[0] + np.flatnonzero(~seen[rows, column])
            positions[missing, column] = bridge(markers.positions[rows, column], seen[rows, column], 1 / step, noise)
            filled[name] = filled.get(name, 0) + len(missing)
    left = {n: int(c) for n, c in zip(markers.names, np.isnan(positions[..., 0]).sum(axis=0), strict=True) if c}
    total = seen.size
    if filled:
        count = sum(filled.values())
        journal.repair(
            f"{count} missing samples ({100 * count / total:.1f} %) of {len(filled)} markers filled by splines, in "
            f"gaps of up to {longest:g} s",
            "markers",
        )
    if left:
        worst = sorted(left, key=lambda n: -left[n])[:5]
        named = ", ".join(f"{n} {100 * left[n] / len(seen):.0f} %" for n in worst)
        journal.info(
            f"{sum(left.values())} samples stay missing in longer gaps or at the ends (most: {named})", "markers"
        )
    return Markers(markers.times, positions, markers.names)


def _problem(
    kind: Literal["gap", "frozen", "jumping", "swapped", "sides"],
    markers: Markers,
    column: int,
    first: int,
    last: int,
    samples: int,
    *,
    other: str = "",
    size: float = 0.0,
    stretches: int = 1,
) -> MarkerProblem:
    start, end = float(markers.times[first]), float(markers.times[last])
    return MarkerProblem(kind, markers.names[column], first, last, start, end, samples, other, size, stretches)


def _gaps(markers: Markers) -> list[MarkerProblem]:
    result = []
    for column in range(len(markers.names)):
        runs = _runs(~markers.seen[:, column])
        if len(runs):
            first, last = runs[int(np.argmax(runs[:, 1] - runs[:, 0]))]
            count = int((runs[:, 1] - runs[:, 0] + 1).sum())
            result.append(_problem("gap", markers, column, int(first), int(last), count, stretches=len(runs)))
    return result


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.int_]:
    """First and last index of each run of True, shape [N, 2]."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1], axis=1)


def _frozen(markers: Markers, positions: Array, spread: Array) -> list[MarkerProblem]:
    result = []
    for column in range(len(markers.names)):
        known = np.flatnonzero(np.isfinite(positions[:, column, 0]))
        if len(known) < _FROZEN_SAMPLES:
            continue
        same = (positions[known[1:], column] == positions[known[:-1], column]).all(axis=1)
        around = np.argsort(spread[column], kind="stable")[:4]
        for begin, end in _runs(same):
            first, last = int(known[begin]), int(known[end + 1])
            if end + 2 - begin < _FROZEN_SAMPLES or markers.times[last] - markers.times[first] <= _FROZEN_TIME:
                continue
            others = positions[first : last + 1, around]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a neighbour that is never seen here
                moved = np.linalg.norm(np.nanmax(others, axis=0) - np.nanmin(others, axis=0), axis=-1)
                travelled = float(np.nanmedian(moved))
            if travelled > _FROZEN_NEIGHBOURS:
                # The first of equal samples was true, unless the recording begins with it.
                result.append(
                    _problem("frozen", markers, column, first + (begin > 0), last, end + 1 - begin + (begin == 0))
                )
    return result


def _swaps(markers: Markers, positions: Array) -> list[MarkerProblem]:
    """Pairs of markers that step onto each other's path, and the stretches in which they carry the wrong label.

    Which of the alternating stretches are the wrong ones the markers can't tell; the shorter share is taken for wrong.
    """
    seen = np.isfinite(positions[..., 0])
    frames = np.arange(len(positions))[:, None]
    last_seen = np.maximum.accumulate(np.where(seen, frames, -1), axis=0)
    next_seen = np.minimum.accumulate(np.where(seen, frames, len(positions))[::-1], axis=0)[::-1]
    toggles: dict[tuple[int, int], set[int]] = {}
    for one in range(len(markers.names)):
        steps = breaks_in(markers, positions[:, one])
        for before, after, speed in zip(steps.before, steps.after, steps.speed, strict=True):
            step = (before, after)
            two = crossing_at(markers.times, positions, one, step, speed, last_seen[before], next_seen[after])
            if two is not None:
                pair = (min(one, two), max(one, two))
                toggles.setdefault(pair, set()).add(first_exchanged(positions, one, two, before, after))
    result = []
    for pair, changes in toggles.items():
        odd = np.zeros(len(positions), dtype=bool)
        edges = [*sorted(changes), len(positions)]
        for first, last in zip(edges[::2], edges[1::2], strict=False):
            odd[first:last] = True
        for first, last in _runs(odd if odd.sum() <= len(odd) / 2 else ~odd):
            for marker, other in (pair, pair[::-1]):
                samples = int(seen[first : last + 1, marker].sum())
                name = markers.names[other]
                result.append(_problem("swapped", markers, marker, int(first), int(last), samples, other=name))
    return result


def _sides(markers: Markers, positions: Array) -> list[MarkerProblem]:
    pairs = _pairs(markers.names)
    columns = [column for pair in pairs for column in pair]
    result = []
    for first, last in exchanged_intervals(markers, positions, pairs):
        start, end = float(markers.times[first]), float(markers.times[last])
        samples = int(np.isfinite(positions[first : last + 1, columns, 0]).sum())
        result.append(MarkerProblem("sides", "", first, last, start, end, samples))
    return result


def _pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Columns of the two markers of each pair of sides, each pair once."""
    found = ((names.index(one), names.index(two)) for one, two in swap_sides(names).items())
    return [(one, two) for one, two in found if one < two]


def _mended(markers: Markers, problems: Sequence[MarkerProblem]) -> Array:
    """Positions with exchanged sides and swapped labels put right, shape [T, M, 3]."""
    positions = markers.positions.copy()
    _exchange(positions, markers.names, problems)
    return positions


def _exchange(positions: Array, names: Sequence[str], problems: Sequence[MarkerProblem]) -> None:
    """Exchange the labels of every swap, in place; sides first, and a swap is listed once from either side."""
    done = set()
    pairs = np.array(_pairs(names), dtype=int).reshape(-1, 2)
    for problem in problems:
        if problem.kind == "sides":
            stretch = slice(problem.first, problem.last + 1)
            positions[stretch, pairs.T.ravel()] = positions[stretch, pairs[:, ::-1].T.ravel()]
        if problem.kind != "swapped":
            continue
        one, two = sorted((names.index(problem.marker), names.index(problem.other)))
        if (one, two, problem.first) not in done:
            done.add((one, two, problem.first))
            stretch = slice(problem.first, problem.last + 1)
            positions[stretch, [one, two]] = positions[stretch, [two, one]]


def _jumps(markers: Markers, positions: Array, spread: Array, middle: Array) -> list[MarkerProblem]:
    """Stretches between breaks in a marker's path that do not fit to the markers around it."""
    steps = [breaks_in(markers, positions[:, column]) for column in range(len(markers.names))]
    stepping = [c for c, s in enumerate(steps) if len(s.after)]
    if not stepping:
        return []
    expected = predict(positions, stepping, spread, middle)
    result = []
    for index, column in enumerate(stepping):
        off = np.linalg.norm(positions[:, column] - expected[:, index], axis=-1)
        bad = bad_samples(markers.times, np.isfinite(positions[:, column, 0]), off, steps[column])
        for first, last in _runs_across_gaps(bad, np.isfinite(positions[:, column, 0])):
            samples = int(bad[first : last + 1].sum())
            here = steps[column].size[(steps[column].after >= first) & (steps[column].before <= last)]
            size = float(here.max()) if len(here) else 0.0
            result.append(_problem("jumping", markers, column, int(first), int(last), samples, size=size))
    return result


def _runs_across_gaps(mask: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Runs of True among the seen samples, gaps inside them included, shape [N, 2]."""
    known = np.flatnonzero(seen)
    return known[_runs(mask[known])] if len(known) else np.zeros((0, 2), int)
