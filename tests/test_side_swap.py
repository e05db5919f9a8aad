"""Left and right taken for each other: found where it is so, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.files.osim import read_osim
from motorque.files.trc import read_trc
from motorque.fitting.frame_choice import well_seen_frames
from motorque.fitting.heading import heading
from motorque.fitting.side_swap import SwapEvidence, exchange_sides, side_evidence
from motorque.journal import Journal
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton


@pytest.fixture(scope="module")
def skeleton(data: Path) -> Skeleton:
    return read_osim(data / "rajagopal_walk" / "subject_walk_scaled.osim", journal=Journal()).skeleton


@pytest.fixture(scope="module")
def walk(data: Path) -> Markers:
    return read_trc(data / "rajagopal_walk" / "markers_walk.trc", journal=Journal())


def late(markers: Markers) -> Markers:
    """The same walk, but nobody is in the cameras' view for two thirds of the recording."""
    positions = markers.positions.copy()
    third = len(positions) // 3
    positions[:third] = positions[2 * third :] = np.nan
    return Markers(markers.times, positions, markers.names)


@pytest.mark.parametrize("view", ["whole", "late"])
def test_exchanged_sides_are_found_and_right_ones_left_alone(skeleton: Skeleton, walk: Markers, view: str) -> None:
    markers = walk if view == "whole" else late(walk)
    right = side_evidence(skeleton, markers)
    wrong = side_evidence(skeleton, exchange_sides(markers))
    assert right is not None and not right.swapped
    assert wrong is not None and wrong.swapped
    assert right.as_labelled == pytest.approx(wrong.exchanged, rel=0.05)
    assert 0.005 < right.as_labelled < 0.03


def test_the_heading_comes_from_frames_in_which_somebody_is_there(skeleton: Skeleton, walk: Markers) -> None:
    # He walks along +X; in frames without a marker the pose would be the default one, whatever way he walks.
    turned = Markers(walk.times, walk.positions @ np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, -1]]), walk.names)
    for markers, expected in ((walk, 0.0), (turned, np.pi)):
        for view in (markers, late(markers)):
            angle = heading(skeleton, view)
            assert abs(np.angle(np.exp(1j * (angle - expected)))) < 0.3


def test_no_error_is_no_evidence() -> None:
    assert not SwapEvidence(0.0, 0.0).swapped
    assert not SwapEvidence(0.004, 0.001).swapped
    assert SwapEvidence(0.06, 0.03).swapped
    assert not SwapEvidence(0.06, 0.031).swapped


def test_well_seen_frames() -> None:
    positions = np.zeros((100, 10, 3))
    positions[:40] = np.nan
    positions[40:50, :5] = np.nan
    markers = Markers(np.arange(100) / 100, positions, tuple("abcdefghij"))
    assert well_seen_frames(markers, 6).tolist() == [50, 60, 70, 79, 89, 99]
    assert well_seen_frames(markers, 500).tolist() == list(range(50, 100))
    nothing = Markers([0.0, 1.0], np.full((2, 1, 3), np.nan), ("a",))
    assert well_seen_frames(nothing, 5).size == 0
    # a third of the samples missing everywhere leaves frames from the whole recording
    positions = np.where(np.random.default_rng(0).random((400, 40, 1)) < 0.3, np.nan, np.zeros((400, 40, 3)))
    frames = well_seen_frames(Markers(np.arange(400) / 100, positions, tuple(f"m{i}" for i in range(40))), 12)
    assert len(frames) == 12 and np.diff(frames).max() < 80
