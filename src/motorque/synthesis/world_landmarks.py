"""What a detector would have said of its landmarks' places in space: right in the picture's plane, poor in depth."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.synthesis.keypoint_sequences import RATE, KeypointSequences
from motorque.synthesis.people import LANDMARK_NAMES
from motorque.synthesis.smooth_noise import smooth_noise

DEPTH = (0.75, 0.95)
"""Part of the true depth that is left, from recording to recording: such landmarks flatten people towards the camera.
MediaPipe's shanks lean 4 to 10 degrees less than they should."""
BIAS, JITTER = (0.015, 0.015, 0.030), (0.015, 0.015, 0.035)
"""Standard deviation of the constant and of the slow error [m], to the right, down and ahead."""


def world_landmarks(sequences: KeypointSequences, generator: torch.Generator) -> Tensor:
    """Landmarks about the middle of the hips, for a camera turned towards them: x right, y down, z away.

    Args:
        sequences: The recordings.
        generator: Where the randomness comes from.

    Returns:
        [m], shape [N, T, K, 3].
    """
    x = sequences.cameras.in_camera(sequences.landmarks)
    count = len(x)
    hips = [LANDMARK_NAMES.index(f"hip_{side}") for side in "rl"]
    middle = x[..., hips, :].mean(-2, keepdim=True)
    ray = torch.nn.functional.normalize(middle[..., 0, :], dim=-1)
    a, b, c = ray.unbind(-1)
    k = 1 / (1 + c)
    rows = (1 - k * a * a, -k * a * b, -a, -k * a * b, 1 - k * b * b, -b, a, b, c)
    turn = torch.stack(rows, -1).unflatten(-1, (3, 3))
    about = (x - middle) @ turn.transpose(-1, -2)
    low, high = DEPTH
    about[..., 2] *= low + (high - low) * torch.rand(count, 1, 1, generator=generator)
    constant = torch.tensor(BIAS) * torch.randn(count, 1, len(LANDMARK_NAMES), 3, generator=generator)
    tau = RATE * (0.05 + 0.1 * torch.rand(count, generator=generator))
    return about + constant + torch.tensor(JITTER) * smooth_noise(tuple(about.shape), tau, generator)
