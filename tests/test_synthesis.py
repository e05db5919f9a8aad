"""Synthetic people, cameras and detector errors: held to plain mathematics, to the core and to their own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.series import KEYPOINT_NAMES
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.scaling import scale_lengths
from motorque.synthesis import cameras as phones
from motorque.synthesis.detector_errors import NO_ERRORS, ErrorModel, detect, scaled_errors
from motorque.synthesis.key_poses import mirrored
from motorque.synthesis.keypoint_sequences import RATE, seen_by_phones
from motorque.synthesis.occlusion import hidden_by_body
from motorque.synthesis.people import LANDMARK_NAMES, MIRRORED, generic_people, random_people, seen_skeleton
from motorque.synthesis.random_movements import pelvis_angles, random_movements, turned_about_vertical
from motorque.synthesis.smooth_noise import smooth_noise
from motorque.synthesis.variations import varied, window
from motorque.synthesis.world_landmarks import world_landmarks

NAMES = fullbody().coordinate_names
FEET = [i for i, name in enumerate(LANDMARK_NAMES) if name.startswith(("heel", "toe"))]
# float32 positions of a few metres
CLOSE = 2e-6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def movements() -> torch.Tensor:
    return random_movements(16, 90, generator(5))


def standing(count: int = 1, frames: int = 30) -> torch.Tensor:
    q = torch.zeros(count, frames, len(NAMES))
    q[..., NAMES.index("pelvis_ty")] = 0.93
    return q


def test_landmarks_are_known_keypoints_and_mirror_each_other() -> None:
    assert set(LANDMARK_NAMES) <= set(KEYPOINT_NAMES)
    assert len(LANDMARK_NAMES) == 19
    points = generic_people(1).landmarks(standing())[0, 0]
    flipped = points[list(MIRRORED)] * torch.tensor((1.0, 1.0, -1.0))
    torch.testing.assert_close(points, flipped, atol=1e-5, rtol=0)  # the left toe joint is 5e-6 rad off its mirror


def test_a_person_is_the_scaled_skeleton(movements: torch.Tensor) -> None:
    """Batched people against ``scale_lengths`` of one skeleton in float64."""
    people = random_people(3, generator(1))
    q = movements[:3, :5]
    body = list(range(3, len(LANDMARK_NAMES)))  # the head's landmarks hang on a neck
    seen = people.landmarks(q)[..., body, :]
    generic = seen_skeleton().to(dtype=torch.float64)
    for n in range(3):
        one = scale_lengths(generic, people.factors[n].double())
        one = one.with_markers(one.markers, people.skeleton.marker_position[n, 0].double())
        expected = marker_positions(one, q[n].double())[..., body, :]
        torch.testing.assert_close(seen[n].double(), expected, atol=CLOSE, rtol=0)


def test_people_have_the_asked_stature_and_spread() -> None:
    people = random_people(400, generator(2))
    assert 1.45 <= people.height.min() and people.height.max() <= 2.0
    points = people.landmarks(standing(400, 1))[:, 0]
    # From the ear to the ankle all lengths count: the proportions' spread must not change the stature.
    tall = (points[:, LANDMARK_NAMES.index("ear_r"), 1] - points[:, LANDMARK_NAMES.index("ankle_r"), 1]) / people.height
    assert tall.std() / tall.mean() < 0.02
    thigh = people.factors[:, seen_skeleton().body("femur_r"), 1] * 1.70 / people.height
    assert 0.03 < float(thigh.std()) < 0.06
    left = people.factors[:, seen_skeleton().body("femur_l")]
    torch.testing.assert_close(left, people.factors[:, seen_skeleton().body("femur_r")], atol=0, rtol=0)


def test_the_head_does_not_follow_the_trunk_alone(movements: torch.Tensor) -> None:
    made = seen_by_phones(movements, generator(3), people=generic_people(16), errors=NO_ERRORS)
    torso = made.people.skeleton.body("torso")
    turned = made.people.poses(made.q).rotation[..., torso, :, :]
    ears = made.landmarks[..., LANDMARK_NAMES.index("ear_r"), :] - made.landmarks[..., LANDMARK_NAMES.index("ear_l"), :]
    on_torso = (turned.transpose(-1, -2) @ ears[..., None])[..., 0]
    turn = torch.rad2deg(torch.atan2(on_torso[..., 0], on_torso[..., 2]))
    assert 8 < float(turn.std()) < 30


def test_projection_is_that_of_the_camera(movements: torch.Tensor) -> None:
    made = seen_by_phones(movements, generator(4), errors=NO_ERRORS)
    for index in (0, 7):
        camera = made.camera(index)
        x = made.landmarks[index].double().numpy() @ camera.rotation.T + camera.translation
        homogeneous = x @ camera.matrix.T
        expected = homogeneous[..., :2] / homogeneous[..., 2:]
        found = made.keypoints(index).points
        np.testing.assert_allclose(found, expected, atol=0.01)  # a hundredth of a pixel in float32
        assert (x[..., 2] > 0).all()
        # Head above feet in the picture, whose y goes down.
        assert (found[:, LANDMARK_NAMES.index("nose"), 1] < found[:, FEET, 1].max(-1)).mean() > 0.9
        np.testing.assert_allclose(made.cameras.up[index], camera.rotation @ (0, 1, 0), atol=1e-5)


def test_cameras_stand_where_they_were_asked_to_and_see_the_person(movements: torch.Tensor) -> None:
    points = generic_people(16).landmarks(movements)
    azimuth = torch.linspace(-3, 3, 16)
    cameras = phones.random_cameras(points, generator(6), azimuth=azimuth)
    center = -(cameras.rotation.transpose(-1, -2) @ cameras.translation[..., None])[..., 0]
    away = center - 0.5 * (points.amin((1, 2)) + points.amax((1, 2)))
    torch.testing.assert_close(torch.atan2(-away[:, 2], away[:, 0]), azimuth, atol=1e-4, rtol=0)
    low, high = phones.HEIGHT
    assert (center[:, 1] > low - 0.05).all() and (center[:, 1] < high + 0.05).all()
    assert (away[:, [0, 2]].norm(dim=-1) > 1.9).all()
    ratio = cameras.focal / cameras.size.amax(-1)
    assert (ratio > phones.FOCAL[0]).all() and (ratio < phones.FOCAL[1]).all()
    pixels, depth = cameras.project(points)
    inside = ((pixels > 0) & (pixels < cameras.size[:, None, None])).all(-1)
    assert inside.float().mean() > 0.98 and (depth > 1.0).all()
    # Roll and pitch of a phone that somebody holds: up is up to a few degrees.
    assert (torch.rad2deg(torch.atan2(cameras.up[:, 0], -cameras.up[:, 1])).abs() < 6).all()


def test_smooth_noise_has_unit_variance_and_its_correlation() -> None:
    noise = smooth_noise((200, 300, 4), torch.full((200,), 6.0), generator())
    assert abs(float(noise.var()) - 1) < 0.03
    # Of the filter 1/(1+ω²τ²) the autocorrelation is (1 + t/τ) e^(-t/τ).
    for lag in (3, 6, 12):
        found = float((noise[:, :-lag] * noise[:, lag:]).mean())
        assert abs(found - (1 + lag / 6) * math.exp(-lag / 6)) < 0.03, lag


def errors_in_cm(errors: ErrorModel, seed: int = 1, count: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors [cm] of a person who stands still facing the camera: [N, T, K, 2], and where points are hidden."""
    points = generic_people(count).landmarks(standing(count, 120))
    cameras = phones.random_cameras(points, generator(seed), azimuth=torch.zeros(count))
    pixels, depth = cameras.project(points)
    seen = detect(pixels, depth, cameras.focal, cameras.size, generator(seed + 1), rate=RATE, errors=errors)
    scale = cameras.focal[:, None] / depth.mean(-1)
    hidden = hidden_by_body(pixels, depth, cameras.focal)
    return 100 * (seen.points - pixels) / scale[..., None, None], hidden


