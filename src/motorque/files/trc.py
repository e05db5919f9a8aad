"""Marker trajectories in .trc files, as Motion Analysis, OpenSim, OpenCap and Pose2Sim write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.storage import read_text
from motorque.journal import Journal
from motorque.series import Markers

Array = NDArray[np.float64]
UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "meters": 1.0, "millimeters": 1e-3}


def read_trc(
    path: str | Path, *, units: str | None = None, end: float | None = None, journal: Journal | None = None
) -> Markers:
    """Read a ``.trc`` file; its axes stay as they are.

    Empty cells, NaN and points at exactly the origin in all three components are gaps.

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
        raise FileFormatError(f"{path}, line 1: must begin with 'PathFileType', got {lines[0][:30]!r}; give a .trc file")
    if len(lines) < 6:
        raise FileFormatError(f"{path}: ends after {len(lines)} lines; the file is cut off")
    header = _header(path, lines[1], lines[2])
    names = _names(path, lines[3], header.markers)
    rows = [(number, line) for number, line in enumerate(lines[5:], 6) if line.strip()]
    if not rows:
        raise FileFormatError(f"{path}: no frame after the header; the file is cut off")
    if not text.endswith("\n") and len(rows[-1][1].rstrip("\t").split("\t")) < 2 + 3 * header.markers:
        raise FileFormatError(f"{path}, line {rows[-1][0]}: ends in the middle of a frame; the file is cut off, copy it again")
    times, positions = _positions(path, rows, names)
    _check_count(path, header.frames, len(rows), times, end, journal)
    positions = positions * _scale(path, units or header.units, units is not None, positions, journal)
    positions[(positions == 0).all(axis=-1)] = np.nan
    try:
        markers = Markers(times, positions, names)
    except DataError as error:
        raise FileFormatError(f"{path}: {error}") from None
    if len(times) > 1 and abs(markers.rate / header.rate - 1) > 0.05:
        journal.warn(f"the header says {header.rate:g} Hz, the time column {markers.rate:.4g} Hz; the time column is used", str(path))
    return markers


class _Header:
    def __init__(self, rate: float, frames: int, markers: int, units: str) -> None:
        self.rate, self.frames, self.markers, self.units = rate, frames, markers, units


def _header(path: Path, keys: str, values: str) -> _Header:
    pairs = dict(zip(keys.split(), values.split(), strict=False))
    try:
        return _Header(float(pairs["DataRate"]), int(float(pairs["NumFrames"])), int(float(pairs["NumMarkers"])), pairs["Units"])
    except KeyError as missing:
        raise FileFormatError(f"{path}, line 2: the header lacks {missing}; export it again") from None
    except ValueError:
        raise FileFormatError(f"{path}, line 3: DataRate, NumFrames and NumMarkers must be numbers, got {values.strip()[:60]!r}") from None


def _names(path: Path, line: str, count: int) -> tuple[str, ...]:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) < 2 or cells[0].lower() not in ("frame#", "frame"):
        raise FileFormatError(f"{path}, line 4: must begin with 'Frame#' and 'Time', got {line[:30]!r}")
    names = [cell for cell in cells[2:] if cell]
    if len(names) != count:
        raise FileFormatError(f"{path}, line 4: the header says {count} markers, {len(names)} are named; correct NumMarkers or the names")
    for name in names:
        if names.count(name) > 1:
            raise FileFormatError(f"{path}, line 4: the marker {name!r} is named twice; rename one of them")
    return tuple(names)


def _positions(path: Path, rows: list[tuple[int, str]], names: tuple[str, ...]) -> tuple[Array, Array]:
    width = 2 + 3 * len(names)
    split = [line.split("\t") for _, line in rows]
    if any(len(cells) > width and any(c.strip() for c in cells[width:]) for cells in split):
        split = [line.split() for _, line in rows]  # doubled tabs: blanks are no cells then
        wrong = next((i for i, cells in enumerate(split) if len(cells) != width), None)
        if wrong is not None:
            raise FileFormatError(
                f"{path}, line {rows[wrong][0]}: {len(split[wrong])} values where {width} are expected for {len(names)} markers; "
                "correct NumMarkers or the row"
            )
    cells = [c for row in split for c in (row[:width] if len(row) >= width else row + [""] * (width - len(row)))]
    try:
        table = np.array([c if c and not c.isspace() else "nan" for c in cells], dtype=np.float64).reshape(len(rows), width)
    except ValueError:
        raise _bad_cell(path, rows, cells, width, names) from None
    if not np.isfinite(table[:, 1]).all():
        line = rows[int(np.flatnonzero(~np.isfinite(table[:, 1]))[0])][0]
        raise FileFormatError(f"{path}, line {line}: the frame has no time")
    return table[:, 1], table[:, 2:].reshape(len(rows), len(names), 3)


