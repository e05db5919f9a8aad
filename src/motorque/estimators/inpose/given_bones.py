"""What users tell of bones, in all the forms they have it in, and how far that is to be doubted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.estimators.inpose.bone_fit import BoneDoubts, SomeTold
from motorque.estimators.inpose.tree import JOINTS
from motorque.files.smpl_bones import SHORTEST_BODY, TALLEST, Bones, complete, told_bones
from motorque.journal import Journal
from motorque.skeleton.anthropometry import Sex
from motorque.skeleton.smpl import rest_joints

Array = NDArray[np.float64]
GivenBones = Array | float | str | Path | Mapping[str, Any] | Bones | None
"""Rest joints, a stature, a file of bones, what would be in it, or nothing."""


def bones_of(given: GivenBones, *, sex: Sex, journal: Journal) -> Bones:
    """Bones from whatever is known of them.

    Args:
        given: Rest joints [m], shape [22 or 24, 3]; the stature [m]; a path to ``bones.json``, or its content by name;
            None if nothing is known.
        sex: Whose proportions; a file's or a content's own where unknown.
        journal: Where assumptions are recorded.

    Raises:
        DataError: Bones that are nobody's, or none of these.
        FileFormatError: The same of a file.
    """
    if isinstance(given, str | Path | Mapping):
        given = told_bones(given, sex=None if sex == "unknown" else sex, journal=journal)
    if isinstance(given, Bones):
        _say_some(given, journal)
        return given
    if given is None:
        journal.assume("nobody says how long the bones are: an average adult's proportions; give --height or --bones")
        return Bones(_published(None, sex), {}, None, sex)
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.full(3, np.nan)
    if numbers.ndim == 1 or isinstance(given, bool):
        raise DataError(
            f"bones: {given!r:.60} are none; give rest joints, the height in metres, a path to bones.json or what "
            "would be in it"
        )
    if numbers.ndim:
        return Bones(complete(numbers), None, None, sex)
    height = float(numbers)
    if not SHORTEST_BODY < height < TALLEST:
        raise DataError(f"a height of {height:g} m is no person's; give it in metres")
    return Bones(_published(height, sex), {}, height, sex)


def doubts_of(bones: Bones, *, error: float | None, fit: bool | None, offset_error: float) -> BoneDoubts:
    """How far bones and sensors' places on them are to be doubted; arguments as :class:`BoneDoubts` has them."""
    if bones.lengths is None:
        return BoneDoubts("lengths", error, fit, offset_error)
    some = None
    if bones.lengths:
        some = SomeTold(bones.lengths, torch.tensor(_published(bones.height, bones.sex)[: len(JOINTS)]))
    return BoneDoubts("nothing" if bones.height is None else "stature", error, fit, offset_error, some)


def _say_some(bones: Bones, journal: Journal) -> None:
    """Say that the bones that are not told are published ones."""
    if bones.lengths:
        journal.info(
            f"{len(bones.lengths)} of {len(JOINTS) - 1} bones are told ({', '.join(bones.lengths)}); others are as "
            "their other side, or as the recording has them about published proportions"
        )


def _published(height: float | None, sex: Sex) -> Array:
    rest = np.array(rest_joints(height=height, sex=sex))
    return np.asarray(rest - rest[0])
