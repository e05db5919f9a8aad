"""Small pieces of HTML; every text that comes from a file or a person goes through :func:`escape`."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence


def escape(text: object) -> str:
    """Text made safe for HTML content and for quoted attributes."""
    return html.escape(str(text), quote=True)


def number(value: float | None, digits: int = 1) -> str:
    """A number with fixed decimals and a real minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return "0" + text[2:] if text.startswith("-0") and float(text) == 0 else text.replace("-", "−")


def badge(text: str, kind: str) -> str:
    """A coloured word."""
    return f'<span class="badge {kind}">{escape(text)}</span>'


VERDICTS = {"good": "✓ within limit", "fair": "▲ above limit", "poor": "✕ far above limit"}


def verdict(kind: str) -> str:
    """A check's verdict as a badge."""
    return badge(VERDICTS[kind], kind)


def tile(value: str, unit: str, name: str) -> str:
    """One figure with its name."""
    return f'<div class="tile card"><b>{value} <small>{escape(unit)}</small></b><span>{escape(name)}</span></div>'


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[int] = (), tall: bool = False
) -> str:
    """A table of ready-made cells in a card that scrolls sideways where it must."""
    mark = set(numeric)
    head = "".join(f'<th scope="col"{_num(k in mark)}>{escape(c)}</th>' for k, c in enumerate(columns))
    body = "".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td{_num(k in mark)}>{cell}</td>" for k, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    kind = "scroll card tall" if tall else "scroll card"
    return f'<div class="{kind}" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _num(is_number: bool) -> str:
    return ' class="num"' if is_number else ""


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and ready-made values."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{v}</dd>" for k, v in pairs) + "</dl>"


def section(name: str, title: str, content: str, lead: str = "") -> str:
    """A section with a heading that the navigation can reach; ``lead`` is ready-made."""
    intro = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{intro}{content}</section>'
