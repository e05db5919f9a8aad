"""The network asked twice, of the recording and of its mirror image: what is left must be the right's mirror image."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.estimators.keypoint_prior.features import features
from motorque.estimators.keypoint_prior.network import ANGLES, Guess, PoseNetwork
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.key_poses import mirror_table
from motorque.synthesis.people import MIRRORED


def both_ways(network: PoseNetwork, points: Tensor, confidence: Tensor, size: Tensor) -> tuple[Guess, Tensor]:
    """The mean of the guesses for a recording and for its mirror image.

    Args:
        network: The network.
        points: Landmarks in the picture [px], shape [N, T, K, 2]; NaN where one was not found.
        confidence: 0 to 1, shape [N, T, K].
        size: Width and height of the picture [px], shape [N, 2].

    Returns:
        The guess, and the rotation from the camera's axes to the turned ones, shape [N, T, 3, 3].
    """
    seen = features(points, confidence, size)
    other = points[:, :, list(MIRRORED)].clone()
    other[..., 0] = size[:, None, None, 0] - other[..., 0]
    turned = features(other, confidence[:, :, list(MIRRORED)], size)
    return mean_of(network(seen.values), mirror_image(network(turned.values))), seen.turn


def mirror_image(guess: Guess) -> Guess:
    """What a guess for the mirror image of a recording means for the recording itself."""
    columns, signs = _mirrored_angles()
    across = torch.tensor((-1.0, 1.0, 1.0))  # the picture's x
    return Guess(
        guess.angles[..., columns] * signs,
        guess.angle_scale[..., columns],
        across[:, None] * guess.pelvis * torch.tensor((1.0, 1.0, -1.0)),  # the pelvis' z
        guess.pelvis_scale,
        across * guess.up,
        guess.up_scale,
    )


def mean_of(one: Guess, two: Guess) -> Guess:
    """The mean of two guesses; an angle goes the short way round."""
    apart = torch.remainder(two.angles - one.angles + torch.pi, 2 * torch.pi) - torch.pi
    both = one.pelvis + two.pelvis
    first = torch.nn.functional.normalize(both[..., 0], dim=-1)
    second = both[..., 1] - (first * both[..., 1]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return Guess(
        one.angles + 0.5 * apart,
        0.5 * (one.angle_scale + two.angle_scale),
        torch.stack([first, second, torch.linalg.cross(first, second)], -1),
        0.5 * (one.pelvis_scale + two.pelvis_scale),
        torch.nn.functional.normalize(one.up, dim=-1) + torch.nn.functional.normalize(two.up, dim=-1),
        0.5 * (one.up_scale + two.up_scale),
    )


def _mirrored_angles() -> tuple[list[int], Tensor]:
    """For each of ``ANGLES`` the one that it is in the mirror, and its sign."""
    names = fullbody().coordinate_names
    columns, signs = mirror_table()
    places = [names.index(name) for name in ANGLES]
    return [ANGLES.index(names[columns[place]]) for place in places], signs[places]
