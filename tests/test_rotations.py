"""One position in every rotation format, a root freed of its angles, and what speeds mean for each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics, mass_matrix
from motorque.mechanics.kinematics import forward_kinematics, joint_transforms
from motorque.mechanics.position_rates import convert_speeds, position_rates
from motorque.skeleton import Skeleton, fullbody, smpl
from motorque.skeleton.functions import Linear
from motorque.skeleton.rotations import check_rotations, convert_positions, join_positions
from motorque.skeleton.skeleton import Coupler, Element
from motorque.spatial import ROTATION_FORMATS
from random_trees import random_motion, random_tree

EXACT = 1e-12
FORMATS = [f for f in ROTATION_FORMATS if f != "angles"]


def same_bodies(one: Skeleton, q: Tensor, other: Skeleton, p: Tensor) -> bool:
    here, there = forward_kinematics(one, q), forward_kinematics(other, p)
    return torch.allclose(here.position, there.position, atol=EXACT) and torch.allclose(
        here.rotation, there.rotation, atol=EXACT
    )


@pytest.mark.parametrize("rotations", FORMATS)
def test_formats_mean_what_scipy_says(rotations: str) -> None:
    body = random_tree(1, "mixed").with_rotations(rotations)
    turns = Rotation.random(7, random_state=2)
    values = {
        "quaternion": turns.as_quat(),
        "axis-angle": turns.as_rotvec(),
        "6d": turns.as_matrix()[..., :2].swapaxes(-1, -2).reshape(7, 6),
        "matrix": turns.as_matrix().reshape(7, 9),
    }[rotations]
    q = torch.zeros(7, body.nq, dtype=torch.float64)
    q[:, list(body.position_columns[1][0])] = torch.tensor(values)
    _, found = body.split_positions(q)
    assert torch.allclose(found[:, 0], torch.tensor(turns.as_matrix()), atol=EXACT)


@pytest.mark.parametrize("tree", [("ball", 0), ("mixed", 18), ("mixed", 2)])
@pytest.mark.parametrize("first", ROTATION_FORMATS)
@pytest.mark.parametrize("second", ROTATION_FORMATS)
def test_there_and_back(tree: tuple[str, int], first: str, second: str) -> None:
    one = random_tree(tree[1], tree[0]).with_rotations(first)
    other = one.with_rotations(second)
    q, _, _ = random_motion(one, 20)
    p = convert_positions(q, one, other)
    assert p.shape == (20, other.nq)
    assert same_bodies(one, q, other, p)
    assert same_bodies(one, q, one, convert_positions(p, other, one))
    back = join_positions(other, *other.split_positions(p))
    assert same_bodies(other, back, other, p)


def test_angles_come_back_as_they_were() -> None:
    body = fullbody().with_free_root()
    q = 3 * torch.rand(40, body.nq, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1.5
    for rotations in FORMATS:
        other = body.with_rotations(rotations)
        assert torch.allclose(convert_positions(convert_positions(q, body, other), other, body), q, atol=EXACT)


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
def test_default_pose_in_every_format(rotations: str) -> None:
    for body in (fullbody().with_free_root(), smpl(up="z", rotations="angles"), random_tree(2, "mixed")):
        angles = body.with_rotations("angles")
        other = body.with_rotations(rotations)
        assert other.default_pose.shape == (other.nq,)
        assert same_bodies(angles, angles.default_pose, other, other.default_pose)


@pytest.mark.parametrize("rotations", ["quaternion", "6d"])
def test_couplers_hold_in_every_format(rotations: str) -> None:
    """The patellae follow the knees wherever their columns are."""
    body = fullbody()
    q, v, a = (
        0.3 * torch.sin(torch.arange(5.0 * body.nv, dtype=torch.float64) * s).reshape(5, -1) for s in (1.0, 2.0, 3.0)
    )
    other = body.with_free_root().with_rotations(rotations)
    p = convert_positions(q, body, other)
    assert same_bodies(body, body.couple(q), other, other.couple(p))
    wanted, found = body.couple_derivatives(q, v, a), other.couple_derivatives(p, v, a)
    assert torch.allclose(convert_positions(found[0], other, body), wanted[0], atol=EXACT)
    assert torch.equal(found[1], wanted[1]) and torch.equal(found[2], wanted[2])
    assert torch.equal(other.coupling_matrix(p), body.coupling_matrix(q))
    assert other.free_coordinates == body.free_coordinates


def test_a_free_root_moves_as_before() -> None:
    body = fullbody()
    free = body.with_free_root()
    assert free.joints[0].ball == (0, 1, 2) and free.joints[0].kind == "FreeJoint"
    assert free.coordinate_names == body.coordinate_names
    assert free.with_free_root() is free
    source = torch.Generator().manual_seed(1)
    q, v, a = (torch.randn(6, body.nv, generator=source, dtype=torch.float64) * s for s in (0.4, 1.0, 3.0))
    w, dw = convert_speeds(q, v, a, body, free)
    assert torch.equal(w[:, 3:], v[:, 3:]) and torch.equal(dw[:, 3:], a[:, 3:])

    def pelvis(t: Tensor) -> Tensor:
        """Its rotation along the path with these derivatives at t = 0; [6, 3, 3]."""
        return forward_kinematics(body, q + t * v + 0.5 * t**2 * a).rotation[:, 0]

    zero = torch.zeros((), dtype=torch.float64)
    turn = pelvis(zero)
    first = torch.func.jacfwd(pelvis)(zero)
    second = torch.func.jacfwd(torch.func.jacfwd(pelvis))(zero)

    def spin(matrix: Tensor) -> Tensor:
        """Vector of the skew part."""
        skew = 0.5 * (matrix - matrix.mT)
        return torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], dim=-1)

    assert torch.allclose(w[:, :3], spin(first @ turn.mT), atol=EXACT)
    assert torch.allclose(dw[:, :3], spin(second @ turn.mT + first @ first.mT), atol=1e-11)
    for rotations in ROTATION_FORMATS:
        other = free.with_rotations(rotations)
        back = convert_speeds(convert_positions(q, body, other), w, dw, other, body)
        assert torch.allclose(back[0], v, atol=1e-11) and torch.allclose(back[1], a, atol=1e-10)


@pytest.mark.parametrize("name", ["LaiUhlrich2022", "gait2354_simbody"])
def test_roots_of_published_gait_models_can_be_freed(data: Path, name: str) -> None:
    path = next(iter(sorted(data.rglob(f"{name}.osim"))), None)
    if path is None:
        pytest.skip(f"there is no {name}.osim")
    body = read_osim(path).skeleton
    free = body.with_free_root().with_rotations("quaternion")
    q = body.default_pose + 0.3 * torch.sin(torch.arange(body.nq, dtype=torch.float64))
    assert same_bodies(body, q, free, convert_positions(q, body, free))


def test_no_singular_pose_with_quaternions() -> None:
    """In gimbal lock of the pelvis's angles the speeds still say how it turns."""
    free = fullbody().with_free_root().with_rotations("quaternion")
    q = convert_positions(
        torch.tensor([0.3, torch.pi / 2, 0.2] + [0.0] * (free.nv - 3), dtype=torch.float64), fullbody(), free
    )
    v = torch.zeros(free.nv, dtype=torch.float64)
    v[:3] = torch.tensor([1.0, -2.0, 0.5])
    rates = position_rates(free, q, v)
    assert torch.isfinite(rates).all()
    assert float(rates[:4].norm()) == pytest.approx(0.5 * float(v[:3].norm()), rel=1e-12)


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
@pytest.mark.parametrize("tree", [("ball", 1), ("mixed", 18)])
def test_position_rates_turn_joints_at_their_speeds(tree: tuple[str, int], rotations: str) -> None:
    body = random_tree(tree[1], tree[0]).with_rotations(rotations)
    q, v, _ = random_motion(body, 8)
    rate = position_rates(body, q, v)

    def turned(x: Tensor) -> Tensor:
        elements = torch.zeros(*x.shape[:-1], len(body.body_names), 6, dtype=x.dtype)
        if rotations == "angles":
            coordinates = [[e.coordinate for e in body.joints[b].elements[:3]] for b in body.balls]
            elements = elements.index_copy(
                -2,
                torch.tensor(body.balls),
                torch.nn.functional.pad(x[..., torch.tensor(coordinates)], (0, 3)),
            )
        return joint_transforms(body, elements, body.split_positions(x)[1])[0][..., list(body.balls), :, :]

    turn, change = torch.func.jvp(turned, (q,), (rate,))
    skew = change @ turn.mT
    spin = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1)
    wanted = v[:, torch.tensor([body.joints[b].ball for b in body.balls])]
    assert torch.allclose(spin, wanted, atol=1e-10)
    plain = [c for c, column in enumerate(body.coordinate_columns) if column >= 0 and c not in body.joints[0].ball]
    if rotations != "angles":
        assert torch.equal(rate[:, [body.coordinate_columns[c] for c in plain]], v[:, plain])


