"""Marker trajectories in .trc files, as Motion Analysis, OpenSim, OpenCap and Pose2Sim write them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.storage import numbers, read_text
from motorque.journal import Journal
from motorque.series import Markers

Array = NDArray[np.float64]
UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "meters": 1.0, "metres": 1.0, "millimeters": 1e-3, "millimetres": 1e-3}
"""Metres in each length unit that a header may name."""
_UNLABELLED = re.compile(r"\*\d*|unlabell?ed", re.IGNORECASE)
_LARGEST, _SMALLEST = 50.0, 0.02
"""Span of the markers beyond which a header's unit can't be true: larger than a hall, smaller than a finger [m]."""


@dataclass(frozen=True)
class _Header:
    rate: float
    frames: int
    markers: int
    units: str


@dataclass(frozen=True)
class _Row:
    """A frame's cells and its line in the file."""

    line: int
    cells: list[str]


def read_trc(
    path: str | Path, *, units: str | None = None, end: float | None = None, journal: Journal | None = None
) -> Markers:
    """Read a ``.trc`` file; its axes stay as they are.

    Empty cells, NaN and points at exactly the origin are gaps. Markers without a label are called ``*1``, ``*2``….

    Args:
        path: The file.
        units: Length unit of the numbers (``mm`` or ``m``) instead of the one in the header.
        end: Last time that is needed [s]: a file that ends early but holds all up to here is accepted.
        journal: Where contradictions and repairs are recorded.

    Returns:
        Positions in metres.

    Raises:
        FileFormatError: The file is missing, empty, cut off, is no ``.trc``, its header contradicts its content, or a
            cell is no number; the message names line and column.
    """
    path = Path(path)
    journal = journal if journal is not None else Journal()
    text = read_text(path)
    lines = text.split("\n")
    if not lines[0].startswith("PathFileType"):
        raise FileFormatError(
            f"{path}, line 1: must begin with 'PathFileType', got {lines[0][:30]!r}; give a .trc file"
        )
    if len(lines) < 6:
        raise FileFormatError(f"{path}: ends after {len(lines)} lines; the file is cut off, copy it again")
    header = _header(path, lines[1], lines[2])
    names = _names(path, lines[3], lines[4], header.markers, journal)
    width = 2 + 3 * len(names)
    numbered = ((number, line) for number, line in enumerate(lines[5:], 6) if line.strip())
    rows = [_Row(number, line.split("\t") if "\t" in line else line.split()) for number, line in numbered]
    if not rows:
        raise FileFormatError(f"{path}: no frame after the header; the file is cut off, copy it again")
    if not text.endswith("\n") and len(_stripped(rows[-1].cells)) < width:
        raise FileFormatError(
            f"{path}, line {rows[-1].line}: ends in the middle of a frame; the file is cut off, copy it again"
        )
    times, positions = _table(path, _columns(path, rows, names), names)
    _check_count(path, header.frames, len(rows), times, end, journal)
    positions = positions * _scale(path, units or header.units, units is not None, positions, journal)
    _mark_gaps(path, positions, names, journal)
    try:
        markers = Markers(times, positions, names)
    except DataError as error:
        raise FileFormatError(f"{path}: {error}") from None
    if len(times) > 1 and header.rate > 0 and abs(markers.rate / header.rate - 1) > 0.05:
        journal.warn(
            f"the header says {header.rate:g} Hz, the time column {markers.rate:.4g} Hz; the time column is used",
            str(path),
        )
    return markers


def _header(path: Path, keys: str, values: str) -> _Header:
    pairs = dict(zip(keys.split(), values.split(), strict=False))
    try:
        rate, frames, markers = (float(pairs[key]) for key in ("DataRate", "NumFrames", "NumMarkers"))
        if not (np.isfinite([rate, frames, markers]).all() and frames > 0 and markers > 0):
            raise ValueError
        return _Header(rate, int(frames), int(markers), pairs["Units"])
    except KeyError as missing:
        raise FileFormatError(f"{path}, line 2: the header lacks {missing}; export it again") from None
    except ValueError:
        raise FileFormatError(
            f"{path}, line 3: DataRate, NumFrames and NumMarkers must be positive numbers, got {values.strip()[:60]!r}"
        ) from None


