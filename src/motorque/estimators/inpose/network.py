"""The diffusion transformer (DiT, Peebles and Xie 2023) that says what noisy windows of rotations look like clean."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from motorque.errors import DataError
from motorque.estimators.inpose.conditions import CHANNELS, Conditions
from motorque.estimators.inpose.diffusion import TARGETS, Diffusion, Target
from motorque.estimators.inpose.tree import JOINTS, WINDOW

Tokens = Literal["joints", "frames"]
_SCHEDULE = Diffusion()
TOLD_GAIN = 2.0
"""What is told is multiplied by this: of its 440 numbers a frame three sensors fill 60, which must not drown."""


@dataclass(frozen=True)
class PriorSize:
    """What a network is made of.

    Args:
        layers: Blocks of attention and perceptron.
        channels: Width.
        heads: Of attention.
        ratio: Width of the perceptrons as a multiple of ``channels``.
        dropout: Share of values that training leaves out.
        tokens: ``joints``: one for each joint and frame, 902 a window, as in the paper; ``frames``: one for each frame,
            41, with all joints in it.
        own_modulation: Whether each block makes its own shifts and scales from the step, as in DiT, or all of them from
            a common one with a table of their own (Chen et al. 2024, PixArt-alpha, section 2.3), which saves a third of
            the weights.
        target: What the network is asked for, see :class:`motorque.estimators.inpose.diffusion.Diffusion`.
        learned_variance: Whether it also says how uncertain a step back is.
        numbers: What a rotation is given as: six numbers, the first two columns, or nine, all of its matrix.

    Raises:
        DataError: A number is none that a network can have.
    """

    layers: int = 6
    channels: int = 256
    heads: int = 4
    ratio: float = 2.0
    dropout: float = 0.1
    tokens: Tokens = "frames"
    own_modulation: bool = False
    target: Target = "clean"
    learned_variance: bool = False
    numbers: int = 6

    def __post_init__(self) -> None:
        if self.channels % (2 * self.heads) or min(self.layers, self.channels, self.heads) < 1 or self.ratio <= 0:
            raise DataError(f"prior: {self.channels} channels can't be shared by {self.heads} heads, or a number is 0")
        if self.tokens not in ("joints", "frames") or self.target not in TARGETS or not 0 <= self.dropout < 1:
            raise DataError(f"prior: tokens {self.tokens!r}, target {self.target!r} or dropout {self.dropout} can't be")
        if self.numbers not in (6, 9):
            raise DataError(f"prior: a rotation has 6 or 9 numbers, not {self.numbers}")

    def as_dict(self) -> dict[str, Any]:
        """All of it by name; six numbers are left unsaid, so that trainings begun before there were nine go on."""
        found = asdict(self)
        if self.numbers == PriorSize.numbers:
            del found["numbers"]
        return found


PAPER = PriorSize(12, 384, 6, 1.0, 0.1, "joints", True, "epsilon", True)
"""The paper's network, about 22 million weights."""
SMALL = PriorSize()
"""The one that learns and samples on two cores of a CPU."""
TINY = PriorSize(2, 32, 2, 1.0)
"""For trying out."""
SIZES = {"paper": PAPER, "small": SMALL, "tiny": TINY}


