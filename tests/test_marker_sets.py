"""Marker names of every recording at hand against landmarks, and landmarks' places against published models."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from lxml import etree

from motorque.errors import ModelError
from motorque.files.osim import read_osim
from motorque.journal import Journal
from motorque.mechanics.kinematics import marker_positions
from motorque.skeleton import Marker
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.landmarks import LANDMARKS
from motorque.skeleton.marker_names import MARKER_SETS
from motorque.skeleton.marker_sets import match_markers, simplified, skeleton_with_markers

DATA = Path(os.environ.get("MOTORQUE_DATA", Path(__file__).parents[2] / "shared/data"))


def landmark_of(*names: str) -> list[str]:
    match = match_markers(names)
    assert match.unmatched == ()
    return [landmark for _, landmark in match.pairs]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("LASI", "lasi"),
        ("subject01:LASI", "lasi"),
        ("R.ASIS", "rasis"),
        ("r_ASIS_study", "rasis"),
        ("L_HJC_reg", "lhjcreg"),
        ("asis_r", "rasis"),
        ("knee lateral Left", "lkneelateral"),
        ("RightHipCenter", "rhipcenter"),
        ("C7_study", "c7"),
        ("V.Sacral", "vsacral"),
        (" Top.Head ", "tophead"),
    ],
)
def test_simplified(name: str, key: str) -> None:
    assert simplified(name) == key


def test_tables_name_landmarks_that_exist() -> None:
    for label, table in MARKER_SETS.items():
        for name, landmark in table.items():
            assert name == name.lower() and not set(name) & set(" ._-:"), (label, name)
            for side in "rl":
                assert landmark.replace("*", side) in LANDMARKS, (label, name)


def test_landmarks_own_names_match_themselves() -> None:
    match = match_markers(list(LANDMARKS))
    assert match.unmatched == ()
    assert all(name == landmark for name, landmark in match.pairs)


def test_the_same_name_means_what_its_set_means() -> None:
    openpose = ("RHip", "RKnee", "RAnkle", "RBigToe", "RHeel", "Neck", "Nose")
    assert landmark_of(*openpose)[1] == "knee_center_r"
    assert landmark_of("R.ASIS", "V.Sacral", "R.Thigh", "R.Knee", "R.Ankle", "R.Heel", "R.Toe")[3] == "knee_lateral_r"
    assert landmark_of("r_knee_study", *openpose)[:3] == ["knee_lateral_r", "hip_center_r", "knee_center_r"]
    assert landmark_of("LASI", "LPSI", "LKNE", "LANK", "LHEE", "LTOE", "LELB")[5] == "toe_2_l"
    assert landmark_of("RASI", "RPSI", "RLFC", "RMFC", "RLMAL", "RCAL", "RTOE")[6] == "hallux_base_r"
    assert landmark_of("RFWT", "LFWT", "RBWT", "LBWT", "RSHN", "RTOE", "RKNE")[5] == "hallux_r"


def test_prefix_case_and_separators_do_not_matter() -> None:
    names = ("LASI", "RASI", "LPSI", "RPSI", "LKNE")
    expected = landmark_of(*names)
    assert landmark_of(*(f"Patient 7:{n.lower()}" for n in names)) == expected


def test_clusters_with_any_number_are_technical() -> None:
    match = match_markers(["RASI", "LASI", "RTH9", "LTIB12", "R_thigh_upper", "RUA4"])
    assert match.unmatched == ()
    assert [mark.body for mark in match.landmarks] == ["pelvis", "pelvis", "femur_r", "tibia_l", "femur_r", "humerus_r"]
    assert [mark.kind for mark in match.landmarks[2:]] == ["technical"] * 4
    assert min(match.position_std[2:]) >= 0.05 > 0.02 > max(match.position_std[:2])


def test_unknown_names_are_said() -> None:
    journal = Journal()
    match = match_markers(["LASI", "RASI", "SACR", "Wand7", "LKneeAngles", "*117", "RThoraxAngles"], journal=journal)
    assert match.unmatched == ("Wand7", "LKneeAngles", "*117", "RThoraxAngles")
    said = {notice.kind: notice.text for notice in journal.notices}
    assert "LASI = asis_l" in said["assumption"] and "Plug-in Gait" in said["assumption"]
    assert "Wand7" in said["warning"] and "LKneeAngles" not in said["warning"]
    assert "LKneeAngles" in said["info"] and "*117" in said["info"]


def test_nothing_known_is_no_match() -> None:
    match = match_markers(["a", "b"])
    assert (match.set_name, match.pairs, match.unmatched) == ("", (), ("a", "b"))


def test_skeleton_carries_the_recordings_names() -> None:
    skeleton = fullbody(height=1.9)
    match = match_markers(["RKNE", "LASI", "R_KNEE_LATERAL"])
    marked = skeleton_with_markers(skeleton, match)
    assert marked.marker_names == ("RKNE", "LASI", "R_KNEE_LATERAL")
    torch.testing.assert_close(
        marked.marker_position[0], skeleton.marker_position[skeleton.marker_names.index("knee_lateral_r")]
    )
    with pytest.raises(ModelError, match="asis_l|knee_lateral_r"):
        skeleton_with_markers(skeleton_with_markers(skeleton, match_markers(["C7"])), match)


def test_left_landmarks_mirror_right_ones_in_the_standing_skeleton() -> None:
    skeleton = fullbody()
    standing = marker_positions(skeleton, skeleton.default_pose)
    for index, name in enumerate(skeleton.marker_names):
        if name.endswith("_r"):
            left = standing[skeleton.marker_names.index(f"{name[:-2]}_l")] * torch.tensor([1.0, 1.0, -1.0])
            torch.testing.assert_close(standing[index], left, atol=1e-6, rtol=0)
        elif not name.endswith("_l"):
            assert float(standing[index, 2]) == 0.0


# Recordings at hand: the set's name, and the least share of all names that must match. What is left of the C3D files
# are computed quantities; of the bone pins, pins.
RECORDINGS = {
    "arnold_synthetic/subject01/markers.trc": ("Rajagopal", 1.0),
    "opencap_subject4/markers/static1.trc": ("OpenCap", 1.0),
    "opencap_subject4/markers/walking1.trc": ("OpenCap", 1.0),
    "opensim_tests/IK/subject01_synthetic_marker_data.trc": ("Helen Hayes", 1.0),
    "opensim_tests/Scale/init100.trc": ("Helen Hayes", 1.0),
    "opensim_tests/Scale/subject01_static.trc": ("Helen Hayes", 1.0),
    "rajagopal_walk/markers_walk.trc": ("Rajagopal (example3DWalking)", 1.0),
    "video/pose2sim_balancing/reference/S00_P00_T01_BalancingTrial_0-100.trc": ("OpenPose keypoints", 1.0),
    "video/pose2sim_balancing/reference/S00_P00_T01_BalancingTrial_0-100_filt_butterworth_LSTM.trc": (
        "OpenCap + OpenPose keypoints",
        1.0,
    ),
    "c3d/FunctionalWalk.c3d": ("Plug-in Gait + anatomical landmarks", 45 / 146),
    "c3d/Gait.c3d": ("Plug-in Gait + Helen Hayes + anatomical landmarks", 25 / 27),
    "c3d/pycgm_Movement_trial.c3d": ("Plug-in Gait", 39 / 239),
    "c3d/walking2.c3d": ("Rajagopal + Plug-in Gait", 1.0),
    "c3d/walking5.c3d": ("Rajagopal + Plug-in Gait", 1.0),
}


def names_in(path: Path) -> list[str]:
    if path.suffix == ".c3d":
        ezc3d = pytest.importorskip("ezc3d")
        return list(dict.fromkeys(ezc3d.c3d(str(path))["parameters"]["POINT"]["LABELS"]["value"]))
    header = path.read_text(encoding="latin1").split("\n", 4)[3]
    return [name.strip() for name in header.split("\t") if name.strip()][2:]


@pytest.mark.parametrize("file", RECORDINGS)
def test_recordings_match(file: str) -> None:
    if not (DATA / file).is_file():
        pytest.skip(f"needs {DATA / file} (set MOTORQUE_DATA)")
    names = names_in(DATA / file)
    match = match_markers(names)
    set_name, share = RECORDINGS[file]
    assert match.set_name == set_name
    assert len(match.pairs) / len(names) >= share
    bodies = {name: mark.body for (name, _), mark in zip(match.pairs, match.landmarks, strict=True)}
    for name, body in bodies.items():  # whatever else: never on the other side of the body
        side = simplified(name)[0]
        if body.endswith(("_r", "_l")):
            assert body[-1] == side, (name, body)


# Models at hand that carry such markers: median and largest distance of the bony ones from here, in the generic body
# [m]. Generic models differ by where authors put a marker on the same landmark; scaled ones also by the person's shape.
MODELS = {
    "opencap_subject4/models/unscaled_generic.osim": (0.010, 0.023),
    "arnold_synthetic/unscaled_generic.osim": (0.010, 0.020),
    "models/LaiArnoldModified2017_contacts.osim": (0.010, 0.028),
    "opencap_subject4/models/manually_scaled.osim": (0.012, 0.030),
    "rajagopal_walk/subject_walk_scaled.osim": (0.010, 0.035),
}


def scale_factors(path: Path) -> dict[str, np.ndarray]:
    """Each body's scale factors from the size of the first bone that it shows (the hand's bones start at 0.85)."""
    found = {}
    for body in etree.parse(str(path)).iter("Body"):
        text = body.findtext(".//Mesh/scale_factors")
        if text:
            found[body.get("name")] = np.array(text.split(), dtype=float) / (0.85 if "hand" in body.get("name") else 1)
    return found


def distances(path: Path) -> dict[str, float]:
    model, factors = read_osim(path).skeleton, scale_factors(path)
    ours = fullbody()
    found = {}
    match = match_markers(model.marker_names)
    for (name, _), mark in zip(match.pairs, match.landmarks, strict=True):
        index = model.marker_names.index(name)
        body = model.body_names[model.markers[index].body]
        place = model.marker_position[index].numpy() / factors.get(body, np.ones(3))
        if mark.kind == "technical" or name.endswith("Ground"):
            continue
        if body != mark.body:  # a foot's or a hip's marker on the neighbouring body: compare in the zero pose
            zero = torch.zeros(ours.nq, dtype=torch.float64)
            both = ours.with_markers(
                [Marker(str(i), ours.body(b)) for i, b in enumerate((body, mark.body))],
                torch.tensor(np.array([place, mark.position])),
            )
            there, here = marker_positions(both, zero).numpy()
            found[name] = float(np.linalg.norm(there - here))
        else:
            found[name] = float(np.linalg.norm(place - np.array(mark.position)))
    return found


@pytest.mark.parametrize("file", MODELS)
def test_landmarks_lie_where_published_models_have_them(file: str) -> None:
    if not (DATA / file).is_file():
        pytest.skip(f"needs {DATA / file} (set MOTORQUE_DATA)")
    far = distances(DATA / file)
    assert len(far) >= 20
    median, largest = MODELS[file]
    worst = max(far, key=far.__getitem__)
    assert far[worst] <= largest, (worst, far[worst])
    assert np.median(list(far.values())) <= median
