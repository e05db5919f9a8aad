"""The noise study: its chain and norms against what can be said beforehand, and its files."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.cli import main
from motorque.errors import DataError
from motorque.fitting.refine_adam import default_loss
from motorque.series.poses import Poses
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise import causes, refinement, study
from motorque.studies.noise.amplification import amplification
from motorque.studies.noise.from_positions import PositionChain
from motorque.studies.noise.least_change import least_change
from motorque.studies.noise.lowpass import KINDS, filtered, lowpass
from motorque.studies.noise.models import AR1, White, noisy_rotations
from motorque.studies.noise.per_joint import per_joint
from motorque.studies.noise.protocol import (
    STENCILS,
    Subject,
    continuous_vectors,
    resampled,
    subject,
    torque_errors,
)  # fmt: skip
from motorque.studies.noise.realistic import compared, steps
from motorque.studies.noise.refinement import NOISY, pose_error, refined, weight_methods, yardsticks
from motorque.studies.statistics import Interval, interval, reduction
from motorque.studies.tables import Table, shown

DRAWS = 4


@pytest.fixture(scope="module")
def swinging() -> Subject:
    """Somebody who swings arms and legs on the spot, twice in two seconds."""
    times = np.arange(60) / 30.0
    vectors = np.zeros((60, 24, 3))
    swing = 0.4 * np.sin(2 * np.pi * times)
    for name, sign in (("left_hip", 1), ("right_hip", -1), ("left_shoulder", -1), ("right_shoulder", 1)):
        vectors[:, SMPL_JOINTS.index(name), 0] = sign * swing
    return subject(Poses.from_rotation_vectors(vectors, rate=30.0, height=1.7, mass=75.0), "swinging")


def test_norms_are_what_they_say() -> None:
    error = np.zeros((1, 2, 24, 3))
    error[0, 0, 0] = (3.0, 4.0, 0.0)
    error[0, 0, 1] = (0.0, 0.0, 12.0)
    found = torque_errors(error)
    assert found.joint[0] == pytest.approx((5 + 12) / 48)
    assert found.joint_rootless[0] == pytest.approx(12 / 46)
    assert found.body[0] == pytest.approx(13 / 2)
    assert found.body_rootless[0] == pytest.approx(12 / 2)


def test_a_noisy_wrist_makes_the_torque_that_its_inertia_says(swinging) -> None:
    """In the T-pose at rest, without gravity's share: moment = inertia about the wrist times √6 σ / h²."""
    still = dataclasses.replace(
        swinging, poses=Poses.from_rotation_vectors(np.zeros((400, 24, 3)), rate=30.0, height=1.7, mass=75.0)
    )
    chain = still.chain("central")
    skeleton = chain.layer.skeleton()
    hand = [SMPL_JOINTS.index(n) for n in ("left_wrist", "left_hand")]
    mass, center = skeleton.mass[hand].numpy(), skeleton.mass_center[hand].numpy().copy()
    center[1] += skeleton.parent_position[hand[1]].numpy()
    own = skeleton.inertia[hand].numpy()
    about = sum(i + m * (c @ c * np.eye(3) - np.outer(c, c)) for i, m, c in zip(own, mass, center, strict=True))
    noise = np.zeros((20, 400, 24, 3))
    noise[:, :, hand[0], 1] = 1e-4 * np.random.default_rng(0).standard_normal((20, 400))  # up: gravity does no work
    error = chain.error_of(noise, np.zeros((1, 1, 3)))[:, :, hand[0], 1]
    assert error.std() == pytest.approx(about[1, 1] * 1e-4 * np.sqrt(6) * 900, rel=0.03)


def test_error_is_in_proportion_to_noise_and_a_quarter_with_the_wide_stencil(swinging) -> None:
    found = {s: amplification(swinging.chain(s), s, DRAWS, sigmas=(0.01, 0.02, 0.05)) for s in STENCILS}
    for result in found.values():
        assert result.exponent().mean == pytest.approx(1.0, abs=0.02)
        assert result.pose[2].mean() == pytest.approx(0.0798, rel=0.01)
        assert result.factor(of_pose=True).mean == pytest.approx(result.factor().mean / 1.596, rel=0.01)
        assert result.at(0.05).mean == pytest.approx(0.05 * result.factor().mean, rel=0.02)
        assert (result.errors.joint_rootless < result.errors.joint).all()
    assert found["central-twice"].factor().mean / found["central"].factor().mean == pytest.approx(0.25, rel=0.08)


