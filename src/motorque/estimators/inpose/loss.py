"""What the prior learns from, and how good it is at what it is for: the clean rotations behind noisy ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motorque.estimators.inpose.diffusion import STEPS, Diffusion
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.tree import angles_between
from motorque.estimators.inpose.windows import Batch

BOUND_WEIGHT = STEPS / 1000.0
"""Weight of the variational bound in bits a number, which teaches the variances alone: Nichol and Dhariwal's hybrid
loss has 0.001 of the sum over the 1000 steps, of which one step is drawn here."""
LEVELS = (0, 100, 250, 500, 999)
"""Steps at which errors of clean rotations are told: from nearly none to nothing but noise."""


def prior_loss(diffusion: Diffusion, network: nn.Module, batch: Batch) -> Tensor:
    """The mean squared error of the target, and the bound for the variances where they are learned."""
    noisy = diffusion.noisy(batch.clean, batch.noise, batch.step)
    said = network(noisy, batch.step, batch.told)
    wanted = diffusion.wanted(batch.clean, batch.noise, batch.step)
    if not diffusion.learned_variance:
        return (said - wanted).square().mean()
    simple = (said[..., 0, :] - wanted).square().mean()
    split = diffusion.split(said, noisy, batch.step)
    return simple + BOUND_WEIGHT * diffusion.bound(split, batch.clean, noisy, batch.step).mean()


@torch.no_grad()
def errors_by_level(diffusion: Diffusion, network: PriorNetwork, batch: Batch) -> dict[str, float]:
    """Errors on a batch of which everything is told that is told of the three sensors.

    Returns:
        ``loss`` as in training at the batch's own steps, and ``degrees_at_N``: the mean geodesic error of the clean
        rotations that it expects at step N, over windows, frames and joints [°]; of whole matrices the first two
        columns count.
    """
    found = {"loss": float(prior_loss(diffusion, network, batch))}
    for level in LEVELS:
        step = torch.full((len(batch.clean),), level)
        noisy = diffusion.noisy(batch.clean, batch.noise, step)
        clean = diffusion.split(network(noisy, step, batch.told), noisy, step).clean
        found[f"degrees_at_{level}"] = math.degrees(float(angles_between(clean[..., :6], batch.clean[..., :6]).mean()))
    return found
