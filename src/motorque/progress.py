"""How long work tells how far it is: it calls ``progress(what, fraction)``; who listens is the caller's business."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

Progress = Callable[[str, float], None]
"""Called as ``progress(what, fraction)``: a few words on what is being done, and the share of all work done, 0 to 1."""


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
        self._bar: Any = None

    def __call__(self, what: str, fraction: float) -> None:
        """Show what is being done, and that the share ``fraction`` (0 to 1) of all work is done."""
        if not self._enabled:
            return
        if self._bar is None:
            self._bar = self._new_bar()
        self._bar.set_description_str(f"{what[:40]:<40}", refresh=False)
        # The bar counts in per cent: shares of different work go together, counts of frames do not.
        self._bar.n = min(max(100.0 * fraction, 0.0), 100.0)
        self._bar.refresh()

    def _new_bar(self) -> Any:
        from tqdm import tqdm  # only where a bar is shown: `motorque --help` must not wait for it

        # Terminals that do not know their size say 0 by 0, and tqdm would draw nothing.
        width = min(shutil.get_terminal_size().columns, 100)
        layout = "{desc} {bar} {percentage:3.0f} % {elapsed}"
        return tqdm(total=100.0, bar_format=layout, file=self._stream, leave=False, ncols=width, nrows=2)

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