def test_noise_on_single_joints_is_ordered_by_what_hangs_on_them(swinging) -> None:
    result = per_joint(swinging.chain(), "central", DRAWS)
    assert result.mass[0] == pytest.approx(75.0)
    assert result.mass[SMPL_JOINTS.index("spine1")] > result.mass[SMPL_JOINTS.index("left_hip")]
    error = dict(zip(SMPL_JOINTS, result.errors.joint.mean(1), strict=True))
    assert (
        error["pelvis"] > error["spine1"] > error["spine2"] > error["spine3"] > error["left_hip"] > error["left_knee"]
    )
    assert error["left_knee"] > error["left_ankle"] > error["left_foot"]
    assert result.ordering(result.mass).low > 0.9
    # The whole is nearly the root of the sum of squares: noise of different joints is independent
    whole = swinging.chain().errors(White(), DRAWS).body.mean()
    assert np.sqrt(np.square(result.errors.body.mean(1)).sum()) == pytest.approx(whole, rel=0.1)


def test_filters_leave_slow_motion_and_take_noise(swinging) -> None:
    for kind in KINDS:
        result = lowpass(swinging.chain(), "central", DRAWS, cutoffs=(3.0, 6.0, 12.0, 20.0), kind=kind)
        assert result.cutoffs.tolist() == [3.0, 6.0, 12.0]  # 20 Hz is beyond half the rate
        assert result.reduction(6.0).mean > result.reduction(12.0).mean > 10
        assert result.loss.joint[1] < 1.0 < result.errors.joint[1].mean()
    with pytest.raises(DataError, match="half the rate"):
        filtered(np.zeros((1, 60, 2)), 30.0, 15.0)
    slow = np.sin(np.arange(60) / 30 * 2 * np.pi)[None, :, None]
    assert np.abs(filtered(slow, 30.0, 6.0) - slow)[:, 15:-15].max() < 0.01


def test_lasting_noise_makes_less_torque_than_new_noise(swinging) -> None:
    result = compared(swinging.chain(), "central", {**steps(), "lasting": AR1(lasts=0.3)}, DRAWS)
    assert result.ratio("lasting").high < 0.5
    assert result.reduction("lasting").mean < result.reduction("uniform").mean
    assert result.ratio("uniform") == (1.0, 1.0, 1.0)
    sizes = [size for name, size in result.size.items() if "before depth" not in name]
    assert np.ptp(sizes) / np.mean(sizes) < 0.03
    assert result.ratio("mild levels, sized before depth, all new").low > result.ratio("realistic").high


def test_differencing_positions_agrees_with_differencing_rotations(swinging) -> None:
    one, other = swinging.chain(), PositionChain(swinging)
    lengths = [np.linalg.norm(chain.clean, axis=-1) for chain in (one, other)]
    assert np.abs(lengths[0] - lengths[1]).max() < 0.02 * lengths[0].max()
    noise = White(0.01)
    assert other.errors(noise, 2).joint == pytest.approx(one.errors(noise, 2).joint, rel=0.03)


def test_causes_scale_as_mechanics_says(swinging) -> None:
    found = {c.change: interval(c.errors.joint / c.base.joint).mean for c in causes.causes(swinging, "central", 2)}
    assert found["90 kg"] == pytest.approx(1.2, abs=0.001)
    assert found["60 frames a second"] == pytest.approx(4.0, rel=0.1)
    assert found["central-twice instead"] == pytest.approx(0.25, rel=0.15)
    assert found["rotations composed, not vectors added"] == pytest.approx(1.0, abs=0.03)


def test_most_of_the_noise_can_stay_in_the_pose(swinging) -> None:
    """Nine tenths of the torque error lie in a twentieth of the noise, with either stencil."""
    for stencil in STENCILS:
        by = {r.torque: r for r in least_change(swinging.chain(stencil), stencil)}
        assert 2 < by[90.0].pose < 8
        assert by[50.0].pose < by[90.0].pose < by[99.0].pose
        assert by[90.0].pose < by[90.0].moved


