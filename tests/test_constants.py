"""What follows from a skeleton's structure is brought to a device once, so that nothing waits for a GPU."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dynamics_cases import case
from motorque.mechanics.energy import kinetic_energy, momentum, potential_energy
from motorque.mechanics.forward_dynamics import forward_dynamics_torch, inverse_mass_matrix_torch
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.mass_matrix import bias_forces_torch, mass_matrix_torch
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import PointConstraint

CPU = torch.device("cpu")


class NoTransfer(TorchDispatchMode):
    """Refuses whatever takes numbers from one device to another. On the meta device there are no numbers at all, so
    that looking at one fails of itself."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {x.device.type for x in tree_leaves((args, kwargs or {}, out)) if isinstance(x, torch.Tensor)}
        assert len(devices) < 2, f"{func} takes numbers from one device to another"
        return out


@pytest.mark.parametrize(
    ("tree", "rotations"), [("mixed", "angles"), ("mixed", "6d"), ("fullbody", "quaternion"), ("coupled", "matrix")]
)
def test_nothing_goes_to_the_device_twice(tree: str, rotations: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, q, v, a = (x.to("meta") for x in case(tree, rotations))
    point = (0.0, 0.1, 0.0)
    held = dataclasses.replace(body, point_constraints=(PointConstraint("held", -1, point, 3, point),))
    load = {body.body_names[-1]: (v[:, :3], v[:, :3])}
    free = list(body.free_coordinates)
    short = inverse_dynamics_torch(body, q, v, a)[:, : len(free)]

    def everything() -> None:
        forward_kinematics(body, q)
        inverse_dynamics_torch(body, q, v, a, loads=load, as_simbody=True)
        mass_matrix_torch(body, q)
        bias_forces_torch(body, q, v)
        forward_dynamics_torch(body, q, v, a, loads=load, watch=False)
        forward_dynamics_torch(body, q, v, short, watch=False)
        forward_dynamics_torch(held, q, v, a, locked=[body.coordinate_names[free[0]]], watch=False)
        inverse_mass_matrix_torch(body, q, watch=False)
        kinetic_energy(body, q, v)
        momentum(body, q, v)
        potential_energy(body, q)

    # Whether a rotation is one is looked at, by whoever is asked in public.
    monkeypatch.setattr("motorque.mechanics.energy.check_rotations", lambda *_: None)
    everything()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a new tensor is made of numbers on the host")

    with monkeypatch.context() as patched, NoTransfer():
        for name in ("tensor", "as_tensor", "from_numpy"):
            patched.setattr(torch, name, refuse)
        everything()


def test_constants() -> None:
    flags = constant([True, False], CPU)
    assert flags.dtype == torch.bool and flags is constant([True, False], CPU)
    assert constant([1, 0], CPU).dtype == torch.int64
    assert constant([], CPU).dtype == torch.int64
    assert constant([1, 2], CPU, torch.float32).dtype == torch.float32
    assert constant([[1, 2]], CPU).shape == (1, 2)


def test_what_a_transform_made_is_not_kept() -> None:
    fresh = [91, 17, 33]
    torch.func.vmap(lambda x: x[constant([0], CPU)] + constant(fresh, CPU).sum())(torch.ones(3, 2))
    later = constant(fresh, CPU)
    assert not torch._C._functorch.is_functorch_wrapped_tensor(later)
    assert later.tolist() == fresh
