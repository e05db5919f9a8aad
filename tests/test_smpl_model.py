"""A user's own body model: joints from made-up files of every kind, and none that runs anything.

No licensed data: vertices and regressors are random numbers around joints from published anthropometry.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from motorque.errors import FileFormatError
from motorque.files.array_pickle import read_array_pickle
from motorque.files.smpl_layouts import LAYOUTS
from motorque.files.smpl_model import read_smpl_model
from motorque.files.smpl_poses import read_poses
from motorque.journal import Journal
from motorque.skeleton import smpl
from motorque.skeleton.smpl import SMPL_PARENTS, rest_joints

EXACT = 1e-12
VERTICES = 165


def model_arrays(joints: int = 24, shapes: int = 10) -> dict[str, Any]:
    """Vertices around the joints, so that the mean of a joint's own vertices is the joint."""
    rng = np.random.default_rng(joints)
    rest = np.array(rest_joints(height=1.7))
    wanted = np.repeat(rest[20:21], joints, axis=0) + rng.normal(size=(joints, 3)) * 0.02
    members = LAYOUTS[joints][1]
    wanted[members] = rest[: len(members)]
    owner = np.arange(VERTICES) % joints
    around = rng.normal(size=(VERTICES, 3)) * 0.02
    regressor = (owner == np.arange(joints)[:, None]) / np.bincount(owner)[:, None]
    around -= (regressor @ around)[owner]
    parents = np.concatenate([SMPL_PARENTS[:22], np.full(joints - 22, 20)])
    return {
        "v_template": wanted[owner] + around,
        "shapedirs": rng.normal(size=(VERTICES, 3, shapes)) * 0.01,
        "J_regressor": regressor,
        "kintree_table": np.stack([parents % 2**32, np.arange(joints)]).astype(np.uint32),
        "weights": rng.normal(size=(VERTICES, joints)),
        "bs_style": "lbs",
    }


def expected(arrays: dict[str, Any], betas: np.ndarray) -> np.ndarray:
    vertices = arrays["v_template"] + arrays["shapedirs"][:, :, : len(betas)] @ betas
    return (arrays["J_regressor"] @ vertices)[LAYOUTS[len(arrays["J_regressor"])][1]]


@pytest.mark.parametrize(("joints", "name"), [(24, "smpl"), (52, "smplh"), (55, "smplx")])
def test_joints_from_an_archive(tmp_path: Path, joints: int, name: str) -> None:
    arrays = model_arrays(joints)
    np.savez(tmp_path / "model.npz", **arrays, extra=np.array({"a": 1}, dtype=object))
    model = read_smpl_model(tmp_path / "model.npz")
    betas = np.random.default_rng(3).normal(size=10)
    assert model.name == name
    np.testing.assert_allclose(model.joints(betas), expected(arrays, betas), atol=EXACT)
    np.testing.assert_allclose(model.joints(), expected(arrays, np.zeros(0)), atol=EXACT)
    body = smpl(joint_positions=torch.tensor(model.joints(betas)), mass=70.0)
    assert body.total_mass() == pytest.approx(70.0)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("sparse", [scipy.sparse.csc_matrix, scipy.sparse.csr_matrix, np.asfortranarray, None])
def test_joints_from_a_pickle_of_every_protocol(tmp_path: Path, protocol: int, sparse: Any) -> None:
    arrays = model_arrays()
    held = dict(arrays, J_regressor=sparse(arrays["J_regressor"]) if sparse else arrays["J_regressor"].astype(">f4"))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(held, protocol=protocol))
    betas = np.array([1.0, -2.0, 0.5])
    found = read_smpl_model(tmp_path / "model.pkl").joints(betas)
    np.testing.assert_allclose(found, expected(arrays, betas), atol=EXACT if sparse else 1e-6)


def chumpy(monkeypatch: pytest.MonkeyPatch) -> tuple[type, type]:
    """Modules called as chumpy's, with classes that pickle as its own do."""
    package, ch, reordering = (types.ModuleType(n) for n in ("chumpy", "chumpy.ch", "chumpy.reordering"))
    plain = type("Ch", (), {"__module__": "chumpy.ch"})
    select = type("Select", (plain,), {"__module__": "chumpy.reordering"})
    ch.Ch, reordering.Select = plain, select  # type: ignore[attr-defined]
    for module in (package, ch, reordering):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return plain, select


@pytest.mark.parametrize("protocol", [0, 2])
def test_chumpys_arrays_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    arrays = model_arrays()
    plain, select = chumpy(monkeypatch)
    template, inner, directions, other = plain(), plain(), select(), plain()
    template.x = arrays["v_template"]
    inner.x = np.concatenate([arrays["shapedirs"].ravel(), np.ones(7)])
    directions.a, directions.idxs = inner, np.arange(arrays["shapedirs"].size)
    directions.preferred_shape = arrays["shapedirs"].shape
    other.anything = inner
    held = dict(arrays, v_template=template, shapedirs=directions, weights=other)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(held, protocol=protocol))
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        monkeypatch.delitem(sys.modules, name)
    betas = np.array([0.3, 0.1])
    np.testing.assert_allclose(read_smpl_model(path).joints(betas), expected(arrays, betas), atol=EXACT)


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, what: Any, *arguments: Any) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.what, self.arguments)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["v_template", "extra"])
def test_a_pickle_that_runs_code_does_not(tmp_path: Path, protocol: int, where: str) -> None:
    ran = tmp_path / "ran"

    for attack in (
        Calls(Path.write_text, ran, "x"),
        Calls(eval, f"open({str(ran)!r}, 'w')"),
        Calls(os.mkdir, str(ran)),
        Calls(getattr, "text", "upper"),
        Calls(np.load, str(ran)),
        Calls(np.fromfile, str(ran)),
        Calls(pickle.loads, b"x"),
    ):
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(dict(model_arrays(), **{where: attack}), protocol=protocol))
        with pytest.raises(FileFormatError, match=r"model\.pkl: asks for .*, which no body model needs"):
            read_smpl_model(path)
        assert not ran.exists()


