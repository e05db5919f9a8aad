"""SMPL poses from numpy archives: every layout that is understood, and one clear line for every one that is not."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorque.errors import FileFormatError
from motorque.files.smpl_poses import read_poses, write_poses
from motorque.journal import Journal
from motorque.series import Poses

EXACT = 1e-12
FRAMES = 9


def vectors(joints: int, seed: int = 0) -> np.ndarray:
    """Rotations of somebody who stands upright where y is up, shape [T, joints, 3]."""
    found = 0.4 * np.random.default_rng(seed).normal(size=(FRAMES, joints, 3))
    found[:, 0] *= 0.1
    return found


def saved(folder: Path, **arrays: object) -> Path:
    path = folder / "poses.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def amass(joints: int, **others: object) -> dict[str, object]:
    """What a file of AMASS holds, for somebody who stands upright where z is up."""
    turns = vectors(joints)
    raised = Rotation.from_rotvec([np.pi / 2, 0, 0])
    turns[:, 0] = (raised * Rotation.from_rotvec(turns[:, 0])).as_rotvec()
    trans = np.random.default_rng(1).normal(size=(FRAMES, 3)) * 0.01
    return {"poses": turns.reshape(FRAMES, -1), "trans": trans, "mocap_framerate": 120.0, "gender": "female"} | others


def texts(journal: Journal) -> str:
    return "\n".join(notice.text for notice in journal.notices)


@pytest.mark.parametrize(
    ("joints", "hands", "said"),
    [
        (24, (22, 23), ""),
        (22, None, "22 joints"),
        (52, (25, 40), "SMPL-H"),
        (55, (28, 43), "jaw and eyes are left out"),
    ],
)
def test_layouts_go_onto_the_tree_of_24(tmp_path: Path, joints: int, hands: tuple[int, int] | None, said: str) -> None:
    held, journal = amass(joints), Journal()
    poses = read_poses(saved(tmp_path, **held), journal=journal)
    theirs = np.asarray(held["poses"]).reshape(FRAMES, joints, 3)
    np.testing.assert_allclose(poses.rotation_vectors[:, :22], theirs[:, :22], atol=EXACT)
    wanted = np.zeros((FRAMES, 2, 3)) if hands is None else theirs[:, hands]
    np.testing.assert_allclose(poses.rotation_vectors[:, 22:], wanted, atol=EXACT)
    assert (poses.rate, poses.sex, poses.up) == (pytest.approx(120), "f", "z")
    assert said in texts(journal) and "z is up" in texts(journal)


@pytest.mark.parametrize("body", [21, 23])
@pytest.mark.parametrize("shape", ["flat", "joints", "matrices", "batch"])
def test_root_and_body_apart(tmp_path: Path, body: int, shape: str) -> None:
    turns = vectors(body + 1)
    root, rest = turns[:, 0], turns[:, 1:]
    as_matrix = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(FRAMES, body + 1, 3, 3)
    given = {
        "flat": (root, rest.reshape(FRAMES, -1)),
        "joints": (root[:, None], rest),
        "matrices": (as_matrix[:, :1], as_matrix[:, 1:].astype(np.float32)),
        "batch": (root[None], rest.reshape(1, FRAMES, -1)),
    }[shape]
    path = saved(tmp_path, global_orient=given[0], body_pose=given[1], transl=np.zeros((FRAMES, 3)), fps=30)
    poses = read_poses(path)
    tolerance = 1e-6 if shape == "matrices" else EXACT
    np.testing.assert_allclose(poses.rotation_vectors[:, : body + 1], turns, atol=tolerance)
    assert poses.up == "y"


@pytest.mark.parametrize("shape", [(FRAMES, 24, 3), (FRAMES, 24, 3, 3), (FRAMES, 216), (FRAMES, 24, 9)])
def test_shapes_of_the_whole(tmp_path: Path, shape: tuple[int, ...]) -> None:
    turns = vectors(24)
    whole = turns if shape[-1] == 3 and len(shape) == 3 else Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix()
    poses = read_poses(saved(tmp_path, poses=whole.reshape(shape), trans=np.zeros((FRAMES, 3)), fps=50))
    np.testing.assert_allclose(poses.rotation_vectors, turns, atol=EXACT)


@pytest.mark.parametrize("shape", [(72,), (1, 72), (24, 3), (1, 24, 3)])
def test_a_single_pose_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    turns = vectors(24)[:1]
    poses = read_poses(saved(tmp_path, poses=turns.reshape(shape), trans=np.zeros(3), fps=50))
    np.testing.assert_allclose(poses.rotation_vectors, turns, atol=EXACT)
    assert np.isnan(poses.rate)


def test_rotations_beyond_half_a_turn_are_the_same_and_nothing_is_said(tmp_path: Path) -> None:
    held = amass(24)
    turns = np.asarray(held["poses"]).reshape(FRAMES, 24, 3)
    angle = np.linalg.norm(turns, axis=-1, keepdims=True)
    longer = (turns * (angle + 2 * np.pi) / angle).reshape(FRAMES, 72)
    one, two = Journal(), Journal()
    first = read_poses(saved(tmp_path, **held), journal=one)
    second = read_poses(saved(tmp_path, **held | {"poses": longer}), journal=two)
    np.testing.assert_allclose(first.rotations, second.rotations, atol=1e-11)
    assert one.notices == two.notices


def test_frames_without_numbers_are_kept_and_said(tmp_path: Path) -> None:
    held, journal = amass(24), Journal()
    poses = np.asarray(held["poses"])
    poses[3, 7] = np.nan
    poses[4, 70] = np.inf
    found = read_poses(saved(tmp_path, **held), journal=journal)
    assert np.flatnonzero(~found.known).tolist() == [3, 4]
    assert "2 of 9 frames, from frame 3 at 0.03 s on, lack numbers; they are kept as missing" in texts(journal)
    with pytest.raises(FileFormatError, match="no frame has all its rotations"):
        read_poses(saved(tmp_path, **held | {"poses": np.full((FRAMES, 72), np.nan)}))


@pytest.mark.parametrize("rate", [0.0, -30.0, np.nan, None, 1e9])
def test_no_frame_rate_needs_one(tmp_path: Path, rate: float | None) -> None:
    held = amass(24)
    del held["mocap_framerate"]
    if rate is not None:
        held["mocap_framerate"] = rate
    path = saved(tmp_path, **held)
    with pytest.raises(FileFormatError, match="--fps"):
        read_poses(path)
    assert read_poses(path, fps=60).rate == pytest.approx(60)
    for wrong in (0.0, np.nan, -1.0):
        with pytest.raises(FileFormatError, match="frames per second are no recording's"):
            read_poses(path, fps=wrong)


def test_a_given_rate_counts_more_than_the_files(tmp_path: Path) -> None:
    journal = Journal()
    assert read_poses(saved(tmp_path, **amass(24)), fps=60, journal=journal).rate == pytest.approx(60)
    assert "says 120 frames per second; the given 60 are used" in texts(journal)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("poses", np.zeros((FRAMES, 69)), "'poses' has 23 joints, a body without its root"),
        ("poses", np.zeros((FRAMES, 63)), "'poses' has 21 joints, a body without its root"),
        ("poses", np.zeros((FRAMES, 25, 3)), "25 joints, of an order that is not known; known are 24"),
        ("poses", np.zeros((FRAMES, 17, 3)), "17 joints, of an order that is not known"),
        ("poses", np.zeros((FRAMES, 144)), "6D rotations, of columns or of rows"),
        ("poses", np.zeros((FRAMES, 24, 6)), "6D rotations"),
        ("poses", np.zeros((FRAMES, 24, 4)), "quaternions, with the real part first or last"),
        ("poses", np.zeros((FRAMES, 73)), "has shape"),
        ("poses", np.full((FRAMES, 72), 45.0), "give radians, not degrees"),
        ("poses", np.ones((FRAMES, 24, 3, 3)), "the matrix of joint 0 in frame 0 is no rotation"),
        ("poses", np.array(["a"] * FRAMES), "no numbers"),
        ("trans", np.zeros((FRAMES - 1, 3)), r"'trans' has shape \[8, 3\], and the poses have 9 frames"),
        ("poses", np.array([{"a": 1}], dtype=object), "'poses' is a Python pickle, which can run any program"),
    ],
)
def test_what_is_not_known_is_said_in_one_line(tmp_path: Path, name: str, values: np.ndarray, said: str) -> None:
    with pytest.raises(FileFormatError, match=said) as caught:
        read_poses(saved(tmp_path, **amass(24) | {name: values}))
    assert "poses.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_a_body_without_root_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="add it as 'root_orient'"):
        read_poses(saved(tmp_path, body_pose=np.zeros((FRAMES, 69)), fps=30))


def test_files_that_are_no_poses(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="holds no poses; they are looked for as poses, pose"):
        read_poses(saved(tmp_path, something=np.zeros(3)))
    with pytest.raises(FileFormatError, match="is a body model, not poses"):
        read_poses(saved(tmp_path, v_template=np.zeros((10, 3))))
    with pytest.raises(FileFormatError, match="is a folder"):
        read_poses(tmp_path)
    with pytest.raises(FileFormatError, match="No such file"):
        read_poses(tmp_path / "none.npz")
    for content, said in ((b"", "empty"), (b"PK\x03\x04broken", "damaged"), (b"\x93NUMPY\x01\x00", "single array")):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(FileFormatError, match=said):
            read_poses(tmp_path / "x.npz")


class Attack:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "ran"))


@pytest.mark.parametrize("name", ["poses.pkl", "poses.npz", "poses.pt"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_are_not_opened_and_the_way_to_convert_them_is_said(tmp_path: Path, name: str, protocol: int) -> None:
    ran = tmp_path / "ran.txt"
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"poses": Attack(ran)}, protocol=protocol))
    with pytest.raises(FileFormatError) as caught:
        read_poses(path)
    assert not ran.exists()
    if name != "poses.npz" or protocol:
        assert re.search(r"pickle, which can run any program .* numpy\.savez\('poses\.npz', poses=", str(caught.value))


def test_an_array_of_objects_runs_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran.txt"
    for name in ("poses", "trans", "betas", "mocap_framerate"):
        with pytest.raises(FileFormatError, match=f"'{name}' is a Python pickle"):
            read_poses(saved(tmp_path, **amass(24) | {name: np.array(Attack(ran), dtype=object)}))
    journal = Journal()
    read_poses(saved(tmp_path, **amass(24) | {"gender": np.array(Attack(ran), dtype=object)}), journal=journal)
    assert not ran.exists() and "its gender is given as None; the mean" in texts(journal)


def test_an_array_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, **amass(24))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000, 72), }"
    header = header + b" " * (118 - len(header) - 1) + b"\n"
    for claimed in (header, header.replace(b"100000000", b"1000     ")):
        bomb = tmp_path / "bomb.npz"
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w") as target:
            for item in source.namelist():
                target.writestr(item, source.read(item) if item != "poses.npy" else b"")
        with zipfile.ZipFile(bomb, "w") as target:
            target.writestr("poses.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(claimed)) + claimed + b"\0" * 800)
        with pytest.raises(FileFormatError, match="takes more than 2 GiB|is cut off or damaged"):
            read_poses(bomb, fps=30)


def test_shape_parameters_without_a_model_are_said_to_say_nothing(tmp_path: Path) -> None:
    journal = Journal()
    poses = read_poses(saved(tmp_path, **amass(52, betas=np.arange(16.0))), journal=journal)
    assert poses.betas is not None and poses.betas.tolist() == list(range(16)) and poses.joint_positions is None
    assert "published anthropometry" in texts(journal) and "--model" in texts(journal)


def test_no_translation_is_a_warning(tmp_path: Path) -> None:
    held, journal = amass(24), Journal()
    del held["trans"]
    poses = read_poses(saved(tmp_path, **held), journal=journal)
    assert not poses.translation.any()
    assert any(n.kind == "warning" and "held in place" in n.text for n in journal.notices)


def test_a_translation_that_is_not_in_metres_is_noticed(tmp_path: Path) -> None:
    journal = Journal()
    walk = np.linspace(0, 12, FRAMES)[:, None] * [30, 0, 0]
    read_poses(saved(tmp_path, **amass(24) | {"trans": walk}), journal=journal)
    assert "check that the translation is in metres" in texts(journal)


@pytest.mark.parametrize(("up", "turn"), [("y", 0.0), ("z", 90.0), ("-y", 180.0)])
def test_what_is_up_is_told_by_how_the_person_stands(tmp_path: Path, up: str, turn: float) -> None:
    turns = vectors(24)
    about_x = Rotation.from_euler("x", turn, degrees=True)
    turns[:, 0] = (about_x * Rotation.from_rotvec(turns[:, 0])).as_rotvec()
    path = saved(tmp_path, poses=turns.reshape(FRAMES, 72), trans=np.zeros((FRAMES, 3)), fps=30)
    assert read_poses(path).up == up
    assert read_poses(path, up="-z").up == "-z"


@pytest.mark.parametrize(("layout", "up"), [("mocap_frame_rate", "z"), ("fps", "y")])
def test_somebody_who_lies_leaves_it_to_the_layout(tmp_path: Path, layout: str, up: str) -> None:
    turns, journal = vectors(24), Journal()
    turns[:, 0] = [0, 0, np.pi / 2]
    path = saved(tmp_path, **{"poses": turns.reshape(FRAMES, 72), "trans": np.zeros((FRAMES, 3)), layout: 30})
    assert read_poses(path, journal=journal).up == up
    assert any(n.kind == "warning" and "hardly ever upright" in n.text for n in journal.notices)


@pytest.mark.parametrize(("word", "sex"), [("male", "m"), (b"female", "f"), ("neutral", "unknown"), ("F", "f")])
def test_gender_as_text_or_bytes(tmp_path: Path, word: object, sex: str) -> None:
    assert read_poses(saved(tmp_path, **amass(24, gender=np.array(word)))).sex == sex
    assert read_poses(saved(tmp_path, **amass(24, gender=np.array(word))), sex="m").sex == "m"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    turns = vectors(24)
    turns[2, 4] = np.nan
    rest = np.random.default_rng(5).normal(size=(24, 3))
    poses = Poses.from_rotation_vectors(
        turns, np.random.default_rng(2).normal(size=(FRAMES, 3)) * 0.01, rate=33.3, up="-z", sex="m", height=1.8,
        mass=77, joint_positions=rest, betas=[0.5, 1], source="x",
    )  # fmt: skip
    write_poses(tmp_path / "back.npz", poses)
    found = read_poses(tmp_path / "back.npz")
    for name in ("times", "rotations", "translation", "joint_positions", "betas"):
        np.testing.assert_allclose(getattr(found, name), getattr(poses, name), atol=EXACT)
    assert (found.up, found.sex, found.height, found.mass) == ("-z", "m", 1.8, 77)
