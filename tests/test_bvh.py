"""Reading .bvh files: known answers, other encodings of the same recordings, damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.files.bvh import read_bvh
from motorque.journal import Journal

ARM = """HIERARCHY
ROOT hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT knee
  {
    OFFSET 0 -50 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT ankle
    {
      OFFSET 0 -45 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 0 20
      }
    }
  }
  JOINT chest
  {
    OFFSET 0 60 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 20 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.02
1 95 3 0 0 0 0 0 0 0 0 0 0 0 0
1 95 3 0 90 0 0 90 0 0 -90 0 10 20 30
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "some.bvh"
    path.write_text(text)
    return path


def test_positions_and_rotations_of_a_small_tree(tmp_path: Path) -> None:
    """The file's Z is our X, its Y our Y, its X our -Z; a turn by 90 degrees about Y takes its Z to its X."""
    journal = Journal()
    bones = read_bvh(written(tmp_path, ARM), journal=journal)
    assert bones.names == ("hips", "knee", "ankle", "ankle_end", "chest", "chest_end")
    assert bones.parents == (-1, 0, 1, 2, 0, 4)
    np.testing.assert_allclose(bones.times, [0, 0.02])
    still = [[0.03, 0.95, -0.01], [0.03, 0.45, -0.01], [0.03, 0, -0.01], [0.23, 0, -0.01]]
    np.testing.assert_allclose(bones.positions[0, :4], still, atol=1e-12)
    # Heading to the file's +X (our -Z), shank bent backward by 90 degrees, foot straight again.
    turned = [[0.03, 0.95, -0.01], [0.03, 0.45, -0.01], [0.03, 0.45, 0.44], [0.03, 0.45, 0.24]]
    np.testing.assert_allclose(bones.positions[1, :4], turned, atol=1e-12)
    np.testing.assert_allclose(bones.rotations[1, 0] @ [1, 0, 0], [0, 0, -1], atol=1e-12)
    assert any("lengths are in cm" in notice.text for notice in journal.notices)


def test_unit_may_be_named_and_must_make_a_person(tmp_path: Path) -> None:
    path = written(tmp_path, ARM)
    assert read_bvh(path, units="mm").positions[0, 0, 1] == pytest.approx(0.095)
    with pytest.raises(mq.FileFormatError, match="there is no length unit 'ell'"):
        read_bvh(path, units="ell")
    dwarf = ARM.replace("-50 0", "-5 0").replace("-45 0", "-4.5 0").replace("0 0 20", "0 0 2").replace("0 60", "0 .6")
    with pytest.raises(mq.FileFormatError, match="no person's in any of"):
        read_bvh(written(tmp_path, dwarf.replace("0 20 0", "0 .2 0")))


def test_root_offset_that_is_added(tmp_path: Path) -> None:
    """Some programs leave the rest pose's height in the root's offset: then feet would be under the floor."""
    journal = Journal()
    text = ARM.replace("OFFSET 0 0 0", "OFFSET 0 95 0").replace("1 95 3", "1 0 3")
    bones = read_bvh(written(tmp_path, text), journal=journal)
    np.testing.assert_allclose(bones.positions, read_bvh(written(tmp_path, ARM)).positions, atol=1e-12)
    assert any("added to its position" in notice.text for notice in journal.notices)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCY", "line 1: must begin with HIERARCHY"),
        ("MOTION\n", "", "has no MOTION"),
        ("Frames: 2", "Frames: two", "line 31: 'Frames:' and a number"),
        ("Frames: 2", "Frames: 3", "says 3 frames but has 2"),
        ("Frame Time: 0.02", "Frame Time: 0", "line 32: 'Frame time:' and a number"),
        ("Frame Time: 0.02", "Frame Time: 20", "line 32: a frame time of 20 s can't be"),
        ("10 20 30", "10 20", "line 34: 14 numbers for 15 channels"),
        ("10 20 30", "10 nan 30", "line 34: a cell is no number"),
        ("10 20 30", "10 x 30", "line 34: a cell is no number"),
        ("OFFSET 0 -45 0", "OFFSET 0 -45", "line 12: OFFSET needs three numbers"),
        ("    OFFSET 0 -50 0\n", "", "line 6: the joint 'knee' has no OFFSET"),
        ("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 4 Zrotation Xrotation Yrotation", "line 9: CHANNELS"),
        ("Zrotation Yrotation Xrotation", "Zrotation Yrotation Wrotation", "line 5: CHANNELS"),
        ("JOINT ankle", "JOINT knee", "line 10: the joint 'knee' occurs twice"),
        ("JOINT chest", "ROOT chest", "line 20: 'ROOT chest' can't stand here"),
        ("  JOINT knee\n  {", "  JOINT knee\n", "line 8: 'OFFSET 0 -50 0' can't stand here"),
        ("}\nMOTION", "MOTION", "the hierarchy is not closed"),
        ("}\nMOTION", "}\n}\nMOTION", "line 30: '}' can't stand here"),
        ("End Site", "Fin", "line 14: 'Fin' is not known here"),
    ],
)
def test_damaged_files_name_the_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ARM
    with pytest.raises(mq.FileFormatError, match=message) as caught:
        read_bvh(written(tmp_path, ARM.replace(old, new, 1)))
    assert "\n" not in str(caught.value)
    assert "some.bvh" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"HIERARCHY\n"])
def test_no_bvh_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.bvh"
    path.write_bytes(content)
    with pytest.raises(mq.FileFormatError):
        read_bvh(path)
    with pytest.raises(mq.FileFormatError):
        read_bvh(tmp_path)


def test_a_recording_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motorque.files.bone_axes.MOST_POSES", 10)
    with pytest.raises(mq.FileFormatError, match="2 frames of 6 joints are more than the 10 poses"):
        read_bvh(written(tmp_path, ARM))


def test_real_recordings_have_bones_of_constant_length_and_stand_on_the_floor(data: Path) -> None:
    for name, rate, joint in (("131_02.bvh", 120, "LeftToe"), ("007/007_03.bvh", 60, "CC_Base_L_ToeBase")):
        bones = read_bvh(data / "cmu/bvh" / name)
        assert bones.rate == pytest.approx(rate, rel=1e-3)
        for child, parent in enumerate(bones.parents):
            if parent >= 0:
                length = np.linalg.norm(bones.positions[:, child] - bones.positions[:, parent], axis=1)
                assert np.ptp(length) < 1e-9
        lowest = np.percentile(bones.positions[1:, bones.index(joint), 1], 5)
        assert -0.05 < lowest < 0.1
