"""Noise that changes slowly: what a body's sway, a head's turning or a detector's error look like over time."""

from __future__ import annotations

import torch
from torch import Tensor


def smooth_noise(shape: tuple[int, ...], correlation: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of mean 0 and variance 1, correlated over time.

    White noise through the filter 1 / (1 + (ωτ)²), twice a first-order low pass, so that it has a speed.

    Args:
        shape: Shape [N, T, ...] of the noise: sequences, frames, anything.
        correlation: Its time constant τ [frames] for each sequence, shape [N].
        generator: Where the randomness comes from.

    Returns:
        float32, of that shape.
    """
    count, frames = shape[:2]
    flat = int(torch.tensor(shape[2:]).prod()) if len(shape) > 2 else 1
    padded = 2 * frames + 16  # the transform is periodic: what is not used keeps the last frame from the first
    white = torch.randn(count, padded, flat, generator=generator)
    omega = 2 * torch.pi * torch.fft.rfftfreq(padded)
    gain = 1.0 / (1.0 + (omega * correlation[:, None]).square())
    weight = torch.full_like(omega, 2.0)
    weight[0] = 1.0
    if padded % 2 == 0:
        weight[-1] = 1.0
    gain = gain / ((weight * gain.square()).sum(-1, keepdim=True) / padded).sqrt()
    slow = torch.fft.irfft(torch.fft.rfft(white, dim=1) * gain[..., None], n=padded, dim=1)
    return slow[:, :frames].reshape(shape)
