"""How far off bodies are: spreads widened by strangers' errors, measured joints with their own noise, the table."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from inpose_people import people_library, person, standing_network
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose import calibration
from motorque.estimators.inpose.bodies import Bodies
from motorque.estimators.inpose.calibration import errors_of, main, strangers, widening
from motorque.estimators.inpose.closing import exp_vectors
from motorque.estimators.inpose.drawing import FAST, PAPER, USUAL
from motorque.estimators.inpose.error_bars import (
    ANY,
    BAND,
    GROUPS,
    TABLE,
    bones_share,
    doubts,
    error_bars,
    fingerprint,
    within_reach,
)
from motorque.estimators.inpose.folds import CMU_TEST
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.library import Movement
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS, THREE, columns, global_rotations, places, resting
from motorque.estimators.inpose.weights import save_weights
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.workflows.sensors import sensors_step

HIP, WRIST = JOINTS.index("left_hip"), JOINTS.index("left_wrist")


def drawn(count: int = 8, *, off: float = 0.1, frames: int = 40, sensors: tuple[int, ...] = THREE) -> Bodies:
    """Samples scattered about a true movement, of which some joints are measured and taken over."""
    poses = person(3, frames=frames)
    turns, pelvis = global_rotations(poses)
    rest = resting(poses)
    points = places(torch.tensor(columns(turns)), torch.tensor(rest), torch.tensor(pelvis))
    seen = torch.zeros(frames, 22, dtype=torch.bool)
    seen[:, list(sensors)] = True
    measured = Measured(torch.tensor(columns(turns)), seen, points, seen.clone(), torch.tensor(rest), placed=True)
    generator = torch.Generator().manual_seed(0)
    noise = off * torch.randn(count, frames, 22, 3, generator=generator, dtype=torch.float64)
    noise[:, :, list(sensors)] = 0.0
    samples = exp_vectors(noise).numpy() @ turns
    hung = places(torch.tensor(columns(samples)), torch.tensor(rest)).numpy()
    way = points.numpy()[:, HEAD] - hung[:, :, HEAD]
    return Bodies(poses.times, samples, way, rest, measured=measured, settings=FAST)


def test_measured_joints_have_their_own_noise_and_others_a_wider_spread() -> None:
    bodies, table = drawn(), error_bars()
    std, place = bodies.standard_deviation, bodies.place_standard_deviation
    np.testing.assert_allclose(std[:, list(THREE)], np.sqrt(3) * FAST.rotation_noise, rtol=1e-9)
    np.testing.assert_allclose(place[:, HEAD], np.sqrt(3) * FAST.noise, rtol=1e-9)
    missed = np.linalg.norm(bodies.positions - bodies.measured.points.numpy(), axis=-1)[:, :, WRIST]
    np.testing.assert_allclose(place[:, WRIST] ** 2, (missed**2).mean(0) + 3 * FAST.noise**2, rtol=1e-9)
    others = [j for j in range(22) if j not in THREE]
    own = table.rotations
    wanted = own.own[HIP] ** 2 + (own.times[HIP] ** 2 + 1 / 8) * bodies.spread[:, HIP] ** 2
    np.testing.assert_allclose(std[:, HIP] ** 2, wanted, rtol=1e-9)
    assert (std > bodies.spread / np.sqrt(8)).all() and (place[:, others] > bodies.place_spread[:, others] / 3).all()
    far = drawn(off=9.0).standard_deviation
    assert (far <= ANY).all() and (far[:, HIP] == ANY).any()
    noisy = replace(bodies, settings=replace(FAST, rotation_noise=0.2, noise=0.05))
    np.testing.assert_allclose(noisy.standard_deviation[:, HEAD], np.sqrt(3) * 0.2, rtol=1e-9)
    np.testing.assert_allclose(noisy.place_standard_deviation[:, HEAD], np.sqrt(3) * 0.05, rtol=1e-9)


def test_a_sensor_that_drops_out_is_a_guess_there_and_a_lost_place_is_not_known() -> None:
    bodies = drawn()
    seen, there = bodies.measured.seen.clone(), bodies.measured.there.clone()
    seen[10:20, WRIST] = False
    there[10:20, HEAD] = False  # wrists say where the body is
    there[30:] = False
    left = replace(bodies, measured=replace(bodies.measured, seen=seen, there=there))
    std, place = left.standard_deviation, left.place_standard_deviation
    assert (std[10:20, WRIST] >= error_bars().rotations.own[WRIST]).all()
    gone = replace(bodies, measured=replace(bodies.measured, seen=seen, there=there & seen))
    free, shoulder = error_bars().free_rotations, JOINTS.index("left_shoulder")
    assert (gone.standard_deviation[10:20, [shoulder, WRIST]] >= free.own[WRIST]).all()  # nothing tells of that arm
    np.testing.assert_array_equal(gone.standard_deviation[:, HIP], bodies.standard_deviation[:, HIP])
    assert (free.own[WRIST] > 1.2 * error_bars().rotations.own[WRIST]) and (
        gone.standard_deviation[10:20, 19] < 1
    ).any()
    np.testing.assert_array_equal(std[:10], bodies.standard_deviation[:10])
    assert np.isnan(place[30:]).all() and np.isfinite(place[:30]).all()
    np.testing.assert_array_equal(place[:10], bodies.place_standard_deviation[:10])
    assert (place[10:20, HEAD] > 5 * place[0, HEAD]).all()
    assert (place[10:20, HIP] > bodies.place_standard_deviation[10:20, HIP]).all()


def test_fewer_samples_have_wider_bars_and_one_has_none_but_where_measured() -> None:
    table = error_bars().rotations
    spread = np.full((1, 22), 0.1)
    np.testing.assert_allclose(table(spread, 2) ** 2 - table(spread, 8) ** 2, (1 / 2 - 1 / 8) * 0.01, rtol=1e-9)
    one = drawn(1)
    known = np.isfinite(one.standard_deviation).all(axis=0)
    assert set(np.flatnonzero(known)) == set(THREE)
    assert np.isfinite(one.place_standard_deviation[:, HEAD]).all()
    assert np.isnan(one.place_standard_deviation[:, HIP]).all()
    bare = replace(drawn(), measured=None)
    assert np.isfinite(bare.standard_deviation).all() and (bare.standard_deviation[:, HEAD] > 0.1).all()


def test_bones_that_may_be_off_put_joints_off_from_the_head_on() -> None:
    rest_std = np.arange(22) / 1000.0
    found = bones_share(rest_std)
    chain = ["neck", "spine3", "spine2", "spine1"]  # bones that end in these, and the head's own
    from_head = rest_std[HEAD] ** 2 + sum(rest_std[JOINTS.index(name)] ** 2 for name in chain)
    assert found[HEAD] == 0.0 and found[0] ** 2 == pytest.approx(from_head)
    assert found[HIP] ** 2 == pytest.approx(from_head + rest_std[HIP] ** 2)
    before = drawn().place_standard_deviation
    wider = replace(drawn(), rest_std=rest_std).place_standard_deviation
    assert (wider >= before - 1e-12).all() and wider[0, HIP] > before[0, HIP]


def test_no_joint_is_farther_off_than_the_next_one_and_their_bone_allow() -> None:
    bodies = drawn(sensors=(*THREE, JOINTS.index("left_ankle")))
    toe, ankle = JOINTS.index("left_foot"), JOINTS.index("left_ankle")
    std, place = bodies.standard_deviation, bodies.place_standard_deviation
    length = np.linalg.norm(bodies.rest[toe] - bodies.rest[ankle])
    np.testing.assert_allclose(place[:, toe], place[:, ankle] + length * std[:, ankle], rtol=1e-9)
    assert (place[:, toe] < 0.3 * drawn().place_standard_deviation[:, toe]).all()
    rng = np.random.default_rng(0)
    given, turns = rng.uniform(0.01, 0.5, (5, 22)), rng.uniform(0.01, 2.0, (5, 22))
    arm = np.full((5, 22, 22), np.inf)  # shortest paths by Floyd and Warshall
    for joint, parent in enumerate(PARENTS[1:], 1):
        bone = np.linalg.norm(bodies.rest[joint] - bodies.rest[parent]) * np.minimum(turns[:, parent], np.sqrt(2))
        arm[:, joint, parent] = arm[:, parent, joint] = bone
    arm[:, range(22), range(22)] = 0.0
    for k in range(22):
        arm = np.minimum(arm, arm[:, :, k : k + 1] + arm[:, k : k + 1])
    wanted = (given[:, None] + arm).min(axis=-1)
    np.testing.assert_allclose(within_reach(given, turns, bodies.rest), wanted, rtol=1e-12)


def test_a_widening_finds_what_errors_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    people = []
    for own in (0.1, 0.2):
        spread = rng.gamma(2.0, 0.05, 40_000)
        std = np.sqrt(own**2 + (1.5**2 + 1 / 8) * spread**2)
        people.append((np.linalg.norm(std[:, None] / np.sqrt(3) * rng.normal(size=(len(std), 3)), axis=-1), spread))
    own, times = widening(people, 8, least=0.001)
    assert own == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2), rel=0.1) and times == pytest.approx(1.5, rel=0.1)
    told, told_times = widening([(0.001 * off, spread) for off, spread in people], 8, least=0.001)
    assert 0 < told < 0.01 and 0 <= told_times < 0.1  # spreads of samples alone say more than errors
    # Errors with long tails, of a person who is worse off and has fewer frames: bands hold 90 %, people counting alike
    off, spread = people[1]
    people[1] = tuple(x[:5000] for x in (off * rng.choice([0.5, 3.0], len(off), p=[0.8, 0.2]), spread))
    own, times = widening(people, 8, least=0.001)
    held = [np.mean(e < BAND * np.sqrt(own**2 + (times**2 + 1 / 8) * s**2)) for e, s in people]
    assert np.mean(held) == pytest.approx(0.9, abs=0.002) and max(held) > 0.95


def test_the_table_is_of_all_joints_and_of_nobody_who_is_tested() -> None:
    assert sorted(name for joints in GROUPS.values() for name in joints) == sorted(JOINTS)
    about = json.loads(TABLE.read_text())["about"]
    assert about["people"] == ["01", "03", "05", "07", "131", "35"] and not {*about["people"]} & {*CMU_TEST}
    assert len(about["other_networks"]) == 2
    assert about["settings"] == json.loads(json.dumps(asdict(USUAL)))


@pytest.mark.parametrize("content", ["{", "[]", '{"about": {}}', None])
def test_what_is_no_table_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "t.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FileFormatError, match="no table of error bars"):
        error_bars(path)


def test_other_weights_and_settings_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    one = standing_network()
    table = replace(error_bars(), network=fingerprint(one))
    monkeypatch.setattr("motorque.estimators.inpose.error_bars.error_bars", lambda: table)
    assert doubts(one, asdict(USUAL)) == []
    assert doubts(one, asdict(replace(USUAL, noise=0.05, rotation_noise=0.1))) == []
    assert "feet" in doubts(one, asdict(FAST))[0] and "steps" in doubts(one, asdict(PAPER))[0]
    with torch.no_grad():
        next(iter(one.parameters())).add_(0.5)
    assert "weights that come with motorque" in doubts(one, asdict(USUAL))[0]


def test_one_command_makes_a_table_of_watched_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = people_library(tmp_path)
    save_weights(tmp_path / "w.safetensors", standing_network(), {"step": 7})
    monkeypatch.setattr(calibration, "SECONDS", 1.0)
    out = tmp_path / "table.json"
    assert main([str(library.folder), "--weights", str(tmp_path / "w.safetensors"), "--out", str(out)]) == 0
    about = json.loads(out.read_text())["about"]
    watched = calibration.default_split(library.movements).validation
    assert about["people"] == sorted({m.subject for m in watched}) and about["prior_step"] == 7
    prior, table = InPose.load(tmp_path / "w.safetensors"), error_bars(out)
    assert table.network == fingerprint(prior.network)
    errors = [errors_of(calibration.middle_of(library, m, 1.0), prior) for m in watched]
    others = [j for j in range(22) if j not in THREE]
    for name, joints in GROUPS.items():
        own = [j for j in others if JOINTS[j] in joints]
        off = np.concatenate([e.angle[:, own] for e in errors])
        std = np.concatenate([table.rotations(e.spread, 8)[:, own] for e in errors])
        assert np.mean(off < BAND * std) >= 0.895, name
    alone = [errors_of(calibration.middle_of(library, m, 1.0), prior, sensors=(HEAD,)) for m in watched]
    arms = [JOINTS.index(name) for name in GROUPS["arms"]]
    off, std = (np.concatenate([v[:, arms] for v in each]) for each in
                ([e.place for e in alone], [table.free_places(e.place_spread, 8) for e in alone]))  # fmt: skip
    assert np.mean(off < BAND * std) >= 0.895
    with pytest.raises(DataError, match="no movement"):
        calibration.calibrated([])


def test_the_files_have_standard_deviations_and_the_summary_spreads_too(tmp_path: Path) -> None:
    poses = person(3, frames=60)
    turns, pelvis = global_rotations(poses)
    rest = torch.tensor(resting(poses))
    points = places(torch.tensor(columns(turns)), rest, torch.tensor(pelvis)).numpy()
    names = tuple(JOINTS[j] for j in THREE)
    table = {"time": poses.times}
    for name, joint in zip(names, THREE, strict=True):
        table |= {f"{name}_p": points[:, joint], f"{name}_r": turns[:, joint]}
    np.savez(tmp_path / "t.npz", **table)
    (tmp_path / "b.json").write_text(json.dumps(rest.tolist()))
    save_weights(tmp_path / "w.safetensors", standing_network(), {"step": 0})
    journal = Journal()
    sensors_step(
        tmp_path / "t.npz", tmp_path / "out", bones=tmp_path / "b.json", weights=tmp_path / "w.safetensors", samples=2,
        journal=journal,
    )  # fmt: skip
    drawn = InPose.load(tmp_path / "w.safetensors").sample(
        Tracks(poses.times, names, points[:, list(THREE)], turns[:, list(THREE)]), rest.numpy(), 2
    )
    rows = np.loadtxt(tmp_path / "out" / "std.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(rows[:, 1:23], np.degrees(drawn.standard_deviation), rtol=1e-3)
    np.testing.assert_allclose(rows[:, 23:], 100 * drawn.place_standard_deviation, rtol=1e-3)
    about = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert about["std_deg"]["left_hip"] == pytest.approx(rows[:, 1 + HIP].mean(), rel=1e-3)
    assert about["spread_deg"]["left_hip"] == pytest.approx(np.degrees(drawn.spread[:, HIP]).mean(), rel=1e-3)
    assert about["std_cm"]["left_foot"] > 2 * about["spread_cm"]["left_foot"] > 0
    assert any("weights that come with motorque" in notice.text for notice in journal.notices)


def test_each_prior_counts_for_people_whom_it_left_out_and_none_before_it() -> None:
    def movement(person: str, number: int) -> Movement:
        return Movement(f"{person} {number}", person, person, "walk", "x.amc", 0, 60, ())

    movements = [movement(person, k) for person in ("01", "02", "07", "35") for k in range(14 if person == "07" else 2)]
    library = SimpleNamespace(movements=movements)

    def prior(test: list[str], validation: list[str]) -> InPose:
        return InPose(standing_network(), {"data": {"test": test, "validation": validation}})

    priors = [prior(["02"], ["07"]), prior(["07", "35"], ["01", "02"])]
    one, other = strangers(library, priors)  # type: ignore[arg-type]
    assert {m.subject for m in one} == {"07"} and len(one) == 12  # 02 is tested
    assert [m.subject for m in other] == ["01", "01", "35", "35"]
    with pytest.raises(DataError, match="left out nobody"):
        strangers(library, [priors[0], priors[0]])  # type: ignore[arg-type]
