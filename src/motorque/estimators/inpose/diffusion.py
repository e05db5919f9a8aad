"""The diffusion of the paper: 1000 steps with variances along a line, and what a network's output means in each.

What is diffused are the six numbers of global rotations as they are, neither shifted nor scaled: the guidance of the
paper (Theorem 1) counts on that. Sources: Ho et al. 2020 (DDPM: Eqs. 4, 7 and the schedule of section 4), Nichol and
Dhariwal 2021 (learned variances: Eqs. 15 and 16), Salimans and Ho 2022 (velocities: appendix D), Song et al. 2021
(DDIM: Eq. 12).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from motorque.errors import DataError

Target = Literal["epsilon", "v", "clean", "residual"]
TARGETS = ("epsilon", "v", "clean", "residual")
STEPS = 1000
FIRST, LAST = 1e-4, 0.02
"""Variances of the first and the last step (Ho et al., section 4)."""
SQUARE = 1.0 / 3.0
"""Mean square of the six numbers of a rotation: two columns of length 1."""


class Split(NamedTuple):
    """What a network said about noisy values, whatever it was asked for.

    Args:
        clean: The values without noise that it expects.
        noise: The noise that it expects.
        log_variance: Logarithm of the variance of a step back, or None where it is not learned.
    """

    clean: Tensor
    noise: Tensor
    log_variance: Tensor | None


class Diffusion:
    """The schedule and its arithmetic.

    Args:
        target: What the network is asked for: the noise (the paper), the velocity sqrt(a) noise - sqrt(1 - a) clean,
            the clean values, or the residual: what is left of the clean values once the best guess in proportion to
            the noisy ones is taken from them, in units of its own spread (Karras et al. 2022, section 5). At the
            noisiest steps a small error of the noise is an error of clean values that is 150 times as large, which
            fifty steps mend and five do not. Velocities and residuals are good for both ends, but hold noise of all
            numbers at low levels, which a network narrower than them can't pass on; clean movements are smooth.
        learned_variance: Whether the network also says how uncertain a step back is.

    Raises:
        DataError: There is no such target.
    """

    def __init__(self, target: Target = "v", *, learned_variance: bool = True) -> None:
        if target not in TARGETS:
            raise DataError(f"diffusion: there is no target {target!r}; there are {', '.join(TARGETS)}")
        self.target, self.learned_variance = target, learned_variance
        beta = torch.linspace(FIRST, LAST, STEPS, dtype=torch.float64)
        kept = torch.cumprod(1 - beta, dim=0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        posterior = beta * (1 - before) / (1 - kept)
        self.kept = kept.float()
        """Share of the variance that is still the values', by step, shape [1000]: the paper's alpha-bar."""
        self._beta, self._before = beta.float(), before.float()
        self._log_beta = beta.log().float()
        self._log_posterior = torch.cat([posterior[1:2], posterior[1:]]).log().float()
        self._from_clean = (beta * before.sqrt() / (1 - kept)).float()
        self._from_noisy = ((1 - beta).sqrt() * (1 - before) / (1 - kept)).float()

    def share(self, step: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Of steps: the factor of noisy values in the best guess of clean ones in proportion, and what that leaves.

        It is that of clean values of no mean and :data:`SQUARE`; the second is a standard deviation.
        """
        a = _wide(self.kept.to(like.device)[step], like)
        total = a * SQUARE + 1 - a
        return a.sqrt() * SQUARE / total, (SQUARE * (1 - a) / total).sqrt()

    def noisy(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Values after so many steps, [B, ...] with step [B]."""
        a = _wide(self.kept[step], clean)
        return a.sqrt() * clean + (1 - a).sqrt() * noise

    def wanted(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """What the network should say, [B, ...]."""
        if self.target == "epsilon":
            return noise
        if self.target == "clean":
            return clean
        if self.target == "residual":
            factor, left = self.share(step, clean)
            return (clean - factor * self.noisy(clean, noise, step)) / left
        a = _wide(self.kept[step], clean)
        return a.sqrt() * noise - (1 - a).sqrt() * clean

    def split(self, said: Tensor, noisy: Tensor, step: Tensor) -> Split:
        """The meaning of an output.

        Args:
            said: The network's output, shape [B, ..., C] or, with learned variances, [B, ..., 2, C].
            noisy: What it was given, shape [B, ..., C].
            step: In which step each of the batch is, shape [B].
        """
        log_variance = None
        if self.learned_variance:
            said, share = said.unbind(-2)
            share = (share + 1) / 2
            high, low = _wide(self._log_beta[step], noisy), _wide(self._log_posterior[step], noisy)
            log_variance = share * high + (1 - share) * low
        a = _wide(self.kept[step], noisy)
        if self.target == "epsilon":
            return Split((noisy - (1 - a).sqrt() * said) / a.sqrt(), said, log_variance)
        if self.target == "residual":
            factor, left = self.share(step, noisy)
            said = factor * noisy + left * said
        if self.target in ("clean", "residual"):
            return Split(said, (noisy - a.sqrt() * said) / (1 - a).sqrt(), log_variance)
        return Split(a.sqrt() * noisy - (1 - a).sqrt() * said, a.sqrt() * said + (1 - a).sqrt() * noisy, log_variance)

    def back(self, clean: Tensor, noisy: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the step back if these are the clean values (Ho et al., Eq. 7)."""
        mean = _wide(self._from_clean[step], clean) * clean + _wide(self._from_noisy[step], clean) * noisy
        return mean, _wide(self._log_posterior[step], clean).expand_as(mean)

    def bound(self, split: Split, clean: Tensor, noisy: Tensor, step: Tensor) -> Tensor:
        """What this step adds to the variational bound, in bits a number, shape [B]: it teaches variances alone."""
        assert split.log_variance is not None
        true, low = self.back(clean, noisy, step)
        mean, _ = self.back(split.clean.detach(), noisy, step)
        log = split.log_variance
        apart = 0.5 * (log - low - 1 + (low - log).exp() + (true - mean).square() * (-log).exp())
        # The last step back is scored by the density of the clean values themselves.
        density = 0.5 * (math.log(2 * math.pi) + log + (clean - mean).square() * (-log).exp())
        found = torch.where(_wide(step, clean) == 0, density, apart)
        return found.flatten(1).mean(1) / math.log(2.0)


def respaced(count: int, last: int = 0) -> list[int]:
    """So many of the 1000 steps, evenly, from the noisiest to the last one that is taken; the first is always 999.

    Raises:
        DataError: The count is none of 1 to 1000 less the last one, or there is no such last one.
    """
    if not 0 <= last < STEPS or not 1 <= count <= STEPS - last:
        raise DataError(f"sampling: {count} steps down to {last} can't be; give 1 to {STEPS - max(0, last)}")
    if count == 1:
        return [STEPS - 1]
    return [round(last + (STEPS - 1 - last) * i / (count - 1)) for i in range(count - 1, -1, -1)]


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (like.ndim - 1))
