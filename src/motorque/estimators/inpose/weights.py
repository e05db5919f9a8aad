"""Weights as a file, the prior's or a baseline's: safetensors, half precision, with what they are in the header."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from motorque.errors import FileFormatError, MotorqueError
from motorque.estimators.inpose.network import PriorNetwork, PriorSize
from motorque.estimators.inpose.tree import JOINTS, RATE, WINDOW
from motorque.training.weights_file import read_weights, write_weights

FORMAT = "motorque inpose prior 1"
WEIGHTS = "weights.safetensors"
"""The weights' name in a training's folder."""
Network = TypeVar("Network", bound=nn.Module)


def save_weights(path: Path, network: Any, about: dict[str, Any], *, kind: str = FORMAT) -> None:
    """Write a network; the file before it stays until this one is whole.

    Args:
        path: The file.
        network: The network; what it is made of is its ``size``.
        about: How it came about: settings, data, split, versions and figures.
        kind: Of what it is the network; only :func:`read_network` with the same one takes the file.

    Raises:
        OutputError: The file can't be written.
    """
    header = {
        "format": kind,
        "size": json.dumps(network.size.as_dict()),
        "joints": json.dumps(JOINTS),
        "rate": str(RATE),
        "window": str(WINDOW),
        "about": json.dumps(about),
    }
    write_weights(path, network, header)


def weights_file(path: Path) -> Path:
    """The weights that a file or a training's folder stands for.

    Raises:
        FileFormatError: The folder holds none.
    """
    if not path.is_dir():
        return path
    if not (path / WEIGHTS).is_file():
        raise FileFormatError(f"{path}: holds no {WEIGHTS}; give a training's folder or a file of weights")
    return path / WEIGHTS


@cache
def load_weights(path: Path) -> tuple[PriorNetwork, dict[str, Any]]:
    """The network in a file, ready to be used, and what is written about it; nothing in the file is executed.

    Raises:
        FileFormatError: There is no such file, or it is not of this network.
    """
    return read_network(path, kind=FORMAT, what="the InPose prior", make=lambda size: PriorNetwork(PriorSize(**size)))


def read_network(
    path: Path, *, kind: str, what: str, make: Callable[[dict[str, Any]], Network]
) -> tuple[Network, dict[str, Any]]:
    """A network of some kind in a file, ready to be used, and what is written about it.

    Args:
        path: The file.
        kind: What it was saved as.
        what: Whose weights these are, for messages.
        make: Makes the network from what it is made of.

    Raises:
        FileFormatError: There is no such file, or it is not of this kind.
    """
    header, values = read_weights(path, kind=kind, what=what)
    try:
        same = json.loads(header["joints"]) == list(JOINTS)
        same = same and float(header["rate"]) == RATE and int(header["window"]) == WINDOW
        network = make(json.loads(header["size"]))
        network.load_state_dict(values)
        about = dict(json.loads(header["about"]))
    except (KeyError, ValueError, TypeError, RuntimeError, MotorqueError) as error:
        text = str(error).splitlines()[0]
        raise FileFormatError(f"{path}: these weights do not fit the network ({text}); train them anew") from error
    if not same:
        raise FileFormatError(f"{path}: these weights are of other joints, another rate or window; train them anew")
    return network.eval().requires_grad_(False), about
