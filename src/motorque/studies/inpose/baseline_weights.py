"""Weights of what InPose is compared with, as files of kinds of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from motorque.estimators.inpose.network import PriorNetwork, PriorSize
from motorque.estimators.inpose.weights import read_network
from motorque.studies.inpose.regression_network import RegressionNetwork, RegressionSize


def kind_of(method: str) -> str:
    """What a baseline's weights are saved as."""
    return f"motorque inpose baseline {method} 1"


def load_diffusion(path: str | Path, method: str) -> tuple[PriorNetwork, dict[str, Any]]:
    """The network of a BoDiffusion and what is written about it.

    Args:
        path: The file.
        method: ``bodiffusion-global``, ``bodiffusion-local``, or what else is a diffusion.

    Raises:
        FileFormatError: There is no such file, or it is of another method.
    """
    return read_network(
        Path(path), kind=kind_of(method), what=method, make=lambda size: PriorNetwork(PriorSize(**size))
    )


def load_regression(path: str | Path) -> tuple[RegressionNetwork, dict[str, Any]]:
    """The network of the regression and what is written about it.

    Args:
        path: The file.

    Raises:
        FileFormatError: There is no such file, or it is of another method.
    """
    return read_network(
        Path(path),
        kind=kind_of("regression"),
        what="the regression",
        make=lambda size: RegressionNetwork(RegressionSize(**size)),
    )
