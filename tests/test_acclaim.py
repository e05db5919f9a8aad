"""Reading .asf and .amc files: known answers, hinges of real recordings, damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.files.acclaim import read_amc, read_asf
from motorque.journal import Journal

ASF = """# a leg
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.5
  angle deg
:documentation
   begin with nothing
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name hip
     direction 1 0 0
     length 2
     axis 0 0 0 XYZ
  end
  begin
     id 2
     name thigh
     direction 0 -1 0
     length 8
     axis 0 0 0 XYZ
     dof rx ry rz
     limits (-160.0 20.0)
            (-70.0 70.0)
            (-60.0 70.0)
  end
  begin
     id 3
     name shank
     direction 0 -1 0
     length 7
     axis 0 90 0 XYZ
     dof rx
     limits (-10.0 170.0)
  end
:hierarchy
  begin
    root hip
    hip thigh
    thigh shank
  end
"""

AMC = """#!OML:ASF some.asf
:FULLY-SPECIFIED
:DEGREES
1
root 1 17 3 0 0 0
thigh 0 0 0
shank 0
2
root 1 17 3 0 90 0
thigh 90 0 0
shank 0
3
root 1 17 3 0 0 0
thigh 0 0 0
shank 90
"""
UNIT = 0.0254 / 0.5


def written(folder: Path, asf: str = ASF, amc: str = AMC) -> tuple[Path, Path]:
    paths = folder / "some.asf", folder / "some.amc"
    paths[0].write_text(asf)
    paths[1].write_text(amc)
    return paths


def test_positions_of_a_small_leg(tmp_path: Path) -> None:
    """The file's Z is our X, its Y our Y, its X our -Z; a length of 0.5 makes two inches of 1."""
    asf, amc = written(tmp_path)
    journal = Journal()
    bones = read_amc(amc, asf, journal=journal)
    assert bones.names == ("root", "hip", "thigh", "shank", "shank_end")
    assert bones.parents == (-1, 0, 1, 2, 3)
    np.testing.assert_allclose(bones.times, np.arange(3) / 120)
    np.testing.assert_allclose(
        bones.positions[0] / UNIT, [[3, 17, -1], [3, 17, -1], [3, 17, -3], [3, 9, -3], [3, 2, -3]], atol=1e-12
    )
    # Frame 2: the whole turned by 90 degrees about Y (its X to its -Z), the thigh bent by 90 about its own X: from down
    # to the file's -Z, which the root has turned to its -X, our +Z.
    np.testing.assert_allclose(
        bones.positions[1] / UNIT, [[3, 17, -1], [3, 17, -1], [1, 17, -1], [1, 17, 7], [1, 17, 14]], atol=1e-12
    )
    # Frame 3: the shank turns about the X of its own axes, which is the file's -Z: from down to its -X, our +Z.
    np.testing.assert_allclose(bones.positions[2, 4] / UNIT, [3, 9, 4], atol=1e-12)
    assert any("120 frames per second" in notice.text for notice in journal.notices)


