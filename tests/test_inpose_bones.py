"""Bones that are told wrongly or not at all, and sensors beside their joints: what a recording says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from inpose_people import person, standing_weights
from motorque.cli import main
from motorque.errors import DataError
from motorque.estimators.inpose.bone_equations import FLOOR, HEIGHT, fit_to_turns, turn_covariance
from motorque.estimators.inpose.bone_lengths import (
    SIDES,
    Lengths,
    partly_told_lengths,
    published_lengths,
    told_lengths,
    ways,
)
from motorque.estimators.inpose.closing import exp_vectors
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.sensor_offsets import at_joints, offsets_of
from motorque.estimators.inpose.stream import Body
from motorque.estimators.inpose.tree import JOINTS, PARENTS, THREE, columns, global_rotations, places
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.skeleton.smpl import rest_joints

ARMS = [JOINTS.index(f"{side}_{joint}") - 1 for side in ("left", "right") for joint in ("elbow", "wrist")]
BEFORE = torch.tensor(PARENTS[1:])


def usual(height: float | None = 1.7) -> Tensor:
    rest = torch.tensor(rest_joints(height=height)[:22], dtype=torch.float64)
    return rest - rest[0]


def lengths(rest: Tensor) -> Tensor:
    return (rest[1:] - rest[BEFORE]).norm(dim=-1)


def somebody(seed: int, rest: Tensor, *, frames: int, every: int = 40) -> tuple[Tensor, Measured]:
    """How all joints are turned, and what sensors say, in frames far from each other of somebody with such bones."""
    turns, pelvis = global_rotations(person(seed, frames=frames, rate=60 / every))
    own, way, six = torch.tensor(turns), torch.tensor(pelvis), torch.tensor(columns(turns))
    seen = torch.zeros(frames, 22, dtype=torch.bool)
    seen[:, list(THREE)] = True
    return own, Measured(six, seen, places(six, rest, way), seen, rest.float())


def off_by_what_is_expected(turns: Tensor, seen: Tensor, generator: torch.Generator, share: float = 1.0) -> Tensor:
    """Poses as a sampler has them: off by the stated errors or a share of them, independent in each frame."""
    noise = share * torch.randn(len(turns), 3, 22, generator=generator, dtype=torch.float64)
    off = (noise @ torch.linalg.cholesky(turn_covariance()).mT).mT
    return torch.where(seen[..., None, None], turns, exp_vectors(off) @ turns)


def test_told_lengths_are_kept_as_far_as_they_are_sure() -> None:
    rest = usual()
    elbow = JOINTS.index("left_elbow")
    rest[[elbow, JOINTS.index("left_wrist")], 0] += 0.06
    told = lengths(rest)
    exact, doubted, hardly = (told_lengths(rest, error) for error in (0.0, 0.03, 0.3))
    torch.testing.assert_close(exact.mean, told, atol=1e-6, rtol=0)
    assert float(exact.std.max()) < 1e-4
    torch.testing.assert_close(exact.rest(), rest, atol=1e-6, rtol=0)
    other = JOINTS.index("right_elbow") - 1
    apart = doubted.mean[elbow - 1] - doubted.mean[other]
    # Two sides that may differ by 3 % of 27 cm, told to 3 cm each: Bayes' rule for a difference
    usually = (SIDES * float(lengths(usual(None))[other])) ** 2
    assert float(apart) == pytest.approx(0.06 * usually / (usually + 2 * 0.03**2), rel=0.01)
    assert float(hardly.std[other]) > float(doubted.std[other]) > 0.005


def test_bones_that_nobody_tells_keep_their_spread_beside_one_that_is_told() -> None:
    before, elbow, other = (
        published_lengths(usual(), 0.02),
        *(JOINTS.index(f"{s}_elbow") - 1 for s in ("left", "right")),
    )
    wanted = 0.9 * float(before.mean[elbow])
    after = partly_told_lengths(usual(), {"left_elbow": wanted}, 0.001, 0.02)
    assert float(after.mean[elbow]) == pytest.approx(wanted, abs=1e-4) and float(after.std[elbow]) < 0.0011
    # Sides that may differ by 3 % tell each other that well
    assert float(after.mean[other]) == pytest.approx(wanted, abs=0.002)
    assert float(after.std[other]) == pytest.approx(SIDES * float(lengths(usual(None))[other]), rel=0.1)
    rest = [bone for bone in range(21) if bone not in (elbow, other)]
    assert float((after.std / before.std)[rest].min()) > 0.98
    torch.testing.assert_close(after.mean[rest], before.mean[rest], rtol=0.01, atol=0)
    none = partly_told_lengths(usual(), {}, 0.0, 0.02)
    torch.testing.assert_close(none.covariance, before.covariance)
    for told, error in (({"left_elbow": 0.3}, -0.1), ({"left_elbo": 0.3}, 0.0), ({"pelvis": 0.3}, 0.0)):
        with pytest.raises(DataError, match="bones: "):
            partly_told_lengths(usual(), told, error)


def test_a_folded_bone_stays_folded_and_errors_that_can_not_be_are_refused() -> None:
    rest = usual()
    spine = JOINTS.index("spine1")
    rest[spine] = rest[0]
    assert float(told_lengths(rest, 0.03).mean[spine - 1]) < 1e-6
    for error in (-0.01, 2.0, float("nan")):
        with pytest.raises(DataError, match="can't be"):
            told_lengths(rest, error)
    with pytest.raises(DataError, match="can't be"):
        published_lengths(rest, 0.0)
    with pytest.raises(DataError, match="22 rest joints"):
        told_lengths(rest[:20], 0.01)


def test_with_poses_that_are_sure_it_is_bayes_rule_for_a_linear_model() -> None:
    """All joints' turns are measured: dense algebra over all frames has the same lengths and the same covariance."""
    turns, measured = somebody(1, usual(1.8), frames=30)
    known = published_lengths(usual(), 0.1)
    sure = replace(measured, seen=torch.ones_like(measured.seen), placed=False)
    found = fit_to_turns(turns, sure, known, weight=1.0, noise=0.01)
    bones = (turns[:, BEFORE] @ known.directions[..., None])[..., 0].numpy()
    matrix, wanted, noise = [], [], []
    for t in range(len(turns)):
        # Head less left wrist, left wrist less right wrist, whose noises share the left wrist's
        for a, b in ((15, 20), (20, 21)):
            way = (ways()[a] - ways()[b]).numpy()
            matrix.append(bones[t].T * way)
            wanted.append((measured.points[t, a] - measured.points[t, b]).numpy())
        noise.append(np.kron(1e-4 * np.array([[2.0, -1.0], [-1.0, 2.0]]), np.eye(3)))
    full, aim = np.concatenate(matrix), np.concatenate(wanted)
    weights = np.zeros((len(full), len(full)))
    for t, block in enumerate(noise):
        weights[6 * t : 6 * t + 6, 6 * t : 6 * t + 6] = np.linalg.inv(block)
    before = np.linalg.inv(known.covariance.numpy())
    covariance = np.linalg.inv(before + full.T @ weights @ full)
    mean = covariance @ (before @ known.mean.numpy() + full.T @ weights @ aim)
    np.testing.assert_allclose(found.lengths.mean.numpy(), mean, atol=1e-5)
    np.testing.assert_allclose(found.lengths.covariance.numpy(), covariance, atol=1e-7)