class PriorNetwork(nn.Module):
    """From a noisy window, the step and what the sensors say to the diffusion's target.

    Args:
        size: What it is made of.
        mean: What rotations are on average, shape [22, C] with the size's C numbers: an offset of the target, so
            that an untrained network knows a standing person. Zeros by default.
    """

    mean: Tensor

    def __init__(self, size: PriorSize, *, mean: Tensor | None = None) -> None:
        super().__init__()
        self.size = size
        width, joints, numbers = size.channels, len(JOINTS), size.numbers
        by_joint = size.tokens == "joints"
        outputs = numbers * (2 if size.learned_variance else 1)
        self.enter = nn.Linear(numbers + CHANNELS if by_joint else joints * (numbers + CHANNELS + 2), width)
        self.step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.frame = nn.Parameter(0.02 * torch.randn(WINDOW, width))
        self.joint = nn.Parameter(0.02 * torch.randn(joints, width)) if by_joint else None
        self.shared = None if size.own_modulation else nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.layers))
        self.last_modulation = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, outputs if by_joint else joints * outputs)
        self.register_buffer("mean", torch.zeros(joints, numbers) if mean is None else mean.clone())
        # A new network says its offset and blocks change nothing (adaLN-Zero)
        zero = [self.leave, self.last_modulation, *([] if self.shared is None else [self.shared])]
        for layer in [*zero, *(b.modulation for b in self.blocks if isinstance(b.modulation, nn.Linear))]:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, noisy: Tensor, step: Tensor, told: Conditions) -> Tensor:
        """What the network says.

        Args:
            noisy: Noisy rotations as six numbers or nine, shape [B, T, 22, C], of at most a window's 41 frames.
            step: In which of the 1000 steps each is, shape [B].
            told: What the sensors say.

        Returns:
            Shape [B, T, 22, C], or [B, T, 22, 2, C] with a second row for variances, -1 for the smallest there can be
            and 1 for the largest.
        """
        batch, frames = noisy.shape[:2]
        noise = torch.sqrt(1 - _SCHEDULE.kept.to(step.device)[step])[:, None, None, None]
        if self.joint is not None:
            x = torch.cat([noisy, told.channels], dim=-1)
            x = self.enter(x) + self.joint + self.frame[:frames, None]
            x = x.flatten(1, 2)
        else:
            # Noise is let in as far as there is something behind it: at the last steps sensors alone speak, and need
            # not be learned to be heard above it
            factor, _ = _SCHEDULE.share(step, noisy)
            guess = factor * (noisy - torch.sqrt(1 - noise**2) * self.mean)
            x = torch.cat([guess.flatten(-2), TOLD_GAIN * told.flat], dim=-1)
            x = self.enter(x) + self.frame[:frames]
        time = self.step(_waves(step, self.size.channels))
        active = nn.functional.silu(time)
        common = None if self.shared is None else self.shared(active)
        for block in self.blocks:
            x = block(x, active, common)
        shift, scale = self.last_modulation(active)[:, None].chunk(2, dim=-1)
        x = self.leave(nn.functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift)
        x = x.reshape(batch, frames, len(JOINTS), -1, self.size.numbers).float()
        offset = self._offset(noisy, noise, step)
        if not self.size.learned_variance:
            return x[..., 0, :] + offset
        return torch.stack([x[..., 0, :] + offset, x[..., 1, :]], dim=-2)

    def _offset(self, noisy: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """The best guess of the target for anybody who is not told of: the mean in place of the clean values."""
        if self.size.target == "clean":
            return self.mean.expand_as(noisy)
        if self.size.target == "v":
            return (-noise * self.mean).expand_as(noisy)
        if self.size.target == "residual":
            factor, left = _SCHEDULE.share(step, noisy)
            return (1 - factor * torch.sqrt(1 - noise**2)) / left * self.mean
        return torch.zeros_like(noisy)


class _Block(nn.Module):
    """Attention among the tokens and a perceptron for each, both shifted, scaled and weighted by the step."""

    def __init__(self, size: PriorSize) -> None:
        super().__init__()
        width = size.channels
        self.heads, self.dropout = size.heads, size.dropout
        self.attend, self.gather = nn.Linear(width, 3 * width), nn.Linear(width, width)
        inner = int(size.ratio * width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, inner), nn.GELU(approximate="tanh"), nn.Dropout(size.dropout), nn.Linear(inner, width)
        )
        self.modulation: nn.Linear | nn.Parameter = (
            nn.Linear(width, 6 * width) if size.own_modulation else nn.Parameter(0.02 * torch.randn(6 * width))
        )
        if isinstance(self.modulation, nn.Parameter):
            with torch.no_grad():  # open gates: thousands of steps, not hundreds of thousands, must do
                self.modulation.view(6, width)[[2, 5]] += 1.0

    def forward(self, x: Tensor, active: Tensor, common: Tensor | None) -> Tensor:
        if isinstance(self.modulation, nn.Linear):
            modulation = self.modulation(active)
        else:
            assert common is not None
            modulation = common + self.modulation
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation[:, None].chunk(6, dim=-1)
        seen = nn.functional.layer_norm(x, x.shape[-1:]) * (1 + scale1) + shift1
        query, key, value = self.attend(seen).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        x = x + gate1 * self.gather(mixed.transpose(1, 2).flatten(-2))
        seen = nn.functional.layer_norm(x, x.shape[-1:]) * (1 + scale2) + shift2
        return x + gate2 * self.perceptron(seen)


def _waves(step: Tensor, width: int) -> Tensor:
    """The step as sines and cosines of wavelengths from 2 pi to 10,000 times that, shape [B, width]."""
    half = width // 2
    rates = torch.exp(-math.log(10_000.0) * torch.arange(half, device=step.device) / half)
    angle = step[:, None].float() * rates
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def count_weights(network: nn.Module) -> int:
    """How many numbers a network has learned."""
    return sum(p.numel() for p in network.parameters())