def test_errors_have_the_size_and_the_times_that_they_claim() -> None:
    clean = ErrorModel(furniture=0, swaps=0, gaps=0, sparse=0)
    error, hidden = errors_in_cm(clean)
    assert torch.isfinite(error).all()
    knee = LANDMARK_NAMES.index("knee_r")
    assert not hidden[:, :, knee].any()
    constant = error[:, :, knee].mean(1)
    moving = error[:, :, knee] - constant[:, None]
    # Constant part 1.1 cm, slow part between 0.6 and 1.6 cm with a quarter's spread, along each axis.
    assert abs(float(constant.std()) - 1.1) < 0.25
    assert 0.9 < float(moving.square().mean().sqrt()) < 1.4
    lag = round(0.1 * RATE)
    together = (moving[:, :-lag] * moving[:, lag:]).mean() / moving.square().mean()
    assert 0.35 < float(together) < 0.95
    toe = error[:, :, LANDMARK_NAMES.index("toe_r")]
    assert 1.3 < float(toe.square().mean().sqrt() / error[:, :, knee].square().mean().sqrt()) < 1.9
    twice, _ = errors_in_cm(scaled_errors(2.0, clean))
    torch.testing.assert_close(twice, 2 * error, atol=1e-2, rtol=0)


def test_swaps_gaps_and_furniture_come_as_often_as_they_claim() -> None:
    gaps, _ = errors_in_cm(ErrorModel(furniture=0, swaps=0, sparse=0, gaps=1.0))
    lost = gaps.isnan().all(-1).all(-1)
    assert torch.equal(lost, gaps.isnan().any(-1).any(-1))
    assert 0.7 < float(lost.any(1).float().mean()) < 1.0 and float(lost.float().mean()) < 0.2
    none, _ = errors_in_cm(ErrorModel(furniture=0, swaps=0, sparse=0, gaps=0))
    swaps, _ = errors_in_cm(ErrorModel(furniture=0, swaps=1.0, sparse=0, gaps=0))
    knees = [LANDMARK_NAMES.index("knee_r"), LANDMARK_NAMES.index("knee_l")]
    wide = lambda e: (e[:, :, knees].abs().amax((2, 3)) > 10).float().mean()  # noqa: E731
    assert float(wide(none)) < 1e-3 < 0.02 < float(wide(swaps)) < 0.3
    behind, _ = errors_in_cm(ErrorModel(furniture=1.0, swaps=0, sparse=0, gaps=0))
    assert float(behind.square().mean()) > 1.5 * float(none.square().mean())


