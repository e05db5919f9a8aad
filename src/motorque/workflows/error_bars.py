"""Error bars of an analysis: found, kept with the results, and written beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from motorque.errors import DataError
from motorque.files.external_loads import loads_table
from motorque.files.motion_files import motion_table, write_kinetics
from motorque.files.storage import write_storage
from motorque.journal import Journal
from motorque.series import Kinetics, Loads, Markers, Motion
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import Bands, Method
from motorque.uncertainty.evidence import MarkerEvidence, marker_evidence

DRAWS = 500
"""Draws of Monte Carlo: a standard deviation is known to 3 % then (1 / sqrt(2 · 500))."""

MOST_FRAMES = 6000
"""Frames up to which error bars are drawn; those of longer recordings are propagated linearly, which agrees."""

TITLE = "Standard deviations"
"""First line of their files."""

FILES = ("kinematics_std.sto", "kinetics_std.sto", "loads_std.sto")
"""Standard deviations of angles, torques and loads, with the columns of the files that they belong to."""


def way(frames: int) -> Method:
    """How error bars of so many frames are found."""
    return "monte carlo" if frames <= MOST_FRAMES else "linear"


def noise_of_markers(
    skeleton: Skeleton, markers: Markers, found: Motion, weights: Mapping[str, float], journal: Journal
) -> MarkerEvidence | None:
    """What the residuals say about the markers' noise; None, said, where they say nothing."""
    try:
        return marker_evidence(skeleton, markers, found, weights=weights)
    except DataError as error:
        journal.warn(f"no error bars, for the markers do not tell their own noise: {error}", "error bars")
        return None


def error_bars(find: Callable[[], Bands], journal: Journal) -> Bands | None:
    """Error bars, or None where the recording does not tell them, which is said."""
    try:
        bands = find()
    except DataError as error:
        journal.warn(f"no error bars: {error}", "error bars")
        return None
    if not np.isfinite(bands.torques).any():
        journal.warn("no error bars: markers tell no frame's pose well enough", "error bars")
        return None
    return bands


def with_error_bars(
    bands: Bands | None, motion: Motion, kinetics: Kinetics, loads: Loads
) -> tuple[Motion, Kinetics, Loads]:
    """The results with their standard deviations, as far as there are any."""
    if bands is None:
        return motion, kinetics, loads
    return bands.on_motion(motion), bands.on_kinetics(kinetics), bands.on_loads(loads)


def write_error_bars(
    folder: Path, bands: Bands | None, motion: Motion, kinetics: Kinetics, loads: Loads | None, skeleton: Skeleton
) -> None:
    """Write ``kinematics_std.sto``, ``kinetics_std.sto`` and ``loads_std.sto``.

    Columns, times and units are those of ``kinematics.mot``, ``kinetics.sto`` and ``loads.mot``; a standard deviation
    that is not known is NaN. Without error bars all of them are, so that none of an earlier analysis stays.

    Args:
        folder: Where to.
        bands: The error bars at the motion's times, or None.
        motion: What they belong to; likewise ``kinetics`` and ``loads``.
        kinetics: Generalized forces.
        loads: Loads on bodies, or None.
        skeleton: Gives names and units.
    """
    unknown = np.full_like(motion.values, np.nan)
    angles = Motion(motion.times, motion.values, motion.names, unknown if bands is None else bands.angles)
    torques = Kinetics(kinetics.times, unknown if bands is None else bands.torques, kinetics.names)
    write_storage(folder / FILES[0], motion_table(angles, skeleton, name=TITLE, std=True))
    write_kinetics(folder / FILES[1], torques, skeleton, name=TITLE)
    if loads is not None and loads.loads:
        write_storage(folder / FILES[2], loads_table(_spread(bands, loads), name=TITLE))


def _spread(bands: Bands | None, loads: Loads) -> Loads:
    """Standard deviations in the place of the loads themselves."""
    nothing = np.full((len(loads.times), 3), np.nan)
    rows = []
    for load in loads.loads:
        bar = None if bands is None else bands.loads.get(load.name)
        force, point, moment = (nothing,) * 3 if bar is None else (bar.force, bar.point, bar.moment)
        rows.append(dataclasses.replace(load, force=force, point=point, moment=moment, force_std=None))
    return Loads(loads.times, tuple(rows))
