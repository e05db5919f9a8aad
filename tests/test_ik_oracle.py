"""Inverse kinematics against OpenSim's own tool, run here on the same model, markers and setup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import data_folder
from motorque.errors import DataError
from motorque.files.ik_setup import read_ik_setup
from motorque.files.osim import read_osim
from motorque.files.storage import read_storage
from motorque.files.trc import read_trc
from motorque.fitting.ik import IKResult
from motorque.fitting.marker_normal_equations import MarkerSystem
from motorque.journal import Journal
from motorque.skeleton.skeleton import Skeleton
from motorque.workflows.inverse_kinematics import ik_step

OPENCAP = "opencap_subject4"


@dataclass(frozen=True)
class Case:
    """A recording with its setup and a span short enough for the tool's 10 to 50 frames a second."""

    model: str
    markers: str
    setup: str
    start: float
    end: float


def _opencap(trial: str, start: float = 0.0, end: float = 99.0) -> Case:
    return Case(
        f"{OPENCAP}/models/manually_scaled.osim",
        f"{OPENCAP}/markers/{trial}.trc",
        f"{OPENCAP}/setup/{trial}_ik_on_manually_scaled_setup.xml",
        start,
        end,
    )


CASES = {
    "walking1": _opencap("walking1"),
    "walkingTS1": _opencap("walkingTS1"),
    "squats1": _opencap("squats1", 2.0, 4.0),
    "STS1": _opencap("STS1", 4.0, 6.0),
    "DJ1": _opencap("DJ1", 1.0, 2.69),
    "gait2354": Case(
        "opensim_tests/IK/subject01_simbody.osim",
        "opensim_tests/IK/subject01_synthetic_marker_data.trc",
        "opensim_tests/IK/subject01_Setup_InverseKinematics.xml",
        0.4,
        1.6,
    ),
    "shoulder": Case(
        "opensim_tests/IK/subject1_abdbonepin.osim",
        "opensim_tests/IK/abdbonepin.trc",
        "opensim_tests/IK/setup_ik_abdbonepin.xml",
        0.0,
        3.0,
    ),
}


def _run_tool(
    opensim, data: Path, case: Case, span: tuple[float, float], folder: Path, accuracy: float | None
) -> tuple[dict, np.ndarray]:
    """Angles [deg] and lengths [m] by name, and the marker RMS of each frame [m], from OpenSim's tool."""
    folder.mkdir()
    model = opensim.Model(str(data / case.model))
    model.initSystem()
    tool = opensim.InverseKinematicsTool(str(data / case.setup), False)
    tool.setModel(model)
    tool.setMarkerDataFileName(str(data / case.markers))
    tool.setOutputMotionFileName(str(folder / "ik.mot"))
    tool.setResultsDir(str(folder))
    tool.set_report_errors(True)
    if accuracy is not None:
        tool.set_accuracy(accuracy)
    tool.setStartTime(span[0])
    tool.setEndTime(span[1])
    assert tool.run()
    motion = read_storage(folder / "ik.mot")
    errors = read_storage(next(folder.glob("*_ik_marker_errors.sto")))
    return {c: motion.column(c) for c in motion.columns}, errors.column("marker_error_RMS")