def test_the_far_side_is_hidden_from_the_side_and_only_heels_from_the_front() -> None:
    points = generic_people(2).landmarks(standing(2, 1))
    cameras = phones.random_cameras(points, generator(), azimuth=torch.tensor([0.0, -math.pi / 2]))
    pixels, depth = cameras.project(points)
    front, right = hidden_by_body(pixels, depth, cameras.focal)[:, 0]
    assert all(LANDMARK_NAMES[i].startswith("heel") for i in front.nonzero().flatten())
    hidden = {LANDMARK_NAMES[i] for i in right.nonzero().flatten()}
    assert {"hip_l", "knee_l"} <= hidden
    assert not any(name.endswith("_r") for name in hidden)


def test_landmarks_in_space_are_flattened_towards_the_camera(movements: torch.Tensor) -> None:
    made = seen_by_phones(movements, generator(12), errors=NO_ERRORS)
    world = world_landmarks(made, generator(13))
    assert world.shape == made.landmarks.shape
    hips = [LANDMARK_NAMES.index("hip_r"), LANDMARK_NAMES.index("hip_l")]
    assert float(world[..., hips, :].mean((1, 2)).norm(dim=-1).mean()) < 0.08
    true = made.cameras.in_camera(made.landmarks)
    true = true - true[..., hips, :].mean(-2, keepdim=True)
    # A turned camera keeps distances; what is left of depth makes them smaller.
    ratio = (world.square().sum((1, 2, 3)) / true.square().sum((1, 2, 3))).sqrt()
    assert 0.9 < float(ratio.mean()) < 1.0
    given = made.keypoints(2, world=world).world
    np.testing.assert_allclose(given, world[2].numpy(), atol=1e-6)
    up = world[..., LANDMARK_NAMES.index("nose"), 1] < world[..., FEET, 1].amax(-1)
    assert float(up.float().mean()) > 0.9


