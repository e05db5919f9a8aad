"""Made-up people for the tests of InPose: small recordings, smooth rotations on SMPL's tree; and a prior of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motorque.estimators.inpose.library import Library, make_library
from motorque.estimators.inpose.network import TINY, PriorNetwork
from motorque.estimators.inpose.weights import save_weights
from motorque.files.smpl_poses import write_poses
from motorque.series.poses import Poses
from motorque.skeleton.smpl import rest_joints


def person(seed: int, *, frames: int = 150, rate: float = 60.0, height: float = 1.7) -> Poses:
    """Somebody who wanders about and swings all joints, each at a rate of its own."""
    rng = np.random.default_rng(seed)
    times = np.arange(frames) / rate
    wave = np.sin(2 * np.pi * rng.uniform(0.2, 1.0, (24, 3)) * times[:, None, None] + rng.uniform(0, 6, (24, 3)))
    vectors = rng.uniform(0.05, 0.4, (24, 3)) * wave
    vectors[:, 0, 1] += rng.uniform(-3, 3)  # faces anywhere
    rest = np.array(rest_joints(height=height))
    place = np.cumsum(0.02 * np.sin(rng.uniform(0.5, 2, 3) * times[:, None] + rng.uniform(0, 6, 3)), axis=0)
    place[:, 1] = 0.95 + 0.03 * np.sin(7 * times)
    return Poses.from_rotation_vectors(vectors, place - rest[0], rate=rate, height=None, joint_positions=rest)


def people_folder(folder: Path, subjects: int = 4, each: int = 2) -> Path:
    """AMASS's layout: a folder for each subject with recordings in it."""
    for subject in range(subjects):
        (folder / f"s{subject}").mkdir(parents=True)
        for number in range(each):
            poses = person(10 * subject + number, frames=90 + 10 * number, height=1.6 + 0.05 * subject)
            write_poses(folder / f"s{subject}" / f"r{number}.npz", poses)
    return folder


def people_library(folder: Path, subjects: int = 4, each: int = 2) -> Library:
    """The movements of such people, made in a folder."""
    return make_library([people_folder(folder / "data", subjects, each)], folder / "library")


def standing_network() -> PriorNetwork:
    """A tiny network that knows nothing but a standing person, with Gaussian numbers: an untrained one of residuals."""
    torch.manual_seed(0)
    return PriorNetwork(replace(TINY, target="residual"), mean=torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22, 1))


def standing_weights(folder: Path) -> Path:
    """Its weights in a file."""
    path = folder / "tiny.safetensors"
    save_weights(path, standing_network(), {"step": 0})
    return path