@pytest.mark.parametrize(("share", "most"), [(1.0, 0.018), (0.2, 0.01)])
def test_arms_are_found_from_uncertain_poses_and_the_stated_error_covers_them(share: float, most: float) -> None:
    """People with upper arms and forearms 3.2 cm longer than told, 300 poses with upper arms off by half a radian in
    each direction, or by a tenth: lengths to 1.8 or 1 cm (root mean square), and no surer than that."""
    errors, scores = [], []
    for seed in range(4):
        told = usual(1.7)
        known = told_lengths(told, 0.03)
        factor = 1 + 0.12 * torch.tensor([float(bone in ARMS) for bone in range(21)], dtype=torch.float64)
        true = Lengths(lengths(told) * factor, known.covariance, known.directions)
        turns, measured = somebody(seed, true.rest(), frames=300)
        poses = off_by_what_is_expected(turns, measured.seen, torch.Generator().manual_seed(seed), share)
        found = fit_to_turns(poses, measured, known, weight=1.0).lengths
        errors.append((found.mean - true.mean)[ARMS])
        scores.append(((found.mean - true.mean) / found.std)[ARMS])
    error, score = torch.stack(errors), torch.stack(scores)
    assert float((0.12 * lengths(usual())[ARMS]).min()) > 0.03
    assert float(error.square().mean().sqrt()) < most
    assert 0.5 < float(score.square().mean().sqrt()) < 1.5