@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-3, 0.009, 0.011, 3.0, 3.2])
def test_rotation_vectors_of_any_length_have_rates(angle: float) -> None:
    body = random_tree(0, "ball", bodies=1).with_rotations("axis-angle")
    axis = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64)
    q, v = torch.zeros(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    q[:3], v[:3] = axis * angle, torch.tensor([0.3, 1.0, -0.7])
    rate = position_rates(body, q, v)
    step = 1e-5
    turns = [Rotation.from_rotvec((q[:3] + s * rate[:3]).numpy()) for s in (-step, step)]
    spin = (turns[1] * turns[0].inv()).as_rotvec() / (2 * step)
    assert torch.allclose(torch.tensor(spin), v[:3], atol=1e-8)


def test_gradients_go_through_conversions() -> None:
    body = random_tree(18, "mixed")
    q, _, _ = random_motion(body, 2)
    for rotations in FORMATS:
        other = body.with_rotations(rotations)
        assert torch.autograd.gradcheck(lambda x, o=other: convert_positions(x, body, o), (q.requires_grad_(),))


@pytest.mark.parametrize(("rotations", "what"), [("quaternion", "the squared length"), ("matrix", "a column or the")])
def test_a_rotation_that_is_none_is_named(rotations: str, what: str) -> None:
    body = random_tree(0, "ball").with_rotations(rotations)
    q, _, _ = random_motion(body, 10)
    check_rotations(body, q)
    spoilt = q.clone()
    ball = 3
    spoilt[6, list(body.position_columns[1][ball])] *= 1.01
    name = body.joints[body.balls[ball]].name
    with pytest.raises(DataError, match=f"in frame 6 the position of joint '{name}' is no rotation: {what}") as told:
        convert_positions(spoilt, body, body.with_rotations("angles"))
    assert "\n" not in str(told.value)
    mirrored = q.clone()
    if rotations == "matrix":
        mirrored[2, list(body.position_columns[1][0])] *= -1
        with pytest.raises(DataError, match="in frame 2"):
            check_rotations(body, mirrored)
    spoilt[6] = float("nan")
    check_rotations(body, spoilt)  # not finite: its own frame's answer is
    check_rotations(body, q.float() if rotations == "matrix" else q)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_two_vectors_that_give_no_rotation_are_named(dtype: torch.dtype, backend: str) -> None:
    body = random_tree(0, "ball").with_rotations("6d").to(dtype=dtype)
    q, v, a = (x.to(dtype) for x in random_motion(random_tree(0, "ball").with_rotations("6d"), 10))
    columns = list(body.position_columns[1][2])
    name = body.joints[body.balls[2]].name
    zero, parallel, half = q.clone(), q.clone(), q.clone()
    zero[6, columns] = 0.0
    half[6, columns[3:]] = 0.0
    parallel[6, columns[3:]] = -2.5 * parallel[6, columns[:3]]
    for wrong in (zero, parallel, half):
        for ask in (
            lambda x: inverse_dynamics(body, x, v, a, backend=backend),
            lambda x: forward_dynamics(body, x, v, a, backend=backend),
            lambda x: mass_matrix(body, x, backend=backend),
            lambda x: convert_positions(x, body, body.with_rotations("matrix")),
            lambda x: forward_kinematics(body, x),
            lambda x: position_rates(body, x, v),
        ):
            with pytest.raises(DataError, match=f"in frame 6 the position of joint '{name}' is no rotation: one of"):
                ask(wrong)
    zero[6] = torch.nan  # its own frame has no answer, and that is all
    for found in (inverse_dynamics(body, zero, v, a, backend=backend), forward_kinematics(body, zero).position):
        assert torch.equal(torch.isfinite(found).flatten(1).all(-1), torch.arange(10) != 6)
    # Neither size nor a small angle makes two directions none.
    small = q.clone()
    small[6, columns] *= 1e-4
    small[7, columns[3:]] = small[7, columns[:3]] + 0.01 * small[7, columns[3:]]
    assert torch.isfinite(mass_matrix(body, small, backend=backend)).all()


@pytest.mark.parametrize("rotations", ["quaternion", "matrix"])
def test_rates_of_what_is_no_rotation_are_refused(rotations: str) -> None:
    body = random_tree(0, "ball").with_rotations(rotations)
    q, v, _ = random_motion(body, 3)
    q[1, list(body.position_columns[1][0])] = 0.0
    with pytest.raises(DataError, match="in frame 1 the position of joint .* is no rotation"):
        position_rates(body, q, v)


def test_wrong_input_is_named() -> None:
    body, other = random_tree(0, "ball"), random_tree(0, "mixed")
    q, v, a = random_motion(body, 2)
    with pytest.raises(DataError, match="whose coordinates differ"):
        convert_positions(q, body, other)
    with pytest.raises(DataError, match=r"ball0: q needs 27 columns, got shape \[2, 26\]"):
        convert_positions(q[:, 1:], body, body)
    with pytest.raises(DataError, match="there is no rotation format 'euler'"):
        body.with_rotations("euler")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"v needs 27 columns, got shape \[2, 26\]"):
        position_rates(body, q, v[:, 1:])
    with pytest.raises(DataError, match="a needs 27 columns"):
        convert_speeds(q, v, a[:, 1:], body, body)


