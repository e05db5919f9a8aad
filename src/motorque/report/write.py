"""Write the report: the page, the tables and the summary, all of them or none."""

from __future__ import annotations

from pathlib import Path

from motorque.files.output import OutputFolder
from motorque.report.analysis import Analysis
from motorque.report.html import page
from motorque.report.results import results
from motorque.report.summary import summary
from motorque.report.tables import tables
from motorque.report.video_tables import video_tables


def write_report(analysis: Analysis, folder: str | Path) -> None:
    """Write ``report.html``, ``summary.json`` and ``tables/*.csv`` into a folder.

    The set of tables is always the same, so that none of an earlier analysis stays behind; one without rows has only
    its heading. Where the motion comes from videos, three more tables tell about them.

    Args:
        analysis: What to report.
        folder: Destination; made if need be. Other files in it stay.

    Raises:
        OutputError: The folder cannot be written; what was in it before is untouched.
        MissingExtraError: The plotly package is not installed.
    """
    found = results(analysis)
    with OutputFolder(folder) as out:
        (out.path / "tables").mkdir(parents=True, exist_ok=True)
        for table in tables(found) + video_tables(found):
            # Bytes, so that no platform changes the line ends that RFC 4180 asks for.
            (out.path / "tables" / f"{table.name}.csv").write_bytes(_bytes(table.csv()))
        (out.path / "summary.json").write_bytes(_bytes(summary(found)))
        (out.path / "report.html").write_bytes(_bytes(page(found)))


def _bytes(text: str) -> bytes:
    r"""UTF-8; bytes of a file's name that are none stand as ``\udcff``, which JSON reads back as that name."""
    return text.encode("utf-8", errors="backslashreplace")
