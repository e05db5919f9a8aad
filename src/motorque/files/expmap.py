"""Exponential maps: CMU's recordings as the literature on motion prediction has them, 117 numbers a frame.

A line is a frame: the root's place, then for each of 38 joints of the skeleton of CMU's BVH files (ends included) the
rotation of its bone against the one that it hangs on as a rotation vector. Rotations were meant for row vectors, so
they are the opposite of what they are for columns. Frame 1 is the rest pose, not part of the recording. Lengths are
not in the file.

The root's rotation was put together in the wrong order when the files were made: from the right angles, as Rz Rx Ry
instead of Rz Ry Rx. It is taken apart and put together again. Without that, whoever turns away from the laboratory's
axes leans to the side (in train/directing_traffic_1 a standing foot's height varies by 41 mm instead of 12).

Source: the joints, their order and the sign are those that public loaders of these files use (``_some_variables_cmu``
and ``fkl`` of LearnTrajDep and its many descendants). With the root put right, the same recordings in ``.amc`` files
(35_01, 02_01) agree within the digits of the file.
"""

from __future__ import annotations

import warnings
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import FileFormatError
from motorque.files.acclaim import METRES_PER_UNIT, RATE, ROOT, AcclaimBone, AcclaimSkeleton, assemble
from motorque.files.bone_axes import check_size
from motorque.files.storage import numbers, read_text
from motorque.journal import Journal
from motorque.series.bones import BoneMotion

Array = NDArray[np.float64]

# Bones in the order of the file, each with the bone that it hangs on and its vector in the rest pose in CMU's units:
# those of its subject 02, the ones that the loaders have. An empty name is a bone's end.
_TABLE: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    (ROOT, "", (0, 0, 0)),
    ("lhipjoint", ROOT, (1.65674, -1.80282, 0.62477)),
    ("lfemur", "lhipjoint", (2.59720, -7.13576, 0)),
    ("ltibia", "lfemur", (2.49236, -6.84770, 0)),
    ("lfoot", "ltibia", (0.19704, -0.54136, 2.14581)),
    ("ltoes", "lfoot", (0, 0, 1.11249)),
    ("", "ltoes", (0, 0, 0)),
    ("rhipjoint", ROOT, (-1.61070, -1.80282, 0.62476)),
    ("rfemur", "rhipjoint", (-2.59502, -7.12977, 0)),
    ("rtibia", "rfemur", (-2.46780, -6.78024, 0)),
    ("rfoot", "rtibia", (-0.23024, -0.63258, 2.13368)),
    ("rtoes", "rfoot", (0, 0, 1.11569)),
    ("", "rtoes", (0, 0, 0)),
    ("lowerback", ROOT, (0.01961, 2.05450, -0.14112)),
    ("upperback", "lowerback", (0.01021, 2.06436, -0.05921)),
    ("thorax", "upperback", (0.00071, 2.06807, 0)),
    ("lowerneck", "thorax", (0.00713, 1.56711, 0.14968)),
    ("upperneck", "lowerneck", (0.03429, 1.56041, -0.10006)),
    ("head", "upperneck", (0.01305, 1.62560, -0.05265)),
    ("", "head", (0, 0, 0)),
    ("lclavicle", "thorax", (3.54205, 0.90436, -0.17364)),
    ("lhumerus", "lclavicle", (4.86513, 0, 0)),
    ("lradius", "lhumerus", (3.35554, 0, 0)),
    ("lwrist", "lradius", (1.67777, 0, 0)),
    ("lhand", "lwrist", (0.66117, 0, 0)),
    ("lfingers", "lhand", (0.53306, 0, 0)),
    ("", "lfingers", (0, 0, 0)),
    ("lthumb", "lwrist", (0.54120, 0, 0.54120)),
    ("", "lthumb", (0, 0, 0)),
    ("rclavicle", "thorax", (-3.49802, 0.75994, -0.32616)),
    ("rhumerus", "rclavicle", (-5.02649, 0, 0)),
    ("rradius", "rhumerus", (-3.36431, 0, 0)),
    ("rwrist", "rradius", (-1.68215, 0, 0)),
    ("rhand", "rwrist", (-0.73041, 0, 0)),
    ("rfingers", "rhand", (-0.58887, 0, 0)),
    ("", "rfingers", (0, 0, 0)),
    ("rthumb", "rwrist", (-0.59786, 0, 0.59786)),
    ("", "rthumb", (0, 0, 0)),
)  # fmt: skip
COLUMNS = 3 + 3 * len(_TABLE)