def test_roots_that_can_not_be_freed_say_why() -> None:
    body = random_tree(0, "revolute")
    root = body.joints[0]
    freed = body.with_free_root()
    assert freed.joints[0].ball
    halved = dataclasses.replace(root.elements[0], function=Linear(0.5, 0.0))
    turning = Element(Linear(1.0, 0.0), root.elements[0].coordinate)
    first, second = root.elements[0].coordinate, body.nv - 1 if root.elements[0].coordinate == 0 else 0
    coupler = Coupler("tie", second, first, Linear(1.0, 0.0))
    skewed = body.rotation_axes.clone()
    skewed[0, 0] = torch.tensor([0.6, 0.8, 0.0])
    for changed, message in (
        (
            {"joints": (dataclasses.replace(root, elements=(halved, *root.elements[1:])), *body.joints[1:])},
            "by a coord",
        ),
        (
            {"joints": (dataclasses.replace(root, elements=(*root.elements[:5], turning)), *body.joints[1:])},
            "translations",
        ),
        ({"joints": (dataclasses.replace(root, reversed=True), *body.joints[1:])}, "from the body to ground"),
        ({"couplers": (coupler,)}, "a coupler binds"),
        ({"rotation_axes": skewed}, "not orthogonal"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            dataclasses.replace(body, **changed).with_free_root()
        assert "\n" not in str(caught.value)


def test_what_follows_an_angle_keeps_it() -> None:
    body = fullbody().with_free_root()
    tied = dataclasses.replace(body, couplers=(*body.couplers, Coupler("tie", 10, 1, Linear(1.0, 0.0))))
    with pytest.raises(ModelError, match="the coupler 'tie' follows an angle of joint 'ground_pelvis'"):
        tied.with_rotations("quaternion")
