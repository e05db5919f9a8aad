"""Motion: the skeleton's generalized coordinates over time."""

from __future__ import annotations

from dataclasses import dataclass

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names, as_times, sampling_rate
from motorque.series.markers import within


@dataclass(frozen=True)
class Motion:
    """Generalized coordinates over time.

    Args:
        times: Time of each frame [s], shape [T].
        values: Coordinates [rad or m], shape [T, nq].
        names: Coordinate names, nq of them, OpenSim's.
        std: Standard deviations [rad or m], shape [T, nq], or None where they are not known.

    Raises:
        DataError: Shapes do not match, times do not increase, or a name repeats.
    """

    times: Array
    values: Array
    names: tuple[str, ...]
    std: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "motion"))
        object.__setattr__(self, "names", as_names(self.names, "motion"))
        shape = (len(self.times), len(self.names))
        object.__setattr__(self, "values", as_array(self.values, shape, "motion"))
        if self.std is not None:
            object.__setattr__(self, "std", as_array(self.std, shape, "motion std"))

    @property
    def rate(self) -> float:
        """Sampling rate [Hz]; NaN for a single frame."""
        return sampling_rate(self.times)

    def column(self, name: str) -> Array:
        """One coordinate over time [rad or m], shape [T]; raises :class:`DataError` if it is not there."""
        if name not in self.names:
            raise DataError(f"motion: no coordinate named {name!r}; there are {', '.join(self.names)}")
        return self.values[:, self.names.index(name)]

    def between(self, start: float | None, end: float | None) -> Motion:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.times, start, end, "motion")
        return Motion(self.times[keep], self.values[keep], self.names, None if self.std is None else self.std[keep])
