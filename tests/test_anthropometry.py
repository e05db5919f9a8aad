"""de Leva's table is consistent in itself, and a skeleton gets the person's mass from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from motorque.errors import DataError, ModelError
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.skeleton import anthropometry
from motorque.skeleton.anthropometry import segments, whole_trunk, with_segment_masses
from motorque.skeleton.fullbody import fullbody

PAIRED = ("upper_arm", "forearm", "hand", "thigh", "shank", "foot")
TRUNK = ("upper_trunk", "middle_trunk", "lower_trunk")
PERCENT = 1e-4  # the table is given to a hundredth of a percent


@pytest.mark.parametrize("sex", ["f", "m", "unknown"])
def test_masses_add_up_to_the_whole_body(sex: str) -> None:
    table = segments(sex)
    total = sum(s.mass * (2 if name in PAIRED else 1) for name, s in table.items())
    assert total == pytest.approx(1.0, abs=1.01 * PERCENT)


@pytest.mark.parametrize("sex", ["f", "m"])
def test_parts_of_the_trunk_make_the_trunk(sex: str) -> None:
    """Lengths and masses add up; centre of mass and the three moments follow from the parts by the parallel axes."""
    parts, whole = [segments(sex)[name] for name in TRUNK], whole_trunk(sex)
    assert sum(p.length for p in parts) == pytest.approx(whole.length, abs=1e-4)
    assert sum(p.mass for p in parts) == pytest.approx(whole.mass, abs=PERCENT)
    mass = np.array([p.mass for p in parts])
    starts = np.cumsum([0.0, *(p.length for p in parts[:-1])])
    centers = starts + np.array([p.center * p.length for p in parts])
    center = mass @ centers / mass.sum()
    # The women's whole is exactly the sum of its parts; the men's published centre lies 3.0 mm away from it.
    assert center / whole.length == pytest.approx(whole.center, abs={"f": 2 * PERCENT, "m": 57 * PERCENT}[sex])
    for axis, tolerance in ((0, 0.012), (1, 0.012), (2, 0.005)):
        moments = mass * np.array([(p.radii[axis] * p.length) ** 2 for p in parts])
        if axis < 2:
            moments = moments + mass * (centers - center) ** 2
        radius = np.sqrt(moments.sum() / mass.sum())
        assert radius == pytest.approx(whole.radii[axis] * whole.length, abs=tolerance), axis


@pytest.mark.parametrize("sex", ["f", "m"])
def test_lengths_stack_up_to_the_stature(sex: str) -> None:
    """Foot height apart, shank, thigh, trunk to C7 and head make the stature to 8 cm (4 to 7 cm of it are the foot)."""
    table = segments(sex)
    stack = table["shank"].length + table["thigh"].length
    stack += (anthropometry._CERVICALE[sex] + anthropometry._VERTEX_CERVICALE[sex]) / 1000
    assert 0.0 < anthropometry.STATURE[sex] - stack < 0.08


@pytest.mark.parametrize("sex", ["f", "m", "unknown"])
def test_moments_are_possible_for_a_rigid_body(sex: str) -> None:
    for name, segment in segments(sex).items():
        moments = np.sort(np.array(segment.radii) ** 2)
        assert moments[2] <= moments[0] + moments[1], name
        assert 0 < segment.center < 1


def test_unknown_sex_is_the_mean() -> None:
    f, m, mean = segments("f")["thigh"], segments("m")["thigh"], segments("unknown")["thigh"]
    assert mean.mass == pytest.approx((f.mass + m.mass) / 2)
    assert mean.radii == pytest.approx(tuple((a + b) / 2 for a, b in zip(f.radii, m.radii, strict=True)))


@pytest.mark.parametrize("sex", ["f", "m", "unknown"])
def test_skeleton_gets_the_masses(sex: str) -> None:
    skeleton = with_segment_masses(fullbody(height=1.65), mass=60.0, sex=sex)
    table = segments(sex)
    total = sum(s.mass * (2 if name in PAIRED else 1) for name, s in table.items())

    def mass(*bodies: str) -> float:
        return sum(float(skeleton.mass[skeleton.body(b)]) for b in bodies) * total / 60.0

    assert skeleton.total_mass() == pytest.approx(60.0, rel=1e-12)
    assert mass("pelvis") == pytest.approx(table["lower_trunk"].mass)
    assert mass("torso") == pytest.approx(table["head"].mass + table["upper_trunk"].mass + table["middle_trunk"].mass)
    assert mass("femur_r", "patella_r") == pytest.approx(table["thigh"].mass)
    assert mass("talus_l", "calcn_l", "toes_l") == pytest.approx(table["foot"].mass)
    assert mass("ulna_r", "radius_r") == pytest.approx(table["forearm"].mass)


def test_centers_and_moments_are_those_of_the_segment() -> None:
    skeleton = fullbody(sex="m", mass=80.0)
    shank, tibia = segments("m")["shank"], skeleton.body("tibia_r")
    start = skeleton.child_position[tibia]
    end = skeleton.parent_position[skeleton.body("talus_r")]
    torch.testing.assert_close(skeleton.mass_center[tibia], start + shank.center * (end - start), atol=1e-12, rtol=0)
    length = float((end - start).norm())
    expected = np.sort(float(skeleton.mass[tibia]) * (np.array(shank.radii) * length) ** 2)
    np.testing.assert_allclose(np.linalg.eigvalsh(skeleton.inertia[tibia].numpy()), expected, rtol=1e-10)


@pytest.mark.parametrize("sex", ["unknown", "f", "m"])
def test_whole_body_center_of_mass_is_where_standing_people_have_it(sex: str) -> None:
    """55 to 57 % of the stature above the soles (Winter 2009, section 4; Page 1974): here within 54 to 59 %."""
    skeleton = fullbody(sex=sex)
    poses = forward_kinematics(skeleton, skeleton.default_pose)
    soles = min(
        float(poses.point(s.body, torch.tensor(s.center, dtype=torch.float64))[1]) - s.radius
        for s in skeleton.contact_spheres
    )
    center = center_of_mass(skeleton, poses)
    assert 0.54 < (float(center[1]) - soles) / 1.70 < 0.59
    assert abs(float(center[2])) < 1e-6


def test_bodies_are_possible_rigid_bodies() -> None:
    for sex in ("f", "m", "unknown"):
        for name, inertia in zip(fullbody(sex=sex).body_names, fullbody(sex=sex).inertia.numpy(), strict=True):
            low, middle, high = np.linalg.eigvalsh(inertia)
            # The published toes break the triangle inequality (0.0001, 0.0002, 0.001); they are kept as published.
            assert low > 0 and (high <= low + middle or name.startswith(("toes", "torso_"))), (sex, name)


def test_wrong_questions() -> None:
    with pytest.raises(DataError, match="f, m or unknown"):
        segments("x")
    with pytest.raises(DataError, match="positive"):
        with_segment_masses(fullbody(), mass=-1.0, sex="f")
    with pytest.raises(ModelError, match="femur_r"):
        skeleton = fullbody()
        with_segment_masses(replace(skeleton, body_names=tuple(f"x{b}" for b in skeleton.body_names)), mass=70, sex="f")
