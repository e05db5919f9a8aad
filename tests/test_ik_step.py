"""The `ik` step says what is wrong with its markers, and uses them as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motorque.files.osim_write import write_osim
from motorque.files.trc import write_trc
from motorque.journal import Journal
from motorque.series import Markers
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.marker_sets import match_markers, skeleton_with_markers
from motorque.workflows.demo_recording import demo_recording
from motorque.workflows.inverse_kinematics import ik_step


def _run(folder: Path, markers: Markers, names: tuple[str, ...]) -> Journal:
    skeleton = skeleton_with_markers(fullbody(), match_markers(names))
    write_osim(folder / "model.osim", skeleton)
    write_trc(folder / "walk.trc", markers)
    journal = Journal()
    ik_step(folder / "model.osim", folder / "walk.trc", out=folder / "ik.mot", journal=journal)
    return journal


def test_a_frozen_and_a_jumping_marker_are_named(tmp_path: Path) -> None:
    markers, _ = demo_recording(duration=2.0, gaps=0)
    positions = markers.positions.copy()
    names = list(markers.names)
    positions[60:120, names.index("RKNE")] = positions[60, names.index("RKNE")]
    positions[100:130, names.index("LASI")] += (0.2, 0.1, 0.0)
    journal = _run(tmp_path, Markers(markers.times, positions, markers.names), markers.names)
    warned = [n.text for n in journal.notices if n.kind == "warning"]
    assert any(t.startswith("RKNE stands still") for t in warned)
    assert any(t.startswith("LASI is off by") for t in warned)


def test_clean_markers_are_not_talked_about_and_few_are(tmp_path: Path) -> None:
    markers, _ = demo_recording(duration=1.0, gaps=0)
    assert not [n for n in _run(tmp_path, markers, markers.names).notices if n.kind == "warning"]
    few = _run(tmp_path, markers, ("LASI", "RASI", "LPSI", "RPSI"))
    assert any("only 4 of" in n.text for n in few.notices)
    assert np.isfinite(markers.positions).all()
