"""Trees that no model file has: every kind of joint in any frame, direction and order; and random motions of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from motorque.skeleton.builder import ZERO, Attachments, Body, Frame, JointSpec, build_skeleton
from motorque.skeleton.functions import Linear, Polynomial
from motorque.skeleton.rotations import convert_positions, join_positions
from motorque.skeleton.skeleton import Coordinate, Element, Skeleton

Kind = Literal["ball", "revolute", "custom", "mixed"]
IDENTITY = Linear(1.0, 0.0)
SIMPLE = {"PinJoint": (2,), "SliderJoint": (3,), "UniversalJoint": (0, 1), "BallJoint": (0, 1, 2), "WeldJoint": ()}


def random_tree(seed: int, kind: Kind = "mixed", *, bodies: int = 8, couplers: int = 0) -> Skeleton:
    """A tree of random shape, masses and frames.

    ``ball``: a free root and ball joints. ``revolute``: a root of six separate coordinates and pins. ``custom``: joints
    of two or three coordinates about axes that are not orthogonal, some coordinates driving several of them, with
    translations and offsets. ``mixed``: a free root, then all of these, slides and welds. All but ``ball`` may have
    massless bodies within; ``custom`` and ``mixed`` have joints that run from child to parent. Coordinates are in
    another order than bodies.

    Args:
        seed: Tells trees apart.
        kind: See above.
        bodies: How many, or one more where the last would be massless.
        couplers: How many coordinates follow another by a polynomial.
    """
    rng = np.random.default_rng([seed, len(kind), bodies])
    made, specs = [_body(rng, "body0")], [_root(rng, kind)]
    waiting = ""  # a massless body must carry one other, or it could move without force
    while len(made) < bodies or waiting:
        name = f"body{len(made)}"
        parent = waiting or f"body{rng.integers(len(made))}"
        while not waiting and made[int(parent[4:])].mass == 0:
            parent = f"body{rng.integers(len(made))}"
        massless = kind != "ball" and not waiting and rng.random() < 0.25
        made.append(Body(name, 0.0, np.zeros(3), np.zeros((3, 3))) if massless else _body(rng, name))
        joint_kind = "PinJoint" if massless or waiting else _joint_kind(rng, kind)
        specs.append(_joint(rng, joint_kind, parent, name, flip=kind in ("custom", "mixed") and rng.random() < 0.4))
        waiting = name if massless else ""
    order = rng.permutation(len(specs))
    specs = [specs[i] for i in order]
    free = [c.name for spec in specs if not spec.ball for c in spec.coordinates]
    bound = [
        (f"coupler{i}", free[2 * i], free[2 * i + 1], Polynomial((0.2, -0.3, 0.7, 0.1)), 1.1) for i in range(couplers)
    ]
    gravity = (0.3, -9.7, 0.6)
    return build_skeleton(f"{kind}{seed}", made, specs, Attachments(couplers=bound), gravity=gravity)


def random_motion(skeleton: Skeleton, frames: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, speeds and accelerations [frames, ...], the same whatever the rotation format; float64 on the CPU."""
    rng = np.random.default_rng(seed)
    drawn = torch.tensor(rng.normal(size=(frames, skeleton.nv)) * 0.7)
    as_matrix = skeleton.with_rotations("matrix")
    count = len(skeleton.balls)
    rotations = torch.tensor(Rotation.random(frames * count, random_state=seed).as_matrix()) if count else None
    if rotations is not None:
        rotations = rotations.reshape(frames, count, 3, 3)
    q = convert_positions(join_positions(as_matrix, drawn, rotations), as_matrix, skeleton)
    v = torch.tensor(rng.normal(size=(frames, skeleton.nv)))
    return q, v, torch.tensor(rng.normal(size=(frames, skeleton.nv)) * 3)


def _body(rng: np.random.Generator, name: str) -> Body:
    mass = rng.uniform(0.5, 8.0)
    spread = rng.normal(size=(3, 3)) * 0.1
    second = mass * (spread @ spread.T + 1e-3 * np.eye(3))
    return Body(name, mass, rng.normal(size=3) * 0.1, np.trace(second) * np.eye(3) - second)


def _frame(rng: np.random.Generator, body: str) -> Frame:
    return Frame(body, rng.normal(size=3) * 0.2, Rotation.random(random_state=rng).as_matrix())


def _root(rng: np.random.Generator, kind: Kind) -> JointSpec:
    names = ("tilt", "list", "turn", "tx", "ty", "tz")
    coordinates = tuple(Coordinate(name, i < 3) for i, name in enumerate(names))
    elements = tuple(Element(IDENTITY, i) for i in range(6))
    if kind in ("ball", "mixed"):
        parent = Frame("ground", rng.normal(size=3), Rotation.random(random_state=rng).as_matrix())
        return JointSpec("root", "FreeJoint", parent, _frame(rng, "body0"), coordinates, elements, ball=True)
    turns = np.eye(3)[[2, 0, 1]]
    return JointSpec("root", "CustomJoint", Frame("ground"), _frame(rng, "body0"), coordinates, elements, turns)


def _joint_kind(rng: np.random.Generator, kind: Kind) -> str:
    if kind == "mixed":
        return str(rng.choice([*SIMPLE, "CustomJoint", "CustomJoint"]))
    return {"ball": "BallJoint", "revolute": "PinJoint", "custom": "CustomJoint"}[kind]


def _joint(rng: np.random.Generator, kind: str, parent: str, child: str, *, flip: bool) -> JointSpec:
    first, second = _frame(rng, parent), _frame(rng, child)
    if flip:
        first, second = second, first
    name = f"joint_{child}"
    if kind in SIMPLE:
        driven = SIMPLE[kind]
        elements = [ZERO] * 6
        for i, axis in enumerate(driven):
            elements[axis] = Element(IDENTITY, i)
        coordinates = tuple(Coordinate(f"{name}_{i}", axis < 3) for i, axis in enumerate(driven))
        return JointSpec(name, kind, first, second, coordinates, tuple(elements), ball=kind == "BallJoint")
    axes = rng.normal(size=(6, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    count = int(rng.integers(2, 4))
    # Each coordinate drives a rotation in full; what else it drives, it drives in part.
    turns = [Element(Linear(rng.choice([-1.0, 1.0, 1.3]), rng.normal() * 0.2), i) for i in range(count)]
    turns += [_element(rng, count, 0.5) for _ in range(3 - count)]
    slides = [_element(rng, count, 0.1) for _ in range(3)]
    coordinates = tuple(Coordinate(f"{name}_{i}") for i in range(count))
    return JointSpec(name, "CustomJoint", first, second, coordinates, (*turns, *slides), axes[:3], axes[3:])


def _element(rng: np.random.Generator, count: int, size: float) -> Element:
    """Following one of the joint's coordinates, or constant."""
    coordinate = int(rng.integers(-1, count))
    return Element(Linear(rng.normal() * size if coordinate >= 0 else 0.0, rng.normal() * size), coordinate)