def _names(path: Path, line: str, axes: str, count: int, journal: Journal) -> tuple[str, ...]:
    cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
    names = [cell for cell in cells if cell]
    if len(names) < 2 or names[0].lower() not in ("frame#", "frame") or names[1].lower() != "time":
        raise FileFormatError(f"{path}, line 4: must begin with 'Frame#' and 'Time', got {line[:30]!r}")
    names = names[2:]
    if len(names) < count and len(axes.split()) == 3 * count:
        regular = (cells[2::3] + [""] * count)[:count]
        if [name for name in regular if name] == names:
            names = regular  # all labels stand over their X, some are empty
    if len(names) != count:
        raise FileFormatError(
            f"{path}, line 4: the header says {count} markers, {len(names)} are named; correct NumMarkers or the names"
        )
    nameless = [i for i, name in enumerate(names) if not name or _UNLABELLED.fullmatch(name)]
    for number, index in enumerate(nameless, 1):
        names[index] = f"*{number}"
    if nameless:
        journal.info(f"{len(nameless)} markers have no label", str(path))
    twice = [name for name, occurrences in Counter(names).items() if occurrences > 1]
    if twice:
        raise FileFormatError(f"{path}, line 4: the marker {twice[0]!r} is named twice; rename one of them")
    return tuple(names)


def _stripped(cells: list[str]) -> list[str]:
    """The cells up to the last one that is not blank."""
    last = len(cells)
    while last and not cells[last - 1].strip():
        last -= 1
    return cells[:last]


def _columns(path: Path, rows: list[_Row], names: tuple[str, ...]) -> list[_Row]:
    """The rows, each with frame, time and three cells a marker: without the blanks of doubled tabs, gaps at the end
    filled in.
    """
    width = 2 + 3 * len(names)
    if all(len(row.cells) == width for row in rows):
        return rows
    if (longest := max(len(row.cells) for row in rows)) < width:
        raise FileFormatError(
            f"{path}, line {rows[0].line}: {longest} values where {width} are expected for {len(names)} markers; "
            "correct NumMarkers and the names"
        )
    rows = [_Row(row.line, _stripped(row.cells)) for row in rows]
    if (longest := max(len(row.cells) for row in rows)) > width:
        # Doubled tabs leave columns that are blank in every frame: in all of them, or (with no gaps) wherever they are.
        padded = [row.cells + [""] * (longest - len(row.cells)) for row in rows]
        blank = {i for i, column in enumerate(zip(*padded, strict=True)) if not any(cell.strip() for cell in column)}
        if len(blank) == longest - width:
            kept = [[cell for i, cell in enumerate(cells) if i not in blank] for cells in padded]
        else:
            kept = [[cell for cell in row.cells if cell.strip()] for row in rows]
            wrong = next((row for row, cells in zip(rows, kept, strict=True) if len(cells) != width), None)
            if wrong is not None:
                raise FileFormatError(
                    f"{path}, line {wrong.line}: {len(wrong.cells)} values where {width} are expected for "
                    f"{len(names)} markers; correct NumMarkers or the row"
                )
        rows = [_Row(row.line, cells) for row, cells in zip(rows, kept, strict=True)]
    return [_Row(row.line, row.cells + [""] * (width - len(row.cells))) for row in rows]


def _table(path: Path, rows: list[_Row], names: tuple[str, ...]) -> tuple[Array, Array]:
    width = 2 + 3 * len(names)
    table = numbers([cell for row in rows for cell in row.cells])
    if table is None:
        raise _bad_cell(path, rows, names)
    table = table.reshape(len(rows), width)
    if not np.isfinite(table[:, 1]).all():
        line = rows[int(np.flatnonzero(~np.isfinite(table[:, 1]))[0])].line
        raise FileFormatError(f"{path}, line {line}: the frame has no time; correct or delete the line")
    return table[:, 1].copy(), table[:, 2:].reshape(len(rows), len(names), 3)


def _bad_cell(path: Path, rows: list[_Row], names: tuple[str, ...]) -> FileFormatError:
    for row in rows:
        for column, cell in enumerate(row.cells):
            if numbers([cell]) is None:
                what = ("frame number", "time")[column] if column < 2 else _column_name(names, column)
                return FileFormatError(
                    f"{path}, line {row.line}, {what}: {cell.strip()[:30]!r} is no number; correct it or leave it empty"
                )
    return FileFormatError(f"{path}: its frames can't be read; export it again")


def _column_name(names: tuple[str, ...], column: int) -> str:
    return f"marker {names[(column - 2) // 3]!r} {'XYZ'[(column - 2) % 3]}"


