"""Pose refinement as SMPL-Dynamics has it: Adam on the poses, down the loss of equation 5.

Kept as the paper's method to compare with; `fitting.refine` gets further in less time.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.fitting.pose_chart import PoseChart, matrices_of, vectors_of
from motorque.fitting.pose_smoothing import check_poses
from motorque.fitting.pose_torques import PoseTorques, angles_between, as_before, quaternions, upright
from motorque.mechanics.physics_loss import PhysicsLoss, PhysicsLossTerms
from motorque.progress import Progress, silent
from motorque.series.poses import Poses

ITERATIONS = 200
RATE, BETAS = 0.03, (0.9, 0.98)
"""Adam's learning rate at the start [rad], which falls to zero along half a cosine, and the memory of its averages. The
usual 0.999 of the second one remembers the first steps' slopes, a hundred times those of the last, through all 200."""
ROUGHNESS = 0.03
"""Roughness of torques that is allowed, of that which the given poses' torques have, joint by joint."""
WEIGHTS = (1.0, 1.0, 10.0)
"""Of smoothness, limit and pose. The paper's are lost; these three settings were chosen on CMU's walk 35_01 with white
noise of 0.05 rad, by torque error among those that lower the pose error too."""


def refine_adam(
    poses: Poses,
    *,
    loss: PhysicsLoss | None = None,
    iterations: int = ITERATIONS,
    rate: float = RATE,
    twice: bool = False,
    progress: Progress = silent,
) -> Poses:
    """Poses of least physics loss near the given ones.

    Args:
        poses: Noisy poses, without gaps and at a constant rate. Their translation stays as it is, as in the paper.
        loss: Scales and weights of the three terms; :func:`default_loss` if not given.
        iterations: How many steps Adam takes.
        rate: Its learning rate.
        twice: Whether accelerations are central differences taken twice (`signals.pose_rates.central_twice`), as
            figures of the paper suggest, instead of second differences of neighbours.
        progress: Hears how far it is.

    Raises:
        DataError: Fewer than seven frames (torques need up to five, their second derivative three of those), a joint
            that was not seen, or a rate that changes.
    """
    if len(poses.times) < 7:
        raise DataError(f"poses: {len(poses.times)} frames are too few to refine, at least 7 are needed")
    check_poses(poses)
    given_poses, poses = poses, upright(poses)
    body = PoseTorques.of(poses, twice=twice)
    loss = default_loss(poses, body) if loss is None else loss
    chart = PoseChart.of(poses.rotations, poses.rate)
    reference = quaternions(torch.as_tensor(vectors_of(chart.reference)))
    given = quaternions(torch.as_tensor(vectors_of(poses.rotations)))
    translation = torch.tensor(poses.translation)
    # Vectors from each joint's own mean: far from half a turn, where rotation vectors are singular.
    start = torch.as_tensor(chart.vectors(poses.rotations) - chart.offset)
    vectors = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([vectors], lr=rate, betas=BETAS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(iterations, 1))
    for step in range(iterations):
        turned = _product(quaternions(vectors), reference)
        terms = adam_loss(loss, body, turned, given, translation)
        optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        optimizer.step()
        schedule.step()
        progress("refining", (step + 1) / iterations)
    refined = dataclasses.replace(poses, rotations=matrices_of(vectors.detach().numpy()) @ chart.reference)
    return as_before(refined, given_poses)


def default_loss(poses: Poses, body: PoseTorques | None = None) -> PhysicsLoss:
    """Equation 5 with the weights of this module, torques measured against the given poses' own."""
    poses = upright(poses)
    body = PoseTorques.of(poses) if body is None else body
    with torch.no_grad():
        torques = body.torques(
            quaternions(torch.as_tensor(vectors_of(poses.rotations))), torch.tensor(poses.translation)
        )
    bend = (torques[2:] - 2 * torques[1:-1] + torques[:-2]) / body.step**2
    rough = ROUGHNESS * bend.square().mean((0, 2)).sqrt()
    return PhysicsLoss(roughness=rough + 1e-6 * rough.max() + 1e-9, weights=WEIGHTS)


def adam_loss(
    loss: PhysicsLoss, body: PoseTorques, turned: Tensor, given: Tensor, translation: Tensor
) -> PhysicsLossTerms:
    """Equation 5 for quaternions: the terms of :class:`PhysicsLoss`, the pose term without the way over matrices.

    Args:
        loss: Scales and weights.
        body: Whose torques.
        turned: The poses, shape [T, 24, 4].
        given: What they are to stay near, alike.
        translation: The root's [m], shape [T, 3].
    """
    torques = body.torques(turned, translation)
    shape = torques.new_zeros(()).expand(*torques.shape, 3)  # of rotations, which are not looked at without given ones
    found = loss(torques, shape, None, 1.0 / body.step)
    off = angles_between(turned, given) / loss.pose_error
    pose = loss.weights[2] * off.square().sum(-1).mean() / 3
    return PhysicsLossTerms(found.total + pose, found.smoothness, found.limit, pose)


def _product(one: Tensor, two: Tensor) -> Tensor:
    """The rotation ``one`` after ``two``, quaternions [..., 4]."""
    x1, w1, x2, w2 = one[..., :3], one[..., 3:], two[..., :3], two[..., 3:]
    x = x1 * w2 + x2 * w1 + torch.linalg.cross(x1, x2)
    return torch.cat([x, w1 * w2 - (x1 * x2).sum(-1, keepdim=True)], -1)
