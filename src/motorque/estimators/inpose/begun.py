"""What a training's folder says it was begun with, from its first moment on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from motorque.errors import MotorqueError
from motorque.files.output import write_bytes, write_text

SETTINGS = "settings.json"


@contextlib.contextmanager
def asked_for(run: Path, about: Mapping[str, Any], *, writes: bool) -> Iterator[None]:
    """Have in a training's folder what was asked for while the training is prepared, which may take long.

    Whoever is killed meanwhile goes on with that. A training that is refused leaves the file as it was.

    Args:
        run: The training's folder.
        about: What was asked for, with ``training`` among it.
        writes: Whether to write at all: not where the folder has its settings, nor in any process but the first.

    Raises:
        OutputError: The folder can't be written to.
    """
    if not writes:
        yield
        return
    path = run / SETTINGS
    before, there = path.read_bytes() if path.is_file() else None, run.is_dir()
    write_text(path, json.dumps(about, indent=1) + "\n")
    try:
        yield
    except MotorqueError:
        if before is not None:
            write_bytes(path, before)
            raise
        path.unlink(missing_ok=True)
        if not there:
            with contextlib.suppress(OSError):  # a library was made in it already
                run.rmdir()
        raise
