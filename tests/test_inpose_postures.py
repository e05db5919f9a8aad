"""Windows given to people of other postures."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from motorque.estimators.inpose.postures import SPREADS, postured
from motorque.estimators.inpose.tree import JOINTS, PARENTS, matrices

COUNT, FRAMES = 200, 5


def windows() -> torch.Tensor:
    turns = Rotation.random(COUNT * FRAMES * 22, random_state=0).as_matrix().reshape(COUNT, FRAMES, 22, 3, 3)
    return torch.tensor(turns[..., :2].swapaxes(-1, -2).reshape(COUNT, FRAMES, 22, 6))


def against_parents(six: torch.Tensor) -> np.ndarray:
    """Rotations of joints against their parents', shape [B, T, 21, 3, 3]."""
    turns = matrices(six).numpy()
    return turns[:, :, list(PARENTS[1:])].swapaxes(-1, -2) @ turns[:, :, 1:]


def test_joints_are_bent_against_their_parents_for_good() -> None:
    """By a turn of the parent's axes that is a window's own, and of the size that is said."""
    given = windows()
    found = postured(given, torch.Generator().manual_seed(0), 1.0)
    assert torch.allclose(found[:, :, 0], given[:, :, 0], atol=1e-12), "the pelvis carries all"
    by = against_parents(found) @ against_parents(given).swapaxes(-1, -2)
    assert np.abs(by - by[:, :1]).max() < 1e-6, "the same in all frames"
    vectors = Rotation.from_matrix(by[:, 0].reshape(-1, 3, 3)).as_rotvec().reshape(COUNT, 21, 3)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01, "each window has its own"
    measured = vectors.std(axis=(0, 2))
    for joint, name in enumerate(JOINTS[1:]):
        (spread,) = [value for key, value in SPREADS.items() if key in name]
        # Shares are even from none to one, the root of whose mean square is one over the root of three
        assert abs(measured[joint] / spread * np.sqrt(3) - 1) < 0.2, name


def test_no_share_leaves_windows_as_they_were() -> None:
    given = windows()
    assert torch.allclose(postured(given, torch.Generator().manual_seed(0), 0.0), given, atol=1e-7)
