"""External loads: what the ground (or a chair, or a hand) does to the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names, as_times
from motorque.series.markers import within


@dataclass(frozen=True)
class Load:
    """One wrench **on** a named body, everything expressed in ground.

    Args:
        name: The load's own name (``ground_force_calcn_r``).
        body: The body that it acts on (``calcn_r``).
        force: Force on the body [N], shape [T, 3].
        point: Point of application in ground [m], shape [T, 3]; NaN where the load is too small to have one.
        moment: Moment about that point (about the ground origin where the point is NaN) [N·m], shape [T, 3].
        force_std: Standard deviation of the force [N], shape [T, 3], or None.
    """

    name: str
    body: str
    force: Array
    point: Array
    moment: Array
    force_std: Array | None = None

    def __post_init__(self) -> None:
        frames = len(np.asarray(self.force))
        for field in ("force", "point", "moment"):
            object.__setattr__(self, field, as_array(getattr(self, field), (frames, 3), f"load {self.name} {field}"))
        if self.force_std is not None:
            object.__setattr__(self, "force_std", as_array(self.force_std, (frames, 3), f"load {self.name} std"))

    @property
    def moment_about_origin(self) -> Array:
        """Moment about the ground origin [N·m], shape [T, 3]."""
        return self.moment + np.cross(np.nan_to_num(self.point), self.force)


@dataclass(frozen=True)
class Loads:
    """All external loads of a trial on one time base.

    Args:
        times: Time of each frame [s], shape [T].
        loads: The loads, each with T frames; several may act on one body.

    Raises:
        DataError: A load's length differs from the times, or a name repeats.
    """

    times: Array
    loads: tuple[Load, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "loads"))
        object.__setattr__(self, "loads", tuple(self.loads))
        as_names([load.name for load in self.loads], "loads")
        for load in self.loads:
            if len(load.force) != len(self.times):
                raise DataError(f"load {load.name}: {len(load.force)} frames for {len(self.times)} times")

    def at(self, times: Array) -> Loads:
        """The loads at other times, by linear interpolation of force, moment and point.

        OpenSim takes natural cubic splines instead; `files.external_loads.interpolate_loads` does as it does.

        Args:
            times: Times inside the loads' own range [s], shape [K].

        Raises:
            DataError: The loads do not cover the times (half a sample of slack).
        """
        wanted = as_times(times, "loads")
        slack = 0.5 * float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1e-6
        if wanted[0] < self.times[0] - slack or wanted[-1] > self.times[-1] + slack:
            raise DataError(
                f"loads cover {self.times[0]:g} to {self.times[-1]:g} s but the motion runs from {wanted[0]:g} to "
                f"{wanted[-1]:g} s; cut the motion with --start and --end"
            )

        def at(values: Array) -> Array:
            return np.stack([np.interp(wanted, self.times, values[:, axis]) for axis in range(3)], axis=1)

        return Loads(
            wanted,
            tuple(
                Load(
                    load.name,
                    load.body,
                    at(load.force),
                    at(load.point),
                    at(load.moment),
                    None if load.force_std is None else at(load.force_std),
                )
                for load in self.loads
            ),
        )

    def between(self, start: float | None, end: float | None) -> Loads:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.times, start, end, "loads")

        def cut(load: Load) -> Load:
            std = None if load.force_std is None else load.force_std[keep]
            return Load(load.name, load.body, load.force[keep], load.point[keep], load.moment[keep], std)

        return Loads(self.times[keep], tuple(cut(load) for load in self.loads))

    def total_force(self) -> Array:
        """Sum of all forces [N], shape [T, 3]."""
        total = np.zeros((len(self.times), 3))
        for load in self.loads:
            total += load.force
        return total
