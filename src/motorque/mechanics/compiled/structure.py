"""What of a skeleton becomes code, and what is handed to the code when it runs.

The tree, the kinds of functions and the numbers that are 0 become code, and so do 1 and -1 in axes, rotations and
functions; all other numbers are parameters. Two people scaled from one model therefore share their code. Numbers that
carry gradients are parameters whatever their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.simbody_rates import carrying_rotations
from motorque.skeleton.functions import Function, Linear, Piecewise, Polynomial, Sine, piecewise_table
from motorque.skeleton.skeleton import Skeleton

FIELDS = (
    "mass", "mass_center", "inertia", "parent_rotation", "parent_position", "child_rotation", "child_position",
    "rotation_axes", "translation_axes", "translation_scale", "gravity",
)  # fmt: skip
"""The skeleton's tensors that mechanics rest on."""
_UNIT = {"parent_rotation", "child_rotation", "rotation_axes", "translation_axes"}
_ROUNDING = 1e-15
"""Entries of unit vectors this small are what rounding leaves of a zero [-]."""

Code = int | str
"""Index of a parameter, or one of the known numbers '0', '1' and '-1'."""


@dataclass(frozen=True)
class Structure:
    """Everything about a skeleton that its code depends on, as plain values.

    Args:
        parents: Parent of each body, -1 for ground.
        joints: Of each body: whether it is reversed, its ball's three speeds or None, its elements, and which of its
            rotations carry the second and the third one (`simbody_rates`).
        couplers: Dependent and independent coordinate, function and factor of each, in the order of evaluation.
        speeds: Number of generalized speeds, coupled ones included.
        rotations: How ball joints are given.
        balls: Bodies with ball joints, in the order of their coordinates.
        tensors: Codes of every entry of each of `FIELDS`.
        open: The fields that carry gradients.
        parameters: Number of parameters; first those from tensors, then those from functions.
    """

    parents: tuple[int, ...]
    joints: tuple[Any, ...]
    couplers: tuple[Any, ...]
    speeds: int
    rotations: str
    balls: tuple[int, ...]
    tensors: Mapping[str, tuple[Code, ...]]
    open: tuple[str, ...]
    parameters: int


@dataclass(frozen=True, eq=False)
class Values:
    """Where a structure's parameters come from.

    Args:
        entries: Index of each parameter from tensors in all `FIELDS` one after the other, shape [P].
        functions: Parameters of functions, shape [F].
    """

    entries: NDArray[np.int64]
    functions: NDArray[np.float64]

    def pack(self, skeleton: Skeleton) -> Tensor:
        """The parameters of a skeleton of this structure, shape [P + F]."""
        with torch.no_grad():
            flat = torch.cat([getattr(skeleton, name).reshape(-1) for name in FIELDS])
            own = torch.as_tensor(self.functions, dtype=flat.dtype)
            return torch.cat([flat[torch.as_tensor(self.entries)], own]).contiguous()


def structure_of(skeleton: Skeleton, *, open_fields: Sequence[str] = (), as_simbody: bool) -> tuple[Structure, Values]:
    """Split a skeleton into what becomes code and what is given when it runs.

    Args:
        skeleton: The skeleton, on the CPU.
        open_fields: Tensors whose gradients are wanted: all their entries become parameters.
        as_simbody: Whether custom joints' axes turn as in Simbody.
    """
    tensors: dict[str, tuple[Code, ...]] = {}
    entries: list[int] = []
    start = 0
    for name in FIELDS:
        value = getattr(skeleton, name).detach().double()
        flat = value.reshape(-1).tolist()
        place = _own_entries(value) if name == "inertia" and name not in open_fields else range(len(flat))
        codes: list[Code] = []
        for index, number in enumerate(flat):
            known = None if name in open_fields else _known_entry(name, number)
            if known is not None:
                codes.append(known)
            elif place[index] != index:
                codes.append(codes[place[index]])
            else:
                codes.append(len(entries))
                entries.append(start + index)
        tensors[name] = tuple(codes)
        start += len(flat)
    numbers = _Numbers(len(entries))
    second, third = carrying_rotations(skeleton, as_simbody=as_simbody)
    joints = tuple(
        (
            joint.reversed,
            joint.ball,
            tuple(
                (
                    numbers.function(e.function),
                    e.coordinate,
                    None if e.factor is None else numbers.function(e.factor),
                    e.factor_coordinate,
                )
                for e in joint.elements
            ),
            tuple(second[body, :, 0].int().tolist()),
            tuple(third[body, :, 0].int().tolist()),
        )
        for body, joint in enumerate(skeleton.joints)
    )
    couplers = tuple(
        (c.dependent, c.independent, numbers.function(c.function), numbers.code(c.scale))
        for c in skeleton.couplers_in_order
    )
    structure = Structure(
        skeleton.parents, joints, couplers, skeleton.nv, skeleton.rotations, skeleton.balls,
        tensors, tuple(open_fields), len(entries) + len(numbers.values),
    )  # fmt: skip
    return structure, Values(np.array(entries, dtype=np.int64), np.array(numbers.values, dtype=np.float64))


def _known_entry(name: str, number: float) -> str | None:
    """What is known of a tensor's entry: ones in axes and rotations are structure, in masses and lengths chance."""
    if name in _UNIT:
        return _known(number, _ROUNDING)
    return "0" if number == 0 and name != "translation_scale" else None


def _known(number: float, rounding: float = 0.0) -> str | None:
    if abs(number) <= rounding:
        return "0"
    if abs(abs(number) - 1.0) <= rounding:
        return "1" if number > 0 else "-1"
    return None


def _own_entries(inertia: Tensor) -> list[int]:
    """Where each entry's number stands: of a symmetric matrix, those below the diagonal are those above it."""
    place = np.arange(inertia.numel()).reshape(-1, 3, 3)
    symmetric = (inertia == inertia.transpose(-1, -2)).flatten(1).all(1).numpy()
    place[symmetric] = np.minimum(place, place.transpose(0, 2, 1))[symmetric]
    return place.reshape(-1).tolist()


class _Numbers:
    """Collects the numbers of functions; equal ones share a parameter, so that splines share their knots."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.values: list[float] = []
        self._index: dict[float, int] = {}

    def code(self, number: float) -> Code:
        known = _known(number)
        if known is not None:
            return known
        if number not in self._index:
            self._index[number] = self.first + len(self.values)
            self.values.append(number)
        return self._index[number]

    def function(self, function: Function) -> tuple[Any, ...]:
        """Kind and codes of a function."""
        if isinstance(function, Linear):
            return "linear", self.code(function.slope), self.code(function.intercept)
        if isinstance(function, Polynomial):
            return "polynomial", tuple(self.code(c) for c in function.coefficients)
        if isinstance(function, Sine):
            numbers = (function.amplitude, function.frequency, function.phase, function.offset)
            return "sine", *(self.code(x) for x in numbers)
        assert isinstance(function, Piecewise)
        knots, origins, cubics = piecewise_table(function)
        return (
            "piecewise",
            tuple(self.code(float(x)) for x in knots),
            tuple(self.code(float(x)) for x in origins),
            tuple(tuple(self.code(float(x)) for x in row) for row in cubics),
        )
