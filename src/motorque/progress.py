"""How long work tells how far it is: it calls ``progress(what, fraction)``; who listens is the caller's business."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

Progress = Callable[[str, float], None]
"""Called as ``progress(what, fraction)``: a few words on what is being done, and the share of it done, 0 to 1."""


def silent(what: str, fraction: float) -> None:
    """The listener that says nothing: the default of every function that reports progress."""


class TerminalProgress:
    """A bar on the terminal, one at a time; nothing at all where the output is no terminal.

    Use as a context manager and pass it on as the ``progress`` of a workflow::

        with TerminalProgress() as progress:
            analyze([Path("walk.trc")], Path("out"), progress=progress)

    Args:
        stream: Where the bar goes; the standard error output by default.
        enabled: False silences it; None shows it exactly where ``stream`` is a terminal.
    """

    def __init__(self, *, stream: TextIO | None = None, enabled: bool | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._enabled = self._stream.isatty() if enabled is None else enabled
        self._what = ""
        self._bar: Any = None

    def __call__(self, what: str, fraction: float) -> None:
        """Show that the share ``fraction`` (0 to 1) of ``what`` is done."""
        if not self._enabled:
            return
        if self._bar is None or what != self._what:
            self.close()
            self._bar, self._what = self._new_bar(what), what
        # The bar counts in per cent: fractions of different work are comparable, counts of frames are not.
        self._bar.update(min(max(100.0 * fraction, 0.0), 100.0) - self._bar.n)

    def _new_bar(self, what: str) -> Any:
        from tqdm import tqdm  # only where a bar is shown: `motorque --help` must not wait for it

        layout = "{desc} {bar:30} {percentage:3.0f} % {elapsed}"
        return tqdm(total=100.0, desc=f"{what:<28}", bar_format=layout, file=self._stream, leave=False)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