def test_exact_bones_are_not_made_worse() -> None:
    turns, measured = somebody(4, usual(), frames=20)
    poses = off_by_what_is_expected(turns, measured.seen, torch.Generator().manual_seed(0))
    for error, most in ((0.0, 1e-4), (0.002, 0.002), (0.01, 0.01)):
        found = fit_to_turns(poses, measured, told_lengths(usual(), error), weight=1.0).lengths
        assert float((found.mean - lengths(usual())).abs().max()) < most


def test_the_head_over_the_floor_tells_how_large_somebody_is() -> None:
    child, frames = usual(1.25), 20
    turns = torch.eye(3, dtype=torch.float64).expand(frames, 22, 3, 3)
    seen = torch.zeros(frames, 22, dtype=torch.bool)
    seen[:, list(THREE)] = True
    sole = float(torch.tensor(rest_joints(height=1.25))[JOINTS.index("left_ankle"), 1] - child[7, 1])
    pelvis = torch.tensor([0.0, 0.039 * 1.25 - float(child[7, 1]) - sole, 0.0], dtype=torch.float64)
    six = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64).expand(frames, 22, 6)
    measured = Measured(six, seen, child + pelvis + 0 * six[..., :3], seen, usual().float(), placed=True)
    standing = {}
    for placed in (True, False):
        found = fit_to_turns(turns, replace(measured, placed=placed), published_lengths(usual(), 0.3), weight=1.0)
        rest = found.lengths.rest()
        standing[placed] = float(rest[15, 1] - rest[[7, 8], 1].mean())
    true = float(child[15, 1] - child[[7, 8], 1].mean())
    assert abs(standing[True] - true) < 2 * (HEIGHT**2 / frames + FLOOR**2) ** 0.5
    assert abs(standing[False] - true) > abs(standing[True] - true)


def test_offsets_of_sensors_are_found_beside_the_bones() -> None:
    """Sensors 2 to 8 cm beside their joints; poses as sure as a suit's: to 1 cm in each direction."""
    turns, measured = somebody(2, usual(), frames=300)
    given = {"head": (0.0, 0.06, 0.09), "left_wrist": (0.05, -0.02, 0.02), "right_wrist": (-0.05, 0.0, 0.03)}
    offsets = offsets_of(given)
    beside = replace(measured, points=measured.points + (turns @ offsets[..., None])[..., 0])
    poses = replace(beside, seen=torch.ones_like(beside.seen))
    found = fit_to_turns(turns, poses, told_lengths(usual(), 0.002), weight=1.0, offset_error=0.05)
    assert float((found.offsets - offsets)[list(THREE)].abs().max()) < 0.01
    back = at_joints(beside, offsets)
    torch.testing.assert_close(back.points[:, list(THREE)], measured.points[:, list(THREE)], atol=1e-9, rtol=0)


def test_an_offset_without_a_turn_leaves_the_place_out_and_wrong_ones_are_refused() -> None:
    _, measured = somebody(2, usual(), frames=5)
    seen = measured.seen.clone()
    seen[2, 15] = False
    journal = Journal()
    moved = at_joints(replace(measured, seen=seen), offsets_of({"head": (0.0, 0.0, 0.1)}), journal=journal)
    assert not moved.there[2, 15] and moved.there[[0, 1, 3, 4], 15].all() and moved.there[:, 20].all()
    assert "in 1 frames" in journal.notices[0].text
    for given in ({"hed": (0, 0, 0)}, {"head": (0, 0)}, {"head": (0, 0, 7.0)}, {"head": (0, 0, float("nan"))}):
        with pytest.raises(DataError, match="offsets"):
            offsets_of(given)


NAMES = tuple(JOINTS[j] for j in THREE)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standing_weights(tmp_path_factory.mktemp("weights"))


