"""OpenSim's tables (.mot, .sto) of every age: a header of key=value or SIMM lines, column names, numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.series._checks import as_times

Array = NDArray[np.float64]
MAX_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Table:
    """Columns over time, in the units of the file.

    Args:
        name: Title in the first line of the file.
        times: Time of each row [s], shape [T].
        columns: Column names without ``time``, N of them; old files repeat some.
        data: Values, shape [T, N].
        header: Other header entries, as text.
        in_degrees: Whether the file says that its angles are in degrees.
    """

    name: str
    times: Array
    columns: tuple[str, ...]
    data: Array
    header: dict[str, str] = field(default_factory=dict)
    in_degrees: bool = False

    def column(self, name: str) -> Array:
        """One column, shape [T]; raises :class:`DataError` if it is not there, or there twice."""
        if self.columns.count(name) > 1:
            raise DataError(
                f"table {self.name!r} has {self.columns.count(name)} columns named {name!r}; rename all but one"
            )
        if name not in self.columns:
            raise DataError(f"table {self.name!r} has no column {name!r}; it has {', '.join(self.columns[:8])}…")
        return self.data[:, self.columns.index(name)]


def read_text(path: Path) -> str:
    """A text file of unknown origin, line ends made uniform.

    Raises:
        FileFormatError: It is missing, empty, too large or not text.
    """
    if path.is_dir():
        raise FileFormatError(f"{path}: is a folder; give a file")
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; check the name")
    if path.stat().st_size > MAX_BYTES:
        raise FileFormatError(
            f"{path}: {path.stat().st_size / 1e9:.1f} GB is more than the {MAX_BYTES / 1e9:.0f} GB limit; "
            "cut the recording"
        )
    data = path.read_bytes()
    if not data.strip():
        raise FileFormatError(f"{path}: the file is empty; export it again")
    if b"\x00" in data[:4096]:
        raise FileFormatError(f"{path}: is not a text file; check that it is the right one")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_storage(path: str | Path, *, journal: Journal | None = None) -> Table:
    """Read a ``.mot`` or ``.sto`` file.

    Args:
        path: The file.
        journal: Where rows that repeat the time of the row before, and are left out, are recorded.

    Raises:
        FileFormatError: The file is missing, empty, cut off, has no header or no time column, holds vectors, or a cell
            is no number; the message names line and column.
    """
    path = Path(path)
    text = read_text(path)
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None:
        raise FileFormatError(f"{path}: no 'endheader' line; the file is cut off or no OpenSim table")
    name, header = _header([line.strip() for line in lines[:end]])
    if header.get("DataType", "double").lower() != "double":
        raise FileFormatError(
            f"{path}: columns of type {header['DataType']} are not supported; "
            "export it as plain numbers (DataType=double)"
        )
    at = next((i for i in range(end + 1, len(lines)) if lines[i].strip()), None)
    if at is None:
        raise FileFormatError(f"{path}: nothing after the header; the file is cut off")
    labels = lines[at].strip("\n").strip().split("\t") if "\t" in lines[at].strip() else lines[at].split()
    labels = [label.strip() for label in labels if label.strip()]
    if not labels or labels[0].lower() != "time":
        raise FileFormatError(
            f"{path}, line {at + 1}: the first column must be 'time', got {labels[0] if labels else 'nothing'!r}; "
            "correct the line or export the file again"
        )
    data = _numbers(path, lines, at + 1, labels)
    _check_rows(path, header, len(data))
    if len(data) == 0:
        raise FileFormatError(f"{path}: has columns but no rows; export it again")
    again = np.flatnonzero(np.diff(data[:, 0]) == 0) + 1
    if len(again):
        # Integrators write the last instant twice, once before and once after an event.
        data = np.delete(data, again, axis=0)
        if journal is not None:
            journal.repair(
                f"{len(again)} rows repeat the time of the row before (first at {data[again[0] - 1, 0]:g} s); left out",
                str(path),
            )
    try:
        times = as_times(data[:, 0], str(path))
    except DataError as error:
        raise FileFormatError(str(error)) from None
    return Table(name, times, tuple(labels[1:]), data[:, 1:], header, _in_degrees(path, header))


def _in_degrees(path: Path, header: dict[str, str]) -> bool:
    """Whether a table's angles are in degrees: by its flag; files from before the flag say it in prose or by ``.mot``.

    As OpenSim 4.6 decides it, checked against the wheel; but a ``.mot`` without a version that says radians is believed
    here and not there.
    """
    if "inDegrees" in header:
        return header["inDegrees"].lower() in ("yes", "y", "true", "1")
    if "version" in header:
        return False
    prose = header.get("comment", "").lower()
    return "angles are in degrees" in prose or (path.suffix.lower() == ".mot" and "in radians" not in prose)


def _header(lines: list[str]) -> tuple[str, dict[str, str]]:
    header: dict[str, str] = {}
    comments: list[str] = []
    name = ""
    for number, line in enumerate(lines):
        if match := re.match(r"^([A-Za-z_][\w ]*?)\s*=\s*(.*)$", line):
            header[match[1]] = match[2].strip()
        elif match := re.match(r"^(name|datacolumns|datarows|range|otherdata)\s+(.*)$", line):
            header[match[1]] = match[2].strip()
        elif line:
            comments.append(line)
        if number == 0:
            name = header.get("name", line)
    header["comment"] = "\n".join(comments)
    return name, header


def numbers(cells: list[str]) -> Array | None:
    """Cells of a text file as numbers, NaN where blank or where a program wrote its own NaN; None if one is no number.

    Args:
        cells: The cells, with or without blanks around them.

    Returns:
        Shape [number of cells].
    """
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        pass
    try:
        return np.array(["nan" if _MISSING.fullmatch(cell) else cell for cell in cells], dtype=np.float64)
    except ValueError:
        return None


# Blanks, and what the C libraries of Windows write for not-a-number: -1.#IND, 1.#QNAN, -nan(ind)
_MISSING = re.compile(r"\s*|\s*[-+]?(1\.#(IND|QNAN|SNAN)0*|nan\((ind|snan)?\))\s*", re.IGNORECASE)


def _numbers(path: Path, lines: list[str], start: int, labels: list[str]) -> Array:
    rows = [(number, line.split()) for number, line in enumerate(lines[start:], start + 1) if line.strip()]
    for number, cells in rows:
        if len(cells) != len(labels):
            raise FileFormatError(
                f"{path}, line {number}: {len(cells)} values for {len(labels)} columns; "
                "the file is cut off or a cell is empty, export it again"
            )
    data = numbers([cell for _, cells in rows for cell in cells])
    if data is not None:
        return data.reshape(len(rows), len(labels))
    for number, cells in rows:
        for cell, label in zip(cells, labels, strict=True):
            if numbers([cell]) is None:
                raise FileFormatError(
                    f"{path}, line {number}, column {label!r}: {cell[:30]!r} is no number; correct it or write nan"
                )
    raise FileFormatError(f"{path}: its rows do not fit its {len(labels)} columns; export it again")


def _check_rows(path: Path, header: dict[str, str], rows: int) -> None:
    stated = header.get("nRows") or header.get("datarows")
    if stated is not None and stated.isdigit() and rows < int(stated):
        raise FileFormatError(
            f"{path}: the header says {stated} rows, the file has {rows}; it is cut off, copy it again"
        )


def write_storage(path: str | Path, table: Table) -> None:
    """Write a table as OpenSim writes it: version 1 header, tab-separated, 10 significant digits.

    Args:
        path: Where to write; a hidden path if the caller replaces a file atomically.
        table: What to write.
    """
    keep = {k: v for k, v in table.header.items() if k not in _OWN and "\n" not in v}
    lines = [table.name or "table", "version=1", f"nRows={len(table.times)}", f"nColumns={len(table.columns) + 1}",
             f"inDegrees={'yes' if table.in_degrees else 'no'}", *(f"{k}={v}" for k, v in keep.items()), "endheader",
             "\t".join(("time", *table.columns))]  # fmt: skip
    values = np.column_stack([table.times, table.data])
    row = "\t".join(["%.10g"] * values.shape[1])
    body = "\n".join([row] * len(values)) % tuple(values.reshape(-1).tolist())
    Path(path).write_text("\n".join(lines) + "\n" + body + "\n", encoding="utf-8")


# What describes the file that was read, not the table
_OWN = set(
    "version nRows nColumns inDegrees comment name datacolumns datarows range otherdata DataType OpenSimVersion".split()
)
