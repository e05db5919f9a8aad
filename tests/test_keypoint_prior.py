"""The learned prior: any recording, any detector, the same answer each time, and better than knowing nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError, FileFormatError
from motorque.estimators.keypoint_prior import prior as prior_module
from motorque.estimators.keypoint_prior.calibrate import calibrated
from motorque.estimators.keypoint_prior.examples import Examples, example
from motorque.estimators.keypoint_prior.features import WIDTH, features, filled, smoothed
from motorque.estimators.keypoint_prior.loss import loss, rotation_error
from motorque.estimators.keypoint_prior.network import ANGLES, NetworkSize, PoseNetwork
from motorque.estimators.keypoint_prior.prior import LearnedPrior
from motorque.estimators.keypoint_prior.train import captured, example_loss, main, prior_task
from motorque.estimators.keypoint_prior.weights import FORMAT, SHIPPED, load_weights, save_weights
from motorque.fitting.motion_prior import MotionPrior, PoseGuess
from motorque.series import Keypoints
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.key_poses import mirrored
from motorque.synthesis.keypoint_sequences import KeypointSequences, seen_by_phones
from motorque.synthesis.motions import CapturedMotion, save_motions
from motorque.synthesis.people import LANDMARK_NAMES, MIRRORED
from motorque.synthesis.random_movements import random_movements
from motorque.training.loop import TrainingSettings, train


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def recordings() -> KeypointSequences:
    return seen_by_phones(random_movements(24, 150, generator(77)), generator(78))


@pytest.fixture(scope="module")
def learned() -> LearnedPrior:
    return LearnedPrior.load()


def check(guess: PoseGuess, frames: int, *, unsure: float = 1.0) -> None:
    assert guess.names == ANGLES and set(guess.names) <= set(fullbody().coordinate_names)
    assert not any(name.startswith("pelvis") for name in guess.names)
    assert guess.mean.shape == guess.std.shape == (frames, len(ANGLES))
    assert guess.pelvis.shape == (frames, 3, 3) and guess.pelvis_std.shape == (frames, 3)
    for value in (guess.mean, guess.std, guess.pelvis, guess.pelvis_std, guess.up):
        assert value.dtype == np.float64 and np.isfinite(value).all()
    assert (guess.std > 0).all() and (guess.pelvis_std > 0).all() and 0 < guess.up_std < unsure
    np.testing.assert_allclose(
        guess.pelvis @ guess.pelvis.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (frames, 3, 3)), atol=1e-6
    )
    assert (np.linalg.det(guess.pelvis) > 0).all()
    assert abs(np.linalg.norm(guess.up) - 1) < 1e-9


def cut(keypoints: Keypoints, frames: int) -> Keypoints:
    return keypoints.frames(np.arange(frames))


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 64, 150])
def test_any_length(frames: int, recordings: KeypointSequences, learned: MotionPrior) -> None:
    check(learned(cut(recordings.keypoints(0), frames)), frames)


def test_it_is_better_than_knowing_nothing(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    wrong, nothing, turned, up, inside = [], [], [], [], []
    for index in range(len(recordings)):
        guess = learned(recordings.keypoints(index))
        truth = recordings.q[index].numpy()[:, [fullbody().coordinate(name) for name in ANGLES]]
        wrong.append(np.degrees(np.abs(guess.mean - truth)).mean(0))
        nothing.append(np.degrees(np.abs(truth - np.median(truth, 0))).mean(0))
        inside.append((np.abs(guess.mean - truth) < 1.645 * guess.std).mean(0))
        pelvis = torch.from_numpy(guess.pelvis)
        turned.append(float(rotation_error(pelvis, recordings.pelvis_in_camera[index].double()).norm(dim=-1).mean()))
        up.append(np.arccos(np.clip(guess.up @ recordings.cameras.up[index].numpy(), -1, 1)))
    legs = [ANGLES.index(name) for name in ("hip_flexion_r", "knee_angle_r", "hip_flexion_l", "knee_angle_l")]
    # Against each recording's own median, an answer that nobody has.
    assert np.mean(wrong, 0)[legs].mean() < 0.6 * np.mean(nothing, 0)[legs].mean()
    assert np.mean(wrong, 0)[legs].mean() < 9
    assert np.degrees(np.mean(turned)) < 14
    assert np.degrees(np.mean(up)) < 6
    assert 0.8 < np.mean(inside) < 0.97


def test_the_same_keypoints_give_the_same_guess(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    one, two = learned(recordings.keypoints(3)), LearnedPrior.load()(recordings.keypoints(3))
    for name in ("mean", "std", "pelvis", "pelvis_std", "up"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_missing_frames_and_points_are_answered(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    whole = recordings.keypoints(5)
    points = whole.points.copy()
    points[:45] = np.nan
    points[75:85] = np.nan
    points[:, LANDMARK_NAMES.index("nose")] = np.nan
    guess = learned(replace(whole, points=points))
    check(guess, 150)
    apart = np.degrees(np.abs(guess.mean - learned(whole).mean))[50:70, :12].mean()
    assert apart < 8
    # Wider error bars where nothing is seen than where all is.
    assert guess.std[:15, :12].mean() > 1.1 * guess.std[50:70, :12].mean()


def test_a_detector_with_other_points_serves(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    body = tuple(n for n in LANDMARK_NAMES if n.split("_")[0] not in ("heel", "toe", "ear"))
    check(learned(recordings.keypoints(1).select(body)), 150)
    with pytest.raises(DataError, match="hip_r is never seen"):
        learned(recordings.keypoints(1).select(tuple(n for n in LANDMARK_NAMES if not n.startswith("hip"))))


@pytest.mark.parametrize("rate", [15.0, 24.0, 60.0, 120.0])
def test_any_frame_rate(rate: float, recordings: KeypointSequences, learned: LearnedPrior) -> None:
    source = recordings.keypoints(2)
    times = np.arange(0, source.times[-1], 1 / rate)
    points = np.stack(
        [np.stack([np.interp(times, source.times, source.points[:, k, c]) for c in range(2)], -1) for k in range(19)], 1
    )
    other = Keypoints(times + 3.0, points, np.ones(points.shape[:2]), source.names, source.size)
    guess = learned(other)
    check(guess, len(times))
    reference = learned(replace(source, confidence=np.ones_like(source.confidence)))
    expected = np.stack([np.interp(times, source.times, c) for c in reference.mean.T], -1)
    assert np.degrees(np.abs(guess.mean - expected)).mean() < 3


def test_size_of_the_picture_does_not_matter(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    whole = recordings.keypoints(4)
    half = replace(whole, points=whole.points / 2, size=(whole.size[0] // 2, whole.size[1] // 2))
    np.testing.assert_allclose(learned(half).mean, learned(whole).mean, atol=1e-4)


def test_a_mirrored_video_gives_the_mirrored_guess(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    whole = recordings.keypoints(8)
    points = whole.points[:, list(MIRRORED)].copy()
    points[..., 0] = whole.size[0] - points[..., 0]
    other = learned(replace(whole, points=points, confidence=whole.confidence[:, list(MIRRORED)]))
    here = learned(whole)
    q = torch.zeros(150, len(fullbody().coordinates), dtype=torch.float64)
    columns = [fullbody().coordinate(name) for name in ANGLES]
    q[:, columns] = torch.from_numpy(here.mean)
    np.testing.assert_allclose(other.mean, mirrored(q)[:, columns].numpy(), atol=1e-3)
    across = np.diag((-1.0, 1.0, 1.0))
    np.testing.assert_allclose(other.pelvis, across @ here.pelvis @ np.diag((1.0, 1.0, -1.0)), atol=1e-3)
    np.testing.assert_allclose(other.up, across @ here.up, atol=1e-3)
    np.testing.assert_allclose(other.pelvis_std, here.pelvis_std, rtol=1e-3)


def test_long_recordings_are_cut_without_a_seam(
    recordings: KeypointSequences, learned: LearnedPrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = recordings.keypoints(6)
    whole = learned(once)
    monkeypatch.setattr(prior_module, "STRETCH", 100)
    monkeypatch.setattr(prior_module, "OVERLAP", 20)
    guess = learned(once)
    check(guess, 150)
    assert prior_module._stretches(150) == [(0, 100), (50, 150)]
    assert np.degrees(np.abs(guess.mean - whole.mean))[:, :12].mean() < 4
    assert [b - a for a, b in prior_module._stretches(1234)] == [100] * len(prior_module._stretches(1234))


def test_features_are_those_of_a_camera_that_looks_at_the_person(recordings: KeypointSequences) -> None:
    seen = features(recordings.points, recordings.confidence, recordings.cameras.size)
    assert seen.values.shape == (24, 150, WIDTH) and torch.isfinite(seen.values).all()
    torch.testing.assert_close(
        seen.turn @ seen.turn.transpose(-1, -2), torch.eye(3).expand(24, 150, 3, 3), atol=1e-5, rtol=0
    )
    body = seen.values[..., : 2 * len(LANDMARK_NAMES)].unflatten(-1, (-1, 2))
    assert float(body.square().sum(-1).mean().sqrt()) == pytest.approx(1.0, abs=0.05)
    # The trunk's middle is on the optical axis but for the smoothing.
    trunk = [LANDMARK_NAMES.index(n) for n in ("shoulder_r", "shoulder_l", "hip_r", "hip_l")]
    assert float(body[..., trunk, :].mean((1, 2)).abs().max()) < 0.15


def test_gaps_are_filled_linearly_and_ends_held() -> None:
    values = torch.tensor([9.0, 1.0, 9.0, 9.0, 4.0, 9.0])[None, :, None, None].repeat(1, 1, 2, 1)
    found = torch.tensor([False, True, False, False, True, False])[None, :, None].repeat(1, 1, 2)
    found[..., 1] = False  # a point that is never found takes the others' place
    result = filled(values, found)[0, :, :, 0]
    expected = torch.tensor([1.0, 1.0, 2.0, 3.0, 4.0, 4.0])
    torch.testing.assert_close(result, torch.stack([expected, expected], -1))
    assert not filled(values, torch.zeros_like(found)).any()
    constant = torch.full((1, 11, 2), 3.0)
    torch.testing.assert_close(smoothed(constant, 5.0), constant)


def test_rotation_error_is_the_rotation_vector() -> None:
    from scipy.spatial.transform import Rotation

    truth = Rotation.random(50, random_state=1)
    vector = np.random.default_rng(2).normal(size=(50, 3)) * 0.1
    turned = Rotation.from_rotvec(vector) * truth
    found = rotation_error(torch.from_numpy(turned.as_matrix()), torch.from_numpy(truth.as_matrix())).numpy()
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    np.testing.assert_allclose(found, vector / angle * 2 * np.sin(angle / 2), atol=1e-12)


def test_weights_are_small_plain_numbers(tmp_path: Path) -> None:
    assert SHIPPED.stat().st_size <= 8 * 2**20
    header = json.loads(SHIPPED.read_bytes()[8 : 8 + int.from_bytes(SHIPPED.read_bytes()[:8], "little")])
    assert header["__metadata__"]["format"] == FORMAT
    network, calibration = load_weights(SHIPPED)
    assert set(calibration) == {*ANGLES, "pelvis", "up"}
    assert sum(p.numel() for p in network.parameters()) <= 2_000_000
    save_weights(tmp_path / "again.safetensors", network, calibration, {})
    again, same = load_weights(tmp_path / "again.safetensors")
    assert same == calibration
    for a, b in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda b: b[:100], "can't be read"),
        (lambda b: b"", "can't be read"),
        (lambda b: b.replace(FORMAT.encode(), b"motorque keypoint prior 0"), "no weights of the keypoint prior"),
        (
            lambda b: b.replace(b'"angles":"[\\"hip_flexion_r', b'"angles":"[\\"hip_flexion_x'),
            "other landmarks or angles",
        ),
        (lambda b: b.replace(b'\\"channels\\": 1', b'\\"channels\\": 2'), "do not fit the network"),
    ],
)
def test_other_weights_are_refused_in_one_line(spoil: Callable[[bytes], bytes], says: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(spoil(SHIPPED.read_bytes()))
    with pytest.raises(FileFormatError, match=says) as error:
        load_weights(path)
    assert "\n" not in str(error.value)


def test_reading_weights_needs_no_pickle() -> None:
    code = (
        "import pickle, torch\n"
        "from motorque.estimators.keypoint_prior.prior import LearnedPrior\n"
        "def no(*a, **k): raise SystemExit('pickle was used')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = torch.load = no\n"
        "LearnedPrior.load()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_batch_depends_on_its_step_alone_and_lowers_the_loss(tmp_path: Path) -> None:
    examples = Examples([], frames=(48,), total=192)
    a, b = examples(generator(4), 0), examples(generator(4), 0)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    task = prior_task(examples, NetworkSize(32, (1, 2)), 0)
    means: list[float] = []
    settings = TrainingSettings(200, warm_up=10, workers=0, rate=5e-3, half=False)
    train(task, settings, tmp_path / "state", report=lambda step, mean: means.append(mean))
    assert means[1] < means[0] - 0.1


def test_the_network_does_not_know_a_batch_from_its_recordings(recordings: KeypointSequences) -> None:
    network = PoseNetwork(NetworkSize(32, (1, 2))).eval()
    torch.nn.init.normal_(network.leave.weight)
    with torch.no_grad():
        batch = example(recordings)
        together = network(batch.values)
        alone = network(batch.values[3:4])
    torch.testing.assert_close(together.angles[3:4], alone.angles, atol=1e-4, rtol=1e-4)
    assert torch.isfinite(loss(together, batch.truth)) and torch.isfinite(example_loss(network, batch))


def test_calibration_makes_nine_tenths_of_ninety_per_cent(learned: LearnedPrior) -> None:
    factors, figures = calibrated(learned.network, Examples([]), batches=2)
    assert set(factors) == set(figures) == {*ANGLES, "pelvis", "up"}
    assert all(0.2 < factor < 5 for factor in factors.values())


def test_training_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.safetensors"
    options = ["--out", str(out), "--steps", "3", "--channels", "16", "--workers", "0"]
    assert main(options) == 0
    assert set(json.loads(capsys.readouterr().out)) == {*ANGLES, "pelvis", "up"}
    check(LearnedPrior.load(out)(seen_by_phones(random_movements(1, 40, generator()), generator()).keypoints(0)), 40)
    assert main([*options, "--seed", "1"]) == 2
    assert "another" in capsys.readouterr().err


def test_captured_motions_are_read_on_the_generic_person(tmp_path: Path) -> None:
    names = fullbody().coordinate_names
    q = random_movements(1, 60, generator())[0].numpy()
    legs = {"thigh": 1.1, "shank": 0.9, "foot": 1.3}
    here = CapturedMotion("one", "a", "train", q, names, "squat", "none", legs)
    there = CapturedMotion("two", "b", "held-back", q, names, "squat", "none", {n: 1.25 for n in legs})
    save_motions(tmp_path / "motions.npz", [here, there])
    (one,) = captured(tmp_path / "motions.npz", "train")
    np.testing.assert_allclose(one.numpy(), q, atol=1e-6)  # legs of the generic length
    (two,) = captured(tmp_path / "motions.npz", "held-back")
    root = [names.index(f"pelvis_t{axis}") for axis in "xyz"]
    np.testing.assert_allclose(two.numpy()[:, root], q[:, root] / 1.25, atol=1e-6)
    np.testing.assert_allclose(np.delete(two.numpy(), root, 1), np.delete(q, root, 1), atol=1e-6)
    batch = Examples([one], captured=1.0, frames=(32,), total=128)(generator(), 0)
    assert batch.values.shape == (4, 32, WIDTH) and all(torch.isfinite(x).all() for x in batch)
    save_motions(tmp_path / "slow.npz", [here._replace(rate=25.0)])
    with pytest.raises(FileFormatError, match="not the built-in skeleton's at 30 Hz"):
        captured(tmp_path / "slow.npz", "train")


def test_nonsense_in_the_picture_gives_numbers(recordings: KeypointSequences, learned: LearnedPrior) -> None:
    whole = recordings.keypoints(9)
    for points in (whole.points * 0 + 5.0, whole.points * 1e6, -whole.points):
        check(learned(replace(whole, points=points)), 150, unsure=np.pi)  # which way is up may be anybody's guess then