def crafted(*opcodes: bytes) -> bytes:
    return b"\x80\x02" + b"".join(opcodes) + b"."


@pytest.mark.parametrize(
    "program",
    [
        crafted(b"cnumpy\nndarray\n", b"}X\x01\x00\x00\x00aK\x01sb"),  # a state for the class itself
        crafted(b"cnumpy\nndarray\n", b"N}X\x0b\x00\x00\x00__getattr__K\x01s\x86b"),  # attributes for the class itself
        crafted(b"ccollections\nOrderedDict\n", b"N}X\x0b\x00\x00\x00__getattr__K\x01s\x86b"),
        crafted(b"cnumpy.core.multiarray\n_reconstruct\n", b"N}X\x0b\x00\x00\x00__getattr__K\x01s\x86b"),
        crafted(b"]", b"r\xff\xff\xff\xff"),  # a memo of four thousand million entries
        crafted(b"T\xff\xff\xff\x7fabc"),  # a string longer than the file
        crafted(b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R"),  # an array of any size, never filled
        crafted(b"}X\x01\x00\x00\x00acos\nsystem\ns"),
        crafted(b"Vx\nQ"),  # a persistent id
        b"\x80\x02",
        b"\x80\x99.",
        b"no pickle",
    ],
)
def test_crafted_pickles_do_nothing(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(program)
    with pytest.raises(FileFormatError, match=r"model\.pkl"):
        read_array_pickle(path)
    from motorque.files import array_pickle

    assert not hasattr(array_pickle._Array, "__getattr__") and not hasattr(array_pickle._Ordered, "__getattr__")
    assert not hasattr(array_pickle._Made, "__getattr__")


def test_arrays_that_lie_about_their_size_are_left_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pickle.dump(np.zeros(4), buffer, protocol=2)
    longer = buffer.getvalue().replace(b"K\x04\x85", b"K\x7f\x85")
    assert longer != buffer.getvalue()
    (tmp_path / "model.pkl").write_bytes(b"\x80\x02}X\x0a\x00\x00\x00v_template" + longer[2:-1] + b"s.")
    with pytest.raises(FileFormatError, match="has shape|has no J_regressor"):
        read_smpl_model(tmp_path / "model.pkl")
    assert "but 32 bytes" in read_array_pickle(tmp_path / "model.pkl")["v_template"].why


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"J_regressor": np.ones((24, VERTICES))}, "do not add up to 1"),
        ({"J_regressor": np.zeros((17, VERTICES))}, "SMPL has 24 joints"),
        ({"v_template": np.zeros((VERTICES, 2))}, "v_template has shape"),
        ({"shapedirs": np.zeros((3, 3))}, "shapedirs"),
        ({"v_template": np.full((VERTICES, 3), np.nan)}, "not finite"),
        ({"v_template": "text"}, "no numbers"),
        ({"kintree_table": np.zeros((2, 24), dtype=int)}, "is not SMPL's"),
        ({"shapedirs": None}, "shapedirs holds no numbers"),
    ],
)
def test_what_is_no_model_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model_arrays() | change))
    with pytest.raises(FileFormatError, match=said):
        read_smpl_model(path)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "poses.npz", poses=np.zeros((3, 72)))
    for name, said in (("m.npz", "is no body model"), ("poses.npz", "no v_template"), ("none.pkl", "No such file")):
        with pytest.raises(FileFormatError, match=said):
            read_smpl_model(tmp_path / name)
    with pytest.raises(FileFormatError, match="is a folder"):
        read_smpl_model(tmp_path)


def test_poses_with_their_model(tmp_path: Path) -> None:
    arrays = model_arrays(52, 16)
    np.savez(tmp_path / "model.npz", **arrays)
    betas = np.random.default_rng(0).normal(size=20)
    poses = {"poses": np.zeros((5, 156)), "trans": np.zeros((5, 3)), "mocap_framerate": 60, "betas": betas}
    np.savez(tmp_path / "poses.npz", **poses)
    journal, model = Journal(), read_smpl_model(tmp_path / "model.npz")
    found = read_poses(tmp_path / "poses.npz", model=model, height=2.5, journal=journal)
    assert found.joint_positions is not None
    np.testing.assert_allclose(found.joint_positions, expected(arrays, betas[:16]), atol=EXACT)
    said = "\n".join(n.text for n in journal.notices)
    assert "20 shape parameters and the model knows 16" in said and "not 2.50 m; its own lengths are used" in said
    np.savez(tmp_path / "poses.npz", **poses | {"poses": np.zeros((5, 165))})
    read_poses(tmp_path / "poses.npz", model=model, journal=journal)
    assert any(n.kind == "warning" and "of smplx and the model is smplh" in n.text for n in journal.notices)
