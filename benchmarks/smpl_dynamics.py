"""What SMPL torques cost, forward and with gradients, by way to rates and by length: prints a table and writes JSON.

    python benchmarks/smpl_dynamics.py [--json FILE] [--threads N] [--rounds N]

Poses swing every joint; the first call of each kind, which may compile, is not counted. The best and the median of the
rounds are given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.signals.pose_rates import METHODS

FPS = 30.0
CASES = [
    ("central", None, 120),
    ("central", None, 10_000),
    ("central", "shared", 120),
    ("central", "hunt-crossley", 120),
]


def poses(frames: int) -> list[Tensor]:
    """Rotation vectors and translation of somebody who swings every joint; [T, 3], [T, 69], [T, 3]."""
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(frames, dtype=torch.float64)[:, None] / FPS
    pace, phase = 6 * torch.rand(2, 75, generator=generator, dtype=torch.float64)
    swing = 0.5 * torch.sin(pace * t + phase)
    return [x.contiguous().requires_grad_() for x in swing.split([3, 69, 3], dim=-1)]


def timed(call: Callable[[], object], rounds: int) -> dict[str, float]:
    """Best and median time of a call [ms]."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return {"best_ms": min(times), "median_ms": statistics.median(times)}


def measure(rates: str, contact: str | None, frames: int, rounds: int) -> dict[str, object]:
    """One case: torques alone, and with the gradient of a loss by all poses."""
    layer = SMPLDynamics(fps=FPS, mass=75.0, height=1.7, rates=rates, contact=contact, backend="auto")  # type: ignore
    inputs = poses(frames)

    def forward() -> None:
        with torch.no_grad():
            _ = layer(*inputs).torques

    def backward() -> None:
        torch.autograd.grad(layer.physics_loss(*inputs, given=tuple(x.detach() for x in inputs[:2])), inputs)

    return {
        "rates": rates,
        "contact": contact or "none",
        "frames": frames,
        "torques": timed(forward, rounds),
        "loss_and_gradient": timed(backward, rounds),
    }


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    others = [(name, None, 120) for name in METHODS if name != "central"]
    rows = []
    print(f"{'rates':16} {'contact':14} {'frames':>6} {'torques [ms]':>14} {'loss and gradient [ms]':>24}")
    for rates, contact, frames in CASES + others:
        row = measure(rates, contact, frames, given.rounds if frames < 1000 else min(3, given.rounds))
        rows.append(row)
        one, two = row["torques"], row["loss_and_gradient"]
        print(
            f"{rates:16} {row['contact']:14} {frames:6} {one['median_ms']:14.1f} {two['median_ms']:24.1f}", flush=True
        )
    if given.json:
        given.json.write_text(json.dumps({"threads": given.threads, "cases": rows}, indent=1))


if __name__ == "__main__":
    main()
