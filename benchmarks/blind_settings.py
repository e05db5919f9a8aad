"""The fit to one video with every setting chosen on rendered motions alone; only then are the two videos scored.

The settings that shape the fit are drawn at random, from a quarter to four times of round numbers that anybody might
write down first. Each draw is scored on motions of the validation split, rendered before random phones; around the best
it is drawn again more narrowly. With what wins there, and nothing else, both public videos are analysed once::

    python benchmarks/blind_settings.py --motions MOTIONS.npz [--draws 24] [--recordings 12] [--json FILE]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from rendered_motions import VIEWS, angles_of, by_fit, motions, rendered
from video_angles import DATA, compare, read_angles, read_bodies

from motorque.estimators.keypoint_prior.prior import LearnedPrior
from motorque.fitting import keypoint_problem, keypoint_setup, keypoint_views
from motorque.series import Keypoints
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.keypoint_sequences import RATE
from motorque.synthesis.world_landmarks import world_landmarks
from motorque.workflows.video import analyze_video

ROUND_NUMBERS = {
    (keypoint_setup, "KEYPOINT_STD"): 0.02,  # m
    (keypoint_views, "LOSS"): 3.0,  # standard deviations
    (keypoint_problem, "CORRELATED"): 0.1,  # s
    (keypoint_problem, "ACCELERATION"): 20.0,  # rad/s^2
    (keypoint_problem, "PELVIS_TURNS"): 20.0,  # rad/s^2
    (keypoint_problem, "PELVIS_SHIFTS"): 5.0,  # m/s^2
    (keypoint_problem, "CONTACT_SPEED"): 0.1,  # m/s
    (keypoint_problem, "CONTACT_HEIGHT"): 0.02,  # m
    (keypoint_problem, "GUESS_LOSS"): 3.0,  # standard deviations
    (keypoint_problem, "SHARED_OBSERVATIONS"): 1.0,
}
"""Where the search begins: module, setting, value."""
WIDE, NARROW = np.log(4.0), np.log(1.5)
"""How far from there draws lie, first and around the best."""

Settings = dict[str, float]


def use(settings: Mapping[str, float]) -> None:
    for module, name in ROUND_NUMBERS:
        setattr(module, name, settings[name])


def drawn(around: Settings, reach: float, generator: np.random.Generator) -> Settings:
    return {name: float(value * np.exp(generator.uniform(-reach, reach))) for name, value in around.items()}


class Rendered:
    """Recordings of people that the prior was not trained on, one view each, in turn."""

    def __init__(self, library: Path, recordings: int, seconds: float, seed: int) -> None:
        q, labels = motions(library, "validation", recordings, round(seconds * RATE), seed)
        names = fullbody().coordinate_names
        self.cases: list[tuple[Keypoints, float, np.ndarray]] = []
        for order, view in enumerate(VIEWS):
            made = rendered(q, view, 1.0, seed + 1 + order)
            world = world_landmarks(made, torch.Generator().manual_seed(seed + 11 + order))
            for index in range(order, len(labels), len(VIEWS)):
                truth = angles_of(names, made.q[index].double().numpy())
                self.cases.append((made.keypoints(index, world=world), float(made.people.height[index]), truth))

    def score(self, prior: LearnedPrior) -> float:
        """Mean absolute error [deg]; NaN where a fit fails."""
        errors = []
        for keypoints, height, truth in self.cases:
            off = by_fit(prior, keypoints, height).angles - truth
            errors.append(np.degrees(np.abs(np.remainder(off + np.pi, 2 * np.pi) - np.pi).mean()))
        return float(np.mean(errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument("--recordings", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shipped = {name: float(getattr(module, name)) for module, name in ROUND_NUMBERS}
    prior, generator = LearnedPrior.load(), np.random.default_rng(options.seed)
    recordings = Rendered(options.motions, options.recordings, options.seconds, options.seed)
    start = {name: value for (_, name), value in ROUND_NUMBERS.items()}
    tried: list[tuple[float, Settings]] = []
    for number in range(options.draws):
        first = number < options.draws // 2
        settings = start if number == 0 else drawn(start if first else min(tried, key=lambda t: t[0])[1],
                                                   WIDE if first else NARROW, generator)  # fmt: skip
        use(settings)
        score = recordings.score(prior)
        if np.isfinite(score):
            tried.append((score, settings))
        print(f"draw {number + 1:3d} of {options.draws}: {score:.2f} deg", flush=True)
    best, chosen = min(tried, key=lambda t: t[0])
    use(shipped)
    with_shipped = recordings.score(prior)
    scores = {}
    for label, settings in (("chosen blindly", chosen), ("shipped", shipped)):
        use(settings)
        for name in ("walk", "squat"):
            folder = DATA / "video" / f"opencap_{name}"
            with tempfile.TemporaryDirectory() as scratch:
                out = Path(scratch) / name
                analyze_video([folder / "video.mp4"], out)
                mean, *_ = compare(read_bodies(folder / "sample_mocap.json"), read_angles(out / "kinematics.mot"))
            scores[f"{name}, {label}"] = mean
    print(f"\n{'setting':22s}{'start':>10s}{'chosen':>10s}{'shipped':>10s}")
    for name, value in start.items():
        print(f"{name:22s}{value:10.3g}{chosen[name]:10.3g}{shipped[name]:10.3g}")
    all_draws = f"all draws {best:.2f} to {max(score for score, _ in tried):.2f}"
    print(f"rendered validation motions, {len(recordings.cases)} recordings: chosen {best:.2f} deg, shipped "
          f"{with_shipped:.2f}, {all_draws}")  # fmt: skip
    for name, mean in scores.items():
        print(f"{name}: {mean:.2f} deg")
    if options.json:
        options.json.write_text(json.dumps({"tried": tried, "chosen": chosen, "videos_deg": scores}, indent=1))


if __name__ == "__main__":
    main()
