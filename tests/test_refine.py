"""Pose refinement: nearer to the truth in pose and torque, gentle with what is clean, clear about what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.fitting.pose_chart import PoseChart, matrices_of, turned_by, vectors_of
from motorque.fitting.pose_smoothing import smooth_poses
from motorque.fitting.pose_torques import TURNS, PoseTorques, quaternions
from motorque.fitting.refine import RefineSettings, refine_poses
from motorque.fitting.refine_adam import adam_loss, default_loss, refine_adam
from motorque.fitting.refine_physics import StandingPoints, TorqueBend
from motorque.fitting.refine_pose_physics import standing_points, torque_bend
from motorque.journal import Journal
from motorque.mechanics.physics_loss import PhysicsLoss
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.series.poses import Poses
from motorque.studies.noise.models import Realistic, White, noisy_rotations
from motorque.synthesis.smpl_walk import smpl_walk


@pytest.fixture(scope="module")
def walk() -> Poses:
    return smpl_walk()


def with_noise(poses: Poses, sigma: float = 0.05, seed: int = 1) -> Poses:
    rotations, _ = noisy_rotations(poses, White(sigma).draw(poses, 1, seed=seed))
    return dataclasses.replace(poses, rotations=rotations[0])


@pytest.fixture(scope="module")
def noisy(walk: Poses) -> Poses:
    return with_noise(walk)


def torques(poses: Poses, *, twice: bool = False) -> torch.Tensor:
    body = PoseTorques.of(poses, twice=twice)
    with torch.no_grad():
        return body.torques(quaternions(torch.as_tensor(poses.rotation_vectors)), torch.tensor(poses.translation))


def torque_error(poses: Poses, clean: Poses, *, twice: bool = False) -> float:
    return float((torques(poses, twice=twice) - torques(clean, twice=twice)).norm(dim=-1).mean())


def pose_error(poses: Poses, clean: Poses) -> float:
    between = vectors_of(poses.rotations @ clean.rotations.swapaxes(-1, -2))
    return float(np.linalg.norm(between, axis=-1).mean())


@pytest.mark.parametrize("twice", [False, True])
def test_quick_torques_are_the_layers(noisy: Poses, twice: bool) -> None:
    rates = "central-twice" if twice else "central"
    layer = SMPLDynamics(fps=30.0, mass=noisy.mass, height=noisy.height, rates=rates, frame="parent")
    vectors = torch.as_tensor(noisy.rotation_vectors)
    expected = layer(vectors[:, 0], vectors[:, 1:].flatten(1), torch.tensor(noisy.translation)).torques
    ends = 2 if twice else 1
    torch.testing.assert_close(torques(noisy, twice=twice), expected[ends:-ends], rtol=1e-7, atol=1e-6)


def test_inertia_is_torque_by_acceleration(walk: Poses) -> None:
    body = PoseTorques.of(walk)
    turned = quaternions(torch.as_tensor(walk.rotation_vectors))
    by = body.linearized(turned, torch.as_tensor(walk.translation))[3][:, TURNS][:, :, TURNS]
    np.testing.assert_allclose(body.inertia(turned[1:-1]), by, atol=1e-12 * np.abs(by).max())


def test_adams_loss_is_equation_5(walk: Poses, noisy: Poses) -> None:
    loss = dataclasses.replace(default_loss(noisy), limit=150.0)  # so that the second term says something
    body = PoseTorques.of(walk)
    one, two = (quaternions(torch.as_tensor(x.rotation_vectors)) for x in (noisy, walk))
    found = adam_loss(loss, body, one, two, torch.tensor(walk.translation))
    tau = torques(noisy)
    bend = ((tau[2:] - 2 * tau[1:-1] + tau[:-2]) * 30.0**2) / loss.roughness[:, None]
    over = (tau.norm(dim=-1) - 150.0).clamp(min=0) / loss.excess
    off = torch.as_tensor(
        Rotation.from_matrix((noisy.rotations @ walk.rotations.swapaxes(-1, -2)).reshape(-1, 3, 3)).as_rotvec()
    )
    expected = [
        loss.weights[0] * bend.square().sum(-1).mean() / 3,
        loss.weights[1] * over.square().mean(),
        loss.weights[2] * (off / loss.pose_error).square().sum(-1).mean() / 3,
    ]
    assert float(found.limit) > 0
    torch.testing.assert_close(torch.stack(found[1:]), torch.stack(expected), rtol=1e-9, atol=0.0)
    assert float(found.total) == pytest.approx(float(sum(expected)), rel=1e-9)


def test_derivatives_of_bends_and_of_standing_points(walk: Poses) -> None:
    generator = np.random.default_rng(0)
    frames = len(walk.times)
    turn = 1e-8 * np.cumsum(np.cumsum(generator.normal(size=(frames, 24, 3)), 0), 0)
    place = 1e-8 * np.cumsum(generator.normal(size=(frames, 3)), 0)
    body, weight = PoseTorques.of(walk), generator.uniform(size=(frames - 1, 12))

    def bends(rotations: np.ndarray, translation: np.ndarray) -> TorqueBend:
        return torque_bend(body, rotations, translation, np.ones(72))

    def stands(rotations: np.ndarray, translation: np.ndarray) -> StandingPoints:
        return standing_points(body, rotations, translation, weight=weight, belt=np.zeros(3), scale=1.0, least=0.0)

    # A turn's rate is carried along by the parent only to the order of the step: 2e-3 of it at 30 frames per second.
    for made, tolerance in ((bends, 2e-3), (stands, 1e-6)):
        here = made(walk.rotations, walk.translation)
        change = here.forward(turn.reshape(frames, -1), place)
        ahead = made(matrices_of(turn) @ walk.rotations, walk.translation + place).residual
        behind = made(matrices_of(-turn) @ walk.rotations, walk.translation - place).residual
        assert np.abs((ahead - behind) / 2 - change).max() < tolerance * np.abs(change).max()
        pull = generator.normal(size=change.shape)
        back = here.backward(pull)
        assert np.sum(pull * change) == pytest.approx(
            np.sum(back[0] * turn.reshape(frames, -1)) + np.sum(back[1] * place)
        )


def test_vectors_turn_rotations_as_the_jacobian_says() -> None:
    vectors = np.array([[0.0, 0.0, 0.0], [1e-5, 0.0, 0.0], [0.3, -0.2, 0.9], [0.0, 2.0, 0.1]])
    change = 1e-6 * np.array([1.0, -2.0, 0.5])
    moved = vectors_of(matrices_of(vectors + change) @ matrices_of(vectors).swapaxes(-1, -2))
    assert np.abs(moved - (turned_by(vectors) @ change)).max() < 1e-11


def test_a_chart_gives_rotations_back_however_far_they_go() -> None:
    times = np.arange(200) / 30
    around = Rotation.from_euler("y", 2.5 * times[:, None]).as_matrix()
    nod = Rotation.from_euler("x", 0.3 * np.sin(5 * times[:, None])).as_matrix()
    rotations = np.stack([around @ nod, nod], axis=1)
    chart = PoseChart.of(rotations, 30.0)
    vectors = chart.vectors(rotations)
    assert np.abs(chart.rotations(vectors) - rotations).max() < 1e-12
    assert np.abs(np.diff(vectors, axis=0)).max() < 0.2  # no jump where the turn is half done
    assert np.ptp(vectors[:, 0, 1]) > 15


def test_smoothing_alone_takes_nine_tenths_of_white_noises_torques(walk: Poses, noisy: Poses) -> None:
    found = smooth_poses(noisy)
    assert torque_error(found.poses, walk) < 0.03 * torque_error(noisy, walk)
    assert torque_error(found.poses, walk, twice=True) < 0.1 * torque_error(noisy, walk, twice=True)
    assert pose_error(found.poses, walk) < 0.5 * pose_error(noisy, walk)
    others = np.delete(np.arange(24), [10, 11])  # toes snap up, faster than jerk that is the same all the time
    assert found.noise.joints[others] == pytest.approx(np.full((22, 3), 0.05), rel=0.45)
    assert np.median(found.noise.joints) == pytest.approx(0.05, rel=0.1)


def test_smoothing_finds_the_cameras_axis_and_beats_the_papers_cutoff(walk: Poses) -> None:
    rotations, _ = noisy_rotations(walk, Realistic(camera="side", depth=3.0).draw(walk, 1, seed=2))
    seen = dataclasses.replace(walk, rotations=rotations[0])
    found = smooth_poses(seen)
    assert abs(found.noise.axis @ [1.0, 0.0, 0.0]) > 0.95
    assert found.noise.ratio > 1.6
    assert 0 < found.noise.lasts < 0.3 and found.noise.white_share < 0.9
    assert torque_error(found.poses, walk, twice=True) < 0.2 * torque_error(seen, walk, twice=True)


def test_refined_poses_are_nearer_to_the_truth_than_smoothed_ones(walk: Poses, noisy: Poses) -> None:
    refined, smoothed = refine_poses(noisy).poses, smooth_poses(noisy).poses
    assert torque_error(refined, walk) < 0.9 * torque_error(smoothed, walk)
    assert torque_error(refined, walk, twice=True) < 0.07 * torque_error(noisy, walk, twice=True)
    assert pose_error(refined, walk) < 0.5 * pose_error(noisy, walk)


def test_a_clean_motion_stays_nearly_as_it_is(walk: Poses) -> None:
    for found in (smooth_poses(walk).poses, refine_poses(walk).poses):
        assert pose_error(found, walk) < 2e-3
        assert np.abs(found.translation - walk.translation).max() < 2e-3
        assert torque_error(found, walk) < 0.1 * float(torques(walk).norm(dim=-1).mean())


def test_adam_does_what_the_paper_reports(walk: Poses, noisy: Poses) -> None:
    found = refine_adam(noisy, twice=True)
    assert torque_error(found, walk, twice=True) < 0.12 * torque_error(noisy, walk, twice=True)
    assert pose_error(found, walk) < pose_error(noisy, walk)


def test_adam_without_steps_changes_nothing(noisy: Poses) -> None:
    assert pose_error(refine_adam(noisy, iterations=0), noisy) < 1e-9


def test_without_mechanics_refining_is_smoothing(noisy: Poses) -> None:
    refined = refine_poses(noisy, settings=RefineSettings(bend=0.0, stand=False)).poses
    assert np.abs(refined.rotations - smooth_poses(noisy).poses.rotations).max() < 1e-12


def test_somebody_who_turns_round_is_refined_as_well(walk: Poses, noisy: Poses) -> None:
    def round_(poses: Poses) -> Poses:
        heading = Rotation.from_euler("y", np.linspace(0, 8, len(poses.times))[:, None]).as_matrix()
        rotations = poses.rotations.copy()
        rotations[:, 0] = heading @ rotations[:, 0]
        place = (heading @ poses.translation[..., None])[..., 0]
        return dataclasses.replace(poses, rotations=rotations, translation=place)

    clean, spoiled = round_(walk), round_(noisy)
    assert pose_error(refine_poses(spoiled).poses, clean) < 0.5 * pose_error(spoiled, clean)


def test_up_is_where_the_poses_say(walk: Poses, noisy: Poses) -> None:
    """The same movement in a world with z up gives the same joint rotations."""
    tilt = Rotation.from_euler("x", np.pi / 2).as_matrix()

    def tilted(poses: Poses) -> Poses:
        rotations = poses.rotations.copy()
        rotations[:, 0] = tilt @ rotations[:, 0]
        return dataclasses.replace(poses, rotations=rotations, translation=poses.translation @ tilt.T, up="z")

    one, two = refine_poses(noisy).poses, refine_poses(tilted(noisy)).poses
    assert np.abs(one.rotations[:, 1:] - two.rotations[:, 1:]).max() < 2e-3
    assert np.abs(tilted(one).translation - two.translation).max() < 1e-3


def test_outliers_count_less(walk: Poses) -> None:
    quiet = with_noise(walk, 0.02)
    spoiled = quiet.rotations.copy()
    generator = np.random.default_rng(4)
    for frame, joint in zip(generator.choice(120, 15, replace=False), generator.integers(0, 24, 15), strict=True):
        spoiled[frame, joint] = spoiled[frame, joint] @ Rotation.from_rotvec([0.8, -0.5, 0.6]).as_matrix()
    journal = Journal()
    found = refine_poses(dataclasses.replace(quiet, rotations=spoiled), journal=journal).poses
    assert any("given less weight" in notice.text for notice in journal.notices)
    assert pose_error(found, walk) < 1.5 * pose_error(refine_poses(quiet).poses, walk)


@pytest.mark.parametrize("frames", [60, 240, 300])
def test_a_noisy_place_is_smoothed_too(frames: int) -> None:
    clean = smpl_walk(frames=frames)
    _, places = noisy_rotations(clean, White(0.0, translation=0.01).draw(clean, 5, seed=5))
    found = [smooth_poses(dataclasses.replace(clean, translation=x)).poses.translation for x in places]
    before, after = (np.linalg.norm(x - clean.translation, axis=-1).mean() for x in (places, np.array(found)))
    assert after < 0.6 * before


def test_answers_repeat(noisy: Poses) -> None:
    assert np.array_equal(refine_poses(noisy).poses.rotations, refine_poses(noisy).poses.rotations)
    few = refine_adam(noisy, iterations=5), refine_adam(noisy, iterations=5)
    assert np.array_equal(few[0].rotations, few[1].rotations)


def test_somebody_who_hangs_in_the_air_is_refined_without_ground(walk: Poses, noisy: Poses) -> None:
    place = noisy.translation + np.arange(120)[:, None] * [0.0, 0.1, 0.0]
    journal = Journal()
    refine_poses(dataclasses.replace(noisy, translation=place), journal=journal)
    assert any("no foot ever stands still" in notice.text for notice in journal.notices)


@pytest.mark.parametrize("refine", [smooth_poses, refine_poses, refine_adam])
def test_what_is_refused_is_said_in_one_line(refine, noisy: Poses) -> None:
    for frames, text in ((1, "too few"), (2, "too few"), (6, "too few")):
        with pytest.raises(DataError, match=text) as caught:
            refine(noisy.frames(slice(0, frames)))
        assert "\n" not in str(caught.value)
    gap = noisy.rotations.copy()
    gap[40, 5] = np.nan
    with pytest.raises(DataError, match=r"right_knee is not known in frame 40 \(1.33333 s\)"):
        refine(dataclasses.replace(noisy, rotations=gap))
    place = noisy.translation.copy()
    place[3, 1] = np.nan
    with pytest.raises(DataError, match="the root's place is not known in frame 3"):
        refine(dataclasses.replace(noisy, translation=place))
    with pytest.raises(DataError, match="resample to a constant rate"):
        refine(noisy.frames(np.r_[0:50, 52:120]))


def test_loss_scales_must_be_scales() -> None:
    with pytest.raises(DataError):
        PhysicsLoss(pose_error=0.0)
