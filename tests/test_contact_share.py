"""Contact that takes the force from the motion and its place from the feet: statics, sides, air, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gradient_checks import checked_gradients
from known_rotations import UP, moving, seeded
from motorque.errors import DataError
from motorque.mechanics.contact_share import SharedContact
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.mechanics.smpl_output import SMPLDynamicsOutput
from motorque.signals.pose_rates import SmoothingSpline, pose_rates
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.synthesis.smpl_walk import smpl_walk

WEIGHT = 70 * 9.80665
OPTIONS: dict[str, Any] = {"fps": 30.0, "mass": 70.0, "height": 1.7}


def standing(layer: SMPLDynamics, frames: int = 5) -> list[Tensor]:
    place = layer.skeleton().default_pose[9:12].expand(frames, 3).clone()
    return [torch.zeros(frames, 3).double(), torch.zeros(frames, 69).double(), place]


def on_sides(out: SMPLDynamicsOutput, axis: int = 1) -> tuple[Tensor, Tensor]:
    assert out.contact_loads is not None
    left, right = (
        torch.stack([force[..., axis] for name, (force, _) in out.contact_loads.items() if name.startswith(side)]).sum(
            0
        )
        for side in ("left", "right")
    )
    return left, right


@pytest.mark.parametrize("hover", [-0.03, 0.0, 0.03])
def test_both_feet_carry_who_stands(hover: float) -> None:
    """Whether the soles are in the floor or over it, where a contact law gives kilonewtons or nothing."""
    layer = SMPLDynamics(**OPTIONS, contact="shared")
    poses = standing(layer)
    poses[2][:, 1] += hover
    out = layer(*poses)
    left, right = on_sides(out)
    assert torch.allclose(left, right, rtol=1e-9)
    assert float(left[0] + right[0]) == pytest.approx(WEIGHT, rel=0.03)
    # The centre of mass is over the feet: what is left is within the error of the centre of pressure
    assert float(out.root_moment[0].norm()) < 0.04 * WEIGHT
    assert float(out.root_force[0].norm()) < 0.03 * WEIGHT


def test_who_leans_is_carried_by_one_foot() -> None:
    layer = SMPLDynamics(**OPTIONS, contact="shared")
    poses = standing(layer)
    poses[0][:, 2] = -0.12  # about the pelvis, to the left: the centre of mass comes over the left foot
    left, right = on_sides(layer(*poses))
    assert float(left[0]) > 2 * float(right[0]) > 0
    poses[0][:, 2] = 0.12
    assert torch.allclose(on_sides(layer(*poses))[0], right, rtol=1e-9)


def test_nothing_carries_in_the_air_and_the_ground_never_pulls() -> None:
    layer = SMPLDynamics(**OPTIONS, contact="shared")
    poses = standing(layer, 9)
    flying = [x.clone() for x in poses]
    flying[2][:, 1] += 0.5
    out = layer(*flying)
    assert float(sum(on_sides(out))[0]) < 1e-6 * WEIGHT
    assert float(out.root_force[0, 1]) == pytest.approx(WEIGHT, rel=1e-6)
    t = torch.arange(9).double() / 30
    poses[2][:, 1] += -8.0 * (t - t[4]) ** 2  # falls faster than gravity pulls: only the ground could do that
    fallen = layer(*poses)
    assert float(sum(on_sides(fallen))[4]) > -5.0  # while (16 - 9.8) m/s² · 70 kg are asked for


def test_a_walk_alternates_and_leaves_little_at_the_root() -> None:
    poses = smpl_walk()
    rates = pose_rates(
        torch.tensor(poses.rotations),
        torch.tensor(poses.translation),
        poses.rate,
        method=SmoothingSpline.at_cutoff(8.0),
    )
    person: dict[str, Any] = {"fps": poses.rate, "mass": 75.0, "height": 1.7, "up": poses.up}
    free, layer = SMPLDynamics(**person).from_rates(rates), SMPLDynamics(**person, contact="shared").from_rates(rates)
    inner = slice(6, -6)
    left, right = (x[inner] / (75 * 9.80665) for x in on_sides(layer))
    assert 0.8 < float(left.max()) < 1.4 and 0.8 < float(right.max()) < 1.4
    assert float(torch.minimum(left, right).min()) < 0.01  # one foot is in the air
    assert float(left.min()) > -0.01 and float(right.min()) > -0.01
    assert float(layer.root_force[inner].norm(dim=-1).mean()) < 0.03 * float(free.root_force[inner].norm(dim=-1).mean())
    ankle = SMPL_JOINTS.index("left_ankle")
    peak = float(layer.torques[inner, ankle].norm(dim=-1).max())
    assert 50 < peak < 200 and peak > 20 * float(free.torques[inner, ankle].norm(dim=-1).max())


@pytest.mark.parametrize("up", ["y", "z"])
def test_what_the_feet_get_is_what_the_root_no_longer_needs(up: str) -> None:
    layer = SMPLDynamics(**OPTIONS, up=up, contact="shared", floor_height=-0.2)  # type: ignore[arg-type]
    root, body, place = moving(8)
    root = 0.1 * root
    if up == "z":
        root = root + torch.tensor([torch.pi / 2, 0.0, 0.0], dtype=torch.float64)
    place = 0.1 * place + layer.skeleton().default_pose[9:12] - 0.2 * torch.tensor(UP[up], dtype=torch.float64)
    out, free = layer(root, 0.3 * body, place), SMPLDynamics(**OPTIONS, up=up)(root, 0.3 * body, place)  # type: ignore
    assert out.contact_loads is not None
    force = torch.stack([f for f, _ in out.contact_loads.values()]).sum(0)
    moment = torch.stack([m for _, m in out.contact_loads.values()]).sum(0)
    assert torch.allclose(out.root_force + force, free.root_force, atol=1e-8)
    about = moment - torch.linalg.cross(out.joint_positions[:, 0], force)
    assert torch.allclose(out.root_moment + about, free.root_moment, atol=1e-8)


def test_shares_are_the_minimum() -> None:
    """The dual's solution is where the primal's gradient vanishes on the simplex."""
    contact = SharedContact()
    weight, place, asked = seeded(40, 12), 0.2 * seeded(40, 12, 2), 0.3 * seeded(40, 2, seed=1)
    share = contact._shares(weight, place, asked)
    slope = share.log() - weight + 1
    off = (share[..., None] * place).sum(-2) - asked
    slope = slope + (place @ off[..., None])[..., 0] / contact.point_error**2
    assert float((slope - slope.mean(-1, keepdim=True)).abs().max()) < 1e-9
    assert torch.allclose(share.sum(-1), torch.ones(40).double())
    # Somebody falls, and the point that is asked for is metres away: all is laid on the sphere nearest to it
    far = contact._shares(torch.zeros(12).double(), place[0], torch.tensor([30.0, 0.0]).double())
    assert int(far.argmax()) == int(place[0, :, 0].argmax()) and float(far.max()) == pytest.approx(1.0)


def test_gradients() -> None:
    layer = SMPLDynamics(**OPTIONS, contact="shared")
    root, body, place = moving(6)
    place = 0.1 * place + layer.skeleton().default_pose[9:12]
    poses = [0.1 * root, 0.2 * body, place]
    checked_gradients(lambda *x: [layer(*x).torques, layer(*x).root_force], poses, step=1e-6, entries=3)
    contact, w = SharedContact(), [seeded(3, 12), 0.2 * seeded(3, 12, 2), 0.2 * seeded(3, 2, seed=1)]
    assert torch.autograd.gradcheck(contact._shares, [x.requires_grad_() for x in w])
    assert torch.autograd.gradgradcheck(contact._shares, w, atol=1e-4)


def test_numbers_must_be_positive() -> None:
    with pytest.raises(DataError, match="point error must be positive"):
        SharedContact(point_error=0.0)