def recorded(height: float) -> tuple[Tracks, Tensor]:
    """What sensors on head and wrists of somebody who stands on the floor say, and the bones."""
    poses = person(3, frames=90, height=height)
    turns, pelvis = global_rotations(poses)
    rest = usual(height)
    points = places(torch.tensor(columns(turns)), rest, torch.tensor(pelvis)).numpy()
    points[..., 1] -= points[:, [7, 8], 1].min(axis=1, keepdims=True) - 0.039 * height
    own = list(THREE)
    return Tracks(poses.times, NAMES, points[:, own], turns[:, own], "tracks.csv"), rest


def test_bones_that_nobody_tells_are_found_and_those_that_are_told_are_kept(weights: Path) -> None:
    prior, (tracks, rest) = InPose.load(weights), recorded(1.45)
    journal = Journal()
    found = prior.sample(tracks, None, 1, journal=journal)
    assert found.rest_std is not None and (found.rest_std[1:] > 0.001).all()
    assert any("left upper arm" in n.text for n in journal.notices)
    standing = {}
    for name, bones in (("found", torch.tensor(found.rest)), ("adult", usual(None)), ("true", rest)):
        standing[name] = float(bones[15, 1] - bones[[7, 8], 1].mean())
    assert abs(standing["found"] - standing["true"]) < 0.4 * abs(standing["adult"] - standing["true"])
    kept = prior.sample(tracks, None, 1, fit_bones=False)
    np.testing.assert_allclose(kept.rest[:22], usual(None).numpy(), atol=1e-9)
    exact = prior.sample(tracks, rest.numpy(), 1)
    np.testing.assert_allclose(exact.rest[:22], rest.numpy(), atol=1e-9)
    assert kept.rest_std is None and exact.rest_std is None
    doubted = prior.sample(tracks, rest.numpy(), 1, bones_error=0.03)
    assert doubted.rest_std is not None and 0.001 < doubted.rest_std[18] < 0.03
    with pytest.raises(DataError, match="error is said of lengths"):
        prior.sample(tracks, 1.45, 1, bones_error=0.03)


def test_one_told_bone_does_not_make_published_ones_exact(weights: Path, tmp_path: Path) -> None:
    prior, (tracks, _) = InPose.load(weights), recorded(1.45)
    told: dict[str, object] = {"height": 1.45, "left_elbow": 0.21}
    (tmp_path / "bones.json").write_text(json.dumps(told))
    alone = prior.sample(tracks, 1.45, 1)
    assert alone.rest_std is not None
    journal = Journal()
    for given in (told, tmp_path / "bones.json", str(tmp_path / "bones.json")):
        found = prior.sample(tracks, given, 1, journal=journal)
        assert found.rest_std is not None and found.height == 1.45
        own = dict(zip(JOINTS[1:], lengths(torch.tensor(found.rest[:22])).tolist(), strict=True))
        std, before = (dict(zip(JOINTS, value.tolist(), strict=True)) for value in (found.rest_std, alone.rest_std))
        assert own["left_elbow"] == pytest.approx(0.21, abs=1e-4) and std["left_elbow"] < 1e-4
        assert own["right_elbow"] == pytest.approx(0.21, abs=0.01) and 0.001 < std["right_elbow"] < 0.01
        assert std["left_wrist"] > 0.5 * before["left_wrist"] > 0.001 and std["left_knee"] > 0.5 * before["left_knee"]
    assert any(n.text.startswith("1 of 21 bones are told (left_elbow)") for n in journal.notices)
    kept = prior.sample(tracks, told, 1, fit_bones=False)
    own = dict(zip(JOINTS[1:], lengths(torch.tensor(kept.rest[:22])).tolist(), strict=True))
    assert kept.rest_std is None and own["right_elbow"] == pytest.approx(0.21) == own["left_elbow"]
    assert own["left_wrist"] == pytest.approx(float(lengths(usual(1.45))[JOINTS.index("left_wrist") - 1]))
    doubted = prior.sample(tracks, told, 1, bones_error=0.02)
    assert doubted.rest_std is not None and 0.005 < doubted.rest_std[JOINTS.index("left_elbow")] <= 0.02


