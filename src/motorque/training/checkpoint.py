"""The state of a training on disk: whole or not there at all, whenever the process is killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from motorque.errors import FileFormatError, OutputError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers, text, lists and dicts; the file before it stays until this one is whole.

    Raises:
        OutputError: The file can't be written.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: can't write the checkpoint: {error.strerror or error}") from error


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state in a file, None if there is no file; nothing in it is executed.

    Raises:
        FileFormatError: The file is no checkpoint.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What torch says advises to load it without care
        raise FileFormatError(f"{path}: this is no checkpoint of a training; delete it to start anew") from error
    if not isinstance(state, dict) or "step" not in state:
        raise FileFormatError(f"{path}: this is no checkpoint of a training; delete it to start anew")
    return state