def test_refinement_is_scored_against_the_clean_poses(swinging) -> None:
    clean = swinging.poses
    methods = {NOISY: lambda poses: poses, "cheating": lambda poses: clean}
    noisy, perfect = refined(swinging, 2, methods=methods)
    assert perfect.errors["central"].joint.max() < 1e-9 and perfect.pose.max() < 1e-12
    assert noisy.pose.mean() == pytest.approx(0.0798, rel=0.02)
    # A vector just beyond half a turn and its other name are the same pose
    vectors = np.zeros((20, 24, 3))
    vectors[:, 0, 1] = 3.12
    almost = Subject("turned", Poses.from_rotation_vectors(vectors, rate=30.0))
    vectors[:, 0, 1] = 3.16
    assert pose_error(almost, Poses.from_rotation_vectors(vectors, rate=30.0)) == pytest.approx(0.04 / 24)


def test_weights_are_changed_from_those_that_refinement_chooses(swinging, monkeypatch) -> None:
    """Every row differs from the first by its change alone."""
    asked: list[tuple[object, int]] = []
    noisy = dataclasses.replace(
        swinging.poses, rotations=noisy_rotations(swinging.poses, White().draw(swinging.poses, 1))[0][0]
    )

    def listening(poses: Poses, *, loss=None, iterations: int = 200) -> Poses:
        asked.append((loss or default_loss(poses), iterations))
        return poses

    monkeypatch.setattr(refinement, "refine_adam", listening)
    for name, method in weight_methods().items():
        if name != NOISY:
            method(noisy)
    (own, count), *others = asked
    assert count == 200 and (own.roughness > 0).all()
    for loss, iterations in others:
        assert torch.equal(loss.roughness, own.roughness)
        changed = [a != b for a, b in zip(loss.weights, own.weights, strict=True)]
        assert sum(changed) + (loss.limit != own.limit) + (iterations != count) == 1


def test_yardsticks_are_what_leaves_movement_or_all_torques_out(swinging) -> None:
    still, none = yardsticks(swinging, 2)
    for stencil in STENCILS:
        clean = torque_errors(swinging.chain(stencil).clean)
        assert none.errors[stencil].joint == pytest.approx(np.repeat(clean.joint, 2), rel=1e-12)
    # Of somebody who stands still gravity is all there is
    frozen = dataclasses.replace(swinging.poses, rotations=swinging.poses.rotations[[7] * 60])
    found, _ = yardsticks(Subject("frozen", frozen), 2, noise=White(0.0))
    assert found.errors["central"].joint.max() < 1e-9
    assert found.pose.max() < 1e-12 and still.pose.mean() == pytest.approx(0.0798, rel=0.02)


def test_intervals_are_students() -> None:
    found = interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.mean == 2.5
    assert found.high - found.mean == pytest.approx(3.182446 * np.sqrt(5 / 3) / 2, rel=1e-6)
    assert str(Interval(12.345, 12.0, 12.7)) == "12.35 [12.00, 12.70]"
    assert reduction(np.array([10.0]), np.array([4.0])) == pytest.approx(60.0)
    assert np.isnan(interval(np.array([1.0])).low)


def test_vectors_do_not_jump_at_half_a_turn_and_rates_change_without_loss() -> None:
    vectors = np.zeros((50, 24, 3))
    vectors[:, 0, 1] = np.linspace(2.5, 4.5, 50)
    poses = Poses.from_rotation_vectors(vectors, np.linspace(0, 1, 50)[:, None] * [1.0, 0, 0], rate=100.0)
    assert np.abs(continuous_vectors(poses.rotations) - vectors).max() < 1e-9
    slower = resampled(poses, 25.0)
    assert np.allclose(slower.rotations, poses.rotations[::4]) and slower.rate == pytest.approx(25.0)
    assert np.allclose(slower.translation, poses.translation[::4])
    between = resampled(poses, 30.0)
    assert np.allclose(np.diff(continuous_vectors(between.rotations)[:, 0, 1]), 2.0 / 49 * 100 / 30)


