"""Mass matrices that can't be inverted: both back ends refuse the same frames in the same words, and no others."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dynamics_cases import case
from motorque.errors import ModelError
from motorque.mechanics.compiled import machine
from motorque.mechanics.dynamics import forward_dynamics
from motorque.skeleton.builder import ZERO, Body, Frame, JointSpec, build_skeleton
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.functions import Linear
from motorque.skeleton.skeleton import Coordinate, Element, Skeleton
from random_trees import random_tree

pytestmark = pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "never")

PRECISIONS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
ROOTS = {
    "three angles": (lambda: random_tree(3, "custom"), "list"),
    "three angles, coupled": (fullbody, "pelvis_list"),
}


def refusals(body: Skeleton, *arrays: Tensor, **options: object) -> list[str]:
    """What both back ends say."""
    said = []
    for backend in ("torch", "compiled"):
        with pytest.raises(ModelError) as caught:
            forward_dynamics(body, *arrays, backend=backend, **options)  # type: ignore[arg-type]
        said.append(str(caught.value))
    return said


def still(body: Skeleton, frames: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(2)
    q = body.default_pose + torch.as_tensor(rng.normal(size=(frames, body.nq)) * 0.2, dtype=body.mass.dtype)
    return q, torch.ones(frames, body.nv, dtype=body.mass.dtype)


@PRECISIONS
@pytest.mark.parametrize("root", ROOTS)
def test_a_pose_in_gimbal_lock_is_named(root: str, dtype: torch.dtype) -> None:
    make, middle = ROOTS[root]
    body = make().to(dtype=dtype)
    q, v = still(body, 40)
    assert all(torch.isfinite(forward_dynamics(body, q, v, v, backend=b)).all() for b in ("torch", "compiled"))
    q[[21, 33], body.coordinate(middle)] = math.pi / 2
    q[5] = torch.nan
    torch_says, compiled_says = refusals(body, q, v, v)
    assert compiled_says == torch_says
    assert "the mass matrix is singular in frame 21: what" in torch_says and "\n" not in torch_says
    # The loads and the shape of a batch change nothing about it.
    force = torch.ones(40, 3, dtype=dtype)
    assert refusals(body, q, v, v, loads={body.body_names[-1]: (force, force)}) == [torch_says] * 2
    assert refusals(body, q.reshape(8, 5, -1), v[0], v.reshape(8, 5, -1)) == [torch_says] * 2
    # The other poses go on.
    q[[21, 33]] = q[20].clone()
    assert torch.isfinite(forward_dynamics(body, q, v, v, backend="compiled"))[6:].all()


@PRECISIONS
def test_a_pose_near_gimbal_lock_is_answered(dtype: torch.dtype) -> None:
    """As long as there are digits left."""
    body = random_tree(3, "custom").to(dtype=dtype)
    q, v = still(body, 4)
    away = 30 * math.sqrt(torch.finfo(dtype).eps)
    q[2, body.coordinate("list")] = math.pi / 2 - away
    found, wanted = (forward_dynamics(body, q, v, v, backend=b) for b in ("compiled", "torch"))
    assert float((found - wanted).abs().max()) < 0.1 * float(wanted.abs().max())


@PRECISIONS
@pytest.mark.parametrize("tree", ["custom", "mixed", "fullbody", "smpl"])
@pytest.mark.parametrize("mass", [0.0, -1.0])
def test_a_leaf_without_a_mass_to_move_is_named(tree: str, mass: float, dtype: torch.dtype) -> None:
    body, q, v, _ = case(tree)
    parents = set(body.parents)
    leaf = next(b for b in reversed(range(len(body.parents))) if b not in parents and body.joints[b].coordinates)
    masses, inertia = body.mass.clone(), body.inertia.clone()
    masses[leaf], inertia[leaf] = mass, 0.0
    light = dataclasses.replace(body, mass=masses, inertia=inertia).to(dtype=dtype)
    torch_says, compiled_says = refusals(light, *(x.to(dtype) for x in (q, v, v)))
    assert compiled_says == torch_says
    assert "the mass matrix is singular in frame 0" in torch_says


@PRECISIONS
def test_two_coordinates_that_move_the_same_are_named(dtype: torch.dtype) -> None:
    """A massless body between two pins about one axis: nobody knows which of them turns."""
    turn = (ZERO, ZERO, Element(Linear(1.0, 0.0), 0), ZERO, ZERO, ZERO)
    joints = [
        JointSpec("first", "PinJoint", Frame("ground"), Frame("disc"), (Coordinate("one"),), turn),
        JointSpec("second", "PinJoint", Frame("disc"), Frame("arm"), (Coordinate("two"),), turn),
    ]
    nothing = Body("disc", 0.0, np.zeros(3), np.zeros((3, 3)))
    body = build_skeleton("doubled", [nothing, Body("arm", 2.0, np.ones(3) * 0.1, np.eye(3) * 0.01)], joints)
    q, v = still(body.to(dtype=dtype), 20)
    torch_says, compiled_says = refusals(body.to(dtype=dtype), q, v, v)
    assert compiled_says == torch_says
    assert "what one (body disc) moves is moved by other coordinates as well" in torch_says
