"""Marker trajectories: where labelled points were seen, in ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names, as_times, sampling_rate


@dataclass(frozen=True)
class Markers:
    """Labelled points over time.

    Args:
        times: Time of each frame [s], shape [T].
        positions: Positions in ground [m], shape [T, M, 3]; a missing sample is NaN in all three components.
        names: Marker names, M of them, each once.

    Raises:
        DataError: Shapes do not match, times do not increase, or a name repeats.
    """

    times: Array
    positions: Array
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "markers"))
        object.__setattr__(self, "names", as_names(self.names, "markers"))
        shape = (len(self.times), len(self.names), 3)
        positions = as_array(self.positions, shape, "markers").copy()
        positions[~np.isfinite(positions).all(axis=-1)] = np.nan
        object.__setattr__(self, "positions", positions)

    @property
    def rate(self) -> float:
        """Sampling rate [Hz]; NaN for a single frame."""
        return sampling_rate(self.times)

    @property
    def seen(self) -> np.ndarray:
        """Which samples exist, shape [T, M], bool."""
        return np.isfinite(self.positions[..., 0])

    def select(self, names: Sequence[str]) -> Markers:
        """The named markers, in that order; raises :class:`DataError` for a name that is not there."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise DataError(f"markers: no marker named {missing[0]!r}; there are {', '.join(self.names)}")
        columns = [self.names.index(name) for name in names]
        return Markers(self.times, self.positions[:, columns], tuple(names))

    def between(self, start: float | None, end: float | None) -> Markers:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.times, start, end, "markers")
        return Markers(self.times[keep], self.positions[keep], self.names)


def within(times: Array, start: float | None, end: float | None, what: str) -> np.ndarray:
    """Mask of the times in [start, end], half a microsecond of slack for rounding in files; shape [T], bool.

    Raises:
        DataError: No time lies in the interval.
    """
    slack = 5e-7
    keep = np.ones(len(times), dtype=bool)
    if start is not None:
        keep &= times >= start - slack
    if end is not None:
        keep &= times <= end + slack
    if not keep.any():
        raise DataError(
            f"{what}: no frame between {start if start is not None else times[0]:g} and "
            f"{end if end is not None else times[-1]:g} s; the recording runs from {times[0]:g} to {times[-1]:g} s"
        )
    return keep
