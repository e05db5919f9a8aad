"""How good a trained network is on people it has not met, and by how much its error bars must be stretched."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.estimators.keypoint_prior.examples import Examples, example
from motorque.estimators.keypoint_prior.loss import angle_error, rotation_error, up_direction
from motorque.estimators.keypoint_prior.mirror import both_ways
from motorque.estimators.keypoint_prior.network import ANGLES, PoseNetwork
from motorque.estimators.keypoint_prior.prior import LAPLACE_STD
from motorque.training.loop import step_generator

BAND = 1.645
"""Half the width of a 90 % band in standard deviations, for normal and (to 1 %) for Laplace distributions."""
_SEED, _BATCHES, _FRAMES, _COUNT = 990_001, 40, 150, 24


def calibrated(
    network: PoseNetwork, examples: Examples, *, batches: int = _BATCHES
) -> tuple[dict[str, float], dict[str, float]]:
    """Factors on the standard deviations so that 90 % bands hold 90 %, and mean absolute errors.

    Args:
        network: The network.
        examples: Recordings to try it on, of people that it was not trained on.
        batches: How many batches of 24 recordings of 5 s.

    Returns:
        Factor by coordinate, ``pelvis`` and ``up``; mean absolute error [degrees] by the same names.
    """
    error: dict[str, list[Tensor]] = {name: [] for name in (*ANGLES, "pelvis", "up")}
    ratio: dict[str, list[Tensor]] = {name: [] for name in error}

    def note(name: str, wrong: Tensor, scale: Tensor) -> None:
        error[name].append(wrong.flatten())
        ratio[name].append((wrong / (LAPLACE_STD * scale.exp())).flatten())

    with torch.no_grad():
        for batch in range(batches):
            recordings = examples.sequences(_COUNT, _FRAMES, step_generator(_SEED, batch))
            seen = example(recordings)
            guess, _ = both_ways(network, recordings.points, recordings.confidence, recordings.cameras.size)
            wrong = angle_error(guess, seen.truth).abs()
            for index, name in enumerate(ANGLES):
                note(name, wrong[..., index], guess.angle_scale[..., index])
            note("pelvis", rotation_error(guess.pelvis, seen.pelvis).abs(), guess.pelvis_scale)
            away = (up_direction(guess, seen.turn) - seen.up).norm(dim=-1)
            note("up", away, guess.up_scale + 0.5 * torch.log(torch.tensor(2.0)))
    factors = {name: float(torch.cat(r)[:4_000_000].kthvalue(_rank(r)).values) / BAND for name, r in ratio.items()}
    return factors, {name: float(torch.rad2deg(torch.cat(e).mean())) for name, e in error.items()}


def _rank(parts: list[Tensor]) -> int:
    """The place of the 90 % quantile among all values."""
    return max(int(0.9 * min(sum(p.numel() for p in parts), 4_000_000)), 1)