def read_expmap(
    path: str | Path,
    *,
    skeleton: AcclaimSkeleton | None = None,
    rate: float = RATE,
    journal: Journal | None = None,
) -> BoneMotion:
    """Read a file of exponential maps.

    Args:
        path: The file.
        skeleton: The recorded person's own skeleton, if known; otherwise that of CMU's subject 02 gives the lengths.
        rate: Frames per second, which the file does not say.
        journal: Where what was assumed is recorded.

    Returns:
        The bones in metres and ground, named as in CMU's ``.asf`` files.

    Raises:
        FileFormatError: The file is missing, a line has not 117 numbers, the given skeleton lacks a bone, or there is
            no frame beside the rest pose; the message names the line.
    """
    path, journal = Path(path), journal if journal is not None else Journal()
    table = _rows(path)
    names = [name for name, _, _ in _TABLE]
    if skeleton is None:
        skeleton = default_skeleton()
        journal.assume("lengths of CMU's subject 02, as the file has none", str(path))
    absent = [bone.name for bone in skeleton.bones if bone.name not in names]
    if absent:
        raise FileFormatError(f"{skeleton.path}: the bone {absent[0]!r} is not in files of exponential maps")
    journal.assume(f"{rate:g} frames per second, which the file does not say", str(path))
    if not table[0, 3:6].any() and len(table) > 1:
        table = table[1:]
        journal.repair("frame 1 is the rest pose and was left out", str(path))
    vectors = -table[:, 3:].reshape(len(table), -1, 3)
    pick = [names.index(bone.name) for bone in skeleton.bones]
    turns = Rotation.from_rotvec(vectors[:, pick].reshape(-1, 3)).as_matrix().reshape(len(table), -1, 3, 3)
    turns[:, 0] = _put_right(vectors[:, 0])
    return assemble(skeleton, table[:, :3], turns, rate)


def default_skeleton(factor: float = 1.0) -> AcclaimSkeleton:
    """The skeleton of CMU's subject 02 in the rest pose, for recordings whose person is not known.

    Args:
        factor: How much longer all bones are.
    """
    rows = [row for row in _TABLE if row[0]]
    names = [name for name, _, _ in rows]
    bones = []
    for name, _, vector in rows:
        length = float(np.linalg.norm(vector))
        bones.append(AcclaimBone(name, 0, np.array(vector) / (length or 1.0), length * factor))
    parents = tuple(names.index(parent) if parent else -1 for _, parent, _ in rows)
    return AcclaimSkeleton(Path("CMU 02"), tuple(bones), parents, METRES_PER_UNIT / 0.45, True)


def _put_right(root: Array) -> Array:
    """The root's rotation from the one in the file [rad], shape [T, 3] → [T, 3, 3]; see the head of this module."""
    with warnings.catch_warnings():
        # Lying flat, two of the angles have no meaning of their own; any will do.
        warnings.simplefilter("ignore", UserWarning)
        z, x, y = Rotation.from_rotvec(root).as_euler("ZXY").T
    # Two triples of angles make the rotation in the file, but not the same one in the right order. The recorded ones
    # run on without jumps from a first one whose y is within a quarter turn.
    angles = np.stack([z, y, x], axis=-1)
    if abs(y[0]) > np.pi / 2:
        angles[0] = _other(angles[0])
    for t in range(1, len(angles)):
        choices = np.stack([angles[t], _other(angles[t])])
        far = np.abs((choices - angles[t - 1] + np.pi) % (2 * np.pi) - np.pi).sum(-1)
        angles[t] = choices[far.argmin()]
    return np.asarray(Rotation.from_euler("ZYX", angles).as_matrix())


def _other(angles: Array) -> Array:
    """The other angles z, y, x that make the same rotation Rz Rx Ry [rad]."""
    z, y, x = angles
    return np.array([z + np.pi, y + np.pi, np.pi - x])


def _rows(path: Path) -> Array:
    """The numbers of the file, shape [T, 117]."""
    data, frames = array("d"), 0
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        cells = line.split(",")
        values = numbers(cells)
        if len(cells) != COLUMNS or values is None or not np.isfinite(values).all():
            what = f"has {len(cells)} numbers" if len(cells) != COLUMNS else "has a cell that is no number"
            raise FileFormatError(
                f"{path}, line {number}: {what}, a frame of exponential maps has {COLUMNS}; the file is cut off or "
                "something else"
            )
        data.frombytes(values.tobytes())
        frames += 1
        check_size(path, frames, len(_TABLE))
    return np.array(data).reshape(-1, COLUMNS)
