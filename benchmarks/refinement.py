"""Pose refinement in SMPL-Dynamics' protocol: torque and pose errors, and time, of every method on every motion.

30 frames a second, up to 120 frames, noise on the rotation vectors of all 24 joints (root included): white of 0.05 rad
per component, and the realistic profile of the same mean size seen from the side. Torque errors are means over frames
and 24 joints of the length of a torque's error, by second differences (``central``) and by central differences taken
twice (``twice``, which the paper's own figures agree with); pose errors are mean angles. Methods see noisy poses only.

Motions: the generated walk, and with the reference data CMU's walks and some other movements (running, jumping,
football, 49_18), whose clean poses are low-passed at 6 Hz (fourth order, no delay, on rotation vectors) at their own
rate before they are resampled. The weights of Adam's loss were chosen on 35_01 alone. The constants of the smoothing
and of `refine` were chosen while looking at the generated walk and at several of CMU's motions (`LOOKED_AT`), with
other seeds; only the others are scored: the walks of subject 07, and the other movements. The last table is of both:
one cutoff has to serve them all, as the automatic smoothing does::

    OMP_NUM_THREADS=2 python benchmarks/refinement.py [--seeds 20] [--adam-seeds 3] [--json FILE]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import dataclasses
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from motorque.errors import MotorqueError
from motorque.fitting.load_poses import load_poses
from motorque.fitting.pose_chart import PoseChart, vectors_of
from motorque.fitting.pose_smoothing import smooth_poses
from motorque.fitting.refine import refine_poses
from motorque.fitting.refine_adam import refine_adam
from motorque.signals import butterworth
from motorque.studies.noise.models import Realistic, White, noisy_rotations
from motorque.studies.noise.protocol import Chain, subject, torque_errors
from motorque.synthesis.smpl_walk import smpl_walk

LOOKED_AT = ("generated", "35_01", "02_01", "02_02")
"""Besides, while the constants were chosen: 01_01, 02_03, 02_04, 03_01, 49_19, 005_01, 006_14, 131_03 and, of the
recordings in exponential maps, test/running_1, jumping_1 and basketball_1."""
CLEAN = 6.0
CUTOFFS = (2.0, 3.0, 4.0, 6.0)
WALKS = ("asfamc/35/35_01.amc", "asfamc/02/02_01.amc", "asfamc/02/02_02.amc",
         *(f"bvh/007/007_{n:02d}.bvh" for n in range(1, 13)))  # fmt: skip
OTHERS = ("expmap/train/running/running_2.txt", "expmap/train/running/running_3.txt",
        "expmap/train/jumping/jumping_2.txt", "expmap/test/soccer/soccer_1.txt", "asfamc/49/49_18.amc")  # fmt: skip
NOISES = {"white": White(), "realistic": Realistic()}


def motions(data: Path, only: list[str]):
    """Clean poses by name."""
    yield "generated", smpl_walk()
    for walk in WALKS + OTHERS:
        path = data / "cmu" / walk
        if path.exists() and (not only or path.stem in only):
            try:
                yield path.stem, cleaned(load_poses(path, mass=75.0))
            except MotorqueError as error:
                print(f"left out: {error}")


def cleaned(poses):
    chart = PoseChart.of(poses.rotations, poses.rate)
    vectors = butterworth(chart.vectors(poses.rotations).reshape(len(poses.times), -1), poses.rate, CLEAN)
    place = butterworth(poses.translation, poses.rate, CLEAN)
    return dataclasses.replace(poses, rotations=chart.rotations(vectors.reshape(-1, 24, 3)), translation=place)


def low_passed(poses, cutoff):
    chart = PoseChart.of(poses.rotations, poses.rate)
    vectors = butterworth(chart.vectors(poses.rotations).reshape(len(poses.times), -1), poses.rate, cutoff)
    return dataclasses.replace(poses, rotations=chart.rotations(vectors.reshape(-1, 24, 3)))


def held_still(poses):
    """No method: what is gained by letting nobody move, which a good torque figure has to be compared with."""
    chart = PoseChart.of(poses.rotations, poses.rate)
    still = chart.rotations(np.zeros_like(chart.offset) + chart.offset)
    return dataclasses.replace(poses, rotations=still)


METHODS = {
    "noisy": lambda p: p,
    "held still": held_still,
    **{f"{c:g} Hz": (lambda p, c=c: low_passed(p, c)) for c in CUTOFFS},
    "smooth (automatic)": lambda p: smooth_poses(p).poses,
    "refine": lambda p: refine_poses(p).poses,
    "adam": refine_adam,
    "adam, twice": lambda p: refine_adam(p, twice=True),
}
FIELDS = ("central", "central without root", "twice", "twice without root", "pose", "seconds")


def one_motion(name, poses, options):
    """Rows of FIELDS by noise, method and seed."""
    found = defaultdict(list)
    case = subject(poses, name)
    clean = case.poses
    chains = {stencil: Chain(case, stencil) for stencil in ("central", "central-twice")}
    for label, model in NOISES.items():
        rotations, places = noisy_rotations(clean, model.draw(clean, options.seeds, seed=options.first_seed))
        for seed in range(options.seeds):
            noisy = dataclasses.replace(clean, rotations=rotations[seed], translation=places[seed])
            for method, run in METHODS.items():
                if "adam" in method and seed >= options.adam_seeds:
                    continue
                start = time.perf_counter()
                answer = run(noisy)
                seconds = time.perf_counter() - start
                errors = [
                    torque_errors(chain.torques(answer.rotations[None], answer.translation[None]) - chain.clean)
                    for chain in chains.values()
                ]
                angle = np.linalg.norm(vectors_of(answer.rotations @ clean.rotations.swapaxes(-1, -2)), axis=-1).mean()
                row = [float(x[0]) for e in errors for x in (e.joint, e.joint_rootless)]
                found[label, method].append([*row, float(angle), seconds])
    size = {s: float(np.linalg.norm(c.clean, axis=-1).mean()) for s, c in chains.items()}
    return found, {"frames": len(clean.times), "mean_clean_torque": size}


def interval(values):
    """Mean and half the width of its 95 % interval over seeds."""
    values = np.asarray(values)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def lower(rows, base, field):
    """By how much lower an error is than the noisy poses' [%], seed by seed."""
    count = len(rows)
    return [100 * (1 - rows[i][field] / base[i][field]) for i in range(count)]


