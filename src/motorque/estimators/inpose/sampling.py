"""Sampling windows from the prior: deterministic DDIM after the first draw, in as many steps as there is time for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from motorque.estimators.inpose.conditions import Conditions
from motorque.estimators.inpose.diffusion import Diffusion, Split, respaced
from motorque.estimators.inpose.network import PriorNetwork

Guide = Callable[[Tensor, Split, int], Tensor]
"""Called in each step with the noisy values (which then carry a gradient), what the network makes of them, and the
step; returns what is added to the values of the next step."""


def sample(
    network: PriorNetwork,
    diffusion: Diffusion,
    told: Conditions,
    *,
    steps: int = 10,
    start: Tensor,
    strength: float = 1.0,
    guide: Guide | None = None,
) -> Tensor:
    """Clean rotations from noise.

    Args:
        network: The prior.
        diffusion: Its diffusion.
        told: What the sensors say, of B windows.
        steps: How many steps.
        start: The first draw, from the standard normal distribution, shape [B, T, 22, C] with as many numbers for a
            rotation as the network has, six as a rule; the same one gives the same result.
        strength: Of classifier-free guidance: 1 asks once, with what is told; anything else asks twice, with it and
            without, and goes so many times as far from the one without to the one with.
        guide: What pulls the values towards measurements, or None.

    Returns:
        The same shape; not exactly orthonormal, as the network says them.

    Raises:
        DataError: The number of steps can't be.
    """
    order = respaced(steps)
    values = start
    for number, step in enumerate(order):
        following = diffusion.kept[order[number + 1]] if number + 1 < len(order) else torch.ones(())
        with torch.set_grad_enabled(guide is not None):
            noisy = values.detach().requires_grad_(guide is not None)
            split = expected(network, diffusion, noisy, step, told, strength)
            pull = None if guide is None else guide(noisy, split, step).detach()
        clean, noise = split.clean.detach(), split.noise.detach()
        values = following.sqrt() * clean + (1 - following).sqrt() * noise
        if pull is not None:
            values = values + pull
    return values


def expected(
    network: PriorNetwork, diffusion: Diffusion, noisy: Tensor, step: int, told: Conditions, strength: float = 1.0
) -> Split:
    """What the network makes of noisy values, with classifier-free guidance of a strength (Ho and Salimans 2021)."""
    which = torch.full((len(noisy),), step)
    found = diffusion.split(network(noisy, which, told), noisy, which)
    if strength == 1.0:
        return found
    without = diffusion.split(network(noisy, which, told.none()), noisy, which)
    return Split(
        torch.lerp(without.clean, found.clean, strength),
        torch.lerp(without.noise, found.noise, strength),
        found.log_variance,
    )
