"""The command line as a program of its own: ``motorque``, or ``python -m motorque``."""

from __future__ import annotations

import gc
import sys

from motorque.cli import main

GARBAGE = 100_000
"""Objects made before Python looks for unreachable ones among them; at its own 700 that takes a fifth of the time that
the loading of libraries takes."""


def program() -> int:
    """Run the command line and return its exit code; the process has to end then."""
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    try:
        return main()
    finally:
        gc.freeze()  # otherwise all that is left is searched through several times, for most of a second


if __name__ == "__main__":
    sys.exit(program())