def test_motions_that_cannot_be_studied_are_named() -> None:
    vectors = np.zeros((40, 24, 3))
    with pytest.raises(DataError, match="10 frames at 30 a second are too few"):
        subject(Poses.from_rotation_vectors(vectors, rate=120.0), "short")
    vectors[7, 3] = np.nan
    with pytest.raises(DataError, match="gaps: the pose of frame 7"):
        subject(Poses.from_rotation_vectors(vectors, rate=30.0), "gaps")
    with pytest.raises(DataError, match="16 are needed"):
        subject(Poses.from_rotation_vectors(vectors[:1], rate=30.0), "one")


def test_tables_keep_every_digit_in_files(tmp_path: Path) -> None:
    table = Table("numbers", "Numbers", ("name", "value", "count"))
    table.add("a", Interval(1 / 3, 0.25, 0.5), 3)
    table.add("b", None, 4)
    table.write_csv(tmp_path)
    rows = list(csv.reader((tmp_path / "numbers.csv").open(encoding="utf-8")))
    assert rows[0] == ["name", "value", "value 95% low", "value 95% high", "count"]
    assert rows[1] == ["a", "0.33333333", "0.25", "0.5", "3"]
    assert rows[2] == ["b", "", "", "", "4"]
    table.write_csv(tmp_path, {"seed": "5"})
    rows = list(csv.reader((tmp_path / "numbers.csv").open(encoding="utf-8")))
    assert [row[-1] for row in rows] == ["seed", "5", "5"]
    assert [shown(x) for x in (None, 12345.6, 0.12345, "x")] == ["", "12346", "0.123", "x"]
    with pytest.raises(ValueError, match="2 values for 3 columns"):
        table.add("c", 1)


def test_the_command_writes_figures_tables_and_a_page_that_stands_alone(swinging, tmp_path: Path, monkeypatch) -> None:
    from motorque.files.smpl_poses import write_poses

    write_poses(tmp_path / "swing.npz", swinging.poses)
    few = dict(list(causes.BODIES.items())[:1])
    monkeypatch.setattr(causes, "BODIES", few)
    monkeypatch.setattr(study, "settings", lambda: {"as chosen": White()})
    out = tmp_path / "out"
    arguments = ["study", "noise", "--motion", str(tmp_path / "swing.npz"), "--seeds", "2", "--no-refinement"]
    assert main([*arguments, "--out", str(out), "--quiet"]) == 0
    html = (out / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", html)
    for name in ("findings", "fig2a_factor", "fig2b_per_joint", "fig2c_lowpass", "fig2d_realistic", "causes"):
        assert (out / f"{name}.csv").is_file() and f"{name}.csv" in html
    for name in ("fig2a_amplification", "fig2b_per_joint", "fig2c_lowpass", "fig2d_realistic_central"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert html.count("data:image/png;base64,") == len(list(out.glob("*.png")))
    for words in ("2 (seed 0)", "torch", "swing (60 frames at 30 Hz, 75 kg, up y)"):
        assert words in html
    for name in sorted(out.glob("*.csv")):
        first, *rows = csv.reader(name.open(encoding="utf-8"))
        assert first[-3:] == ["draws", "seed", "made by"] and {row[-2] for row in rows} == {"0"}
    assert "2 (seed 0)" in (out / "settings.json").read_text(encoding="utf-8")
    verdicts = {row[0]: row[2] for row in csv.reader((out / "verdicts.csv").open(encoding="utf-8"))}
    assert verdicts["pose noise is amplified in proportion"] == "reproduced"
    again = tmp_path / "again"
    assert main([*arguments, "--out", str(again), "--quiet"]) == 0
    for name in out.glob("*.csv"):
        assert name.read_bytes() == (again / name.name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("study noise --seeds 1 --out out", "'1' is no count of draws"),
        ("study noise --seed x --out out", "'x' is no seed"),
        ("study noise --motion one.npz one.npz --out out", "given twice"),
        ("study noise --motion missing.npz --out out", "missing.npz"),
        ("study posture --out out", "posture"),
        ("study noise", "--out"),
    ],
)
def test_wrong_commands_are_answered_in_one_line(arguments, words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.npz").touch()
    try:
        code = main(arguments.split())
    except SystemExit as stopped:
        code = stopped.code
    said = capsys.readouterr().err
    assert code == 2 and words in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
