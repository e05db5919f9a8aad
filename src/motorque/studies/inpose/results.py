"""Results as rows of a file, one for each method, condition and recording, so that a killed evaluation goes on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError
from motorque.files.output import output_error
from motorque.studies.inpose.intervals import Resamples, resamples
from motorque.studies.inpose.measures import MEASURES, Measures
from motorque.studies.statistics import Interval

Array = NDArray[np.float64]
FILE = "recordings.csv"
DIGITS = ".8g"
COLUMNS = ("method", "condition", "subject", "recording", "activity", "frames", "cpu_s", *MEASURES)


class Key(NamedTuple):
    """What a row is of."""

    method: str
    condition: str
    recording: str


@dataclass(frozen=True)
class Row:
    """A row.

    Args:
        key: What it is of.
        subject: Who moves.
        activity: What is done.
        frames: How many.
        cpu_s: Time that the method took [s of a core].
        measures: Its errors.
    """

    key: Key
    subject: str
    activity: str
    frames: int
    cpu_s: float
    measures: Measures


class Results:
    """All rows, in memory and in a file to which each is added when it is there.

    Args:
        path: The file; None keeps them in memory alone.
        seed: Of the intervals.

    Raises:
        FileFormatError: What is in the file is no such table.
    """

    def __init__(self, path: Path | None = None, *, seed: int = 0) -> None:
        self.path, self.seed = path, seed
        self.rows: dict[Key, Row] = {}
        self._resamples: dict[tuple[bool, tuple[str, ...]], Resamples] = {}
        if path is not None and path.is_file():
            self._read(path)

    def _read(self, path: Path) -> None:
        # A kill may have cut the last line short; it is computed again
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        try:
            if whole and tuple(next(csv.reader(whole))) != COLUMNS:
                raise ValueError("columns")
            for line in csv.DictReader(whole):
                values = Measures(**{name: float(line[name]) for name in MEASURES})
                key = Key(line["method"], line["condition"], line["recording"])
                self.rows[key] = Row(
                    key, line["subject"], line["activity"], int(line["frames"]), float(line["cpu_s"]), values
                )
        except (ValueError, KeyError, TypeError, csv.Error):
            raise FileFormatError(f"{path}: is no table of an evaluation; delete it or choose another folder") from None

    def add(self, row: Row) -> None:
        """Keep a row, and write it down at once; numbers are kept as they are written, to eight digits.

        Raises:
            OutputError: It can't be written.
        """
        kept = {name: float(format(value, DIGITS)) for name, value in asdict(row.measures).items()}
        row = replace(row, measures=Measures(**kept))
        self.rows[row.key] = row
        if self.path is None:
            return
        try:
            if not self.path.is_file() or len(self.rows) == 1:
                self._write([])
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerow(_cells(row))
        except OSError as error:
            raise output_error(error, self.path) from error

    def tidy(self) -> None:
        """Write the file anew without a line that was cut short.

        Raises:
            OutputError: It can't be written.
        """
        if self.path is not None and self.path.is_file():
            try:
                self._write(self.rows.values())
            except OSError as error:
                raise output_error(error, self.path) from error

    def _write(self, rows: Iterable[Row]) -> None:
        assert self.path is not None
        with self.path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(COLUMNS)
            out.writerows(map(_cells, rows))

    def only(self, subject: str) -> Results:
        """The rows of one person."""
        found = Results(seed=self.seed)
        found.rows = {key: row for key, row in self.rows.items() if row.subject == subject}
        return found

    def has(self, method: str, condition: str) -> bool:
        """Whether there is any row of a method in a condition."""
        return any(key.method == method and key.condition == condition for key in self.rows)

    def of(self, method: str, condition: str) -> dict[str, Row]:
        """Rows of a method in a condition by recording, in the order of their names."""
        own = {k.recording: row for k, row in self.rows.items() if (k.method, k.condition) == (method, condition)}
        return dict(sorted(own.items()))

    def mean(self, method: str, condition: str, measure: str) -> Interval | None:
        """A method's mean error over all frames, with its interval; None if it was not tested so."""
        own = self.of(method, condition)
        return self._drawn(own).mean(_values(own.values(), measure)) if own else None

    def ratio(self, one: tuple[str, str], other: tuple[str, str], measure: str) -> Interval | None:
        """The quotient of two means, each of a (method, condition), over the recordings that both have."""
        first, second = self._both(one, other)
        if not first:
            return None
        return self._drawn(first).ratio(_values(first.values(), measure), _values(second.values(), measure))

    def difference(
        self, one: tuple[str, str], other: tuple[str, str], measure: str, *, people: bool = True
    ) -> Interval | None:
        """The difference of two means, paired by recording; its interval over people too, or recordings alone."""
        first, second = self._both(one, other)
        if not first:
            return None
        return self._drawn(first, people).difference(
            _values(first.values(), measure), _values(second.values(), measure)
        )

    def _both(self, one: tuple[str, str], other: tuple[str, str]) -> tuple[dict[str, Row], dict[str, Row]]:
        first, second = self.of(*one), self.of(*other)
        names = [name for name in first if name in second]
        return {n: first[n] for n in names}, {n: second[n] for n in names}

    def _drawn(self, rows: dict[str, Row], people: bool = True) -> Resamples:
        names = (people, tuple(rows))
        if names not in self._resamples:
            own = list(rows.values())
            subjects, frames = [row.subject for row in own], [row.frames for row in own]
            self._resamples[names] = resamples(subjects, frames, people=people, seed=self.seed)
        return self._resamples[names]


def _values(rows: Iterable[Row], measure: str) -> Array:
    return np.array([getattr(row.measures, measure) for row in rows])


def _cells(row: Row) -> Sequence[str]:
    numbers = (format(value, DIGITS) for value in asdict(row.measures).values())
    key = row.key
    own = (key.method, key.condition, row.subject, key.recording, row.activity, str(row.frames), f"{row.cpu_s:.4g}")
    return (*own, *numbers)
