"""One HTML page that needs nothing beside it: figures, numbers, settings."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from motorque.studies.noise.tables import Table, Value, shown

TOLD, SIDE_BY_SIDE = "verdicts", "findings"
"""Tables above the figures, the first of them as sentences."""
MANY = 60
"""Rows; a longer table unfolds, whichever it is."""
LONG = 40
"""Characters of a cell whose text goes over several lines."""
OPEN = ("fig2a_factor", "fig2b_ordering", "fig2d_realistic", "table1_refinement", "causes")
"""Tables that are shown at once; the others unfold."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 70rem; margin: 0 auto;
  padding: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; width: 44rem; }
figcaption, .note { color: #555; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { position: sticky; top: 0; background: #fff; border-bottom: 2px solid #888; white-space: normal; }
td { vertical-align: top; } td.number { text-align: right; } td.long { white-space: normal; min-width: 16rem; }
ol li { margin: .5rem 0; }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 600; }
@media print { details { display: block; } figure { break-inside: avoid; } }
"""

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
        parts.append(_sentences(by_name[TOLD]))
    if SIDE_BY_SIDE in by_name:
        parts.append(_folded(by_name[SIDE_BY_SIDE], len(by_name[SIDE_BY_SIDE].rows) <= MANY))
    parts.append("<h2>Figures</h2>")
    parts += [_picture(folder / name, caption) for name, caption in pictures.items()]
    parts.append("<h2>Numbers</h2>")
    rest = [table for table in tables if table.name not in (TOLD, SIDE_BY_SIDE)]
    parts += [_folded(table, table.name in OPEN and len(table.rows) <= MANY) for table in rest]
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in settings.items())
    parts += ["<h2>How it was made</h2>", f'<div class="scroll"><table>{rows}</table></div>']
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Noise of poses and torques</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _picture(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text} '
        f"({escape(path.name)})</figcaption></figure>"
    )


def _folded(table: Table, opened: bool) -> str:
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(table.title)}</summary>{_table(table)}</details>"


def _sentences(table: Table) -> str:
    """Rows of four texts: what is claimed, what the paper says, whether it came out, what was measured."""
    items = (
        f"<li><b>{escape(found[:1].upper() + found[1:])}</b>: <em>{escape(answer)}</em>. "
        f"The paper: {escape(theirs)}. Here: {escape(ours)}.</li>"
        for found, theirs, answer, ours in (map(str, row) for row in table.rows)
    )
    note = f'<p class="note">{escape(table.name)}.csv</p>'
    return f"<p>{escape(table.title)}:</p><ol>{''.join(items)}</ol>{note}"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    file = f'<p class="note">{escape(table.name)}.csv</p>'
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll">{body}</div>{notes}{file}'


def _cell(value: Value) -> str:
    kind = "" if isinstance(value, str) or value is None else ' class="number"'
    if isinstance(value, str) and len(value) > LONG:
        kind = ' class="long"'
    return f"<td{kind}>{escape(shown(value))}</td>"
