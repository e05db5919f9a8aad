"""Poses from any file that holds a person's joint rotations: SMPL's numpy archives and motion capture's bones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from motorque.errors import DataError, FileFormatError
from motorque.files.acclaim import RATE, read_amc, read_asf
from motorque.files.bvh import read_bvh
from motorque.files.expmap import read_expmap
from motorque.files.npz import PICKLES
from motorque.files.smpl_model import SMPLModel
from motorque.files.smpl_poses import RATES, Sex, read_poses
from motorque.fitting.lead_frame import without_lead_frame
from motorque.fitting.smpl_from_bones import poses_from_bones
from motorque.journal import Journal
from motorque.series.bones import BoneMotion
from motorque.series.poses import Poses, Up

POSE_FILES = (".npz", ".bvh", ".amc", ".txt")
"""Endings of files that :func:`load_poses` reads."""


def load_poses(
    path: str | Path,
    *,
    skeleton: str | Path | None = None,
    fps: float | None = None,
    up: Up | None = None,
    sex: Sex | None = None,
    height: float | None = None,
    mass: float | None = None,
    model: SMPLModel | None = None,
    journal: Journal | None = None,
) -> Poses:
    """Read a recording and bring it onto SMPL's tree of 24 joints.

    Args:
        path: ``.npz`` (SMPL, SMPL-H or SMPL-X poses), ``.bvh``, ``.amc`` or exponential maps of 117 numbers (``.txt``).
        skeleton: The ``.asf`` file of an ``.amc`` or of exponential maps; looked for beside an ``.amc`` if not given.
        fps: Frames per second; the file's own if not given.
        up: What is up in SMPL poses' world; told by how the person stands if not given.
        sex: Whose proportions; the file's, if it says.
        height: Stature [m]; for SMPL poses without a model. Bones bring their own lengths.
        mass: Body mass [kg].
        model: A body model, for SMPL poses' shape parameters.
        journal: Where what was converted or assumed is recorded.

    Raises:
        DataError: An option goes with another kind of file, or the bones are called like no known family's.
        FileFormatError: The file can't be read as what its name says.
    """
    path = Path(path)
    journal = Journal() if journal is None else journal
    kind = path.suffix.lower()
    if kind == ".npz" or kind in PICKLES or kind not in POSE_FILES:
        if kind not in (".npz", *PICKLES):
            raise FileFormatError(f"{path}: is no file of poses; give {', '.join(POSE_FILES[:-1])} or CMU's .txt")
        if skeleton is not None:
            raise DataError(f"{skeleton}: a skeleton goes with an .amc file, not with SMPL poses; leave it out")
        return read_poses(path, fps=fps, up=up, sex=sex, height=height, mass=mass, model=model, journal=journal)
    for name, value in (("--model", model), ("--up", up)):
        if value is not None:
            raise DataError(f"{name}: goes with SMPL poses (.npz), not with {path.name}; leave it out")
    if height is not None:
        journal.assume("the bones bring their own lengths, so the given height is not used", path.name)
    motion = _bones(path, kind, skeleton, fps, journal)
    try:
        poses = poses_from_bones(motion, sex=sex or "unknown", mass=mass, source=path.name, journal=journal)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return without_lead_frame(poses, journal, path.name)


def _bones(path: Path, kind: str, skeleton: str | Path | None, fps: float | None, journal: Journal) -> BoneMotion:
    if fps is not None and not RATES[0] <= fps <= RATES[1]:
        raise DataError(f"{path}: {fps:g} frames per second are no recording's; give the true rate (--fps)")
    if kind == ".bvh":
        if skeleton is not None:
            raise DataError(f"{skeleton}: a skeleton goes with an .amc file, {path.name} has its own; leave it out")
        motion = read_bvh(path, journal=journal)
        if fps is None or abs(fps - motion.rate) < 0.01 * fps:
            return motion
        journal.assume(f"the file says {motion.rate:.4g} frames per second; the given {fps:g} are used", path.name)
        return dataclasses.replace(motion, times=np.arange(len(motion.times)) / fps)
    if kind == ".amc":
        bones = _skeleton_beside(path, journal) if skeleton is None else Path(skeleton)
        return read_amc(path, bones, rate=fps or RATE, journal=journal)
    own = read_asf(skeleton) if skeleton is not None else None
    return read_expmap(path, skeleton=own, rate=fps or RATE, journal=journal)


def _skeleton_beside(path: Path, journal: Journal) -> Path:
    """The ``.asf`` of an ``.amc``: that of the same subject, or the only one in its folder."""
    folder = path.parent
    named = [folder / f"{stem}.asf" for stem in (path.stem, path.stem.split("_")[0])]
    found = next((p for p in named if p.is_file()), None)
    if found is None:
        others = sorted(folder.glob("*.asf")) if folder.is_dir() else []
        if len(others) != 1:
            raise DataError(
                f"{path}: its skeleton is not beside it ({named[-1].name}); give the person's .asf with --skeleton"
            )
        found = others[0]
    journal.assume(f"the skeleton is {found.name}, which lies beside the recording", path.name)
    return found
