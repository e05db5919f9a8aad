"""The network: dilated convolutions over time, with a view of the whole recording."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motorque.estimators.keypoint_prior.features import WIDTH

ANGLES = (
    *(f"{name}_{side}" for side in "rl" for name in ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle",
                                                      "ankle_angle", "subtalar_angle")),
    "lumbar_extension", "lumbar_bending", "lumbar_rotation",
    *(f"{name}_{side}" for side in "rl" for name in ("arm_flex", "arm_add", "arm_rot", "elbow_flex")),
)  # fmt: skip
"""Coordinates of the built-in skeleton that are guessed."""

# Where an angle mostly is and how far it goes [degrees], by its name without side: the unit in which it is learned.
_USUAL = {
    "hip_flexion": (20, 30), "hip_adduction": (-3, 10), "hip_rotation": (0, 12), "knee_angle": (35, 35),
    "ankle_angle": (3, 14), "subtalar_angle": (0, 6), "lumbar_extension": (-8, 15), "lumbar_bending": (0, 9),
    "lumbar_rotation": (0, 12), "arm_flex": (15, 40), "arm_add": (-20, 25), "arm_rot": (10, 25), "elbow_flex": (40, 35),
}  # fmt: skip
LOG_SCALE = (-5.0, 1.0)
"""Least and largest logarithm of a Laplace scale [rad]: 0.4 to 156 degrees."""


@dataclass(frozen=True)
class NetworkSize:
    """How large the network is.

    Args:
        channels: Width of its layers.
        dilations: Of each block's convolution, in steps of two frames.
    """

    channels: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4)


@dataclass(frozen=True, eq=False)
class Guess:
    """Laplace distributions of what is guessed, for N recordings; axes those of the camera turned to the person.

    Args:
        angles: Medians of :data:`ANGLES` [rad], shape [N, T, A].
        angle_scale: Logarithms of their scales [rad], shape [N, T, A].
        pelvis: Rotation of the pelvis to the turned camera's axes, shape [N, T, 3, 3].
        pelvis_scale: Logarithm of the scale of its error about each of these axes [rad], shape [N, T, 3].
        up: Which way is up in these axes, not normalised, shape [N, T, 3].
        up_scale: Logarithm of the scale of the recording's mean up direction [rad], shape [N].
    """

    angles: Tensor
    angle_scale: Tensor
    pelvis: Tensor
    pelvis_scale: Tensor
    up: Tensor
    up_scale: Tensor


class _Block(nn.Module):
    """A residual block: a dilated convolution of three taps, what the whole recording says, and a mixing layer."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels)
        self.taps = nn.Linear(3 * channels, channels)
        self.pool = nn.Linear(channels, channels // 4)
        self.tell = nn.Linear(channels // 4, channels)
        self.mix = nn.Linear(channels, channels)
        nn.init.zeros_(self.mix.weight)  # a block changes nothing at first
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor) -> Tensor:
        steps, d = x.shape[1], self.dilation
        h = self.norm(x)
        padded = nn.functional.pad(h, (0, 0, d, d))
        taps = torch.cat([padded[:, :steps], h, padded[:, 2 * d : 2 * d + steps]], -1)
        recording = self.tell(nn.functional.gelu(self.pool(h)).mean(1, keepdim=True))
        return x + self.mix(nn.functional.gelu(self.taps(taps) + recording))


class PoseNetwork(nn.Module):
    """From features of a recording to a guess of every frame's pose; takes recordings of any length.

    Works at half the frame rate inside, two frames a step.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, size: NetworkSize | None = None) -> None:
        super().__init__()
        self.size = NetworkSize() if size is None else size
        channels = self.size.channels
        self.enter = nn.Linear(4 * WIDTH, channels)
        self.blocks = nn.ModuleList(_Block(channels, d) for d in self.size.dilations)
        self.norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, 2 * (2 * len(ANGLES) + 12))
        self.whole = nn.Linear(channels, 1)
        nn.init.normal_(self.leave.weight, std=0.01)
        usual = torch.deg2rad(torch.tensor([_USUAL[name.removesuffix("_r").removesuffix("_l")] for name in ANGLES]))
        self.register_buffer("middle", usual[:, 0].clone(), persistent=False)
        self.register_buffer("spread", usual[:, 1].clone(), persistent=False)

    def forward(self, values: Tensor) -> Guess:
        """The guess from features [N, T, WIDTH]."""
        count, frames, _ = values.shape
        values = torch.cat([values, values[:, -1:]], 1) if frames % 2 else values
        pairs = values.reshape(count, -1, 2 * WIDTH)
        # Each step sees its own two frames and one more on either side.
        before = torch.cat([pairs[:, :1, :WIDTH], pairs[:, :-1, WIDTH:]], 1)
        after = torch.cat([pairs[:, 1:, :WIDTH], pairs[:, -1:, WIDTH:]], 1)
        x = self.enter(torch.cat([before, pairs, after], -1))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        out = self.leave(x).float().reshape(count, -1, 2 * len(ANGLES) + 12)[:, :frames]
        angles, scale, six, turn_scale, up = out.split([len(ANGLES), len(ANGLES), 6, 3, 3], -1)
        low, high = LOG_SCALE
        up_scale = self.whole(x.mean(1)).float()[:, 0] - 2.5
        return Guess(
            self.middle + self.spread * angles,
            (scale + self.spread.log() - 1.0).clamp(low, high),
            _frame(six),
            (turn_scale - 2.0).clamp(low, high),
            up - torch.tensor((0.0, 1.0, 0.0)),
            up_scale.clamp(low, high),
        )


def _frame(six: Tensor) -> Tensor:
    """Rotation matrices whose first two columns are made of six numbers (Zhou et al., CVPR 2019)."""
    # A person who faces the camera: forward is -z, up is -y.
    first = nn.functional.normalize(six[..., :3] + torch.tensor((0.0, 0.0, -0.1)), dim=-1)
    second = six[..., 3:] + torch.tensor((0.0, -1.0, 0.0))
    second = nn.functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
