"""One HTML page of a study that needs nothing beside it: its style, figures, tables and settings."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from motorque.studies.tables import Table, Value, shown

MANY = 60
"""Rows; a longer table unfolds, whichever it is."""
LONG = 40
"""Characters of a cell whose text goes over several lines."""

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


def document(title: str, parts: Sequence[str], *, style: str = "") -> str:
    """A whole page of parts, with style of its own after everybody's."""
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def settings_part(settings: Mapping[str, str]) -> str:
    """What was set, and with what it was computed, as a table."""
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in settings.items())
    return f'<h2>How it was made</h2>\n<div class="scroll"><table>{rows}</table></div>'


def picture(path: Path, caption: str) -> str:
    """A PNG file with its caption, the file's bytes within the page."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text} '
        f"({escape(path.name)})</figcaption></figure>"
    )


def folded(table: Table, opened: bool) -> str:
    """A table under its title, shown or not until that is clicked."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(table.title)}</summary>{_table(table)}</details>"


def sentences(table: Table, theirs: str = "The paper") -> str:
    """Rows of four texts as a list: what is claimed, what is said of it, whether it came out, what was measured.

    Args:
        table: The rows.
        theirs: Who says what is said.
    """
    items = (
        f"<li><b>{escape(found[:1].upper() + found[1:])}</b>: <em>{escape(answer)}</em>. "
        f"{escape(theirs)}: {escape(said)}. Here: {escape(ours)}.</li>"
        for found, said, answer, ours in (map(str, row) for row in table.rows)
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
