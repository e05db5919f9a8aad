"""What a method learns and how it is watched: all in which methods differ, so that nothing else can.

Data, split, steps, batch, optimizer, averaging and loop are the training's own and the same for every method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from motorque.errors import DataError
from motorque.estimators.inpose.diffusion import Diffusion
from motorque.estimators.inpose.library import Library
from motorque.estimators.inpose.loss import errors_by_level, prior_loss
from motorque.estimators.inpose.network import SIZES, PriorNetwork
from motorque.estimators.inpose.weights import save_weights
from motorque.estimators.inpose.windows import Batches, Windows, watched_batch

Figures = Callable[[nn.Module], dict[str, float]]
"""From a network to its errors by name; those that end with ``cm``, ``loss`` or ``999`` are also told as it goes."""


class Size(Protocol):
    """What a network is made of."""

    def as_dict(self) -> dict[str, Any]:
        """All of it by name."""


@dataclass(frozen=True)
class Recipe:
    """A method.

    Args:
        name: Its name on the command line.
        network: Makes it, its weights at random, from a size's name, the dropout or None for the size's own, and the
            windows that are learned from. It has a :class:`Size` as ``size``.
        batches: Makes what makes batches, from the windows and how many are in a batch.
        loss: Makes the loss of a network on a batch.
        figures: Makes what tells errors, from the windows that are learned from and those that are watched or None.
        save: Writes weights, with what is known about them.
        pace: Highest learning rate and averaging by the size's name.
        bodies: The library with the bodies that the method learns with; everybody's own by default.
    """

    name: str
    network: Callable[[str, float | None, Windows], Any]
    batches: Callable[[Windows, int], Callable[[torch.Generator, int], Any]]
    loss: Callable[[Any], Callable[[Any, Any], Tensor]]
    figures: Callable[[Any, Windows, Windows | None], Figures]
    save: Callable[[Path, Any, dict[str, Any]], None]
    pace: Callable[[str], tuple[float, float]]
    bodies: Callable[[Library], Library] = lambda library: library


def prior_pace(size: str) -> tuple[float, float]:
    """Learning rate and averaging: the paper's for its own network."""
    return (1e-4, 0.9999) if size == "paper" else (2e-3, 0.998)


def prior_network(size: str, dropout: float | None, mean: Tensor) -> PriorNetwork:
    """A diffusion transformer of a named size, with an offset of its target, shape [22, C] with six numbers or nine.

    Raises:
        DataError: There is no such size, or the dropout can't be.
    """
    if size not in SIZES:
        raise DataError(f"prior: there is no size {size!r}; there are {', '.join(SIZES)}")
    own = SIZES[size] if dropout is None else dataclasses.replace(SIZES[size], dropout=dropout)
    return PriorNetwork(dataclasses.replace(own, numbers=mean.shape[-1]), mean=mean)


def diffusion_of(network: PriorNetwork) -> Diffusion:
    """The diffusion that a network belongs to."""
    return Diffusion(network.size.target, learned_variance=network.size.learned_variance)


def diffusion_loss(network: PriorNetwork) -> Callable[[nn.Module, Any], Tensor]:
    """The loss of a diffusion transformer."""
    return partial(prior_loss, diffusion_of(network))


def _prior_figures(network: PriorNetwork, windows: Windows, held: Windows | None) -> Figures:
    diffusion = diffusion_of(network)
    learned = watched_batch(windows, placed=False)
    told = None if held is None else (watched_batch(held, placed=False), watched_batch(held, placed=True))

    def figures(averaged: nn.Module) -> dict[str, float]:
        assert isinstance(averaged, PriorNetwork)
        found = {"learned_degrees_at_999": errors_by_level(diffusion, averaged, learned)["degrees_at_999"]}
        if told is not None:
            for name, batch in zip(("validation", "validation_head"), told, strict=True):
                found |= {f"{name}_{k}": v for k, v in errors_by_level(diffusion, averaged, batch).items()}
        return found

    return figures


PRIOR = Recipe(
    "inpose",
    lambda size, dropout, windows: prior_network(size, dropout, windows.mean()),
    Batches,
    diffusion_loss,
    _prior_figures,
    save_weights,
    prior_pace,
)
"""The prior of InPose."""
