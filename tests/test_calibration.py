"""Calibration files: what they say, in which world, and what is said of damaged ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorque.errors import FileFormatError
from motorque.files.calibration import read_cameras
from motorque.journal import Journal
from motorque.series import Camera
from motorque.vision.projection import project

MATRIX = np.array([[1500.0, 0.0, 539.5], [0.0, 1502.0, 959.5], [0.0, 0.0, 1.0]])
LENS = [-0.05, 0.14, 6e-4, 7e-4]
UP_Z = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Ground (X, Y up, Z right) from a world with Z up."""


def rings(count: int = 3, up: np.ndarray = UP_Z, last: float = 4.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotation and translation of cameras round the origin, in a world that ``up`` turns into ground."""
    poses = []
    for angle in np.linspace(0.3, last, count):
        center = np.array([4 * np.cos(angle), 1.7, 4 * np.sin(angle)])
        ahead = np.array([0.0, 1.0, 0.0]) - center
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        poses.append((rotation @ up, -rotation @ center))
    return poses


def toml(poses: list[tuple[np.ndarray, np.ndarray]], scale: float = 1.0, extra: str = "") -> str:
    text = ""
    for number, (rotation, translation) in enumerate(poses, 1):
        vector = Rotation.from_matrix(rotation).as_rotvec().tolist()
        text += (
            f'[cam_{number:02d}]\nname = "cam_{number:02d}"\nsize = [ 1080.0, 1920.0]\nmatrix = {MATRIX.tolist()}\n'
            f"distortions = {LENS}\nrotation = {vector}\ntranslation = {(scale * translation).tolist()}\n{extra}"
        )
    return text + "[metadata]\nadjusted = false\nerror = 0.0\n"


def qualisys(poses: list[tuple[np.ndarray, np.ndarray]], turn: str = "0") -> str:
    cameras = ""
    for number, (rotation, translation) in enumerate(poses, 1):
        m, center = np.diag([1, -1, -1]) @ rotation, -rotation.T @ translation * 1000
        rows = " ".join(f'r{i + 1}{j + 1}="{m[i, j]!r}"' for i in range(3) for j in range(3)).replace("np.float64", "")
        rows = rows.replace("(", "").replace(")", "")
        cameras += (
            f'<camera active="1" serial="cam{number:02d}" model="none" viewrotation="{turn}">\n'
            '<fov_video bottom="1919" left="0" right="1079" top="0"/>\n'
            f'<transform {rows} x="{center[0]}" y="{center[1]}" z="{center[2]}"/>\n'
            f'<intrinsic centerPointU="{539.5 * 64}" centerPointV="{959.5 * 64}" focalLengthU="{1500 * 64}" '
            f'focalLengthV="{1502 * 64}" sensorMaxU="69056" sensorMaxV="122816" sensorMinU="0" sensorMinV="0" skew="0" '
            f'radialDistortion1="{LENS[0]}" radialDistortion2="{LENS[1]}" radialDistortion3="0.0" '
            f'tangentalDistortion1="{LENS[2]}" tangentalDistortion2="{LENS[3]}"/>\n</camera>\n'
        )
    return f"<?xml version='1.0'?>\n<calibration><cameras>\n{cameras}</cameras></calibration>\n"


def opencap(folder: Path, poses: list[tuple[np.ndarray, np.ndarray]], protocol: int = 4, **change: object) -> Path:
    for number, (rotation, translation) in enumerate(poses):
        content = {
            "distortion": np.array([[*LENS, 0.0]]),
            "intrinsicMat": MATRIX,
            "imageSize": np.array([[1920.0], [1080.0]]),
            "rotation": rotation,
            "translation": 1000 * translation[:, None],
            "rotation_EulerAngles": np.asfortranarray(np.eye(3, dtype=">f4")),
            "note": "x",
            "count": np.float64(3.0),
            **change,
        }
        path = folder / "Videos" / f"Cam{number}" / "cameraIntrinsicsExtrinsics.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content, protocol))
    return folder


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def check(cameras: tuple[Camera, ...], poses: list[tuple[np.ndarray, np.ndarray]], up: np.ndarray = UP_Z) -> None:
    """Each camera sees what it should see, in ground."""
    points = np.random.default_rng(0).uniform([-0.5, 0, -0.5], [0.5, 1.8, 0.5], (20, 3))  # in ground
    assert len(cameras) == len(poses)
    for camera, (rotation, translation) in zip(cameras, poses, strict=True):
        local = points @ up @ rotation.T + translation
        assert (local[:, 2] > 0).all()
        x, y = (local[:, :2] / local[:, 2:]).T
        s = x * x + y * y
        bend = 1 + LENS[0] * s + LENS[1] * s * s
        u = 1500 * (x * bend + 2 * LENS[2] * x * y + LENS[3] * (s + 2 * x * x)) + 540
        v = 1502 * (y * bend + LENS[2] * (s + 2 * y * y) + 2 * LENS[3] * x * y) + 960  # 959.5 + half a pixel
        np.testing.assert_allclose(project(camera, points), np.c_[u, v], rtol=0, atol=1e-6)
        assert camera.size == (1080, 1920)


def test_toml_has_z_up(tmp_path: Path) -> None:
    journal = Journal()
    cameras = read_cameras(write(tmp_path, "Calib.toml", toml(rings())), journal=journal)
    check(cameras, rings())
    assert [camera.name for camera in cameras] == ["cam_01", "cam_02", "cam_03"]
    assert [notice.kind for notice in journal.notices] == ["info"]


def test_toml_in_millimetres_is_noticed(tmp_path: Path) -> None:
    journal = Journal()
    check(read_cameras(write(tmp_path, "Calib.toml", toml(rings(), 1000.0)), journal=journal), rings())
    assert any("millimetres" in notice.text for notice in journal.notices)


@pytest.mark.parametrize("axis", ["Y", "-Y", "X", "-Z"])
def test_toml_with_another_axis_up_is_noticed(tmp_path: Path, axis: str) -> None:
    y = {"X": [1, 0, 0], "Y": [0, 1, 0], "Z": [0, 0, 1]}[axis[-1]]
    y = np.array(y, dtype=float) * (-1 if axis[0] == "-" else 1)
    x = np.array([0.0, 1.0, 0.0]) if axis[-1] == "X" else np.array([1.0, 0.0, 0.0])
    up = np.stack([x, y, np.cross(x, y)])  # rows: ground's axes in the file's world
    journal = Journal()
    check(read_cameras(write(tmp_path, "Calib.toml", toml(rings(4, up))), journal=journal), rings(4, up), up)
    warned = [notice.text for notice in journal.notices if notice.kind == "warning"]
    assert len(warned) == 1 and warned[0].startswith(f"{axis} of the calibration points up, not Z")


def test_toml_in_the_axes_of_a_tilted_camera_is_levelled_and_warned_of(tmp_path: Path) -> None:
    tilted = Rotation.from_euler("xz", [50, 20], degrees=True).as_matrix()
    journal = Journal()
    cameras = read_cameras(write(tmp_path, "Calib.toml", toml(rings(4, tilted))), journal=journal)
    ups = -np.array([camera.rotation[1] for camera in cameras]).mean(0)
    np.testing.assert_allclose(ups / np.linalg.norm(ups), [0, 1, 0], atol=1e-9)
    assert any(notice.kind == "warning" and "level" in notice.text for notice in journal.notices)


def test_qualisys(tmp_path: Path) -> None:
    check(read_cameras(write(tmp_path, "Calib.qca.txt", qualisys(rings(4))), journal=Journal()), rings(4))


def test_qualisys_leaves_out_cameras_without_video(tmp_path: Path) -> None:
    text = qualisys(rings(4)).replace('serial="cam02" model="none"', 'serial="cam02" model="Miqus Video"')
    text = text.replace('serial="cam04" model="none"', 'serial="cam04" model="Miqus Video"')
    journal = Journal()
    cameras = read_cameras(write(tmp_path, "a.xml", text), journal=journal)
    check(cameras, rings(4)[1::2])
    assert "cam01, cam03" in journal.notices[0].text
    text = qualisys(rings(2)).replace('active="1" serial="cam01"', 'active="0" serial="cam01"')
    assert [c.name for c in read_cameras(write(tmp_path, "b.xml", text), journal=journal)] == ["cam02"]


def test_qualisys_part_of_the_sensor(tmp_path: Path) -> None:
    text = qualisys(rings(1)).replace('left="0" right="1079" top="0"', 'left="100" right="979" top="40"')
    camera = read_cameras(write(tmp_path, "a.xml", text), journal=Journal())[0]
    assert camera.size == (880, 1880)
    np.testing.assert_allclose(camera.matrix[:2, 2], [440, 920])


@pytest.mark.parametrize("protocol", range(6))
def test_opencap(tmp_path: Path, protocol: int) -> None:
    wall = np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])  # the board's x along the wall, y down, z into the room
    folder = opencap(tmp_path, rings(3, wall, last=1.2), protocol)
    journal = Journal()
    cameras = read_cameras(folder, journal=journal)
    assert [camera.name for camera in cameras] == ["Cam0", "Cam1", "Cam2"]
    heights = [camera.center[1] for camera in cameras]
    np.testing.assert_allclose(heights, 1.7)
    assert "-Y of the calibration points up" in journal.notices[-1].text
    towards = -np.array([camera.rotation[2] for camera in cameras]).mean(0)
    assert np.argmax(towards) == 0, towards  # X looks at the cameras
    again = read_cameras(folder / "Videos" / "Cam1" / "cameraIntrinsicsExtrinsics.pickle", journal=journal)
    assert [camera.name for camera in again] == ["Cam0", "Cam1", "Cam2"]
    inside = read_cameras(folder / "Videos", journal=journal)
    np.testing.assert_array_equal(inside[2].rotation, cameras[2].rotation)


def test_opencap_order_of_cameras_is_natural(tmp_path: Path) -> None:
    names = [camera.name for camera in read_cameras(opencap(tmp_path, rings(12)), journal=Journal())]
    assert names == [f"Cam{number}" for number in range(12)]


class Evil:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call[0], tuple(self.call[1:])


@pytest.mark.parametrize(
    "value",
    [
        Evil(eval, "open('{marker}', 'w')"),
        Evil(exec, "open('{marker}', 'w')"),
        Evil(getattr, dict, "update"),
        Evil(np.ones, 3),
        Evil(np.dtype, "O"),
        Evil(bytearray, 10**12),
        np.array([object()], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        {1, 2}.__class__,
    ],
    ids=["eval", "exec", "getattr", "function", "object dtype", "memory", "object array", "record", "class"],
)
def test_a_pickle_that_does_more_is_not_opened(tmp_path: Path, value: object) -> None:
    marker = tmp_path / "done"
    if isinstance(value, Evil) and isinstance(value.call[-1], str):
        value = Evil(*value.call[:-1], value.call[-1].replace("{marker}", str(marker)))
    folder = opencap(tmp_path / "session", rings(1), evil=value)
    with pytest.raises(FileFormatError, match="not opened|not a readable pickle") as caught:
        read_cameras(folder, journal=Journal())
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_a_pickle_with_a_huge_memory_index_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "cam0.pickle"
    path.write_bytes(b"\x80\x04}r\xff\xff\xff\x7f.")
    with pytest.raises(FileFormatError, match="more memory"):
        read_cameras(path, journal=Journal())


def test_a_pickle_cannot_change_what_the_next_one_is_read_with(tmp_path: Path) -> None:
    path = tmp_path / "cam0.pickle"  # _codecs.encode with __defaults__ set by BUILD
    path.write_bytes(b"\x80\x02c_codecs\nencode\nN}X\x09\x00\x00\x00_functionK\x01s\x86b.")
    with pytest.raises(FileFormatError):
        read_cameras(path, journal=Journal())
    test_opencap(tmp_path / "after", 2)


DAMAGE = [
    ("Calib.toml", lambda t: t[: len(t) // 2], "not well-formed TOML"),
    ("Calib.toml", lambda t: "", "the file is empty"),
    ("Calib.toml", lambda t: "[project]\nrate = 60\n", "holds no camera"),
    (
        "Calib.toml",
        lambda t: t.replace("rotation = ", "rot = ", 1),
        "rotation is missing; only its lens",
    ),
    ("Calib.toml", lambda t: t.replace("size = [ 1080.0, 1920.0]", "size = [1080.0]", 1), "size must hold 2 numbers"),
    ("Calib.toml", lambda t: t.replace("size = [ 1080.0, 1920.0]", "size = [0, 1920]", 1), "0 by 1920 pixels is none"),
    ("Calib.toml", lambda t: t.replace("translation = [", "translation = [nan, ", 1), "translation must hold 3"),
    ("Calib.toml", lambda t: t.replace("distortions = [", "distortions = [nan, ", 1), "no finite number"),
    ("Calib.toml", lambda t: t.replace("distortions = [", "distortions = ['a', ", 1), "must be numbers"),
    ("Calib.toml", lambda t: t.replace("distortions = [", "distortions = [1,2,3,4,5,6,", 1), "10 distortion"),
    ("Calib.toml", lambda t: t.replace("[[1500.0", "[[-1500.0", 1), "focal lengths must be positive"),
    ("Calib.toml", lambda t: t.replace("[0.0, 0.0, 1.0]]", "[0.0, 0.0, 2.0]]", 1), "no camera matrix"),
    ("Calib.toml", lambda t: t.replace("539.5", "53950.0", 1), "different resolutions"),
    ("Calib.toml", lambda t: t.replace("cam_02", "cam_01").replace("[cam_01]", "[a]", 1), "two cameras are called"),
    ("Calib.qca.txt", lambda t: t.replace(' x="', ' x="1e300"  w="', 1), "m from the origin"),
    ("Calib.qca.txt", lambda t: t.replace('r22="', 'r22="1e300" w="', 1), "an entry above 1"),
    ("Calib.toml", lambda t: "x = " + "[" * 5000, "not well-formed TOML"),
    ("Calib.qca.txt", lambda t: t[: len(t) // 2], "not well-formed XML"),
    ("Calib.qca.txt", lambda t: '<!DOCTYPE x [<!ENTITY a "b">]>' + t[22:], "document type"),
    ("Calib.qca.txt", lambda t: "<OpenSimDocument><Model/></OpenSimDocument>", "not a camera calibration of Qualisys"),
    ("Calib.qca.txt", lambda t: t.replace("<transform", "<trans", 1), "has no <transform>"),
    ("Calib.qca.txt", lambda t: t.replace('r23="', 'r24="', 1), "has no r23"),
    ("Calib.qca.txt", lambda t: t.replace(' x="', ' x="a', 1), "x in line 5 must be a number, got 'a"),
    ("Calib.qca.txt", lambda t: t.replace('viewrotation="0"', 'viewrotation="45"', 1), "0, 90, 180 or 270, got '45'"),
    ("Calib.qca.txt", lambda t: t.replace('serial="cam01"', "", 1), "has no serial"),
    ("Calib.qca.txt", lambda t: t.replace('r11="', 'r11="7', 1), "its rotation is none"),
    ("Calib.qca.txt", lambda t: t.replace('sensorMaxU="69056"', 'sensorMaxU="1079"', 1), "not written by Qualisys"),
    ("Calib.txt", lambda t: "camera 1\n1 2 3\n", "not a calibration that motorque reads"),
    ("Calib.yml", lambda t: "%YAML:1.0\n", "not a calibration that motorque reads"),
]


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGE, ids=[message for *_, message in DAMAGE])
def test_damaged_files(tmp_path: Path, name: str, damage: object, message: str) -> None:
    whole = toml(rings()) if name.endswith("toml") else qualisys(rings())
    damaged = damage(whole)  # type: ignore[operator]
    assert damaged != whole
    path = write(tmp_path, name, damaged)
    with pytest.raises(FileFormatError) as caught:
        read_cameras(path, journal=Journal())
    text = str(caught.value)
    assert message in text and str(path) in text and "\n" not in text and len(text) < 400


def test_other_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        read_cameras(tmp_path / "none.toml", journal=Journal())
    with pytest.raises(FileFormatError, match="a folder without OpenCap's"):
        read_cameras(tmp_path, journal=Journal())
    (tmp_path / "noise.toml").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(FileFormatError, match="not a text file"):
        read_cameras(tmp_path / "noise.toml", journal=Journal())
    (tmp_path / "cut.pickle").write_bytes(pickle.dumps({"rotation": np.eye(3)})[:60])
    with pytest.raises(FileFormatError, match="not a readable pickle"):
        read_cameras(tmp_path / "cut.pickle", journal=Journal())
    for missing, message in (({"rotation": np.eye(4)}, "rotation must hold 3 x 3"), ({"imageSize": "big"}, "numbers")):
        with pytest.raises(FileFormatError, match=message):
            read_cameras(opencap(tmp_path / message[:3], rings(1), **missing), journal=Journal())
    (tmp_path / "cut.pickle").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(FileFormatError, match="no dictionary"):
        read_cameras(tmp_path / "cut.pickle", journal=Journal())