def test_without_places_or_without_rotations_bones_are_left_and_gaps_are_borne(weights: Path) -> None:
    prior, (tracks, _) = InPose.load(weights), recorded(1.45)
    nothing, no_turns = np.full_like(tracks.positions, np.nan), np.full_like(tracks.rotations, np.nan)
    for positions, rotations in ((nothing, tracks.rotations), (tracks.positions, no_turns)):
        journal = Journal()
        left = prior.sample(Tracks(tracks.times, NAMES, positions, rotations), None, 1, journal=journal)
        assert left.rest_std is None and any("bones can't be found" in n.text for n in journal.notices)
        np.testing.assert_allclose(left.rest[:22], usual(None).numpy(), atol=1e-9)
    positions, rotations = tracks.positions.copy(), tracks.rotations.copy()
    positions[20:60, 1] = np.nan
    rotations[10:50, 0] = np.nan
    found = prior.sample(Tracks(tracks.times, NAMES, positions, rotations), 1.45, 1, offset_error=0.03)
    assert np.isfinite(found.positions).all() and found.rest_std is not None and np.isfinite(found.rest_std).all()


def test_a_sensor_beside_its_joint_is_as_good_as_one_in_it(weights: Path) -> None:
    prior, (tracks, rest) = InPose.load(weights), recorded(1.7)
    beside = replace(tracks, positions=tracks.positions.copy())
    beside.positions[:, 0] += tracks.rotations[:, 0] @ np.array([0.0, 0.05, 0.1])
    offsets = {"head": (0.0, 0.05, 0.1)}
    one, other = prior.sample(tracks, rest.numpy(), 1), prior.sample(beside, rest.numpy(), 1, offsets=offsets)
    np.testing.assert_allclose(other.positions, one.positions, atol=1e-4)
    streams = [prior.stream(NAMES, rest.numpy()), prior.stream(NAMES, rest.numpy(), offsets=offsets)]
    out: list[list[Body]] = [[], []]
    for t in range(30):
        for number, (stream, given) in enumerate(zip(streams, (tracks, beside), strict=True)):
            out[number] += stream.push({n: (given.positions[t, i], given.rotations[t, i]) for i, n in enumerate(NAMES)})
    assert len(out[0]) == len(out[1]) > 0
    for a, b in zip(*out, strict=True):
        np.testing.assert_allclose(a.pelvis, b.pelvis, atol=1e-4)


def test_the_command_finds_bones_and_refuses_what_contradicts_itself(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks, rest = recorded(1.6)
    arrays = {f"{n}_p": tracks.positions[:, i] for i, n in enumerate(NAMES)}
    arrays |= {f"{n}_d": columns(tracks.rotations[:, i]) for i, n in enumerate(NAMES)}
    np.savez(tmp_path / "t.npz", time=tracks.times, **arrays)
    (tmp_path / "b.json").write_text(json.dumps(rest.tolist()))
    common = ["sensors", str(tmp_path / "t.npz"), "--weights", str(weights), "--samples", "2", "--quiet"]
    out = tmp_path / "out"
    told = ["--bones", str(tmp_path / "b.json"), "--bones-error", "3", "--offset", "head=0,0.01,0.02"]
    assert main([*common, *told, "--offset-error", "2", "--out", str(out)]) == 0
    about = json.loads((out / "summary.json").read_text())
    assert 0.1 < about["rest_std_cm"][18] < 3
    assert any("head's sensor was found" in notice["text"] for notice in about["notices"])
    capsys.readouterr()
    for extra, said in [
        (["--bones-error", "3"], "none are given"),
        (["--bones", str(tmp_path / "b.json"), "--bones-error", "3", "--no-fit-bones"], "leave one of them out"),
        (["--bones-error", "300"], "give centimetres"),
        (["--offset", "head=1,2"], "is no offset"),
        (["--offset", "hed=0,0,0"], "no joint 'hed'"),
        (["--offset", "head=0,0,0", "--offset", "head=0,0,0"], "given twice"),
    ]:
        try:
            code = main([*common, *extra, "--out", str(tmp_path / "no")])
        except SystemExit as error:
            code = int(error.code or 0)
        shown = capsys.readouterr().err.strip()
        assert code == 2 and said in shown and "\n" not in shown and not (tmp_path / "no").exists()
