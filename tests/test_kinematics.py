"""Where bodies are: what is taken, what is refused, and columns that couplers fill in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dynamics_cases import free_position_columns
from motorque.errors import DataError
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics, marker_positions
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton


def bodies(skeleton: Skeleton, q: Any) -> Tensor:
    return forward_kinematics(skeleton, q).position


FUNCTIONS = pytest.mark.parametrize("function", [bodies, center_of_mass, marker_positions])


def some_poses(skeleton: Skeleton) -> Tensor:
    source = torch.Generator().manual_seed(1)
    q = skeleton.default_pose + 0.2 * torch.randn(3, skeleton.nq, generator=source, dtype=torch.float64)
    return skeleton.couple(q)


@FUNCTIONS
def test_wrong_positions_are_named(function: Callable[[Skeleton, Any], Tensor]) -> None:
    body = fullbody()
    q = some_poses(body)
    wrong = [
        (q[:, :5], r"q needs 35 columns, got shape \[3, 5\]"),
        (q.float(), "q is float32 but the skeleton is float64"),
        (q.to("meta"), "q is on meta but the skeleton on cpu"),
        (q.numpy(), "q must be a torch tensor, got ndarray"),
        (torch.tensor(1.0, dtype=torch.float64), "q needs 35 columns"),
    ]
    for given, message in wrong:
        with pytest.raises(DataError, match=message) as caught:
            function(body, given)
        assert "\n" not in str(caught.value)


@FUNCTIONS
def test_coupled_coordinates_follow_where_they_have_no_columns(function: Callable[[Skeleton, Any], Tensor]) -> None:
    body = fullbody()
    q = some_poses(body)
    assert torch.equal(function(body, q[:, free_position_columns(body)]), function(body, q))


def test_the_centre_of_mass_is_that_of_positions_or_poses() -> None:
    body = fullbody()
    q = some_poses(body)
    poses = forward_kinematics(body, q)
    assert torch.equal(center_of_mass(body, q), center_of_mass(body, poses))
    for function in (center_of_mass, lambda s, p: marker_positions(s, q, p)):
        with pytest.raises(DataError, match="not those of its .* bodies in torch.float32 on cpu"):
            function(body.to(dtype=torch.float32), poses)
