"""What the regression learns from: rotations, places through the body's bones, hands, and how fast all of it moves.

The parts are those of AvatarJLM (Zheng et al. 2023): rotations against parents and of the root, places of joints, hands
at their sensors, velocities, and the first stage's own rotations and places; its three losses of feet on the floor are
left out. Places are compared with the head at its sensor, as they are when errors are told. Weights are our own, set so
that parts are of one size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from motorque.estimators.inpose.tree import HEAD, LEFT_WRIST, PARENTS, RATE, RIGHT_WRIST, matrices
from motorque.estimators.inpose.windows import Batch
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.local_rotations import global_matrices, local_rotations

LOCAL, GLOBAL, PLACE, HANDS, MOTION, FIRST = 1.0, 1.0, 10.0, 2.0, 0.1, 0.25
"""Weights of mean absolute errors: of numbers of rotations against the parent and in the world, of places [m], of the
wrists' places [m], of velocities [m/s], and of the first stage's own rotations and places."""
HANDS_AT = (LEFT_WRIST, RIGHT_WRIST)


def hung(turns: Tensor, rest: Tensor) -> Tensor:
    """Where joints are from the head's joint on [m], [..., 22, 3, 3] with rest joints [22, 3] → [..., 22, 3]."""
    found = [torch.zeros_like(turns[..., 0, :, 0])]
    for joint, parent in enumerate(PARENTS[1:], 1):
        found.append(found[parent] + (turns[..., parent, :, :] * (rest[joint] - rest[parent])).sum(-1))
    points = torch.stack(found, dim=-2)
    return points - points[..., [HEAD], :]


def regression_loss(network: nn.Module) -> Callable[[nn.Module, Batch], Tensor]:
    """The loss of a regression network on a batch of global rotations."""
    local = bool(network.size.local)  # type: ignore[union-attr]
    rest = default_body().float()

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        said = network(batch.told)
        # Chains of 21 products want more digits than bfloat16 has
        with torch.autocast("cpu", enabled=False):
            true_turns = matrices(batch.clean)
            true_local, true_points = local_rotations(batch.clean), hung(true_turns, rest)
            turns = global_matrices(said.rotations) if local else matrices(said.rotations)
            points = hung(turns, rest)
            own = said.rotations if local else local_rotations(said.rotations)
            world = torch.cat([turns[..., 0], turns[..., 1]], dim=-1)
            total = LOCAL * _apart(own, true_local) + GLOBAL * _apart(world, batch.clean)
            total = total + PLACE * _apart(points, true_points)
            hands = list(HANDS_AT)
            total = total + HANDS * _apart(points[..., hands, :], true_points[..., hands, :])
            total = total + MOTION * _apart(_speed(points), _speed(true_points))
            first = _apart(said.first_rotations, true_local if local else batch.clean)
            return total + FIRST * (first + PLACE * _apart(said.first_points, true_points))

    return loss


def _apart(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().mean()


def _speed(points: Tensor) -> Tensor:
    return RATE * (points[:, 1:] - points[:, :-1])