def _check_count(path: Path, stated: int, found: int, times: Array, end: float | None, journal: Journal) -> None:
    if stated == found:
        return
    message = f"the header says {stated} frames, the file has {found} (to {times[-1]:g} s)"
    if found < stated and end is not None and end <= times[-1] + 1e-6:
        journal.warn(f"{message}; all that is asked for is there", str(path))
        return
    remedy = "correct NumFrames in its third line"
    if found < stated:
        remedy = f"it is cut off: copy it again, or give --end {times[-1]:g} to use what is there"
    raise FileFormatError(f"{path}: {message}; {remedy}")


def _scale(path: Path, units: str, given: bool, positions: Array, journal: Journal) -> float:
    """Factor to metres; a header's unit that would make the scene larger than a hall or smaller than a finger is
    corrected.

    People's markers span 0.1 to 3 m in a frame. Read in metres, numbers in millimetres span hundreds.
    """
    if units.lower() not in UNITS:
        raise FileFormatError(f"{path}, line 3: the unit {units!r} is not known; use mm, cm or m, or give --units")
    factor = UNITS[units.lower()]
    with np.errstate(all="ignore"):
        frames = positions[np.isfinite(positions[..., 0]).sum(1) >= 4]
        if len(frames) == 0:
            return factor
        span = float(np.median((np.nanmax(frames, axis=1) - np.nanmin(frames, axis=1)).max(axis=-1)))
    other = {"mm": "m", "m": "mm"}["mm" if factor < 0.1 else "m"]
    if _SMALLEST <= span * factor <= _LARGEST:
        return factor
    if not _SMALLEST <= span * UNITS[other] <= _LARGEST:
        if given:
            return factor
        raise FileFormatError(
            f"{path}: the markers span {span * UNITS['mm']:.3g} m read in mm and {span:.3g} m read in m, which is no "
            "person; export it again, or give --units"
        )
    if given:
        journal.warn(f"read in {units} as asked, the markers span {span * factor:.3g} m; {other} would fit", str(path))
        return factor
    journal.repair(
        f"the header's unit is {units}, in which the markers would span {span * factor:.3g} m; read as {other}",
        str(path),
    )
    return UNITS[other]


def _mark_gaps(path: Path, positions: Array, names: tuple[str, ...], journal: Journal) -> None:
    """Make points at the origin, and points of which a coordinate is missing, gaps, in place; say so."""
    origin = (positions == 0).all(axis=-1)
    known = np.isfinite(positions)
    partial = known.any(axis=-1) & ~known.all(axis=-1)
    for where, what in ((origin, "lie exactly at the origin"), (partial, "lack a coordinate")):
        if where.any():
            which = ", ".join(names[marker] for marker in np.flatnonzero(where.any(axis=0)))
            journal.repair(f"{int(where.sum())} samples {what} and are taken as gaps: {which}", str(path))
    positions[origin | partial] = np.nan


def write_trc(path: str | Path, markers: Markers, *, units: str = "mm") -> None:
    """Write a ``.trc`` file; gaps become empty cells.

    Args:
        path: Where to write; a hidden path if the caller replaces a file atomically.
        markers: What to write.
        units: ``mm`` or ``m``.

    Raises:
        DataError: The unit is another one, or a marker name holds a tab or a line end.
    """
    if units not in ("mm", "m"):
        raise DataError(f"{path}: markers can be written in mm or m, not in {units!r}")
    for name in markers.names:
        if not name.strip() or any(c in name for c in "\t\r\n"):
            raise DataError(f"{path}: the marker name {name!r} can't be written to a .trc file; rename it")
    rate = markers.rate if len(markers.times) > 1 else 1.0
    frames, count = len(markers.times), len(markers.names)
    header = [
        f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate:.10g}\t{rate:.10g}\t{frames}\t{count}\t{units}\t{rate:.10g}\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(markers.names),
        "\t\t" + "\t".join(f"{axis}{i}" for i in range(1, count + 1) for axis in "XYZ"),
        "",
    ]
    values = markers.positions.reshape(frames, -1) / UNITS[units]
    # An exact zero would be read as a gap if all three were: a value below any resolution says "there".
    values[(markers.positions == 0).all(axis=-1).repeat(3, axis=1)] = 1e-12
    # OpenSim's reader needs the tab at the end: without it a gap of the last marker is a missing column.
    row = "%d\t%.10g\t" + "%.12g\t" * (3 * count)
    numbered = np.column_stack([np.arange(1, frames + 1), markers.times, values])
    text = ("\n".join([row] * frames) % tuple(numbered.reshape(-1).tolist())).replace("nan", "")
    # The file's own name may hold bytes that are no text.
    Path(path).write_text("\n".join(header) + "\n" + text + "\n", encoding="utf-8", errors="backslashreplace")
