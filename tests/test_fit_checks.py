"""What a pose fit leaves open is said, and a fit that has nothing to do with its markers is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.fitting.fit_checks import check_fit, untold_coordinates
from motorque.fitting.ik import IKResult, inverse_kinematics
from motorque.journal import Journal
from motorque.skeleton.skeleton import Skeleton
from motorque.workflows.demo_recording import demo_static

RIGHT_LEG = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle", "subtalar_angle", "mtp_angle")


@pytest.fixture(scope="module")
def fitted() -> tuple[Skeleton, IKResult]:
    markers, truth = demo_static(duration=0.05)
    return truth.skeleton, inverse_kinematics(truth.skeleton, markers)


def test_coordinates_beyond_the_last_marker(fitted: tuple[Skeleton, IKResult]) -> None:
    skeleton, fit = fitted
    right = {skeleton.body(f"{name}_r") for name in ("femur", "tibia", "talus", "calcn", "toes")}
    left = [marker.name for marker in skeleton.markers if marker.body not in right]
    assert untold_coordinates(skeleton, left) == [f"{name}_r" for name in RIGHT_LEG]
    assert untold_coordinates(skeleton, list(fit.model_markers.names)) == []


def test_good_doubtful_and_useless_fits(fitted: tuple[Skeleton, IKResult]) -> None:
    skeleton, fit = fitted
    journal = Journal()
    check_fit(skeleton, fit, name="walk.trc", journal=journal)
    assert journal.notices == []
    check_fit(skeleton, replace(fit, errors=np.full_like(fit.errors, 0.05)), name="walk.trc", journal=journal)
    assert [n.kind for n in journal.notices] == ["warning"] and "50 mm" in journal.notices[0].text
    with pytest.raises(DataError, match=r"walk\.trc: the skeleton stays 200 mm .*check their names and unit"):
        check_fit(skeleton, replace(fit, errors=np.full_like(fit.errors, 0.2)), name="walk.trc", journal=journal)
