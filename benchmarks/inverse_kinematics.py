"""Inverse kinematics: speed and agreement with OpenSim's tool, in one run on one core, the two in turn.

Prints frames per second of processor time, which a busy machine disturbs less than the clock (median, least, most), the
ratio, and how far marker errors and angles are apart; writes JSON::

    python benchmarks/inverse_kinematics.py [--runs 3] [--json FILE] [TRIAL …]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import opensim
import torch

from motorque.files.ik_setup import read_ik_setup
from motorque.files.osim import read_osim
from motorque.files.storage import read_storage
from motorque.files.trc import read_trc
from motorque.fitting.ik import inverse_kinematics

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("MOTORQUE_DATA", SHARED)) / "opencap_subject4"


def run_tool(trial: str, folder: Path) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
    """Seconds, angles and marker RMS of OpenSim's tool on a whole recording, model loading not counted."""
    model = opensim.Model(str(DATA / "models/manually_scaled.osim"))
    model.initSystem()
    tool = opensim.InverseKinematicsTool(str(DATA / f"setup/{trial}_ik_on_manually_scaled_setup.xml"), False)
    tool.setModel(model)
    tool.setMarkerDataFileName(str(DATA / f"markers/{trial}.trc"))
    tool.setOutputMotionFileName(str(folder / "ik.mot"))
    tool.setResultsDir(str(folder))
    tool.set_report_errors(True)
    times = read_trc(DATA / f"markers/{trial}.trc").times
    tool.setStartTime(float(times[0]))
    tool.setEndTime(float(times[-1]))
    began = time.process_time()
    tool.run()
    seconds = time.process_time() - began
    motion = read_storage(folder / "ik.mot")
    errors = read_storage(next(folder.glob("*_ik_marker_errors.sto")))
    return seconds, {c: motion.column(c) for c in motion.columns}, errors.column("marker_error_RMS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", default=["squats1"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    opensim.Logger.setLevelString("Off")
    skeleton = read_osim(DATA / "models/manually_scaled.osim").skeleton
    report = {}
    for trial in options.trials:
        markers = read_trc(DATA / f"markers/{trial}.trc")
        weights = read_ik_setup(DATA / f"setup/{trial}_ik_on_manually_scaled_setup.xml").marker_weights
        frames = len(markers.times)
        inverse_kinematics(skeleton, markers.between(None, markers.times[min(50, frames - 1)]), weights=weights)
        ours, theirs = [], []
        for _ in range(options.runs):
            began = time.process_time()
            result = inverse_kinematics(skeleton, markers, weights=weights)
            ours.append(frames / (time.process_time() - began))
            with tempfile.TemporaryDirectory() as folder:
                seconds, angles, rms = run_tool(trial, Path(folder))
            theirs.append(frames / seconds)
        error = np.sqrt((np.nan_to_num(result.errors) ** 2).mean(axis=1))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        apart = {
            c: float(np.median(np.abs(np.degrees(result.motion.column(c)) - angles[c])))
            for c in ("hip_flexion_r", "knee_angle_r", "ankle_angle_r", "pelvis_tilt")
        }
        row = {
            "frames": frames,
            "motorque_fps": [statistics.median(ours), min(ours), max(ours)],
            "opensim_fps": [statistics.median(theirs), min(theirs), max(theirs)],
            "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
            "marker_rms_above_opensim_mm": float(1e3 * (error - rms).max()),
            "median_angle_apart_deg": apart,
        }
        report[trial] = row
        print(f"{trial}: {frames} frames, one core, {options.runs} runs in turn; median (least, most)")
        for name in ("motorque_fps", "opensim_fps", "ratio"):
            middle, low, high = row[name]
            print(f"  {name:14s} {middle:9.1f} ({low:.1f}, {high:.1f})")
        print(f"  marker RMS above OpenSim's at most {row['marker_rms_above_opensim_mm']:.3f} mm in any frame")
        print("  median angle apart [deg]: " + ", ".join(f"{k} {v:.3f}" for k, v in apart.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    sys.exit(main())
