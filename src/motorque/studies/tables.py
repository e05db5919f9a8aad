"""Tables of results: what goes to CSV files and onto the page."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from motorque.studies.statistics import Interval

Value = str | float | int | Interval | None


@dataclass
class Table:
    """A table with its columns' units in their names.

    Args:
        name: Of the file, without ending.
        title: A sentence that says what it shows.
        columns: Names of the columns.
        rows: Values; an interval is one cell on the page and three columns in the file.
        notes: What a reader must know.
        draws: Draws of noise behind its numbers, if they are not the study's.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    draws: int | None = None

    def add(self, *values: Value) -> None:
        """Add a row."""
        if len(values) != len(self.columns):
            raise ValueError(f"{self.name}: {len(values)} values for {len(self.columns)} columns")
        self.rows.append(values)

    def write_csv(self, folder: Path, made: Mapping[str, str] | None = None) -> None:
        """Write ``<name>.csv``; all digits, intervals as three columns.

        Args:
            folder: Where to.
            made: How the numbers were made: further columns by name, the same in every row, so that a row that is
                copied elsewhere keeps them.
        """
        made = made or {}
        wide = [any(isinstance(row[i], Interval) for row in self.rows) for i in range(len(self.columns))]
        with (folder / f"{self.name}.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow([x for c, w in zip(self.columns, wide, strict=True) for x in _heads(c, w)] + list(made))
            for row in self.rows:
                out.writerow([x for v, w in zip(row, wide, strict=True) for x in _cells(v, w)] + list(made.values()))


def _heads(column: str, wide: bool) -> Iterator[str]:
    yield column
    if wide:
        yield from (f"{column} 95% low", f"{column} 95% high")


def _cells(value: Value, wide: bool) -> Iterator[str]:
    if isinstance(value, Interval):
        yield from (format(x, ".8g") for x in value)
        return
    yield "" if value is None else format(value, ".8g") if isinstance(value, float) else str(value)
    if wide:
        yield from ("", "")


def shown(value: Value) -> str:
    """A value as the page shows it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
