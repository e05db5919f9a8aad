"""Joint angles from one phone video against marker-based motion capture, and what the analysis costs.

    python benchmarks/video_angles.py [--json FILE] [--prior learned|habits] [--runs N]

Runs `motorque analyze` on the two public videos of OpenCap's visualizer with one setting for both, and compares 15
angles with those of marker-based capture of the same trials, beside OpenCap Monocular's and WHAM's with inverse
kinematics. All angles are made anew from the body frames, so that every system is measured alike; a time shift is
allowed, the same for all angles of a recording. Times are of whole processes: the analysis, and `motorque keypoints`
at the same rate.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
Angles = tuple[Array, dict[str, Array]]

DATA = Path(os.environ.get("MOTORQUE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
NAMES = (
    *(f"{a}_{s}" for s in "rl" for a in ("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "ankle_angle")),
    "lumbar_extension",
    "lumbar_bending",
    "lumbar_rotation",
    "pelvis_tilt",
    "pelvis_list",
)
SHIFTS = np.arange(-2.0, 2.0 + 1e-9, 0.01)
SHARED = 0.7


def read_bodies(path: Path) -> Angles:
    """Angles [deg] of the rotations of bodies in a file of OpenCap's visualizer."""
    data = json.loads(path.read_text())
    rotation = {k: Rotation.from_euler("XYZ", np.asarray(v["rotation"], float)) for k, v in data["bodies"].items()}

    def between(parent: str, child: str) -> Array:
        return np.asarray((rotation[parent].inv() * rotation[child]).as_euler("ZXY", degrees=True))

    found = {}
    for side, sign in (("r", 1), ("l", -1)):
        hip = between("pelvis", f"femur_{side}") * [1, sign, sign]
        for k, name in enumerate(("flexion", "adduction", "rotation")):
            found[f"hip_{name}_{side}"] = hip[:, k]
        found[f"knee_angle_{side}"] = -between(f"femur_{side}", f"tibia_{side}")[:, 0]
        found[f"ankle_angle_{side}"] = between(f"tibia_{side}", f"talus_{side}")[:, 0]
    trunk, pelvis = between("pelvis", "torso"), rotation["pelvis"].as_euler("ZXY", degrees=True)
    for k, name in enumerate(("extension", "bending", "rotation")):
        found[f"lumbar_{name}"] = trunk[:, k]
    found["pelvis_tilt"], found["pelvis_list"] = pelvis[:, 0], pelvis[:, 1]
    return np.asarray(data["time"], float), found


def read_angles(path: Path) -> Angles:
    """Angles [deg] in a motion file in degrees."""
    lines = path.read_text().splitlines()
    end = next(i for i, line in enumerate(lines) if line.strip() == "endheader")
    names = lines[end + 1].split()
    table = np.loadtxt(lines[end + 2 :])
    return table[:, 0], {name: table[:, names.index(name)] for name in NAMES}


def compare(reference: Angles, other: Angles) -> tuple[float, float, dict[str, float]]:
    """Mean absolute error [deg], the time shift [s] that makes it smallest, and the error by angle."""
    (t, a), (u, b) = reference, other
    best: tuple[float, float, dict[str, float]] | None = None
    for shift in SHIFTS:
        inside = (t + shift >= u[0]) & (t + shift <= u[-1])
        if inside.sum() < SHARED * len(t):
            continue
        error = {}
        for name in NAMES:
            off = np.interp(t[inside] + shift, u, np.unwrap(b[name], period=360)) - a[name][inside]
            error[name] = float(np.abs((off + 180) % 360 - 180).mean())
        mean = float(np.mean(list(error.values())))
        if best is None or mean < best[0]:
            best = (mean, float(shift), error)
    if best is None:
        raise SystemExit("the two recordings overlap by less than 70 %")
    return best


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--prior", choices=("learned", "habits"), default="learned")
    parser.add_argument("--runs", type=int, default=1, help="how often the squat is timed")
    options = parser.parse_args()
    motorque = [sys.executable, "-m", "motorque", "--quiet"]
    result: dict[str, object] = {"prior": options.prior}
    errors: dict[str, Mapping[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("walk", "squat"):
            folder = DATA / "video" / f"opencap_{name}"
            out = Path(scratch) / name
            subprocess.run(
                [*motorque, "analyze", str(folder / "video.mp4"), "--prior", options.prior, "--out", str(out)],
                check=True,
            )
            reference = read_bodies(folder / "sample_mocap.json")
            systems = {
                "motorque": read_angles(out / "kinematics.mot"),
                "OpenCap Monocular": read_bodies(folder / "sample_mono.json"),
                "WHAM + IK": read_bodies(folder / "sample_wham.json"),
            }
            for system, angles in systems.items():
                mean, shift, error = compare(reference, angles)
                errors[f"{name}, {system}"] = {**error, "mean": mean, "shift_s": shift}
        video = str(DATA / "video" / "opencap_squat" / "video.mp4")
        whole, alone = [], []
        for run in range(options.runs):
            out = Path(scratch) / f"timed{run}"
            whole.append(timed([*motorque, "analyze", video, "--height", "1.8", "--mass", "75", "--out", str(out)]))
            alone.append(timed([*motorque, "keypoints", video, "--out", str(Path(scratch) / f"{run}.npz")]))
    columns = list(errors)
    print("mean absolute error against marker-based motion capture [deg]")
    print(f"{'':18s}" + "".join(f"{c:>26s}" for c in columns))
    for angle in (*NAMES, "mean"):
        print(f"{angle:18s}" + "".join(f"{errors[c][angle]:26.2f}" for c in columns))
    ratio = np.array(whole) / np.array(alone)
    print(
        f"squat, 13.4 s: analysis {np.median(whole):.1f} s ({min(whole):.1f} to {max(whole):.1f}), keypoints alone "
        f"{np.median(alone):.1f} s ({min(alone):.1f} to {max(alone):.1f}), ratio {np.median(ratio):.2f}"
    )
    if options.json:
        result |= {"errors_deg": errors, "analysis_s": whole, "keypoints_s": alone}
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
