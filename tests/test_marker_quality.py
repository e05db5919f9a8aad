"""Marker problems: found in the right marker and frames, and never in a clean recording."""

from __future__ import annotations

import pytest

from motorque.fitting.marker_quality import swap_sides


@pytest.mark.parametrize(
    ("right", "left"),
    [
        ("RASI", "LASI"),
        ("R.ASIS", "L.ASIS"),
        ("r.ASIS", "L.ASIS"),
        ("r_knee", "L_knee"),
        ("r_asis_study", "L_asis_study"),
        ("RKNE", "LKNE"),
        ("knee_r", "knee_l"),
        ("ankle_r_med", "ankle_l_med"),
        ("R Knee", "L Knee"),
        ("RightKnee", "LeftKnee"),
        ("right_knee", "left_knee"),
        ("RBigToe", "LBigToe"),
        ("RRAO", "LRAO"),
        ("Person:RASI", "Person:LASI"),
        ("KneeR", "KneeL"),
    ],
)
def test_both_sides_are_recognised(right: str, left: str) -> None:
    assert swap_sides(["C7", right, "Sternum", left]) == {right: left, left: right}


def test_names_without_counterpart_are_absent() -> None:
    assert swap_sides(["RKNE", "C7", "Sternum", "lumbar", "Rib", "R.Knee.Lat", "L.Knee.Med"]) == {}


def test_lateral_is_not_left() -> None:
    names = ["lat_knee_r", "lat_knee_l", "R.Lateral", "L.Lateral"]
    assert swap_sides(names) == {
        "lat_knee_r": "lat_knee_l",
        "lat_knee_l": "lat_knee_r",
        "R.Lateral": "L.Lateral",
        "L.Lateral": "R.Lateral",
    }
