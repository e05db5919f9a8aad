"""Feet on the ground: a walk whose steps are known, algebra against finite differences, and feet in the air."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inpose_people import people_folder, standing_weights
from inpose_walk import (
    LEGS,
    REST,
    angles,
    measured,
    off_legs,
    perturbed,
    placed,
    points_of,
    sinks,
    slides,
    standing,
    walk,
)
from motorque.cli import main
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose import contact_guidance
from motorque.estimators.inpose.closing import exp_vectors
from motorque.estimators.inpose.contact_chance import SOLES, Sample, chances, looks, sole_heights, unit_length, weights
from motorque.estimators.inpose.contact_guidance import FeetSettings, planted, stances
from motorque.estimators.inpose.contact_learning import main as learn
from motorque.estimators.inpose.contact_learning import regression
from motorque.estimators.inpose.drawing import FAST, USUAL
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.library import make_library
from motorque.estimators.inpose.long_sampling import Measured, climbed, sample_recording
from motorque.estimators.inpose.tree import HEAD, JOINTS, RATE, THREE
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.skeleton.smpl import rest_joints

EXACT = 1e-9
"""Of algebra in double precision."""


def network(folder: Path) -> InPose:
    """A tiny prior that knows nothing but a standing person."""
    return InPose.load(standing_weights(folder))


def head_and_wrists() -> Tracks:
    """What three sensors on the walker say."""
    turns, pelvis, _ = walk(60)
    points = points_of(turns, pelvis)
    return Tracks(np.arange(60) / RATE, tuple(JOINTS[j] for j in THREE), points[:, THREE], turns[:, THREE], "t.npz")


def test_the_walk_is_one() -> None:
    turns, pelvis, stands = walk()
    points = points_of(turns, pelvis)
    assert slides(turns, points, stands) < 1e-9 and 0.5 < stands.mean() < 0.7
    assert float(points[:, [10, 11], 1].min()) == pytest.approx(sole_heights(REST)[1], abs=1e-9)


def test_the_foot_that_stands_is_told_from_the_one_that_does_not() -> None:
    turns, pelvis, stands = walk()
    points, unit = points_of(turns, pelvis), unit_length(REST)
    sample = Sample(points[:, list(SOLES)] / unit, points[:, HEAD] / unit, turns[:, 0], sole_heights(REST / unit))
    found = chances(sample)
    both = stands[1:] & stands[:-1]
    for number, side in enumerate((0, 0, 1, 1)):
        assert found[both[:, side], number].mean() > 0.8 > 0.3 > found[~stands[1:, side], number].mean()


def test_legs_that_were_moved_off_come_back() -> None:
    """Two fifths of the error go, and three quarters of the slipping, and half of the sinking beyond a centimetre."""
    turns, pelvis, stands = walk()
    points, given = points_of(turns, pelvis), perturbed(turns)
    found = planted(torch.tensor(given)[None], measured(points))[0].numpy()
    assert off_legs(given, points) > 0.04 and slides(given, points, stands) > 0.25 and sinks(given, points) > 0.005
    assert off_legs(found, points) < 0.6 * off_legs(given, points)
    assert slides(found, points, stands) < 0.25 * slides(given, points, stands)
    assert sinks(found, points) < 0.5 * sinks(given, points)
    np.testing.assert_allclose(found @ found.swapaxes(-1, -2), np.broadcast_to(np.eye(3), found.shape), atol=1e-9)
    above = [j for j in range(22) if j not in LEGS and j not in (0, 3, 6, 9)]
    assert np.array_equal(found[:, above], given[:, above])


def test_a_walk_that_is_right_stays() -> None:
    turns, pelvis, _ = walk()
    points = points_of(turns, pelvis)
    assert off_legs(planted(torch.tensor(turns)[None], measured(points))[0].numpy(), points) < 0.01


def test_nobody_is_pulled_down_from_the_air() -> None:
    """A jump of 30 cm with straight legs: from a tenth of a second after it on they stay so within three degrees."""
    time = np.clip(np.arange(120) / RATE - 0.7, 0, 0.5)
    turns, points = standing(2.4517 * time - 9.80665 / 2 * time**2)
    assert points[:, SOLES, 1].max() > 0.3
    found = planted(torch.tensor(turns)[None], measured(points))[0].numpy()
    assert angles(found, turns)[48:66].max() < 3.0


@pytest.mark.parametrize("height", [0.2, 0.5])
def test_who_stands_on_something_is_left_there(height: float) -> None:
    turns, points = standing(np.full(90, height))
    found = planted(torch.tensor(turns)[None], measured(points))[0].numpy()
    assert angles(found, turns).max() < 2.0


def test_a_hop_that_the_head_does_not_make_is_taken_back() -> None:
    """Legs that bend for half a second, by which feet rise 4 cm, while the head stays where it is: half of it goes."""
    turns, points = standing(np.zeros(120))
    bend = np.sin(np.pi * np.clip((np.arange(120) - 40) / 30, 0, 1)) ** 2
    given = turns.copy()
    for joint, angle in ((1, -0.36), (2, -0.36), (4, 0.28), (5, 0.28)):
        given[:, joint] = exp_vectors(torch.tensor(bend[:, None] * (angle, 0.0, 0.0))).numpy()
    found = planted(torch.tensor(given)[None], measured(points))[0].numpy()
    rise = [float((placed(x, points) - points)[:, [7, 8], 1].max()) for x in (given, found)]
    assert rise[0] > 0.035 and rise[1] < 0.5 * rise[0]


def bent(frames: int, thigh: float, shank: float) -> np.ndarray:
    """Somebody who stands with legs bent forward at the hip and back at the knee [rad], flat feet: rotations."""
    turns = np.tile(np.eye(3), (frames, 22, 1, 1))
    for joint, angle in ((1, -thigh), (2, -thigh), (4, shank), (5, shank)):
        turns[:, joint] = exp_vectors(torch.tensor([angle, 0.0, 0.0])).numpy()
    return turns


def test_feet_that_sink_are_lifted_by_legs_alone() -> None:
    """A sample that stands straight where the person crouches by 10 cm: all but 5 go, knees bend, the trunk stays."""
    true = bent(120, 0.5, 0.5)
    pelvis = np.zeros((120, 3))
    pelvis[:, 1] = sole_heights(REST)[0] - points_of(true, pelvis)[0, 7, 1]
    points, given = points_of(true, pelvis), bent(120, 0.05, 0.05)
    found = planted(torch.tensor(given)[None], measured(points))[0].numpy()
    deep = [float((sole_heights(REST) - placed(x, points)[:, SOLES, 1]).mean()) for x in (given, found)]
    assert deep[0] > 0.09 and deep[1] < 0.05
    trunk = [JOINTS.index(name) for name in ("pelvis", "spine1", "spine2", "spine3")]
    assert angles(found, given)[:, trunk].max() < 0.1
    assert off_legs(found, points) < 0.7 * off_legs(given, points)


def test_who_stands_may_be_told() -> None:
    """A right foot that is said to stand throughout goes less than one that is said not to."""
    turns, pelvis, _ = walk()
    points = points_of(turns, pelvis)
    each = np.tile([0.0, 0.0, 1.0, 1.0], (len(turns) - 1, 1))
    found = [planted(torch.tensor(turns)[None], measured(points), stands=told)[0].numpy() for told in (each, 0 * each)]
    speed = [np.linalg.norm(np.diff(placed(x, points)[:, [7, 8]], axis=0), axis=-1).mean(axis=0) for x in found]
    assert speed[0][1] < 0.95 * speed[1][1] and speed[0][0] == pytest.approx(speed[1][0], rel=0.02)
    own = stances(torch.tensor(turns)[None], measured(points))
    assert own is not None and own.shape == (1, *each.shape)
    np.testing.assert_array_equal(
        planted(torch.tensor(turns)[None], measured(points), stands=own),
        planted(torch.tensor(turns)[None], measured(points)),
    )
    assert stances(torch.tensor(turns)[None], measured(points, placed=False)) is None


def test_size_does_not_matter() -> None:
    turns, pelvis, _ = walk(60)
    points, given = points_of(turns, pelvis), torch.tensor(perturbed(turns))[None]
    one, other = planted(given, measured(points)), planted(given, measured(points, scale=0.6))
    assert float((one - other).abs().max()) < 1e-6  # lengths are kept in single precision
    assert float((one - given).abs().max()) > 0.05


def test_turning_the_world_turns_the_result() -> None:
    turns, pelvis, _ = walk(60)
    points, given = points_of(turns, pelvis), perturbed(turns)
    about = exp_vectors(torch.tensor([0.0, 1.1, 0.0], dtype=torch.float64)).numpy()
    one = planted(torch.tensor(given)[None], measured(points))[0].numpy()
    other = planted(torch.tensor(about @ given)[None], measured(points @ about.T))[0].numpy()
    np.testing.assert_allclose(about @ one, other, atol=1e-6)


def test_without_a_floor_or_a_head_nothing_moves() -> None:
    turns, pelvis, _ = walk(30)
    given, points = torch.tensor(turns)[None], points_of(turns, pelvis)
    assert planted(given, measured(points, placed=False)) is given
    headless = measured(points)
    headless.there[:] = False
    assert planted(given, headless) is given


def test_joints_that_are_measured_stay_and_gaps_of_the_head_do_no_harm() -> None:
    turns, pelvis, _ = walk(120)
    points, given = points_of(turns, pelvis), perturbed(turns)
    told = measured(points)
    told.seen[:, 7] = True
    found = planted(torch.tensor(given)[None], told)[0].numpy()
    assert np.abs(found[:, 7] - given[:, 7]).max() < 0.06 < np.abs(found[:, 8] - given[:, 8]).max()
    gap = measured(points)
    gap.there[40:80, HEAD] = False
    gap.points[40:80] = np.nan
    found = planted(torch.tensor(given)[None], gap)[0].numpy()
    assert np.isfinite(found).all() and off_legs(found, points) < 0.9 * off_legs(given, points)


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_few_frames_are_enough(frames: int) -> None:
    turns, pelvis, _ = walk(frames)
    found = planted(torch.tensor(turns)[None], measured(points_of(turns, pelvis)))
    assert found.shape == (1, frames, 22, 3, 3) and torch.isfinite(found).all()


def planting(frames: int, lower: float = 0.0) -> contact_guidance._Planting:
    """Of the walker with legs moved off, the head lower by so much [m]."""
    turns, pelvis, _ = walk(frames)
    told = measured(points_of(turns, pelvis) - (0.0, lower, 0.0))
    given = perturbed(turns)
    stands, person = stances(torch.tensor(given)[None], told), contact_guidance._Person(told)
    assert stands is not None
    return contact_guidance._Planting(given, person, told.seen.numpy(), stands[0], FeetSettings())


def test_slopes_are_those_of_finite_differences() -> None:
    one = planting(4)
    count = len(one.spread)
    slopes = one.slopes(one.given)
    for number in range(count - 1):
        angles = np.zeros((4, count))
        angles[:, number] = 1e-6
        moved = (one.person.points(one.turned(angles)) - one.person.points(one.turned(-angles))) / 2e-6
        np.testing.assert_allclose(slopes[..., number], moved, atol=1e-8)


@pytest.mark.parametrize("lower", [0.0, 0.1])
def test_a_step_goes_to_the_least_cost(lower: float) -> None:
    """The cost written down without blocks or bands: no way from where a step arrives leads down."""
    one = planting(7, lower)
    count = len(one.spread)
    points, slopes = one.person.points(one.given), one.slopes(one.given)
    slip, floor = one.counted(points, np.zeros(7))
    assert slip.max() > 1 and floor.max() > 1 and one.sunk.all() == (lower > 0) and one.hovers.any() == (lower == 0)
    bent = one.slopes(one.turned(one.crouch))[:, :, 1] * ~one.trunk  # what sinks tells of legs that bend alone
    upward = np.where(one.sunk[..., None], bent, slopes[:, :, 1])
    wanted = one.person.heights - 0.03 * one.sunk
    found = one.step(one.given, np.zeros((7, count)))

    def cost(angles: np.ndarray) -> float:
        power = 2 * np.sqrt(2) * one.slow * one.spread**2
        second = np.square(np.diff(angles, 2, axis=0)).sum(axis=0)
        total = float(((np.square(angles).sum(axis=0) + one.slow**4 * second) / power).sum())
        legs = points + np.einsum("tpxn,tn->tpx", slopes[..., ~one.trunk], angles[:, ~one.trunk])
        total += float((slip[..., None] * np.square(np.diff(legs, axis=0))).sum())
        over = points[..., 1] + np.einsum("tpn,tn->tp", upward, angles) - wanted
        return total + float((floor * over**2).sum())

    best = cost(found)
    for _ in range(20):
        way = np.random.default_rng(0).normal(size=found.shape) * one.spread
        up, down = cost(found + 1e-4 * way), cost(found - 1e-4 * way)
        assert up > best and down > best and abs(up - down) < 1e-6 * best
    assert best < 0.95 * cost(np.zeros_like(found))


def test_banded_equations_are_those_of_the_full_matrix() -> None:
    rng = np.random.default_rng(1)
    frames, count = 6, 4
    own, size = slice(1, 3), frames * count
    root = rng.normal(size=(size, size))
    far = np.abs(np.arange(frames)[:, None] - np.arange(frames))
    alike, coupled = np.eye(count), np.zeros((count, count))
    coupled[own, own] = 1.0
    kept = np.kron(far == 0, np.ones_like(alike)) + np.kron(far == 1, np.maximum(alike, coupled))
    full = (root @ root.T) * (kept + np.kron(far == 2, alike)) + 60 * np.eye(size)
    each = full.reshape(frames, count, frames, count)
    prior, square = np.zeros((frames, count, 3)), np.zeros((frames, count, count))
    couples = np.zeros((frames - 1, 2, 2))
    for t in range(frames):
        square[t] = each[t, :, t]
        for offset in range(1, min(3, frames - t)):
            prior[t, :, offset] = np.diagonal(each[t + offset, :, t])
        if t + 1 < frames:
            couples[t] = each[t + 1, own, t, own] - np.diag(prior[t, own, 1])
    prior[..., 0] = 7.0
    square -= 7.0 * alike
    right = rng.normal(size=(frames, count))
    found = contact_guidance._solved(prior, square, couples, own, right)
    np.testing.assert_allclose(found.ravel(), np.linalg.solve(full, right.ravel()), atol=EXACT)
    second = np.diff(np.eye(9), 2, axis=0)
    for offset, numbers in enumerate(contact_guidance._second_differences(9)):
        np.testing.assert_allclose(numbers[: 9 - offset], np.diagonal(second.T @ second, -offset), atol=1e-15)


def test_regressions_find_the_numbers_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    rows, made = rng.normal(size=(40_000, 3)), np.array([1.5, -0.7, 0.0, 0.4])
    stands = rng.uniform(size=40_000) < 1 / (1 + np.exp(-(rows @ made[:3] + made[3])))
    found, loss = regression(rows, stands)
    np.testing.assert_allclose(found, made, atol=0.06)
    assert loss < np.log(2)


def test_the_table_is_learned_by_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network(tmp_path)
    make_library([people_folder(tmp_path / "people", 4, 1)], tmp_path / "library")
    arguments = [str(tmp_path / "library"), "--weights", str(tmp_path / "tiny.safetensors")]
    for name in ("one.json", "two.json"):
        assert learn([*arguments, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()
    assert all(np.isfinite(own).all() and own.any() for own in weights(tmp_path / "one.json"))
    assert learn([str(tmp_path / "nowhere"), *arguments[1:]]) == 2 and "no library" in capsys.readouterr().err


def test_what_a_look_holds_is_the_same_for_mirrored_people() -> None:
    turns, pelvis, _ = walk(60)
    points = points_of(turns, pelvis) + (0.1, 0.0, 0.0) * np.sin(np.arange(60) / 9)[:, None, None]
    mirror = np.array([-1.0, 1.0, 1.0])
    heights = sole_heights(REST)
    one = looks(Sample(points[:, list(SOLES)], points[:, HEAD], turns[:, 0], heights))
    swapped = points[:, [SOLES[k] for k in (2, 3, 0, 1)]] * mirror
    other = looks(Sample(swapped, points[:, HEAD] * mirror, mirror[:, None] * turns[:, 0] * mirror, heights))
    np.testing.assert_allclose(one, other[:, [2, 3, 0, 1]], atol=1e-9)


def test_wrong_settings_and_tables_are_said(tmp_path: Path) -> None:
    for change in ({"slip": 0.0}, {"floor": -1.0}, {"rounds": 0}, {"high": float("nan")}, {"under": 0.0}):
        with pytest.raises(DataError, match="feet"):
            replace(FeetSettings(), **change)  # type: ignore[arg-type]
    (tmp_path / "x.json").write_text('{"ankle": [1], "ball": [1], "lags": [0]}')
    for name in ("x.json", "none.json"):
        with pytest.raises(FileFormatError, match="which foot stands"):
            weights(tmp_path / name)


def test_the_option_reaches_samples_files_and_streams(tmp_path: Path) -> None:
    """By default legs are moved, with ``--no-feet`` and without a floor they are not, and the latter is said."""
    prior, tracks = network(tmp_path), head_and_wrists()
    free = prior.sample(tracks, REST, 1, settings=FAST)
    usual = prior.sample(tracks, REST, 1)
    assert np.abs(usual.rotations - free.rotations)[:, :, LEGS].max() > 0.01
    for floor, moved in ((0.0, True), (None, False)):
        journal = Journal()
        one, other = (prior.sample(tracks, REST, 1, settings=s, floor=floor, journal=journal) for s in (FAST, USUAL))
        assert np.array_equal(one.rotations, other.rotations) is not moved
        assert any("feet are where the prior has them" in n.text for n in journal.notices) is not moved
    bodies = {}
    for settings in (FAST, USUAL):
        stream, out = prior.stream(tracks.names, REST, settings=settings), []
        for t in range(60):
            out += stream.push(
                {n: (tracks.positions[t, i], tracks.rotations[t, i]) for i, n in enumerate(tracks.names)}
            )
        bodies[settings] = np.stack([body.rotations for body in out])
    assert np.abs(bodies[USUAL] - bodies[FAST])[:, LEGS].max() > 0.01


def test_the_command_says_whether_feet_were_put_down(tmp_path: Path) -> None:
    network(tmp_path)
    tracks = head_and_wrists()
    arrays = {f"{n}_p": tracks.positions[:, i] for i, n in enumerate(tracks.names)}
    arrays |= {f"{n}_r": tracks.rotations[:, i] for i, n in enumerate(tracks.names)}
    np.savez(tmp_path / "t.npz", time=tracks.times, **arrays)
    (tmp_path / "b.json").write_text(json.dumps(REST.tolist()))
    for extra, put in (([], True), (["--no-feet"], False), (["--paper"], False), (["--paper", "--feet"], True)):
        out = tmp_path / "_".join(["out", *extra])
        arguments = [
            "sensors",
            str(tmp_path / "t.npz"),
            "--bones",
            str(tmp_path / "b.json"),
            "--samples",
            "1",
            "--quiet",
        ]
        arguments += ["--weights", str(tmp_path / "tiny.safetensors"), "--end", "0.5", "--out", str(out)]
        assert main([*arguments, *extra]) == 0
        assert (json.loads((out / "summary.json").read_text())["settings"]["feet"] is not None) is put


def test_the_prior_is_not_told_of_a_head_that_has_climbed() -> None:
    """Higher than when it stands throughout a window, it is as if its place was not told; at times alone it is told."""
    prior = InPose.load().network
    _, points = standing(np.full(60, 0.2))
    raised, floor = (measured(x.astype(np.float32)) for x in (points, points - (0.0, 0.2, 0.0)))
    for told in (raised, floor):
        told.seen[:, HEAD] = True
        told.columns6[:, HEAD, [0, 4]] = 1.0

    def first(told: Measured) -> torch.Tensor:
        return sample_recording(prior, told, seeds=[0], steps=1)

    assert torch.equal(first(raised), first(replace(raised, placed=False)))
    assert not torch.equal(first(floor), first(replace(floor, placed=False)))
    assert climbed(raised) == 1.0 and climbed(floor) == 0.0 and climbed(replace(raised, placed=False)) == 0.0
    raised.points[:41:10, HEAD, 1] -= 0.2
    assert not torch.equal(first(raised), first(replace(raised, placed=False)))


@pytest.mark.parametrize("floor", [-0.5, 0.5])
def test_a_floor_at_another_height_moves_bodies_alone(floor: float) -> None:
    """Samples, and their mean put on the ground again by what samples said of who stands."""
    tracks, prior = head_and_wrists(), InPose.load()
    raised = replace(tracks, positions=tracks.positions + (0.0, floor, 0.0))
    rest = np.array(rest_joints(height=1.7))
    one = prior.sample(tracks, rest, 3)
    other = prior.sample(raised, rest, 3, floor=floor)
    assert one.stands is not None and one.stands.shape == (59, 4)
    for here, there in ((one, other), (one.refit(), other.refit())):
        np.testing.assert_allclose(here.rotations, there.rotations, atol=1e-4)  # places are in single precision
        np.testing.assert_allclose(here.pelvis + (0.0, floor, 0.0), there.pelvis, atol=1e-4)
    by_itself = replace(one, stands=None).refit()
    assert angles(by_itself.rotations[0], one.refit().rotations[0]).max() > 0.2
