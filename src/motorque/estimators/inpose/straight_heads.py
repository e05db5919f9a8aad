"""Heads of motion capture put on straight: what a head-set says of a head that is level and looks ahead.

Captured bones of a head are turned as its markers happened to sit: in CMU's recordings by up to 39 degrees to a side
and 5 to 40 degrees backward, the same throughout a person's recordings. A head-set is level on a level head, and a
prior that is told of heads can't know whose markers sat where. So each person's head is turned, by one rotation for all
of their recordings, such that it is level and faces where the pelvis does on average while the pelvis is upright.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.estimators.inpose.heading import heading
from motorque.estimators.inpose.recordings import Recording
from motorque.estimators.inpose.tree import HEAD, RATE, columns, matrices
from motorque.synthesis.motion_sources import STRANGER

Array = NDArray[np.float64]

UPRIGHT = 0.9
"""Cosine of the pelvis' tilt up to which a frame counts."""
LEAST = 1.0
"""Time that must count [s]; persons with less keep their heads."""


def with_straight_heads(recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings of bones with each person's head put on straight; SMPL poses, whose heads are a body's, as they are.

    Strangers who can't be told apart are straightened file by file.
    """
    persons: dict[str, list[Recording]] = {}
    for recording in recordings:
        persons.setdefault(_person(recording), []).append(recording)
    turns = {person: off_straight(some) for person, some in persons.items()}
    return [_turned(recording, turns[_person(recording)]) for recording in recordings]


def off_straight(recordings: Sequence[Recording]) -> Array:
    """By how much a person's head is turned from level and ahead, in its own axes, shape [3, 3]."""
    seen = []
    for recording in recordings:
        if recording.source.path.suffix.lower() == ".npz":
            continue
        six = torch.tensor(recording.rotations[:, [0, HEAD]], dtype=torch.float64)
        angle = heading(six[:, 0]).numpy()
        pelvis, head = matrices(six).numpy().swapaxes(0, 1)
        ahead = Rotation.from_euler("y", angle[:, None]).inv().as_matrix() @ head
        seen.append(ahead[pelvis[:, 1, 1] > UPRIGHT])
    frames = np.concatenate(seen) if seen else np.zeros((0, 3, 3))
    if len(frames) < LEAST * RATE:
        return np.eye(3)
    return np.asarray(Rotation.from_matrix(frames).mean().as_matrix())


def _person(recording: Recording) -> str:
    source = recording.source
    person = source.subject or source.likely
    return f"{person} {source.name}" if person in ("", STRANGER) else person.removesuffix("?")


def _turned(recording: Recording, off: Array) -> Recording:
    rotations = recording.rotations.copy()
    head = matrices(torch.tensor(rotations[:, HEAD], dtype=torch.float64)).numpy()
    rotations[:, HEAD] = columns(head @ off.T)
    return dataclasses.replace(recording, rotations=rotations)
