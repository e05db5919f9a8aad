"""Sensors that are lost for seconds: bodies go into gaps and out of them without a jump, and meet what is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import motorque as mq
from motorque.estimators.inpose.bodies import pelvis_of
from motorque.estimators.inpose.closing import exp_vectors, log_vectors
from motorque.estimators.inpose.drawing import USUAL, drawn_from
from motorque.estimators.inpose.gap_ends import gap_ends, without_jumps
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import HEAD, LEFT_WRIST, RATE, THREE, columns, global_rotations, places, resting
from motorque.signals.runs import runs_of
from motorque.synthesis.smpl_walk import smpl_walk

BONES = 22


def walker(frames: int = 180) -> tuple[Measured, np.ndarray]:
    """The project's own walk as three sensors see it, and where all joints truly are."""
    poses = smpl_walk(rate=60, frames=frames)
    turns, pelvis = global_rotations(poses)
    rest = torch.tensor(resting(poses), dtype=torch.float32)
    six = torch.tensor(columns(turns), dtype=torch.float32)
    points = places(six, rest, torch.tensor(pelvis, dtype=torch.float32))
    seen = torch.zeros(len(six), BONES, dtype=torch.bool)
    seen[:, list(THREE)] = True
    return Measured(six, seen, points, seen, rest, True), points.numpy()


@pytest.mark.parametrize("lost", [(LEFT_WRIST,), (HEAD,), THREE], ids=["hand", "head", "all"])
def test_no_joint_jumps_where_a_sensor_is_lost_or_found(lost: tuple[int, ...]) -> None:
    """2 s of a walk: as guessed, a hand or the head goes at 3.4 to 9.7 m/s there, and truly at 2.3 m/s at most."""
    whole, true = walker()
    seen = whole.seen.clone()
    seen[30:150, list(lost)] = False
    measured = replace(whole, seen=seen, there=seen)
    turns = drawn_from(mq.InPose.load().network, measured, USUAL, seeds=[0]).turns
    pelvis = pelvis_of(turns[0].numpy(), measured, measured.rest.double().numpy())
    found = places(
        torch.tensor(columns(turns[0].double().numpy())),
        measured.rest.double(),
        torch.tensor(pelvis, dtype=torch.float64),
    ).numpy()
    ends = [*range(24, 40), *range(140, 156)]
    fast, usual = (
        np.linalg.norm(np.diff(x, axis=0), axis=-1)[ends][:, list(THREE)].max() * RATE for x in (found, true)
    )
    assert fast < usual + 0.5, (fast, usual)
    known = seen.numpy()
    assert np.linalg.norm(found - true, axis=-1)[known].max() < 0.01


def test_frames_without_a_lost_sensor_stay_and_rotations_go_on() -> None:
    """A constant turn about a slanted axis, and guesses that are off by half a radian from the first lost frame on."""
    frames, lost = 100, np.zeros(100, dtype=bool)
    lost[30:70] = True
    way = 0.05 * torch.arange(frames, dtype=torch.float64)[:, None, None] * torch.tensor([0.6, 0.0, 0.8])
    true = exp_vectors(way.expand(frames, BONES, 3))[None]
    guess = true.clone()
    guess[:, 30:70] = exp_vectors(torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64)) @ true[:, 30:70]
    seen = torch.ones(frames, BONES, dtype=torch.bool)
    seen[30:70, LEFT_WRIST] = False
    measured = Measured(torch.zeros(frames, BONES, 6), seen, torch.zeros(frames, BONES, 3), seen, torch.zeros(BONES, 3))
    found = without_jumps(guess, measured, lambda turns, _: turns)
    assert torch.equal(found[:, ~lost], true[:, ~lost])
    steps = log_vectors(found[:, 1:] @ found[:, :-1].mT).norm(dim=-1)
    assert (
        float(steps.max()) < 0.11 and float(log_vectors(guess[:, 30:31] @ guess[:, 29:30].mT).norm(dim=-1).max()) > 0.4
    )
    off = log_vectors(found @ true.mT).norm(dim=-1)[0, :, 0]
    assert float(off.max()) < 0.02, "both ends agree by how much the guess is off"


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 9, 40, 200])
def test_gaps_of_any_length_lead_from_one_side_to_the_other(frames: int) -> None:
    lost = np.zeros(frames + 20, dtype=bool)
    lost[10 : 10 + frames] = True
    assert runs_of(lost) == [slice(10, 10 + frames)]
    one, other = gap_ends(lost, 10, 9 + frames)
    for end, far in ((one, other), (other, one)):
        share = end.shares[end.inner - 10]
        assert (
            share == pytest.approx(0.5 if frames == 1 else 1.0) and len(end.straight) == abs(end.inner - end.known) - 1
        )
        assert far.shares[end.inner - 10] == pytest.approx(0.5 if frames == 1 else 0.0)
    line = torch.arange(frames + 20, dtype=torch.float64)[:, None, None] * torch.tensor([0.0, 0.01, 0.0])
    true = exp_vectors(line.expand(-1, BONES, 3))[None]
    guess = torch.where(torch.tensor(lost)[:, None, None, None], exp_vectors(line + 0.2), true)
    seen = torch.tensor(~lost)[:, None].expand(-1, BONES)
    measured = Measured(torch.zeros(*seen.shape, 6), seen, torch.zeros(*seen.shape, 3), seen, torch.zeros(BONES, 3))
    found = without_jumps(guess, measured, lambda turns, _: turns)
    off = log_vectors(found @ true.mT).norm(dim=-1)[0, :, 0]
    steps = log_vectors(found[:, 1:] @ found[:, :-1].mT).norm(dim=-1)[0, :, 0]
    assert float(off[~lost].max()) == 0.0 and float(off[[10, 9 + frames]].max()) < 1e-3
    assert float(steps.max()) < (0.012 if frames < 100 else 0.02)
