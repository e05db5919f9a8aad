"""What the journal says, on the terminal: brief, grouped, and only when the work has succeeded."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence

from motorque.journal import Notice

LONGEST_LINE = 240
"""Characters of a notice that are shown."""

SHOWN_OF_A_KIND = 3
"""Notices of the same pattern that are shown before the rest is counted."""


def print_notices(notices: Sequence[Notice], write: Callable[[str], None], *, only_warnings: bool = False) -> None:
    """Print each notice as ``kind: text``; of many that differ only in names and numbers, the first few.

    Args:
        notices: The journal's notices in their order.
        write: Prints one line.
        only_warnings: Leave out repairs, assumptions and facts.
    """
    groups: dict[str, list[Notice]] = {}
    for notice in notices:
        if notice.kind == "warning" or not only_warnings:
            groups.setdefault(_pattern(notice), []).append(notice)
    for group in groups.values():
        # "and 1 more" would take the line that the one notice itself fits on.
        shown = len(group) if len(group) <= SHOWN_OF_A_KIND + 1 else SHOWN_OF_A_KIND
        for notice in group[:shown]:
            write(textwrap.shorten(line(notice), LONGEST_LINE, placeholder=" … (--debug shows all)"))
        if shown < len(group):
            write(f"{group[0].kind}: … and {len(group) - shown} more of this sort (--debug shows all)")


def line(notice: Notice) -> str:
    """A notice as one line of text."""
    text = " ".join(notice.text.split())
    about = "" if not notice.about or notice.about in text else f"{notice.about}: "
    return f"{notice.kind}: {about}{text}"


def _pattern(notice: Notice) -> str:
    """The notice with its names and numbers taken out: what is quoted, or holds a capital, a digit or an underscore."""
    text = notice.text.replace(notice.about, "·") if notice.about else notice.text
    text = re.sub(r"'[^']*'|\"[^\"]*\"|[\w.+]*[A-Z0-9_][\w.+]*", "·", text)
    return notice.kind + re.sub(r"·(?:[\s,·-]*·)+", "·", text)