def test_order_of_rotations_and_radians(tmp_path: Path) -> None:
    """First named, first turned, about axes that stay: R = Rz Ry Rx for rx ry rz; angles may be in radians."""
    asf, amc = written(tmp_path, amc=AMC.replace("thigh 90 0 0", "thigh 30 40 50"))
    bones = read_amc(amc, asf)
    x, y, z = np.deg2rad([30, 40, 50])
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    local = bones.rotations[1, 1].T @ bones.rotations[1, 2]
    np.testing.assert_allclose(local, turn @ rz @ ry @ rx @ turn.T, atol=1e-12)
    radians = AMC.replace(":DEGREES", ":RADIANS").replace(" 90", f" {np.pi / 2:.12f}")
    again = read_amc(written(tmp_path, amc=radians)[1], asf)
    degrees = read_amc(written(tmp_path)[1], asf)
    np.testing.assert_allclose(again.positions, degrees.positions, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":root", ":rot", "no section :root"),
        (":hierarchy", ":hier", "no section :hierarchy"),
        ("   order TX TY TZ RX RY RZ\n", "", "the section :root has no order"),
        ("order TX", "order QX", "line 11: qx is not supported"),
        ("orientation 0 0 0", "orientation 0 9 0", "line 14: a root that is turned"),
        ("length 0.5", "length nought", "line 6: 1 numbers are needed here"),
        ("length 0.5", "length 0", "a length unit of 0 in :units"),
        ("direction 1 0 0", "direction 1 0", "line 19: 3 numbers are needed here, got '1 0'"),
        ("axis 0 90 0 XYZ", "axis 0 90 0", "line 39: an axis needs three angles"),
        ("dof rx ry rz", "dof rx ry rx", "line 29: a repeated channel is not supported"),
        ("dof rx ry rz", "dof rx ty", "line 29: a bone that slides"),
        ("name shank", "name thigh", "line 34: the bone 'thigh' occurs twice"),
        ("     name shank\n", "", "line 34: the bone that begins here has no name"),
        ("  end\n:hierarchy", ":hierarchy", "line 34: the bone that begins here has no end"),
        ("    hip thigh\n", "    hip foot\n", "there is no bone 'foot' in :bonedata"),
        ("    hip thigh\n", "", "'thigh' hangs on nothing yet"),
        ("    thigh shank\n", "", "line 34: the bone 'shank' is missing in :hierarchy"),
        ("    thigh shank\n", "    thigh shank hip\n", "the bone 'hip' hangs on two others"),
    ],
)
def test_damaged_skeletons_name_the_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ASF
    with pytest.raises(mq.FileFormatError, match=message) as caught:
        read_asf(written(tmp_path, asf=ASF.replace(old, new, 1))[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2\nroot", "2\nwurzel", "line 9: there is no bone 'wurzel' in some.asf"),
        ("2\nroot", "2\nhip", "line 9: the bone 'hip' does not move in some.asf"),
        ("thigh 90 0 0", "thigh 90 0", "line 10: 3 numbers are needed here, got '90 0'"),
        ("thigh 90 0 0", "thigh 90 0 x", "line 10: 3 numbers are needed here"),
        ("thigh 90 0 0", "thigh 90 0 inf", "line 10: 3 numbers are needed here"),
        ("thigh 90 0 0\n", "", "line 8: the frame that begins here lacks the bone 'thigh'"),
        ("thigh 90 0 0\n", "thigh 90 0 0\nthigh 1 2 3\n", "line 11: the bone 'thigh' occurs twice"),
        ("shank 90\n", "", "line 12: the frame that begins here lacks the bone 'shank'"),
        ("1\nroot", "root", "line 4: 'root' stands before the first frame"),
    ],
)
def test_damaged_motions_name_the_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in AMC
    asf, amc = written(tmp_path, amc=AMC.replace(old, new, 1))
    with pytest.raises(mq.FileFormatError, match=message) as caught:
        read_amc(amc, asf)
    assert "\n" not in str(caught.value)


def test_no_frame_no_rate_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asf, amc = written(tmp_path)
    with pytest.raises(mq.FileFormatError, match="0 frames per second can't be"):
        read_amc(amc, asf, rate=0)
    monkeypatch.setattr("motorque.files.bone_axes.MOST_POSES", 3)
    with pytest.raises(mq.FileFormatError, match="more than the 3 poses"):
        read_amc(amc, asf)
    with pytest.raises(mq.FileFormatError, match="holds no frame"):
        read_amc(written(tmp_path, amc=":DEGREES\n")[1], asf)


def test_a_real_walk(data: Path) -> None:
    """CMU's 35_01: 1.3 m/s along our +X, knees that are hinges, feet that stand near the floor."""
    folder = data / "cmu/asfamc/35"
    bones = read_amc(folder / "35_01.amc", folder / "35.asf")
    assert len(bones.times) == 358
    travel = bones.positions[-1, 0] - bones.positions[0, 0]
    assert travel[0] / bones.times[-1] == pytest.approx(1.27, abs=0.02)
    thigh, shank = bones.index("rfemur"), bones.index("rtibia")
    local = bones.rotations[:, thigh].transpose(0, 2, 1) @ bones.rotations[:, shank]
    axis = np.stack([local[:, 2, 1] - local[:, 1, 2], local[:, 0, 2] - local[:, 2, 0], local[:, 1, 0] - local[:, 0, 1]])
    axis = (axis / np.linalg.norm(axis, axis=0)).T
    np.testing.assert_allclose(axis, np.broadcast_to(axis[0], axis.shape), atol=1e-6)
    # 7.61317 units of 2.54 / 0.45 cm
    length = np.linalg.norm(bones.positions[:, shank] - bones.positions[:, thigh], axis=1)
    np.testing.assert_allclose(length, 7.61317 * 0.0254 / 0.45, rtol=1e-5)
    assert 0.0 < np.percentile(bones.positions[:, bones.index("rtoes"), 1], 5) < 0.04
