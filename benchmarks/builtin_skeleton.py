"""How near the built-in skeleton, scaled from the motion itself, comes to an expert's model and inverse kinematics.

Prints mean absolute differences of the main leg angles in degrees and writes JSON::

    python benchmarks/builtin_skeleton.py [--json FILE] [TRIAL …]
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from motorque.files.motion_files import read_motion
from motorque.files.osim import read_osim
from motorque.fitting.ik import inverse_kinematics
from motorque.journal import Journal
from motorque.workflows.person import fit_builtin
from motorque.workflows.recording import read_recording

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("MOTORQUE_DATA", SHARED)) / "opencap_subject4"
ANGLES = ("hip_flexion_r", "hip_flexion_l", "knee_angle_r", "knee_angle_l", "ankle_angle_r", "ankle_angle_l")
OTHERS = ("pelvis_tilt", "pelvis_list", "hip_adduction_r", "hip_rotation_r", "lumbar_extension", "elbow_flex_r")


def compare(trial: str, *, static: bool) -> dict[str, float]:
    """Mean absolute difference of each angle from the expert's stored motion [deg]."""
    journal = Journal()
    recording = read_recording(DATA / f"markers/{trial}.trc", journal=journal).markers
    recordings = [recording]
    if static:
        recordings.insert(0, read_recording(DATA / "markers/static1.trc", journal=journal).markers)
    person = fit_builtin(recordings, height=None, mass=None, mass_source="", sex="unknown", journal=journal)
    ours = inverse_kinematics(person.skeleton, recording, weights=person.weights).motion
    expert = read_osim(DATA / "models/manually_scaled.osim").skeleton
    theirs = read_motion(DATA / f"ik/{trial}_manual_scaling_ik.mot", expert)
    inside = (ours.times >= theirs.times[0]) & (ours.times <= theirs.times[-1])
    row = {}
    for name in ANGLES + OTHERS:
        reference = np.interp(ours.times[inside], theirs.times, theirs.column(name))
        row[name] = float(np.degrees(np.abs(ours.column(name)[inside] - reference).mean()))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", default=["walking1", "walkingTS1", "squats1", "STS1", "DJ1"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = {}
    print(f"{'':24s}" + "".join(f"{n:>16s}" for n in ANGLES + OTHERS))
    for trial in options.trials:
        for static in (False, True):
            label = f"{trial}{' + static' if static else ''}"
            rows[label] = compare(trial, static=static)
            print(f"{label:24s}" + "".join(f"{v:16.2f}" for v in rows[label].values()))
    if options.json:
        options.json.write_text(json.dumps({"unit": "deg", "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
