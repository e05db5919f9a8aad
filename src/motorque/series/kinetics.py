"""Kinetics: generalized forces over time."""

from __future__ import annotations

from dataclasses import dataclass

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names, as_times
from motorque.series.markers import within


@dataclass(frozen=True)
class Kinetics:
    """Generalized forces over time, one per speed of the skeleton.

    Args:
        times: Time of each frame [s], shape [T].
        values: Generalized forces [N·m for rotations, N for translations], shape [T, nv].
        names: Names of the coordinates that they act on, nv of them.
        std: Standard deviations, shape [T, nv], or None where they are not known.
    """

    times: Array
    values: Array
    names: tuple[str, ...]
    std: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "kinetics"))
        object.__setattr__(self, "names", as_names(self.names, "kinetics"))
        shape = (len(self.times), len(self.names))
        object.__setattr__(self, "values", as_array(self.values, shape, "kinetics"))
        if self.std is not None:
            object.__setattr__(self, "std", as_array(self.std, shape, "kinetics std"))

    def column(self, name: str) -> Array:
        """One generalized force over time [N·m or N], shape [T]; raises :class:`DataError` if it is not there."""
        if name not in self.names:
            raise DataError(f"kinetics: no coordinate named {name!r}; there are {', '.join(self.names)}")
        return self.values[:, self.names.index(name)]

    def between(self, start: float | None, end: float | None) -> Kinetics:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.times, start, end, "kinetics")
        return Kinetics(self.times[keep], self.values[keep], self.names, None if self.std is None else self.std[keep])
