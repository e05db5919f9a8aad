"""What a training writes down as it goes: a table that a resumed training continues where its state is."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from motorque.errors import FileFormatError
from motorque.files.output import write_text


class Metrics:
    """A CSV file with a row for each time that a training was looked at.

    Rows of steps that are taken again, after a kill, are replaced; columns are those of the first row.

    Args:
        path: The file; read if it is there.
        done: Steps that the training has done already: rows beyond are dropped.

    Raises:
        FileFormatError: The file is no such table.
    """

    def __init__(self, path: Path, done: int = 0) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.is_file():
            try:
                with open(path, newline="") as stream:
                    self.rows = [row for row in csv.DictReader(stream) if int(row["step"]) <= done]
            except (KeyError, ValueError, TypeError, csv.Error):
                raise FileFormatError(f"{path}: is no table of a training; delete it") from None

    @property
    def seconds(self) -> float:
        """How long the training has run by the last row [s]."""
        return float(self.rows[-1]["seconds"]) if self.rows else 0.0

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Write a row, the whole file anew, so that it is never half there; ``seconds`` must be among the figures."""
        self.rows.append({"step": str(step), **{name: f"{value:.6g}" for name, value in figures.items()}})
        text = io.StringIO()
        table = csv.DictWriter(text, fieldnames=list(self.rows[0]), extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        write_text(self.path, text.getvalue())
