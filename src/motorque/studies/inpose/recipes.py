"""How the methods that InPose is compared with learn: on the default body, told of places in bare metres."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from motorque.errors import DataError
from motorque.estimators.inpose.diffusion import STEPS
from motorque.estimators.inpose.heading import forward_angle, turned
from motorque.estimators.inpose.loss import prior_loss
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.recipe import (
    PRIOR,
    Figures,
    Recipe,
    diffusion_loss,
    diffusion_of,
    prior_network,
    prior_pace,
)
from motorque.estimators.inpose.tree import HEAD, JOINTS, THREE, matrices
from motorque.estimators.inpose.weights import save_weights
from motorque.estimators.inpose.windows import Batch, Batches, Windows, watched_batch
from motorque.studies.inpose.baseline_weights import kind_of
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.default_library import on_default_body
from motorque.studies.inpose.local_rotations import global_matrices, local_rotations
from motorque.studies.inpose.regression_loss import hung, regression_loss
from motorque.studies.inpose.regression_network import SIZES, RegressionNetwork

GLOBAL_SHARES = (0.8, 0.0, 0.15)
"""Shares of windows that BoDiffusion (Global) is told all three places of, the head's alone, and none; the rest is told
nothing at all, for classifier-free guidance."""
LOCAL_SHARES = (0.6, 0.2, 0.15)
"""Those of BoDiffusion (Local), whose weights also serve guidance: it must do with the head's place alone."""
ALWAYS = (1.0, 0.0, 0.0)
"""Those of the regression."""


def told_places(
    size: int, frames: int, generator: torch.Generator, *, shares: tuple[float, float, float]
) -> tuple[Tensor, Tensor]:
    """Windows told all three rotations and, in some shares, three places, the head's alone, or none; or nothing.

    Returns:
        Whose rotation and whose place is told, bool, shape [B, T, 22] each.
    """
    kind = torch.rand(size, generator=generator)
    edges = torch.tensor(shares).cumsum(0)
    seen, placed = torch.zeros(2, size, frames, len(JOINTS), dtype=torch.bool)
    seen[..., list(THREE)] = (kind < edges[2])[:, None, None]
    placed[..., list(THREE)] = (kind < edges[0])[:, None, None]
    placed[..., HEAD] = (kind < edges[1])[:, None]
    return seen, placed


def errors(turns: Tensor, true: Tensor) -> dict[str, float]:
    """Mean errors of global rotations on the default body, the head where it is.

    Args:
        turns: Shape [B, T, 22, 3, 3].
        true: Likewise.

    Returns:
        ``degrees``: geodesic; ``cm``: of joints' places.
    """
    rest = default_body().to(turns.dtype)
    off = (turns.mT @ true).diagonal(dim1=-2, dim2=-1).sum(-1)
    angle = torch.arccos(((off - 1) / 2).clamp(-1, 1)).mean()
    away = (hung(turns, rest) - hung(true, rest)).norm(dim=-1).mean()
    return {"degrees": math.degrees(float(angle)), "cm": 100.0 * float(away)}


def _batches(
    windows: Windows,
    size: int,
    *,
    shares: tuple[float, float, float],
    target: Callable[[Tensor], Tensor] | None = None,
) -> Batches:
    telling = partial(told_places, shares=shares)
    return Batches(windows, size, telling=telling, stray=0.0, bare=True, target=target)


def _watched(windows: Windows, target: Callable[[Tensor], Tensor] | None, where: tuple[int, ...]) -> Batch:
    return watched_batch(windows, placed=bool(where), where=where or THREE, bare=True, target=target)


def _diffusion_figures(
    network: PriorNetwork, windows: Windows, held: Windows | None, *, local: bool, told: dict[str, tuple[int, ...]]
) -> Figures:
    """Errors of what is expected from noise alone, all that it says in one step."""
    diffusion, target = diffusion_of(network), local_rotations if local else None
    whole = global_matrices if local else matrices
    learned = _watched(windows, target, THREE)
    watched = {} if held is None else {name: _watched(held, target, where) for name, where in told.items()}

    @torch.no_grad()
    def of(averaged: PriorNetwork, batch: Batch) -> dict[str, float]:
        step = torch.full((len(batch.clean),), STEPS - 1)
        noisy = diffusion.noisy(batch.clean, batch.noise, step)
        clean = diffusion.split(averaged(noisy, step, batch.told), noisy, step).clean
        return errors(whole(clean), whole(batch.clean))

    def figures(averaged: nn.Module) -> dict[str, float]:
        assert isinstance(averaged, PriorNetwork)
        found = {f"learned_{k}": v for k, v in of(averaged, learned).items()}
        for name, batch in watched.items():
            found |= {f"{name}_{k}": v for k, v in of(averaged, batch).items()}
        if "validation" in watched:
            with torch.no_grad():
                found["validation_loss"] = float(prior_loss(diffusion, averaged, watched["validation"]))
        return found

    return figures


