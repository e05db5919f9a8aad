"""What InPose's evaluation says of its figures: answers from results that are made up, and stick figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motorque.estimators.inpose.tree import JOINTS, RATE
from motorque.studies.inpose import cast
from motorque.studies.inpose.experiments import BONE_ERRORS, EXPERIMENTS, NAMES, SCALES, SHAPES, checked, chosen
from motorque.studies.inpose.measures import MEASURES, Measures
from motorque.studies.inpose.protocol import DEFAULT, Condition, Shape, Trial
from motorque.studies.inpose.results import Key, Results, Row
from motorque.studies.inpose.runtime import Runtime, Speed, Streamed
from motorque.studies.inpose.stills import SCALES as DRAWN
from motorque.studies.inpose.stills import liveliest, most_lost, stills
from motorque.studies.inpose.verdicts import counted, verdict_table

OURS = (cast.INPOSE, cast.HEAD, cast.MEAN_OF_4)
SIZES = [Condition(Shape(whole=scale)) for scale in SCALES]
NOISY, WRONG = Condition(place_noise=0.05), Condition(bone_error=0.03)


def put(results: Results, method: str, condition: Condition, error: float, *, lpe: float = 1.0) -> None:
    """Errors of two recordings of each of two people, a little apart."""
    for number in range(4):
        values = dict.fromkeys(MEASURES, error * (1 + 0.01 * number)) | {"lpe": lpe}
        key = Key(method, condition.name, f"r{number}")
        results.add(Row(key, f"s{number % 2}", "", 100, 1.0, Measures(**values)))


def answers(results: Results, runtime: Runtime | None = None) -> dict[str, str]:
    return {str(row[0]): str(row[2]) for row in verdict_table(results, runtime).rows}


@pytest.fixture
def good() -> Results:
    """Everything as it was asked for."""
    results = Results()
    for condition in {*SIZES, *SHAPES, NOISY, WRONG}:
        own = 5.2 if condition == NOISY else 6.0 if condition == WRONG else 5.0
        for method in OURS:
            put(results, method, condition, own)
        blind = 5.0 if condition == DEFAULT else 8.0
        for method in cast.BLIND:
            put(results, method, condition, blind)
    put(results, cast.MEAN_IK, DEFAULT, 7.0)
    put(results, cast.FOUND_BONES, WRONG, 6.0)
    put(results, cast.FEET, DEFAULT, 5.0, lpe=0.8)
    return results


def test_what_was_reached_is_said(good: Results) -> None:
    fast = Runtime((Speed(cast.HEAD, 5, 120, 1.0, 1.0),), Streamed(0.1, 0.2, 0.05, 70.0), 0.01, 2, 0.0)
    told = answers(good, fast)

    assert set(told.values()) == {"yes"} and counted(good, fast) == "12 reached"


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert counted(Results(), None) == "12 not measured"
    assert set(answers(Results()).values()) == {"not measured"}


@pytest.mark.parametrize("away", list(cast.BASELINES.values()))
def test_nobody_is_better_than_a_baseline_that_was_not_given(good: Results, away: str) -> None:
    good.rows = {key: row for key, row in good.rows.items() if key.method != away}
    table = verdict_table(good, None)
    told = {str(row[0]): row for row in table.rows if row[2] == "not measured" and f"not given: {away}" in str(row[3])}
    assert len(told) == 6 and "default shape" in told and "whole-body scales 0.6 to 1.4" in told


@pytest.mark.parametrize(
    ("method", "condition", "error", "figure"),
    [
        (cast.HEAD, SIZES[0], 5.3, "whole-body scales 0.6 to 1.4"),
        (cast.INPOSE, SIZES[-1], 4.7, "whole-body scales 0.6 to 1.4"),
        (cast.HEAD, SHAPES[3], 8.0, f"changed shapes, {cast.HEAD}, intervals over people and recordings"),
        (cast.LOCAL_4, SHAPES[3], 5.0, f"changed shapes, {cast.MEAN_OF_4}, intervals over these people's recordings"),
        (cast.MEAN_OF_4, DEFAULT, 5.6, "default shape"),
        (cast.HEAD, NOISY, 5.6, "noise of places"),
        (cast.FOUND_BONES, WRONG, 6.3, "bone lengths wrong by 3 cm"),
        (cast.REGRESSION, DEFAULT, 5.7, "the regression is a baseline"),
    ],
)  # fmt: skip
def test_each_miss_is_said(good: Results, method: str, condition: Condition, error: float, figure: str) -> None:
    put(good, method, condition, error)

    assert answers(good)[figure] == "no"


def test_slow_and_heavy_and_no_better_feet_are_said(good: Results) -> None:
    slow = Runtime((Speed(cast.HEAD, 5, 120, 3.0, 1.0),), Streamed(0.1, 0.2, 0.05, 70.0), 0.2, 2, 0.0)
    put(good, cast.FEET, DEFAULT, 5.0, lpe=0.9)
    told = answers(good, slow)

    assert told["speed on 2 CPU cores"] == told["guidance's linear algebra"] == "no"
    assert told["lower body with contact guidance"] == "no"


def test_experiments_hold_what_the_figures_need() -> None:
    of = {experiment.name: experiment for experiment in EXPERIMENTS}
    assert {c.name for c in of["scales"].conditions} == {c.name for c in SIZES}
    assert NOISY.name in {c.name for c in of["place_noise"].conditions}
    assert WRONG.name in {c.name for c in of["bone_errors"].conditions} and 3.0 in BONE_ERRORS
    assert all(len(e.values) in (0, len(e.conditions)) for e in EXPERIMENTS)
    names = [c.name for e in EXPERIMENTS for c in e.conditions]
    assert len(set(names)) == len({c for e in EXPERIMENTS for c in e.conditions})
    assert checked(None) == NAMES and [e.name for e in chosen(("scales", "stills"))] == ["scales"]


class Said:
    """Always says the same rotations."""

    name, knows_bones = "said", False

    def __init__(self, turns: torch.Tensor) -> None:
        self.turns = turns

    def pose(self, measured: object, *, seed: int) -> torch.Tensor:
        return self.turns


def still_person(facing: float, frames: int = 50) -> Trial:
    """Somebody in the T-pose, turned to their left."""
    c, s = np.cos(facing), np.sin(facing)
    turn = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], dtype=torch.float64)
    pelvis = torch.tensor([[3.0, 1.0, -2.0]], dtype=torch.float64).repeat(frames, 1)
    return Trial("still", "s", "", turn.repeat(frames, 22, 1, 1), pelvis)


@pytest.mark.parametrize("facing", [0.0, 1.9, -2.7])
def test_stick_figures_look_at_us_wherever_they_face(facing: float) -> None:
    trial = still_person(facing)
    found = stills({"said": Said(trial.rotations)}, trial)

    left, right, head = (JOINTS.index(name) for name in ("left_wrist", "right_wrist", "head"))
    for scale in DRAWN:
        at = found.joints[scale, "true"]
        assert (at[:, left, 0] > 0.4).all() and (at[:, right, 0] < -0.4).all()
        assert at[:, head, 1] == pytest.approx(1.0 + float(Shape().rest[head, 1]))  # as tall at all scales
        assert found.joints[scale, "said"] == pytest.approx(at)
        assert found.errors[scale, "said"] < 1e-6
    assert found.methods == ["said"] and (np.diff(found.times) > 0).all() and found.times[-1] < 50 / RATE


def test_recordings_to_show_are_found() -> None:
    still, moving = still_person(0.0), still_person(0.5)
    turns = moving.rotations.clone()
    turns[::2, JOINTS.index("left_hip")] = turns[::2, 0] @ torch.diag(torch.tensor([1.0, -1.0, -1.0])).double()
    moving = Trial("moving", "s", "", turns, moving.pelvis)
    results = Results()
    assert liveliest([still, moving]) is moving and most_lost(results, [still, moving]) is None
    for name, without in (("still", 9.0), ("moving", 2.0)):
        for method, lpe in ((cast.INPOSE, without), (cast.HEAD, 1.0)):
            values = dict.fromkeys(MEASURES, 1.0) | {"lpe": lpe}
            results.add(Row(Key(method, DEFAULT.name, name), "s", "", 50, 1.0, Measures(**values)))
    assert most_lost(results, [still, moving]) is still
