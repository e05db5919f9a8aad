"""What is set right in captured movements before the prior learns from them, and how windows are played faster."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inpose_people import people_library, person
from motorque.estimators.inpose.heading import heading
from motorque.estimators.inpose.recordings import Recording, Source, read_source
from motorque.estimators.inpose.straight_heads import off_straight, with_straight_heads
from motorque.estimators.inpose.tree import HEAD, JOINTS, angles_between, columns, global_rotations, matrices, resting
from motorque.estimators.inpose.windows import Windows

SINGLE = 1e-5
"""Rounding of float32."""


def recorded(seed: int, head: Rotation, subject: str = "one", path: str = "a.bvh", frames: int = 300) -> Recording:
    """A made-up person whose head's markers sit askew."""
    turns, pelvis = global_rotations(person(seed, frames=frames))
    turns[:, HEAD] = turns[:, HEAD] @ head.as_matrix()
    source = Source(Path(path), f"{seed}", subject, "", "bvh")
    made = columns(turns).astype(np.float32)
    none = np.zeros((0, 3), dtype=np.float32)
    return Recording(source, made, pelvis.astype(np.float32), resting(person(seed)), 0.0, 1.0, none)


def test_heads_are_put_on_straight_alike_in_all_of_a_persons_recordings() -> None:
    off = Rotation.from_rotvec([-0.5, 0.6, 0.1])
    askew = [recorded(1, off), recorded(2, off)]
    plain = [recorded(1, Rotation.identity()), recorded(2, Rotation.identity())]
    found, wanted = with_straight_heads(askew), with_straight_heads(plain)
    for one, other, before in zip(found, wanted, askew, strict=True):
        np.testing.assert_allclose(one.rotations, other.rotations, atol=SINGLE)  # however askew they were
        others = [j for j in range(len(JOINTS)) if j != HEAD]
        assert np.array_equal(one.rotations[:, others], before.rotations[:, others])
    # On average level and ahead, by the oracle of scipy's mean
    heads = np.concatenate([x.rotations[:, [0, HEAD]] for x in found]).astype(np.float64)
    turn = Rotation.from_euler("y", heading(torch.tensor(heads[:, 0])).numpy()[:, None]).inv()
    upright = heads[:, 0, 4] > 0.9
    ahead = turn * Rotation.from_matrix(matrices(torch.tensor(heads[:, 1])).numpy())
    assert ahead[upright].mean().magnitude() < SINGLE


def test_smpl_poses_and_short_recordings_keep_their_heads() -> None:
    off = Rotation.from_rotvec([0.0, 0.5, 0.0])
    body, short = recorded(1, off, path="a.npz"), recorded(2, off, subject="two", frames=50)
    found = with_straight_heads([body, short])
    assert np.allclose(found[0].rotations, body.rotations, atol=SINGLE)
    assert np.allclose(found[1].rotations, short.rotations, atol=SINGLE)
    assert np.array_equal(off_straight([short]), np.eye(3))
    strangers = [dataclasses.replace(r, source=dataclasses.replace(r.source, subject="")) for r in
                 (recorded(3, off), recorded(4, off.inv()))]  # fmt: skip
    straight = with_straight_heads(strangers)
    plain = with_straight_heads([recorded(3, Rotation.identity()), *strangers[:0]])
    np.testing.assert_allclose(straight[0].rotations, plain[0].rotations, atol=SINGLE)  # nobody else's head counts


@pytest.mark.parametrize(
    ("character", "own"),
    [("bvh/005/005_01.bvh", "train/walking/walking_2.txt"), ("bvh/007/007_02.bvh", "train/walking/walking_5.txt")],
)
def test_a_character_turns_its_bones_as_cmus_own_does(data: Path, character: str, own: str) -> None:
    """The same recording as an iClone character and as CMU's own bones: trunk, arms and legs within 4 degrees."""
    cmu = data / "cmu"
    sources = [Source(cmu / character, "c", "", "", "bvh"), Source(cmu / "expmap" / own, "o", "", "", "expmap")]
    one, other = (read_source(s)[0][0].rotations.astype(np.float64) for s in sources)
    best = np.full(len(JOINTS), np.inf)
    for shift in (-1, 0, 1):
        a, b = one[max(0, shift) :], other[max(0, -shift) :]
        frames = min(len(a), len(b))
        gap = np.degrees(angles_between(torch.tensor(a[:frames]), torch.tensor(b[:frames])).numpy()).mean(axis=0)
        best = gap if gap.mean() < best.mean() else best
    for name, gap in zip(JOINTS, best, strict=True):
        if (
            "wrist" not in name and "foot" not in name and "ankle" not in name
        ):  # whose markers slip, feet's differ by person
            assert gap < 4.0, (name, gap)


def test_hands_of_hanging_arms_go_with_the_forearm(data: Path) -> None:
    """131's arms hang in the rest pose; a wrist can't be bent sideways by a right angle on average."""
    source = Source(data / "cmu/bvh/131_03.bvh", "b", "", "", "bvh")
    six = read_source(source)[0][0].rotations.astype(np.float64)
    for side in ("left", "right"):
        elbow, wrist = (six[:, JOINTS.index(f"{side}_{part}"), :3] for part in ("elbow", "wrist"))  # along the limb
        assert np.degrees(np.median(np.arccos((elbow * wrist).sum(axis=-1)))) < 45.0


def test_windows_are_played_faster_and_slower(tmp_path: Path) -> None:
    library = people_library(tmp_path, 1, 1)
    windows = Windows(library, library.movements)
    number = np.array([20])
    as_it_is, pelvis, rest = windows.read(number)
    same, *_ = windows.read(number, torch.ones(1))
    assert torch.allclose(as_it_is, same, atol=SINGLE)
    slow, slow_pelvis, slow_rest = windows.read(number, torch.tensor([0.5]))
    # Half as fast: every second frame is one of the recording's, about the middle
    assert torch.allclose(slow[:, ::2], as_it_is[:, 10:31], atol=SINGLE) and torch.equal(rest, slow_rest)
    assert torch.allclose(slow_pelvis[:, ::2], pelvis[:, 10:31], atol=SINGLE)
    between = angles_between(slow[:, 1:], slow[:, :-1])
    assert float(between.max()) < 0.6 * float(angles_between(as_it_is[:, 1:], as_it_is[:, :-1]).max())
    fast, *_ = windows.read(number, torch.tensor([5.0]))  # 90 frames do for 2.2 times, from the first to the last
    ends = torch.tensor(np.array(library.rotations[[0, 89]]))
    assert torch.allclose(fast[0, [0, -1]], ends, atol=SINGLE)
    length = fast[..., :3].norm(dim=-1)
    assert torch.allclose(length, torch.ones_like(length), atol=SINGLE)
