"""The default body of the comparisons: its shapes, and recordings put on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inpose_people import person
from motorque.errors import DataError
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS, columns, global_rotations, places, resting
from motorque.studies.inpose.bodies import FEET, default_body, leg_length, on_body, shaped
from motorque.studies.inpose.local_rotations import global_matrices, local_rotations


def lengths(rest: torch.Tensor) -> dict[str, float]:
    return {JOINTS[j]: float((rest[j] - rest[p]).norm()) for j, p in enumerate(PARENTS) if p >= 0}


def test_the_default_body_is_an_adult_of_its_stature() -> None:
    rest = default_body()
    assert rest.shape == (22, 3) and rest.dtype == torch.float64 and not rest[0].any()
    assert torch.allclose(rest[1] * torch.tensor([-1.0, 1, 1]), rest[2])
    # Half a head above the head's joint and the height of an ankle below the ankles there are 1.70 m
    assert 1.4 < float(rest[HEAD, 1] - rest[7, 1]) < 1.6


@pytest.mark.parametrize(
    ("factors", "changed"),
    [
        ({"whole": 1.3}, set(JOINTS[1:])),
        ({"upper": 0.85}, {j for j in JOINTS[1:] if not j.endswith(("hip", "knee", "ankle", "foot"))}),
        ({"arms": 1.2}, {f"{s}_{j}" for s in ("left", "right") for j in ("shoulder", "elbow", "wrist")}),
        ({"torso": 0.9}, {"spine1", "spine2", "spine3"}),
    ],
)
def test_a_shape_changes_its_bones_and_no_others(factors: dict[str, float], changed: set[str]) -> None:
    before, after = lengths(default_body()), lengths(shaped(default_body(), **factors))
    (factor,) = factors.values()
    for name in JOINTS[1:]:
        assert after[name] / before[name] == pytest.approx(factor if name in changed else 1.0, abs=1e-12), name
    with pytest.raises(DataError, match="above zero"):
        shaped(default_body(), arms=0.0)


def test_factors_of_one_bone_multiply() -> None:
    both = lengths(shaped(default_body(), whole=1.2, upper=0.9, arms=1.1))
    assert both["left_elbow"] == pytest.approx(1.2 * 0.9 * 1.1 * lengths(default_body())["left_elbow"], abs=1e-12)


def test_feet_stay_on_the_floor_on_another_body() -> None:
    poses = person(3, frames=200, height=1.4)
    turns, pelvis = global_rotations(poses)
    six, own, rest = torch.tensor(columns(turns)), torch.tensor(resting(poses)), default_body()
    way = torch.tensor(pelvis)
    found = on_body(six, way, own, rest)
    assert torch.equal(found, on_body(torch.tensor(turns), way, own, rest)), "matrices are the same rotations"
    ratio = leg_length(rest) / leg_length(own)
    assert ratio == pytest.approx(1.7 / 1.4, abs=1e-9)
    # Both are of the same proportions, so all of the body is where it was, larger
    assert torch.allclose(places(six, rest, found), ratio * places(six, own, way), atol=1e-9)
    # Legs that point elsewhere at rest take a constant height off, never a way of their own
    bent = own.clone()
    bent[list(FEET), 1] -= 0.1
    moved = on_body(six, way, bent, rest) - ratio * way
    assert float(moved.std(dim=0).max()) < 1e-12 and float(moved[0, 1]) < -0.05


def test_local_rotations_and_back() -> None:
    turns = Rotation.random(5 * 22, random_state=np.random.default_rng(0)).as_matrix().reshape(5, 22, 3, 3)
    six = torch.tensor(columns(turns))
    local = local_rotations(six)
    wrist, elbow = JOINTS.index("left_wrist"), JOINTS.index("left_elbow")
    expected = Rotation.from_matrix(turns[:, elbow]).inv() * Rotation.from_matrix(turns[:, wrist])
    assert np.allclose(local[:, wrist], columns(expected.as_matrix()), atol=1e-12)
    assert torch.equal(local[:, 0], six[:, 0])
    assert np.allclose(global_matrices(local), turns, atol=1e-12)


def test_bodies_without_legs_are_refused() -> None:
    with pytest.raises(DataError, match="legs"):
        leg_length(torch.zeros(22, 3))
