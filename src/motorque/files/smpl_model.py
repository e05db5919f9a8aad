"""A user's own SMPL, SMPL-H or SMPL-X model file: rest joints of a person from shape parameters.

Of such a file only the template, its shape directions, the joint regressor and the tree are read:
joints = J_regressor (v_template + shapedirs · betas), Loper et al. 2015, equations 8 and 10. The files are licensed by
their makers and are nowhere in this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.array_pickle import Unreadable, read_array_pickle
from motorque.files.npz import Archive, is_pickle
from motorque.files.smpl_layouts import BODY, LAYOUTS, MODELS
from motorque.journal import Journal
from motorque.skeleton.smpl import SMPL_PARENTS

Array = NDArray[np.float64]

SHAPES = {55: 300}
"""By number of joints: how many of the shape directions are the body's; SMPL-X's others are the face's expressions."""

_NEEDED = ("v_template", "J_regressor", "shapedirs")


@dataclass(frozen=True)
class SMPLModel:
    """What of a body model gives joints.

    Args:
        name: ``smpl``, ``smplh`` or ``smplx``.
        template: Vertices of the mean body [m], shape [V, 3].
        directions: How they move with each shape parameter [m], shape [V, 3, N].
        regressor: Joints from vertices, shape [J, V].
        source: The file.
    """

    name: str
    template: Array
    directions: Array
    regressor: Array
    source: str = ""

    def joints(self, betas: Array | None = None, *, journal: Journal | None = None) -> Array:
        """Rest joints on SMPL's tree of 24 [m], shape [24, 3]; the mean body's without shape parameters.

        Raises:
            DataError: A shape parameter is not a number.
        """
        body = self.shaped(betas, journal=journal)
        return np.asarray(self.regressor @ body)[LAYOUTS[len(self.regressor)][1]]

    def shaped(self, betas: Array | None = None, *, journal: Journal | None = None) -> Array:
        """Vertices of a person at rest [m], shape [V, 3]; raises as :meth:`joints`."""
        if betas is None:
            if journal is not None:
                journal.assume("the poses have no shape parameters, so the model's mean body is used", self.source)
            return self.template
        given = np.asarray(betas, dtype=np.float64).ravel()
        if not np.isfinite(given).all():
            raise DataError("a shape parameter (betas) is not a number; correct the poses' file")
        known = self.directions.shape[2]
        if len(given) > known and journal is not None and np.abs(given[known:]).max() > 0:
            journal.warn(
                f"the poses have {len(given)} shape parameters and the model knows {known}; the others are left out",
                self.source,
            )
        count = min(len(given), known)
        return np.asarray(self.template + self.directions[:, :, :count] @ given[:count])

    def stature(self, betas: Array | None = None) -> float:
        """From the lowest to the highest vertex at rest [m]."""
        return float(np.ptp(self.shaped(betas)[:, 1]))


def read_smpl_model(path: str | Path) -> SMPLModel:
    """Read a body model's file, ``.npz`` or ``.pkl``; nothing in it is run.

    Raises:
        FileFormatError: It is missing, damaged, asks for anything but arrays, or is no such model.
    """
    path = Path(path)
    if path.is_dir():
        raise FileFormatError(f"{path}: is a folder; give the model's file, such as SMPL_NEUTRAL.pkl or model.npz")
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error
    held: dict[str, Any]
    if start == b"PK\x03\x04":
        with Archive(path) as archive:
            wanted = [*_NEEDED, "kintree_table"]
            held = {name: archive.numbers(name) for name in wanted if name in archive}
    elif is_pickle(start) or path.suffix.lower() in (".pkl", ".pickle"):
        held = read_array_pickle(path)
    else:
        raise FileFormatError(f"{path}: is no body model; give SMPL's, SMPL-H's or SMPL-X's file, .npz or .pkl")
    return _model(path, held)


def _model(path: Path, held: dict[str, Any]) -> SMPLModel:
    template, regressor, directions = (_numbers(path, held, name) for name in _NEEDED)
    if template.ndim != 2 or template.shape[1] != 3 or directions.shape[:-1] != template.shape:
        raise FileFormatError(
            f"{path}: v_template has shape {list(template.shape)} and shapedirs {list(directions.shape)}; a body model "
            "has [V, 3] and [V, 3, N]"
        )
    joints, vertices = regressor.shape if regressor.ndim == 2 else (0, 0)
    if joints == len(template) and vertices in MODELS:
        regressor, joints, vertices = regressor.T, vertices, joints
    if joints not in MODELS or vertices != len(template):
        raise FileFormatError(
            f"{path}: J_regressor has shape {list(regressor.shape)} for {len(template)} vertices; SMPL has 24 joints, "
            "SMPL-H 52 and SMPL-X 55"
        )
    if np.abs(regressor.sum(axis=1) - 1).max() > 0.01:
        raise FileFormatError(f"{path}: the rows of J_regressor do not add up to 1, so it gives no joints")
    table = held.get("kintree_table")
    if isinstance(table, np.ndarray) and table.shape == (2, joints):
        parents = [int(p) for p in table[0, 1:BODY]]
        if parents != list(SMPL_PARENTS[1:BODY]):
            raise FileFormatError(f"{path}: its tree (kintree_table) is not SMPL's; give one of SMPL's own models")
    count = SHAPES.get(joints, directions.shape[2])
    return SMPLModel(MODELS[joints], template, directions[:, :, :count], regressor, path.name)


def _numbers(path: Path, held: dict[str, Any], name: str) -> Array:
    if name not in held:
        raise FileFormatError(f"{path}: has no {name}, so it is no body model that gives joints")
    value = held[name]
    if isinstance(value, Unreadable):
        raise FileFormatError(f"{path}: {name} {value.why}")
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise FileFormatError(f"{path}: {name} holds no numbers, or some that are not finite")
    return array.astype(np.float64)
