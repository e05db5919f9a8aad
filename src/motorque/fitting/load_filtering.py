"""Force plates filtered with the motion's own cutoff, on force and moment, before the centre of pressure is computed.

The centre of pressure is a quotient: filtering it, or computing it from a signal filtered otherwise than the motion,
puts jumps at heel strike into the joint moments that no muscle made.

Source: Kristianslund, Krosshaug, van den Bogert, J Biomech 45 (2012) 666-671 (one cutoff for forces and motion);
Winter, Biomechanics and Motor Control of Human Movement, 4th ed., section 5.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.files.external_loads import check_cover
from motorque.journal import Journal
from motorque.series import Load, Loads
from motorque.signals import NaturalSpline, butterworth

Array = NDArray[np.float64]

THRESHOLD = 20.0
"""Vertical force under which a plate's centre of pressure is undefined [N]."""


def center_of_pressure(
    force: Array, moment: Array, *, height: float = 0.0, threshold: float = THRESHOLD
) -> tuple[Array, Array]:
    """Where a ground reaction acts on a horizontal plane, and the moment about that point.

    Args:
        force: Force on the body, in ground [N], shape [T, 3].
        moment: Moment about the ground origin [N·m], shape [T, 3].
        height: Height of the plane [m].
        threshold: Vertical force under which the point is undefined [N].

    Returns:
        The point in ground [m], NaN where undefined, and the moment about it (the free moment, vertical; about the
        ground origin where there is no point) [N·m]; each [T, 3].

    Source: Winter, Biomechanics and Motor Control of Human Movement, 4th ed., section 5.2, in OpenSim's axes.
    """
    defined = force[:, 1] >= threshold
    vertical = np.where(defined, force[:, 1], np.nan)
    x = (moment[:, 2] + height * force[:, 0]) / vertical
    z = (height * force[:, 2] - moment[:, 0]) / vertical
    point = np.stack([x, np.where(defined, height, np.nan), z], axis=1)
    free = moment - np.cross(np.where(defined[:, None], point, 0.0), force)
    return point, free


def filter_loads(
    loads: Loads, times: Array, cutoff: float | None, *, journal: Journal, threshold: float = THRESHOLD
) -> Loads:
    """Filter ground loads and bring them to the motion's times.

    Force and moment about the ground origin are filtered at the plates' own rate and then sampled; the centre of
    pressure is computed from the result, on the plane at whose height it lay in the file.

    Args:
        loads: Ground loads (plates) in ground.
        times: The motion's times [s], shape [K].
        cutoff: The motion's cutoff [Hz]; None leaves the loads unfiltered but for frequencies that the motion's rate
            can't carry.
        journal: What was done is recorded.
        threshold: Vertical force under which the centre of pressure is undefined [N].

    Raises:
        DataError: The loads do not cover the motion, hold a value that is no number, or are sampled too slowly.
    """
    times = np.asarray(times, dtype=np.float64)
    check_cover(loads.times, times, what="loads")
    own, columns = uniform_columns(loads, journal)
    rate = (len(own) - 1) / (own[-1] - own[0])
    motion_rate = 1.0 / float(np.median(np.diff(times))) if len(times) > 1 else rate
    limit = 0.4 * motion_rate
    applied = cutoff
    if rate > 1.01 * motion_rate and (cutoff is None or cutoff > limit):
        applied = limit
        journal.info(
            f"loads sampled at {rate:g} Hz are low-pass filtered at {limit:g} Hz before they are taken at the "
            f"motion's {motion_rate:g} Hz"
        )
    elif cutoff is not None:
        journal.info(f"loads are low-pass filtered at {cutoff:g} Hz on force and moment, as the motion is")
    filtered = columns if applied is None else butterworth(columns, rate, applied, what="loads")
    sampled = NaturalSpline(own, filtered, degree=3, what="loads")(times)
    result = []
    for number, load in enumerate(loads.loads):
        force, moment = sampled[:, 6 * number : 6 * number + 3], sampled[:, 6 * number + 3 : 6 * number + 6]
        point, free = center_of_pressure(force, moment, height=_height(load, threshold), threshold=threshold)
        result.append(Load(load.name, load.body, force, point, free))
    return Loads(times, tuple(result))


def uniform_columns(loads: Loads, journal: Journal) -> tuple[Array, Array]:
    """Force and moment about the ground origin of all loads side by side at a constant rate; [T], [T, 6 L].

    Args:
        loads: The loads, evenly sampled or not.
        journal: Told if they were not.

    Raises:
        DataError: There is no load.
    """
    if not loads.loads:
        raise DataError("loads: there is none to filter")
    columns = np.concatenate([np.concatenate((x.force, x.moment_about_origin), axis=1) for x in loads.loads], axis=1)
    steps = np.diff(loads.times)
    if len(steps) and steps.max() - steps.min() > 0.01 * np.median(steps) + 2e-4:
        step = float(np.median(steps))
        even = np.arange(loads.times[0], loads.times[-1] + 0.5 * step, step)
        journal.repair(
            f"loads are unevenly sampled ({steps.min():g} to {steps.max():g} s) and were resampled every {step:g} s"
        )
        return even, np.stack([np.interp(even, loads.times, column) for column in columns.T], axis=1)
    return loads.times, columns


def _height(load: Load, threshold: float) -> float:
    """Height of the surface that a load acts on: the middle of its points while it is loaded [m]."""
    known = np.isfinite(load.point).all(axis=1) & (load.force[:, 1] >= threshold)
    return float(np.median(load.point[known, 1])) if known.any() else 0.0
