"""The command that learns one of the package's tables anew: a library of movements and priors in, a file out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from motorque.errors import MotorqueError
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.library import Library, load_library
from motorque.files.output import write_text

Learn = Callable[[Library, Sequence[InPose]], tuple[str, str]]
"""From movements and priors to the table's text, and what is told before its name."""


def learn_table(arguments: list[str] | None, *, name: str, about: str | None, table: Path, learn: Learn) -> int:
    """Learn a table from the command line.

    Args:
        arguments: Of the command line; those of the process if None.
        name: The module that is run.
        about: What it is for.
        table: The package's own table, which is written by default.
        learn: What learns.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m motorque.estimators.inpose.{name}", description=about, allow_abbrev=False
    )
    parser.add_argument("library", type=Path, help="movements, see motorque.estimators.inpose.library")
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=[None],
        help="the priors', after the library; those that come with motorque by default",
    )
    parser.add_argument("--out", type=Path, default=table, help="the table; that of the package by default")
    options = parser.parse_args(arguments)
    try:
        text, told = learn(load_library(options.library), [InPose.load(path) for path in options.weights])
        write_text(options.out, text)
    except MotorqueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{told}{options.out}")
    return 0
