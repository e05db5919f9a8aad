"""Weights of a network as a file: safetensors, half precision, with what they are in its header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from motorque.errors import FileFormatError
from motorque.files.output import write_bytes


def write_weights(path: Path, network: nn.Module, header: Mapping[str, str]) -> None:
    """Write a network's weights in half precision; the file before it stays until this one is whole.

    Args:
        path: The file.
        network: The network.
        header: What the weights are; ``format`` names their kind.

    Raises:
        OutputError: The file can't be written.
    """
    half = {name: value.detach().to(torch.float16).contiguous() for name, value in network.state_dict().items()}
    write_bytes(path, save(half, metadata=dict(header)))


def read_weights(path: Path, *, kind: str, what: str, advice: str = "") -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the weights in a file, float32; nothing in the file is executed.

    Args:
        path: The file.
        kind: The ``format`` that its header must have.
        what: Whose weights these are, for messages.
        advice: What to do about a file that can't be read, for messages.

    Raises:
        FileFormatError: There is no such file, or it is not of this kind.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            values = {name: stored.get_tensor(name).to(torch.float32) for name in stored.keys()}
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"{path}: these weights can't be read ({error}){advice}") from error
    if header.get("format") != kind:
        raise FileFormatError(f"{path}: these are no weights of {what} ({header.get('format')!r})")
    return header, values
