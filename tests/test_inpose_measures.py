"""What InPose's evaluation measures: errors against loops written the plain way, shapes, noise, intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inpose_people import person
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS, global_rotations
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.intervals import resamples
from motorque.studies.inpose.measures import LOWER, UPPER, local, measures
from motorque.studies.inpose.protocol import DEFAULT, Condition, Shape, Trial, with_errors

RATE = 60.0


@pytest.fixture(scope="module")
def trial() -> Trial:
    turns, pelvis = global_rotations(person(1, frames=50))
    return Trial("somebody", "s1", "", torch.tensor(turns), torch.tensor(pelvis))


def wobbled(turns: torch.Tensor, size: float, seed: int = 0) -> torch.Tensor:
    vectors = size * np.random.default_rng(seed).standard_normal((*turns.shape[:2], 3))
    return turns @ torch.tensor(Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()).reshape(turns.shape)


def plain_places(turns: np.ndarray, rest: np.ndarray, pelvis: np.ndarray) -> np.ndarray:
    found = np.zeros((len(turns), 22, 3))
    for frame in range(len(turns)):
        found[frame, 0] = pelvis[frame]
        for joint in range(1, 22):
            parent = PARENTS[joint]
            found[frame, joint] = found[frame, parent] + turns[frame, parent] @ (rest[joint] - rest[parent])
    return found


def plain_local(turns: np.ndarray, joint: int) -> Rotation:
    own = Rotation.from_matrix(turns[joint])
    return own if PARENTS[joint] < 0 else Rotation.from_matrix(turns[PARENTS[joint]]).inv() * own


def test_measures_are_those_of_a_plain_loop(trial: Trial) -> None:
    rest, scale = default_body(), 1.3
    found = wobbled(trial.rotations, 0.3)

    got = measures(trial.rotations, found, scale * rest, scale * trial.pelvis, scale=scale)

    at = plain_places(trial.rotations.numpy(), scale * rest.numpy(), scale * trial.pelvis.numpy())
    hung = plain_places(found.numpy(), scale * rest.numpy(), np.zeros((50, 3)))
    distances, components, angles = np.zeros((50, 22)), [], []
    for frame in range(50):
        hung[frame] += at[frame, HEAD] - hung[frame, HEAD]
        for joint in range(22):
            distances[frame, joint] = 100 * np.linalg.norm(hung[frame, joint] - at[frame, joint]) / scale
            own, other = (
                Rotation.from_matrix(turns[frame, joint])
                if PARENTS[joint] < 0
                else Rotation.from_matrix(turns[frame, PARENTS[joint]]).inv()
                * Rotation.from_matrix(turns[frame, joint])
                for turns in (trial.rotations.numpy(), found.numpy())
            )
            angles.append(np.degrees((own.inv() * other).magnitude()))
            if joint:
                gap = np.degrees(other.as_rotvec() - own.as_rotvec())
                components.append(np.abs([g - 360 if g > 180 else g + 360 if g < -180 else g for g in gap]))
    speeds = [(hung[t + 1] - hung[t] - at[t + 1] + at[t]) * RATE for t in range(49)]
    jerks = [(hung[t + 3] - 3 * hung[t + 2] + 3 * hung[t + 1] - hung[t]) * RATE**3 for t in range(47)]
    assert got.mpjpe == pytest.approx(distances.mean(), rel=1e-9)
    assert got.upe == pytest.approx(np.mean([distances[:, j].mean() for j in UPPER]), rel=1e-9)
    assert got.lpe == pytest.approx(np.mean([distances[:, j].mean() for j in LOWER]), rel=1e-9)
    assert got.hands == pytest.approx(distances[:, [20, 21]].mean(), rel=1e-9)
    assert got.mpjre == pytest.approx(np.mean(components), rel=1e-9)
    assert got.angle == pytest.approx(np.mean(angles), rel=1e-9)
    assert got.velocity == pytest.approx(100 * np.linalg.norm(speeds, axis=-1).mean() / scale, rel=1e-9)
    assert got.jitter == pytest.approx(np.linalg.norm(jerks, axis=-1).mean() / scale, rel=1e-9)
    assert sorted((*UPPER, *LOWER)) == list(range(22))


def test_a_body_that_is_right_has_no_error_wherever_it_stands(trial: Trial) -> None:
    got = measures(trial.rotations, trial.rotations, default_body(), trial.pelvis)

    assert max(got.mpjpe, got.mpjre, got.angle, got.velocity) < 1e-6
    assert got.jitter == pytest.approx(got.true_jitter, rel=1e-9)


def test_vectors_near_half_a_turn_are_not_a_whole_turn_apart() -> None:
    half = Rotation.from_rotvec([0.0, 0.0, math.pi - 0.01]).as_matrix()
    over = Rotation.from_rotvec([0.0, 0.0, math.pi + 0.01]).as_matrix()
    one, other = (torch.eye(3, dtype=torch.float64).repeat(4, 22, 1, 1) for _ in range(2))
    joint = JOINTS.index("left_foot")  # nothing hangs on it
    one[:, joint], other[:, joint] = torch.tensor(half), torch.tensor(over)

    got = measures(one, other, default_body(), torch.zeros(4, 3))

    assert got.mpjre == pytest.approx(math.degrees(0.02) / 63, rel=1e-6)


def test_local_rotations_make_global_ones_again(trial: Trial) -> None:
    own = local(trial.rotations)
    again = own.clone()
    for joint, parent in enumerate(PARENTS[1:], 1):
        again[:, joint] = again[:, parent] @ own[:, joint]
    assert torch.allclose(again, trial.rotations, atol=1e-12)


def test_sensors_are_where_the_changed_body_has_them(trial: Trial) -> None:
    shape = Shape(whole=1.2, arms=1.1)
    got = trial.measured(Condition(shape, sensors=("head", "left_wrist", "pelvis")))

    at = plain_places(trial.rotations.numpy(), shape.rest.numpy(), 1.2 * trial.pelvis.numpy())
    for name in ("head", "left_wrist", "pelvis"):
        joint = JOINTS.index(name)
        assert got.points[:, joint].numpy() == pytest.approx(at[:, joint], abs=1e-6)
        assert got.seen[:, joint].all() and got.there[:, joint].all()
    assert int(got.seen.sum()) == 3 * len(got)
    assert got.rest.numpy() == pytest.approx(shape.rest.numpy(), abs=1e-6)
    feet = [JOINTS.index("left_ankle"), JOINTS.index("left_knee")]
    bone = shape.rest[feet[0]] - shape.rest[feet[1]]
    assert float(bone.norm()) == pytest.approx(1.2 * float((default_body()[feet[0]] - default_body()[feet[1]]).norm()))


def test_bent_bones_are_longer_and_out_of_the_frontal_plane() -> None:
    straight, bent = Shape(upper=0.85).rest, Shape(upper=0.85, bent=0.3).rest
    for joint, parent in enumerate(PARENTS):
        if joint:
            before, after = straight[joint] - straight[parent], bent[joint] - bent[parent]
            assert torch.equal(before[:2], after[:2])
            slope = 0.3 * float(before.norm()) if joint in UPPER else 0.0
            assert abs(float(after[2] - before[2])) == pytest.approx(slope)
    assert str(Shape(upper=0.85, bent=0.3)) == "upper body × 0.85, bones bent by 0.3"


def test_noise_is_as_large_as_it_says_and_the_same_draw_in_all_conditions(trial: Trial) -> None:
    three = [JOINTS.index(name) for name in DEFAULT.sensors]
    clean = trial.measured(DEFAULT)
    small, large = (trial.measured(Condition(place_noise=size)) for size in (0.02, 0.04))
    off = (small.points - clean.points)[:, three]
    turned = trial.measured(Condition(rotation_noise=0.1))
    between = Rotation.from_matrix(
        (trial.rotations[:, three].mT @ torch.tensor(turns(turned.columns6[:, three].double()))).reshape(-1, 3, 3)
    )

    assert float(off.std()) == pytest.approx(0.02, rel=0.1)  # 450 numbers: 3 % each standard deviation
    assert torch.allclose(2 * off, (large.points - clean.points)[:, three], atol=1e-6)
    assert torch.equal(small.columns6, clean.columns6)
    assert between.as_rotvec().std() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(turned.points, clean.points)
    assert not torch.equal(trial.measured(DEFAULT, seed=1).points, trial.measured(Condition(place_noise=0.02)).points)


def turns(six: torch.Tensor) -> np.ndarray:
    first, second = six[..., :3].numpy(), six[..., 3:].numpy()
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def test_wrong_bones_are_told_and_true_ones_move(trial: Trial) -> None:
    wrong, clean = trial.measured(Condition(bone_error=0.03)), trial.measured(DEFAULT)
    lengths = [
        np.array([float((m.rest[j] - m.rest[p]).norm()) for j, p in enumerate(PARENTS) if j]) for m in (wrong, clean)
    ]
    assert torch.equal(wrong.points, clean.points)
    assert 0.015 < (lengths[0] - lengths[1]).std() < 0.045

    short = with_errors(default_body(), torch.full((22,), -5.0, dtype=torch.float64))
    assert min(float((short[j] - short[p]).norm()) for j, p in enumerate(PARENTS) if j) == pytest.approx(0.01)


def test_intervals_cover_what_they_should() -> None:
    rng, hits, rounds = np.random.default_rng(0), 0, 200
    for number in range(rounds):
        people = np.repeat(np.arange(12), 6)
        values = 5 + rng.standard_normal(12)[people] + rng.standard_normal(72)
        drawn = resamples([str(p) for p in people], [100] * 72, draws=300, seed=number)
        low, high = drawn.mean(values)[1:]
        hits += low < 5 < high
    # Percentile intervals of a dozen people fall short of 95 %; of recordings alone it would be less than 60 %
    assert 0.85 < hits / rounds < 0.985


def test_people_are_drawn_before_recordings() -> None:
    subjects = ["a"] * 20 + ["b"] * 20
    values = np.array([1.0] * 20 + [3.0] * 20)
    both = resamples(subjects, [1] * 40).mean(values)
    alone = resamples(subjects, [1] * 40, people=False).mean(values)

    assert both == pytest.approx((2.0, 1.0, 3.0))  # one of four draws is of one person alone
    assert alone == pytest.approx((2.0, 2.0, 2.0))


def test_frames_weigh_and_differences_are_paired() -> None:
    subjects = ["a", "a", "b", "b", "c"]
    one, drawn = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), resamples(["a", "a", "b", "b", "c"], [1, 2, 3, 4, 10])
    assert drawn.mean(one).mean == pytest.approx((1 + 4 + 9 + 16 + 50) / 20)
    assert drawn.difference(one + 0.5, one) == pytest.approx((0.5, 0.5, 0.5))
    assert drawn.ratio(1.1 * one, one) == pytest.approx((1.1, 1.1, 1.1))
    assert len(set(subjects)) == drawn.subjects
