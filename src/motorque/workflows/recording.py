"""The recording as it enters: read, turned upright, in metres, and freed of what no skeleton could have done."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.axes import guess_up_axis, rotate_to_ground
from motorque.files.c3d import read_c3d
from motorque.files.plates import PlateRecord
from motorque.files.trc import read_trc
from motorque.fitting.load_filtering import center_of_pressure
from motorque.fitting.marker_quality import fill_gaps, find_problems, repair
from motorque.journal import Journal
from motorque.report.analysis import InputFile
from motorque.series import Load, Loads, Markers

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """A recording in motorque's ground frame.

    Args:
        markers: Markers [m], repaired.
        plates: Force plates of the same file at their own rate, bodies not yet known, or None.
        upright: Rotation that turned the file's axes to Y up, shape [3, 3].
        mass: Body mass in the file [kg], or None.
        height: Body height in the file [m], or None.
        filled: Which samples of the markers were not measured but put into short gaps, shape [T, M]; None if none were.
    """

    markers: Markers
    plates: Loads | None
    upright: Array
    mass: float | None = None
    height: float | None = None
    filled: NDArray[np.bool_] | None = None

    def measured(self, markers: Markers) -> Markers:
        """The recording's markers, turned or renamed but in their order, without the samples that filled gaps.

        Splines through noise say nothing of noise, and where they swing out they say wrong things.
        """
        if self.filled is None:
            return markers
        positions = np.where(self.filled[..., None], np.nan, markers.positions)
        return Markers(markers.times, positions, markers.names)


def read_recording(
    path: Path,
    *,
    up: str | None = None,
    units: str | None = None,
    start: float | None = None,
    end: float | None = None,
    journal: Journal,
) -> Recording:
    """Read a marker recording (``.trc`` or ``.c3d``) and repair it.

    Args:
        path: The file.
        up: The file's axis that points up (``y``, ``-z``…) instead of what the file or the data say.
        units: Length unit instead of the file's.
        start: First time [s].
        end: Last time [s].
        journal: Every repair.

    Raises:
        FileFormatError: The file can't be read or is of another kind.
        DataError: Nothing is left in the time range.
    """
    kind = path.suffix.lower()
    if kind == ".c3d":
        c3d = read_c3d(path, journal=journal, up=up, units=units)
        markers = c3d.markers.between(start, end)
        plates = _plates(c3d.plates)
        rotation, mass, height = c3d.rotation, c3d.mass, c3d.height
    elif kind == ".trc":
        raw = read_trc(path, units=units, end=end, journal=journal).between(start, end)
        raw = _drop_empty(raw, path, journal)
        if up is None:
            up, confidence = guess_up_axis(raw)
            if confidence < 0.5:
                journal.warn(
                    f"it is not clear which axis points up; {up} is taken, give --up if that is wrong", str(path)
                )
        markers, rotation = rotate_to_ground(raw, up, journal=journal)
        plates, mass, height = None, None, None
    else:
        raise FileFormatError(
            f"{path}: files of type {kind or 'none'} are no marker recordings; give a .trc or a .c3d file"
        )
    markers = _drop_empty(markers, path, journal)
    markers = _in_view(markers, path, journal)
    markers = repair(markers, find_problems(markers), journal=journal)
    whole = fill_gaps(markers, journal=journal)
    filled = whole.seen & ~markers.seen
    return Recording(whole, plates, rotation, mass, height, filled if filled.any() else None)


def _drop_empty(markers: Markers, path: Path, journal: Journal) -> Markers:
    """Without the markers that are never seen."""
    keep = [name for column, name in enumerate(markers.names) if markers.seen[:, column].any()]
    if not keep:
        raise DataError(f"{path}: no marker is ever seen in the time asked for")
    if len(keep) < len(markers.names):
        gone = [n for n in markers.names if n not in keep]
        journal.warn(f"never seen and left out: {', '.join(gone)}", str(path))
    return markers.select(keep)


IN_VIEW, LONGEST_ABSENCE = 0.5, 0.5
"""A person is in view while at least this share of the markers is seen, and stays so over this long a drop-out [s]."""


def _in_view(markers: Markers, path: Path, journal: Journal) -> Markers:
    """The longest stretch in which the person is in view: recordings begin before one enters and end after one left."""
    count = markers.seen.sum(axis=1)
    enough = np.flatnonzero(count >= max(3.0, IN_VIEW * float(np.quantile(count[count > 0], 0.9))))
    if len(enough) == 0:
        return markers
    breaks = np.flatnonzero(np.diff(markers.times[enough]) > LONGEST_ABSENCE)
    stretches = np.split(enough, breaks + 1)
    best = max(stretches, key=lambda frames: markers.times[frames[-1]] - markers.times[frames[0]])
    first, last = int(best[0]), int(best[-1])
    if last - first + 1 == len(markers.times):
        return markers
    journal.repair(
        f"only {markers.times[first]:.2f} to {markers.times[last]:.2f} s of {markers.times[0]:.2f} to "
        f"{markers.times[-1]:.2f} s are analysed: outside it fewer than half of the markers are seen, or "
        "no frame is there",
        str(path),
    )
    keep = slice(first, last + 1)
    return _drop_empty(Markers(markers.times[keep], markers.positions[keep], markers.names), path, journal)


def _plates(records: tuple[PlateRecord, ...]) -> Loads | None:
    """Plate records of one file as loads without bodies."""
    if not records:
        return None
    loads = []
    for record in records:
        height = float(record.corners[:, 1].mean())
        point, free = center_of_pressure(record.force, record.moment, height=height)
        loads.append(Load(record.name, "", record.force, point, free))
    return Loads(records[0].times, tuple(loads))


def input_file(path: Path, role: str) -> InputFile:
    """A file of the analysis with its digest."""
    return InputFile(str(path), role, hashlib.sha256(path.read_bytes()).hexdigest())