def determined(skeleton: Skeleton, result: IKResult, weights: dict[str, float]) -> list[str]:
    """Coordinates that markers determine: a millimetre of noise on every marker moves them by less than 0.5° or 2 mm.

    Others (toes without a marker, forearm rotation from two wrist markers at a stop) have no answer to compare.
    """
    names = result.model_markers.names
    index = [skeleton.marker_names.index(n) for n in names]
    body = skeleton.with_markers([skeleton.markers[i] for i in index], skeleton.marker_position[index])
    q = torch.as_tensor(result.motion.values[:: max(1, len(result.motion.times) // 8)])
    w = torch.tensor([weights.get(n, 1.0) for n in names], dtype=torch.float64).expand(len(q), -1)
    _, gradient, matrix, _ = MarkerSystem(body).normal_equations(q, torch.zeros(len(q), len(names), 3).double(), w)
    _, matrix = body.fold_couplers(q, gradient, matrix)
    free = [i for i in body.free_coordinates if not body.coordinates[i].locked]
    inverse = torch.linalg.pinv(matrix[:, free][:, :, free], rtol=1e-12)
    std = 1e-3 * inverse.diagonal(dim1=1, dim2=2).clamp(min=0).amax(0).sqrt()
    zero = matrix[:, free][:, :, free].diagonal(dim1=1, dim2=2).amin(0) < 1e-9
    known = []
    for place, i in enumerate(free):
        c = body.coordinates[i]
        values = result.motion.values[:, i]
        stopped = c.clamped and (np.isclose(values, c.range[0]) | np.isclose(values, c.range[1])).mean() > 0.05
        if not zero[place] and not stopped and std[place] < (np.radians(0.5) if c.rotational else 2e-3):
            known.append(c.name)
    return known


@pytest.mark.parametrize("name", CASES if data_folder().is_dir() else [])
def test_reaches_what_opensims_tool_approaches(name: str, data: Path, opensim, tmp_path: Path) -> None:
    """Marker error nowhere above the tool's by more than 0.1 mm; angles as the tool's when its accuracy is tightened.

    At the setups' accuracy of 1e-5 the tool stops up to 1° short of the minimum that it seeks; tightened to 1e-8 it
    comes to ours.
    """
    case = CASES[name]
    recording = read_trc(data / case.markers, end=case.end if name == "shoulder" else None)
    span = (max(case.start, float(recording.times[0])), min(case.end, float(recording.times[-1])))
    result = ik_step(
        data / case.model, data / case.markers, setup=data / case.setup, start=span[0], end=span[1],
        out=tmp_path / "ours.mot", errors=tmp_path / "errors.sto", journal=Journal(),
    )  # fmt: skip
    assert result.converged.all()
    skeleton = read_osim(data / case.model).skeleton
    setup = read_ik_setup(data / case.setup)
    _, rms = _run_tool(opensim, data, case, span, tmp_path / "as_set", None)
    assert len(rms) == len(result.motion.times)
    written = read_storage(tmp_path / "errors.sto").column("marker_error_RMS")
    # Root mean squares weigh all markers alike; where the setup does not, a lower weighted error may raise them a bit.
    assert (written - rms).max() <= 1e-4
    theirs, _ = _run_tool(opensim, data, case, span, tmp_path / "tight", 1e-8)
    known = [
        c
        for c in determined(skeleton, result, setup.marker_weights)
        if skeleton.coordinates[skeleton.coordinate(c)].rotational
    ]
    assert len(known) >= 4
    ours = read_storage(tmp_path / "ours.mot")
    for coordinate in known:
        apart = np.abs(ours.column(coordinate) - theirs[coordinate])
        assert np.median(apart) <= 0.1, coordinate
        assert np.percentile(apart, 95) <= 0.5, coordinate
    seen = np.isfinite(result.errors).all(axis=1)
    np.testing.assert_allclose(written[seen], result.rms[seen], rtol=1e-8)


def test_exchanged_sides_are_refused_with_evidence(data: Path, tmp_path: Path) -> None:
    from motorque.files.trc import write_trc
    from motorque.fitting.side_swap import exchange_sides

    swapped = exchange_sides(read_trc(data / OPENCAP / "markers/walking1.trc"))
    write_trc(tmp_path / "swapped.trc", swapped)
    with pytest.raises(DataError, match="left and right seem exchanged .* mm as labelled"):
        ik_step(
            data / OPENCAP / "models/manually_scaled.osim",
            tmp_path / "swapped.trc",
            out=tmp_path / "ik.mot",
            journal=Journal(),
        )
    assert not (tmp_path / "ik.mot").exists()
