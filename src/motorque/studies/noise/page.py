"""One HTML page that needs nothing beside it: figures, numbers, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from motorque.studies.document import MANY, document, folded, picture, sentences, settings_part
from motorque.studies.tables import Table

TOLD, SIDE_BY_SIDE = "verdicts", "findings"
"""Tables above the figures, the first of them as sentences."""
OPEN = ("fig2a_factor", "fig2b_ordering", "fig2d_realistic", "table1_refinement", "causes")
"""Tables that are shown at once; the others unfold."""

LEAD = """
<p>After <i>How Noisy Poses Break Inverse Dynamics</i> (arXiv 2605.24776): noise is added to poses of SMPL's 24 joints,
torques are computed from clean and noisy poses by the same chain, and their difference is the error. Both readings of
the paper's "central differences" are here: <b>central</b>, the second difference of three neighbouring frames, and
<b>central-twice</b>, central differences of central-difference velocities, which reach over five. In brackets: where
the mean is with 95 % confidence.</p>
"""


def page(tables: Sequence[Table], pictures: Mapping[str, str], folder: Path, *, settings: Mapping[str, str]) -> str:
    """The page.

    Args:
        tables: All tables; the first ones matter most.
        pictures: Captions by file name.
        folder: Where the files are.
        settings: What was set, and with what it was computed.
    """
    parts = ["<h1>How noise of poses breaks torques, and what mends it</h1>", LEAD]
    by_name = {table.name: table for table in tables}
    parts.append("<h2>The paper and this package</h2>")
    if TOLD in by_name:
        parts.append(sentences(by_name[TOLD]))
    if SIDE_BY_SIDE in by_name:
        parts.append(folded(by_name[SIDE_BY_SIDE], len(by_name[SIDE_BY_SIDE].rows) <= MANY))
    parts.append("<h2>Figures</h2>")
    parts += [picture(folder / name, caption) for name, caption in pictures.items()]
    parts.append("<h2>Numbers</h2>")
    rest = [table for table in tables if table.name not in (TOLD, SIDE_BY_SIDE)]
    parts += [folded(table, table.name in OPEN and len(table.rows) <= MANY) for table in rest]
    parts.append(settings_part(settings))
    return document("Noise of poses and torques", parts)
