"""The paper's ablation (Figure 5): rotations learned as six numbers, and as all nine of their matrices.

Both networks are told nothing, neither while they learn nor when they are sampled; all else is as the prior has it.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from motorque.estimators.inpose.loss import errors_by_level
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.recipe import Figures, Recipe, diffusion_loss, diffusion_of, prior_network, prior_pace
from motorque.estimators.inpose.tree import matrices
from motorque.estimators.inpose.weights import save_weights
from motorque.estimators.inpose.windows import Batch, Batches, Windows, watched_batch
from motorque.studies.inpose.baseline_weights import kind_of
from motorque.studies.inpose.recipes import mean_of, told_places

TURNED = (0.0, 0.0, 1.0)
"""Shares with which :func:`told_places` has all rotations seen: windows are turned forward by the head's before that is
forgotten, as a window that is told nothing stays as it was recorded."""


def nine_numbers(columns6: Tensor) -> Tensor:
    """All three columns of rotations one after the other, [..., 6] → [..., 9]."""
    return matrices(columns6).mT.flatten(-2)


def raw_matrices(numbers9: Tensor) -> Tensor:
    """Nine numbers as matrices, unitary or not, [..., 9] → [..., 3, 3]."""
    return numbers9.unflatten(-1, (3, 3)).mT


def off_unitary(turns: Tensor) -> Tensor:
    """How far matrices are from unitary: the Frobenius norm of RᵀR - 1, [..., 3, C] → [...], also of C = 2 columns."""
    return torch.linalg.matrix_norm(turns.mT @ turns - torch.eye(turns.shape[-1], dtype=turns.dtype))


def _untold(batch: Batch) -> Batch:
    """The same windows, with nothing known of them."""
    nothing = batch.told.none()
    return batch._replace(channels=nothing.channels, seen=nothing.seen, placed=nothing.placed)


def _batch(batches: Batches, generator: torch.Generator, step: int) -> Batch:
    return _untold(batches(generator, step))


def _figures(network: PriorNetwork, windows: Windows, held: Windows | None, *, numbers: int) -> Figures:
    target = nine_numbers if numbers == 9 else None
    watched = {
        name: _untold(watched_batch(part, placed=False, target=target))
        for name, part in (("learned", windows), ("validation", held))
        if part is not None
    }

    def figures(averaged: nn.Module) -> dict[str, float]:
        assert isinstance(averaged, PriorNetwork)
        diffusion = diffusion_of(network)
        return {
            f"{name}_{key}": value
            for name, batch in watched.items()
            for key, value in errors_by_level(diffusion, averaged, batch).items()
        }

    return figures


def _unconditional(numbers: int) -> Recipe:
    name = f"unconditional-{numbers}"
    target = nine_numbers if numbers == 9 else None
    make = partial(Batches, telling=partial(told_places, shares=TURNED), stray=0.0, target=target)
    return Recipe(
        name,
        lambda size, dropout, windows: prior_network(size, dropout, mean_of(windows, nine_numbers)[:, :numbers]),
        lambda windows, size: partial(_batch, make(windows, size)),
        diffusion_loss,
        partial(_figures, numbers=numbers),
        partial(save_weights, kind=kind_of(name)),
        prior_pace,
    )


SIX, NINE = _unconditional(6), _unconditional(9)
