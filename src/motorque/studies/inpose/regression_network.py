"""A regression from three sensors to the whole body, in the manner of AvatarJLM (Zheng et al. 2023).

As there, it models joints: a first stage says roughly where every joint of a frame is and how it is turned; each joint
then is a token of its own, and attention goes in turns among the joints of a frame and along the frames of a joint.
Unlike there, a joint's place and rotation share one token, and networks are narrow enough for a CPU.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from motorque.errors import DataError
from motorque.estimators.inpose.conditions import CHANNELS, Conditions
from motorque.estimators.inpose.network import TOLD_GAIN
from motorque.estimators.inpose.tree import JOINTS, THREE, WINDOW


@dataclass(frozen=True)
class RegressionSize:
    """What a network is made of.

    Args:
        layers: Pairs of attention among joints and along frames.
        channels: Width of a joint's token.
        heads: Of attention.
        ratio: Width of the perceptrons as a multiple of ``channels``.
        first: Width of the first stage.
        dropout: Share of values that training leaves out.
        local: Whether rotations are said against the parent joint, as AvatarJLM does, or globally, which learns faster.

    Raises:
        DataError: A number is none that a network can have.
    """

    layers: int = 2
    channels: int = 48
    heads: int = 2
    ratio: float = 2.0
    first: int = 256
    dropout: float = 0.1
    local: bool = False

    def __post_init__(self) -> None:
        if min(self.layers, self.channels, self.heads, self.first) < 1 or self.channels % self.heads or self.ratio <= 0:
            raise DataError(f"regression: {self.channels} channels can't be shared by {self.heads}, or a number is 0")
        if not 0 <= self.dropout < 1:
            raise DataError(f"regression: a dropout of {self.dropout} can't be")

    def as_dict(self) -> dict[str, Any]:
        """All of it by name."""
        return asdict(self)


SIZES = {"small": RegressionSize(), "tiny": RegressionSize(1, 16, 2, 1.0, 32)}


class Said(NamedTuple):
    """What the network says of windows.

    Args:
        rotations: As six numbers, shape [B, T, 22, 6]; local ones but for the pelvis' where the network is.
        first_rotations: Those of the first stage.
        first_points: Where the first stage takes joints to be, from the head's joint on [m], shape [B, T, 22, 3].
    """

    rotations: Tensor
    first_rotations: Tensor
    first_points: Tensor


class RegressionNetwork(nn.Module):
    """From what three sensors say to rotations of all joints.

    Args:
        size: What it is made of.
        mean: What rotations are on average, shape [22, 6]: an untrained network says them. Zeros by default.
        points: Where joints are on average from the head's on [m], shape [22, 3]; likewise.
    """

    mean: Tensor
    points: Tensor

    def __init__(self, size: RegressionSize, *, mean: Tensor | None = None, points: Tensor | None = None) -> None:
        super().__init__()
        self.size = size
        width, joints = size.channels, len(JOINTS)
        told = len(THREE) * CHANNELS
        self.first = nn.Sequential(
            nn.Linear(told, size.first),
            nn.GELU(approximate="tanh"),
            nn.Dropout(size.dropout),
            nn.Linear(size.first, size.first),
            nn.GELU(approximate="tanh"),
        )
        self.first_says = nn.Linear(size.first, joints * 9)
        self.features = nn.Linear(size.first, joints * width)
        self.enter = nn.Linear(9, width)
        self.sensor = nn.Linear(CHANNELS, width)
        self.joint = nn.Parameter(0.02 * torch.randn(joints, width))
        self.frame = nn.Parameter(0.02 * torch.randn(WINDOW, width))
        self.blocks = nn.ModuleList(_Block(size) for _ in range(2 * size.layers))
        self.last = nn.LayerNorm(width)
        self.leave = nn.Linear(width, 6)
        self.register_buffer("mean", torch.zeros(joints, 6) if mean is None else mean.clone())
        self.register_buffer("points", torch.zeros(joints, 3) if points is None else points.clone())
        for layer in (self.first_says, self.leave):  # a new network says the mean
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, told: Conditions) -> Said:
        """What the network says; of windows of at most 41 frames."""
        batch, frames = told.channels.shape[:2]
        sensors = TOLD_GAIN * told.channels[..., list(THREE), :]
        rough = self.first(sensors.flatten(-2))
        offsets = self.first_says(rough).unflatten(-1, (len(JOINTS), 9)).float()
        x = self.enter(offsets.detach()) + self.features(rough).unflatten(-1, (len(JOINTS), -1))
        own = torch.zeros_like(x)
        own[..., list(THREE), :] = self.sensor(sensors).to(own.dtype)
        x = x + own + self.joint + self.frame[:frames, None]
        for number, block in enumerate(self.blocks):
            if number % 2:
                x = block(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1)).transpose(1, 2)
            else:
                x = block(x.flatten(0, 1)).unflatten(0, (batch, frames))
        said = self.leave(self.last(x)).float()
        first = self.mean + offsets[..., :6]
        return Said(first + said, first, self.points + offsets[..., 6:])


class _Block(nn.Module):
    """Attention among tokens [N, S, C] and a perceptron for each."""

    def __init__(self, size: RegressionSize) -> None:
        super().__init__()
        width, inner = size.channels, int(size.ratio * size.channels)
        self.heads, self.dropout = size.heads, size.dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.gather = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.attend(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # Written out, and nothing dropped out of it: torch's own is slow for thousands of sequences as short as these
        with torch.autocast("cpu", enabled=False):
            share = ((parts[0] / parts.shape[-1] ** 0.5) @ parts[1].mT).softmax(dim=-1)
            mixed = share @ parts[2]
        x = x + self.gather(mixed.transpose(1, 2).flatten(-2))
        more = self.perceptron(self.between(x))
        if (
            self.training and self.dropout
        ):  # the same numbers of all tokens of a sequence, which takes a 30th of the draws
            more = more * nn.functional.dropout(more.new_ones(len(more), 1, more.shape[-1]), self.dropout)
        return x + more
