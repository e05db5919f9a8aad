"""The weights that come with the package: what they are, and that they know how people walk."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open

import motorque as mq
from motorque.estimators.inpose.drawing import FAST, USUAL, drawn_from
from motorque.estimators.inpose.folds import CMU_TEST, CMU_VALIDATION
from motorque.estimators.inpose.inpose import SHIPPED
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import THREE, columns, global_rotations, places, resting
from motorque.studies.inpose.measures import measures
from motorque.studies.inpose.methods import MeanPose
from motorque.synthesis.smpl_walk import smpl_walk


def walker() -> tuple[Measured, torch.Tensor, torch.Tensor]:
    """The project's own walk, whom nobody captured, as three sensors see it; and its rotations and pelvis."""
    poses = smpl_walk(rate=60, frames=120)
    turns, pelvis = global_rotations(poses)
    rest = torch.tensor(resting(poses), dtype=torch.float32)
    six = torch.tensor(columns(turns), dtype=torch.float32)
    points = places(six, rest, torch.tensor(pelvis, dtype=torch.float32))
    seen = torch.zeros(len(six), 22, dtype=torch.bool)
    seen[:, list(THREE)] = True
    return Measured(six, seen, points, seen, rest, True), torch.tensor(turns), torch.tensor(pelvis)


def test_the_file_says_what_it_is_and_learned_from_nobody_who_is_tested() -> None:
    assert SHIPPED.stat().st_size < 12e6
    with safe_open(SHIPPED, framework="pt") as stored:
        about = json.loads(stored.metadata()["about"])
    training, data = about["training"], about["data"]
    assert training["seed"] == 0 and training["steps"] == about["step"] and training["method"] == "inpose"
    assert tuple(data["test"]) == CMU_TEST and tuple(data["validation"]) == CMU_VALIDATION
    assert data["minutes"]["train"] == pytest.approx(19.566)
    assert about["versions"]["torch"].startswith("2.")


def test_a_walk_is_found_from_three_sensors_better_than_by_inverse_kinematics() -> None:
    seen, turns, pelvis = walker()
    prior = mq.InPose.load()
    ik = measures(turns, MeanPose("", prior.network).pose(seen, seed=0), seen.rest, pelvis)
    found = drawn_from(prior.network, seen, USUAL, seeds=[0]).turns
    ours = measures(turns, found[0], seen.rest, pelvis)
    assert ours.mpjpe < 6.0, ours
    assert ours.mpjpe < 0.8 * ik.mpjpe and ours.lpe < 0.7 * ik.lpe, (ours, ik)
    assert ours.hands < 0.1, "sensors are met"


def test_a_person_of_any_size_has_the_same_pose() -> None:
    seen, *_ = walker()
    small = Measured(seen.columns6, seen.seen, 0.6 * seen.points, seen.there, 0.6 * seen.rest, True)
    network = mq.InPose.load().network
    one, other = (drawn_from(network, given, FAST, seeds=[0]).turns[0] for given in (seen, small))
    angle = torch.arccos((((one.mT @ other).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1))
    assert float(angle.mean().rad2deg()) < 2.0  # noise of places is told in metres