def _bodiffusion(name: str, *, local: bool, shares: tuple[float, float, float]) -> Recipe:
    target = local_rotations if local else None
    told: dict[str, tuple[int, ...]] = {"validation": THREE, "validation_turns": ()}
    if local:
        told["validation_head"] = (HEAD,)
    return Recipe(
        name,
        lambda size, dropout, windows: prior_network(size, dropout, mean_of(windows, target)),
        partial(_batches, shares=shares, target=target),
        diffusion_loss,
        partial(_diffusion_figures, local=local, told=told),
        partial(save_weights, kind=kind_of(name)),
        prior_pace,
        on_default_body,
    )


def mean_of(windows: Windows, target: Callable[[Tensor], Tensor] | None, most: int = 20_000) -> Tensor:
    """What rotations that face forward are on average, as a method has them, shape [22, C].

    Args:
        windows: What they are taken from.
        target: From global rotations as six numbers to what is learned; they themselves if None.
        most: Of so many frames at most.
    """
    if target is None:
        return windows.mean(most)
    numbers = np.linspace(0, len(windows) - 1, min(most, len(windows))).round().astype(np.int64)
    total = torch.zeros((), dtype=torch.float64)
    for some in np.array_split(numbers, 1 + len(numbers) // 500):
        middle = windows.read(some)[0][:, windows.frames // 2]
        seen = torch.ones(len(some), 1, len(JOINTS), dtype=torch.bool)
        total = total + target(turned(middle, forward_angle(middle[:, None], seen))).double().sum(0)
    return (total / len(numbers)).float()


def _regression(size: str, dropout: float | None, windows: Windows) -> RegressionNetwork:
    if size not in SIZES:
        raise DataError(f"regression: there is no size {size!r}; there are {', '.join(SIZES)}")
    own = SIZES[size] if dropout is None else dataclasses.replace(SIZES[size], dropout=dropout)
    mean = mean_of(windows, local_rotations if own.local else None)
    turns = global_matrices(mean) if own.local else matrices(mean)
    return RegressionNetwork(own, mean=mean, points=hung(turns, default_body().float()))


def _regression_figures(network: RegressionNetwork, windows: Windows, held: Windows | None) -> Figures:
    whole = global_matrices if network.size.local else matrices
    watched = {"learned": _watched(windows, None, THREE)}
    if held is not None:
        watched["validation"] = _watched(held, None, THREE)
    loss = regression_loss(network)

    def figures(averaged: nn.Module) -> dict[str, float]:
        found: dict[str, float] = {}
        with torch.no_grad():
            for name, batch in watched.items():
                turns = whole(averaged(batch.told).rotations)
                found |= {f"{name}_{k}": v for k, v in errors(turns, matrices(batch.clean)).items()}
            if held is not None:
                found["validation_loss"] = float(loss(averaged, watched["validation"]))
        return found

    return figures


BODIFFUSION_GLOBAL = _bodiffusion("bodiffusion-global", local=False, shares=GLOBAL_SHARES)
BODIFFUSION_LOCAL = _bodiffusion("bodiffusion-local", local=True, shares=LOCAL_SHARES)
REGRESSION = Recipe(
    "regression",
    _regression,
    partial(_batches, shares=ALWAYS),
    regression_loss,
    _regression_figures,
    partial(save_weights, kind=kind_of("regression")),
    lambda size: (2e-3, 0.998),
    on_default_body,
)
RECIPES = {recipe.name: recipe for recipe in (PRIOR, BODIFFUSION_GLOBAL, BODIFFUSION_LOCAL, REGRESSION)}
"""All methods that are trained, by name."""