def test_the_same_seed_gives_the_same_recordings(movements: torch.Tensor) -> None:
    first, again, other = (seen_by_phones(movements, generator(seed)) for seed in (9, 9, 10))
    for name in ("points", "confidence", "q", "landmarks"):
        torch.testing.assert_close(getattr(first, name), getattr(again, name), rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.landmarks, other.landmarks)
    assert torch.equal(random_movements(4, 50, generator(1)), random_movements(4, 50, generator(1)))


def test_generated_movements_stand_on_the_floor(movements: torch.Tensor) -> None:
    feet = generic_people(16).landmarks(movements)[..., FEET, :]
    assert feet[..., 1].amin(-1).abs().max() < 1e-5
    lowest = feet[..., 1].argmin(-1)[:, 1:, None]
    slides = (RATE * feet.diff(dim=1)[..., [0, 2]].norm(dim=-1)).gather(-1, lowest)
    assert float(slides.median()) < 0.1  # m/s
    for name in ("knee_angle_r", "hip_rotation_l", "lumbar_bending", "lumbar_extension", "hip_adduction_r"):
        assert float(torch.rad2deg(movements[..., NAMES.index(name)]).std()) > 4, name
    bounds = [c.range for c in fullbody().coordinates if c.name.startswith("knee_angle") and "beta" not in c.name]
    assert movements[..., NAMES.index("knee_angle_r")].min() >= bounds[0][0]


def test_turning_about_the_vertical_turns_everything(movements: torch.Tensor) -> None:
    skeleton = fullbody()
    q = movements[:2, :10].double()
    pelvis = forward_kinematics(skeleton, q).rotation[..., 0, :, :]
    torch.testing.assert_close(
        pelvis_angles(pelvis), q[..., [NAMES.index(f"pelvis_{n}") for n in ("tilt", "list", "rotation")]]
    )
    turned = forward_kinematics(skeleton, turned_about_vertical(q, torch.full(q.shape[:2], 1.0).double(), pelvis))
    c, s = math.cos(1), math.sin(1)
    expected = torch.tensor(((c, 0, s), (0, 1, 0), (-s, 0, c)), dtype=torch.float64) @ pelvis
    torch.testing.assert_close(turned.rotation[..., 0, :, :], expected)


def test_a_mirrored_motion_is_seen_mirrored(movements: torch.Tensor) -> None:
    people = generic_people(16)
    there, back = people.landmarks(movements), people.landmarks(mirrored(movements))
    torch.testing.assert_close(back[..., list(MIRRORED), :] * torch.tensor((1, 1, -1.0)), there, atol=2e-5, rtol=0)
    torch.testing.assert_close(mirrored(mirrored(movements)), movements)


def test_variations_keep_the_feet_at_their_height(movements: torch.Tensor) -> None:
    people = generic_people(16)
    other = varied(movements, generator(3))
    low = people.landmarks(other)[..., FEET, 1].amin(-1)
    torch.testing.assert_close(low, people.landmarks(movements)[..., FEET, 1].amin(-1), atol=1e-5, rtol=0)
    assert float(torch.rad2deg(other - movements)[..., NAMES.index("pelvis_tilt")].mean(1).std()) > 2


@pytest.mark.parametrize("length", [1, 20, 400])
def test_a_window_has_the_frames_that_were_asked_for(length: int) -> None:
    motion = torch.arange(float(length))[:, None].expand(-1, 3)
    for seed in range(20):
        cut = window(motion, 60, generator(seed))[:, 0]
        assert cut.shape == (60,) and cut.min() >= 0 and cut.max() <= length - 1
        if length > 1:
            steps = cut.diff().abs()
            assert 0.69 < float(steps.median()) < 1.41 and float(steps.max()) < 1.42
