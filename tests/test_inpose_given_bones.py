"""Bones in all the forms in which users have them: rest joints, a height, a file, or what would be in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inpose_people import person, standing_weights
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.tree import JOINTS, THREE, columns, global_rotations, places, resting
from motorque.files.smpl_bones import read_bones
from motorque.series.tracks import Tracks
from motorque.skeleton.smpl import rest_joints

NAMES = tuple(JOINTS[j] for j in THREE)
REST = np.array(rest_joints(height=1.7)) - np.array(rest_joints(height=1.7))[0]


def recorded() -> Tracks:
    """What sensors on somebody's head and wrists say."""
    poses = person(3, frames=90)
    turns, pelvis = global_rotations(poses)
    points = places(torch.tensor(columns(turns)), torch.tensor(resting(poses)), torch.tensor(pelvis)).numpy()
    return Tracks(poses.times, NAMES, points[:, list(THREE)], turns[:, list(THREE)], "tracks.csv")


def test_bones_by_length_by_place_and_wrong_ones(tmp_path: Path) -> None:
    def bones(content: object) -> np.ndarray:
        (tmp_path / "b.json").write_text(json.dumps(content))
        return read_bones(tmp_path / "b.json")

    by_length = bones({"height": 1.7, "left_elbow": 0.35})
    assert np.linalg.norm(by_length[18] - by_length[16]) == pytest.approx(0.35)
    assert np.linalg.norm(by_length[19] - by_length[17]) == pytest.approx(0.35)  # the other side is as this one
    assert by_length[17] == pytest.approx(REST[17])
    np.testing.assert_allclose(bones(REST[:22].tolist())[:22], REST[:22])
    np.testing.assert_allclose(bones({n: REST[i].tolist() for i, n in enumerate(JOINTS)})[:22], REST[:22])
    short = REST.copy()
    short[18] = short[16]
    for content, said in [
        (REST[:20].tolist(), "22 or 24 joints"),
        (short.tolist(), "ends in left_elbow has length 0"),
        ({"left_elbow": 0}, "has length 0"),
        ({"left_elbow": 27}, "27 m long"),
        ({"elbow": 0.3}, "no joint 'elbow'"),
        ({"head": [0, 1, 0]}, "places of all 22 joints"),
        ((100 * REST).tolist(), "give metres"),
        (REST[:, [1, 0, 2]].tolist(), "T-pose"),
        ("x", "neither"),
    ]:
        with pytest.raises(FileFormatError, match=said):
            bones(content)


@pytest.mark.parametrize(
    ("bones", "said"),
    [
        ("no-such.json", "no-such.json: No such file"),
        ({"height": "tall"}, "height: 'tall' is no length"),
        ({"left_elbo": 0.3}, "no joint 'left_elbo'"),
        ({1: 0.3}, "no joint 1"),
        ({"height": 1.7, "offsets": {"head": 3}}, "offsets"),
        ([1.0, 2.0], "a path to bones.json"),
        (True, "a path to bones.json"),
        (object(), "a path to bones.json"),
        (np.nan, "is no person's"),
    ],
)
def test_bones_that_are_none_are_refused_in_a_line(bones: object, said: str) -> None:
    prior, tracks = InPose(None, {}), recorded()  # type: ignore[arg-type]
    for use in (lambda: prior.sample(tracks, bones), lambda: prior.stream(NAMES, bones)):  # type: ignore[arg-type]
        with pytest.raises((DataError, FileFormatError), match=said) as error:
            use()
        assert "\n" not in str(error.value)


def test_bones_by_name_are_those_of_their_file(tmp_path: Path) -> None:
    content = {"sex": "f", "offsets": {"head": (0.0, 0.05, 0.1)}}
    content |= {name: np.float32(0.2) for name in JOINTS[1:]}
    (tmp_path / "b.json").write_text(json.dumps(content, default=float))
    prior, tracks = InPose.load(standing_weights(tmp_path)), recorded()
    by_name, by_path = (prior.sample(tracks, given, 1) for given in (content, str(tmp_path / "b.json")))
    np.testing.assert_array_equal(by_name.positions, by_path.positions)
    plain = prior.sample(tracks, read_bones(tmp_path / "b.json"), 1)
    assert by_name.sex == "f" and by_name.measured is not None and plain.measured is not None
    assert np.linalg.norm(by_name.measured.points[0, 15] - plain.measured.points[0, 15]) > 0.1  # offsets are heard
