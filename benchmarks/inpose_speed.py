"""How long networks of InPose's sizes take to sample a window: ``python benchmarks/inpose_speed.py [--size paper]``.

Weights are untrained, which cost the same. Head and wrists of one window of 41 frames are sampled as users get it, with
guidance, feet and closing, or as the paper does; of two windows that overlap by half, 20 frames are new.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import torch

from motorque.estimators.inpose.drawing import PAPER, USUAL, drawn_from
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.network import SIZES, PriorNetwork, count_weights
from motorque.estimators.inpose.tree import SLIDE, THREE, columns, global_rotations, places, resting
from motorque.synthesis.smpl_walk import smpl_walk


def window() -> Measured:
    """What sensors on head and wrists say of 41 frames of a walk."""
    poses = smpl_walk(rate=60, frames=41)
    turns, pelvis = global_rotations(poses)
    six, rest = torch.tensor(columns(turns)).float(), torch.tensor(resting(poses)).float()
    seen = torch.zeros(six.shape[:2], dtype=torch.bool)
    seen[:, list(THREE)] = True
    return Measured(six, seen, places(six, rest, torch.tensor(pelvis).float()), seen, rest, placed=True)


def main() -> None:
    """Print a row of JSON for each size."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", choices=SIZES, action="append", help="which; small and paper by default")
    parser.add_argument("--steps", type=int, help="4 as users get it, 50 with --paper")
    parser.add_argument("--paper", action="store_true", help="the paper's sampling and guidance")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 1")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = PAPER if options.paper else USUAL
    settings = replace(settings, steps=options.steps or settings.steps)
    measured = window()
    for name in options.size or ("small", "paper"):
        torch.manual_seed(0)
        network = PriorNetwork(SIZES[name], mean=measured.columns6.mean(dim=0)).eval().requires_grad_(False)
        drawn_from(network, measured, replace(settings, steps=1), seeds=[0])  # warm
        began, own = time.perf_counter(), time.process_time()
        drawn_from(network, measured, settings, seeds=[0])
        took, busy = time.perf_counter() - began, time.process_time() - own
        row = {
            "size": name,
            "weights": count_weights(network),
            "steps": settings.steps,
            "threads": options.threads,
            "seconds": round(took, 3),
            "processor_seconds": round(busy, 3),
            "new_frames_per_processor_second": round(SLIDE / busy, 2),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
