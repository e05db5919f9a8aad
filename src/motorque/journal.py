"""The record of everything that was assumed, repaired or noticed on the way from a file to a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["repair", "assumption", "warning", "info"]


@dataclass(frozen=True)
class Notice:
    """One thing that a user must be able to find again.

    Args:
        kind: ``repair`` (the data were changed), ``assumption`` (something was chosen for the user), ``warning``
            (the result may be wrong) or ``info``.
        text: One sentence: what, where, how much.
        about: The file, marker, coordinate or load that it concerns.
    """

    kind: Kind
    text: str
    about: str = ""


@dataclass
class Journal:
    """Notices in the order in which they came; ``listener`` hears each as it is added (the command line prints it)."""

    notices: list[Notice] = field(default_factory=list)
    listener: Callable[[Notice], None] | None = None

    def add(self, kind: Kind, text: str, about: str = "") -> None:
        """Record a notice once: the same sentence about the same thing is not repeated."""
        notice = Notice(kind, text, about)
        if notice in self.notices:
            return
        self.notices.append(notice)
        if self.listener is not None:
            self.listener(notice)

    def repair(self, text: str, about: str = "") -> None:
        """Record that the data were changed."""
        self.add("repair", text, about)

    def assume(self, text: str, about: str = "") -> None:
        """Record that something was chosen for the user."""
        self.add("assumption", text, about)

    def warn(self, text: str, about: str = "") -> None:
        """Record that a result may be wrong, and why."""
        self.add("warning", text, about)

    def info(self, text: str, about: str = "") -> None:
        """Record a plain fact worth keeping."""
        self.add("info", text, about)