def print_table(title, results):
    print(f"\n{title}")
    print(f"{'':28}{'torque, central':>22}{'torque, twice':>22}{'pose error':>20}{'time':>10}")
    for label in NOISES:
        for method in METHODS:
            rows = [r for found in results for r in found[label, method]]
            if not rows:
                continue
            base = [b for found in results for b in found[label, "noisy"][: len(found[label, method])]]
            cells = [f"{label:10} {method:18}"]
            for field, unit, digits in ((0, "N·m", 2), (2, "N·m", 2), (4, "rad", 4)):
                mean = np.mean([r[field] for r in rows])
                gain, half = interval(lower(rows, base, field))
                cells.append(f"{mean:8.{digits}f} {unit} {gain:6.1f} ±{half:.1f} %")
            cells.append(f"{1000 * np.median([r[5] for r in rows]):7.0f} ms")
            print(" ".join(cells))


def verdict(results):
    """The figures that are asked for."""

    def gain(label, method, field):
        rows = [r for found in results for r in found[label, method]]
        base = [b for found in results for b in found[label, "noisy"][: len(found[label, method])]]
        return float(np.mean(lower(rows, base, field)))

    figures = {}
    for name, field in (("central", 0), ("twice", 2)):
        fixed = {c: gain("realistic", f"{c:g} Hz", field) for c in CUTOFFS}
        best = max(fixed, key=lambda c: fixed[c])
        figures[name] = {
            "refined_white_torque_lower_percent": gain("white", "refine", field),
            "refined_white_pose_lower_percent": gain("white", "refine", 4),
            "automatic_white_torque_lower_percent": gain("white", "smooth (automatic)", field),
            "automatic_realistic_torque_lower_percent": gain("realistic", "smooth (automatic)", field),
            "fixed_6_hz_realistic_torque_lower_percent": fixed[6.0],
            "best_fixed_realistic_torque_lower_percent": fixed[best],
            "best_fixed_cutoff_hz": best,
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MOTORQUE_DATA", shared)))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--adam-seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--motions", nargs="*", default=[], help="names of CMU's walks; all by default")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warm = smpl_walk()
    for run in METHODS.values():  # kernels are compiled once per machine
        run(dataclasses.replace(warm, rotations=noisy_rotations(warm, White().draw(warm, 1))[0][0]))
    results, about = {}, {}
    for name, poses in motions(options.data, options.motions):
        results[name], about[name] = one_motion(name, poses, options)
        size = about[name]["mean_clean_torque"]["central"]
        noisy, refined = (np.mean([r[0] for r in results[name]["white", m]]) for m in ("noisy", "refine"))
        print(
            f"{name:12} {about[name]['frames']:4} frames, clean torques {size:5.1f} N·m; white noise: {noisy:6.1f}, "
            f"refined {refined:5.2f} N·m",
            flush=True,
        )
    names = [Path(path).stem for path in OTHERS]
    others = [found for name, found in results.items() if name in names]
    scored = [found for name, found in results.items() if name not in (*LOOKED_AT, *names)]
    seen = [found for name, found in results.items() if name in LOOKED_AT]
    if scored:
        print_table(f"Walks that no setting was chosen on, {options.seeds} seeds each (± 95 % of the mean)", scored)
    if others:
        print_table("Other movements that no setting was chosen on", others)
        print_table("Both: one cutoff for all motions", scored + others)
    print_table("Motions that were looked at while settings were chosen", seen)
    figures = {"walks": verdict(scored or seen), "all motions": verdict(scored + others or seen)}
    print(json.dumps(figures, indent=1))
    if options.json:
        rows = [
            {"motion": name, "noise": label, "method": method, "fields": FIELDS, "rows": found}
            for name, by in results.items()
            for (label, method), found in by.items()
        ]
        options.json.write_text(json.dumps({"figures": figures, "motions": about, "runs": rows}, indent=1))


if __name__ == "__main__":
    main()