def _bad_cell(path: Path, rows: list[tuple[int, str]], cells: list[str], width: int, names: tuple[str, ...]) -> FileFormatError:
    for index, cell in enumerate(cells):
        try:
            float(cell.strip() or "nan")
        except ValueError:
            line, column = rows[index // width][0], index % width
            what = ("frame number", "time")[column] if column < 2 else f"marker {names[(column - 2) // 3]!r} {'XYZ'[(column - 2) % 3]}"
            return FileFormatError(f"{path}, line {line}, {what}: {cell.strip()[:30]!r} is no number")
    return FileFormatError(f"{path}: its frames can't be read")


def _check_count(path: Path, stated: int, found: int, times: Array, end: float | None, journal: Journal) -> None:
    if stated == found:
        return
    message = f"the header says {stated} frames, the file has {found} (to {times[-1]:g} s)"
    if found < stated and end is not None and end <= times[-1] + 1e-6:
        journal.warn(f"{message}; all that is asked for is there", str(path))
        return
    remedy = f"it is cut off: copy it again, or give --end {times[-1]:g} to use what is there" if found < stated else "correct NumFrames"
    raise FileFormatError(f"{path}: {message}; {remedy}")


def _scale(path: Path, units: str, given: bool, positions: Array, journal: Journal) -> float:
    """Factor to metres; a header whose unit would make the scene larger than a hall or smaller than a hand is corrected.

    People's markers span 0.1 to 3 m in a frame. Read in metres, numbers in millimetres span hundreds.
    """
    if units.lower() not in UNITS:
        raise FileFormatError(f"{path}, line 3: the unit {units!r} is not known; use mm, cm or m, or give --units")
    factor = UNITS[units.lower()]
    if given:
        return factor
    with np.errstate(all="ignore"):
        seen = positions[np.isfinite(positions[..., 0]).sum(1) >= 4]
        if len(seen) == 0:
            return factor
        low, high = np.nanmin(seen, axis=1), np.nanmax(seen, axis=1)
    span = float(np.median((high - low).max(axis=-1))) * factor
    if span > 50 and factor == 1.0:
        journal.repair(f"the header says metres, but the markers would span {span:.0f} m; read as millimetres", str(path))
        return 1e-3
    if span < 0.02 and factor == 1e-3:
        journal.repair(f"the header says millimetres, but the markers would span {1000 * span:.2g} mm; read as metres", str(path))
        return 1.0
    return factor


def write_trc(path: str | Path, markers: Markers, *, units: str = "mm") -> None:
    """Write a ``.trc`` file; gaps become empty cells.

    Args:
        path: Where to write; a hidden path if the caller replaces a file atomically.
        markers: What to write.
        units: ``mm`` or ``m``.
    """
    rate = markers.rate if len(markers.times) > 1 else 1.0
    frames, count = len(markers.times), len(markers.names)
    header = [
        f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate:.10g}\t{rate:.10g}\t{frames}\t{count}\t{units}\t{rate:.10g}\t1\t{frames}",
        "Frame#\tTime\t" + "".join(f"{name}\t\t\t" for name in markers.names).rstrip("\t"),
        "\t\t" + "\t".join(f"{axis}{i}" for i in range(1, count + 1) for axis in "XYZ"),
        "",
    ]
    values = markers.positions.reshape(frames, -1) / UNITS[units]
    row = "%d\t%.10g\t" + "\t".join(["%.9g"] * (3 * count))
    numbered = np.column_stack([np.arange(1, frames + 1), markers.times, values])
    text = ("\n".join([row] * frames) % tuple(numbered.reshape(-1).tolist())).replace("nan", "")
    Path(path).write_text("\n".join(header) + "\n" + text + "\n", encoding="utf-8")
