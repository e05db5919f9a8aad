"""Do gradients through files' worth of frames agree with central differences? Prints a table and writes JSON.

    python benchmarks/pose_gradients.py [--frames 10000] [--only METHOD ...] [--json FILE]

Float64. For each way to rates, and for the physics loss, the gradient of a weighted sum of torques (or of the loss) by
each input along a random direction, against (f(x + h d) - f(x - h d)) / 2 h: the relative difference. The wanted figure
is 1e-6. Splines and the Kalman smoother choose their strength from the data and take it as given in gradients, as their
documentation says; here it is given. Differences lose digits to rounding or to curvature: where the first h does not
agree to a hundredth of what is wanted, two others are tried, and the best counts. The file is written after every row.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from motorque.mechanics.physics_loss import PhysicsLoss
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.mechanics.smpl_inputs import smpl_rotations
from motorque.signals.pose_rates import METHODS, PoseRates, RateMethod, RauchTungStriebel, SmoothingSpline

FPS = 30.0
ENOUGH = 1e-8
"""Difference at which no other step is tried."""
NAMES = ("global_orient", "body_pose", "transl", "mass", "height", "force", "moment")


def method(name: str) -> str | RateMethod:
    """A way to rates whose strength does not depend on the data."""
    if name == "spline":
        return SmoothingSpline.at_cutoff(6.0)
    if name == "rts":
        return RauchTungStriebel(noise=0.02, jerk=100.0, place_noise=0.005, place_jerk=30.0)
    return name


def inputs(frames: int) -> list[Tensor]:
    """Swinging joints and a wandering root, mass, height and a load."""
    generator = torch.Generator().manual_seed(0)

    def waves(width: int, size: float) -> Tensor:
        times = torch.arange(frames, dtype=torch.float64)[:, None] / FPS
        rate, phase, amplitude = (torch.rand(width, generator=generator, dtype=torch.float64) for _ in range(3))
        return size * (0.3 + amplitude) * torch.sin(2 * math.pi * (0.3 + rate) * times + 2 * math.pi * phase)

    numbers = [torch.tensor(x, dtype=torch.float64) for x in (72.0, 1.75)]
    return [waves(3, 0.4), waves(69, 0.3), waves(3, 0.2), *numbers, 200 * waves(3, 1.0), 20 * waves(3, 1.0)]


class Torques:
    """Weighted torques by frame: their differences are summed, not their sums."""

    steps = (1e-5, 3e-5, 3e-6)

    def __init__(self, name: str, weights: Tensor) -> None:
        self.name, self.weights = name, weights
        self.kept: PoseRates | None = None

    def __call__(self, *x: Tensor) -> Tensor:
        layer = SMPLDynamics(fps=FPS, mass=x[3], height=x[4], rates=method(self.name))
        return self.weighted(layer, layer.rates(smpl_rotations(*x[:2]), x[2], FPS), x)

    def weighted(self, layer: SMPLDynamics, rates: PoseRates, x: Sequence[Tensor]) -> Tensor:
        return (layer.from_rates(rates, {"left_ankle": (x[5], x[6])}).torques * self.weights).sum(dim=(-1, -2))

    def both(self, values: Sequence[Tensor], k: int, change: Tensor) -> tuple[Tensor, Tensor]:
        """After and before a change of input k; rates of both at once, or once for all inputs that do not move them."""
        pairs = [torch.stack([x + change, x - change]) if i == k else x for i, x in enumerate(values)]
        layer = SMPLDynamics(fps=FPS, mass=values[3], height=values[4], rates=method(self.name))
        if k < 3:
            moving = [x if i == k else x.expand(2, *x.shape) for i, x in enumerate(pairs[:3])]
            rates = layer.rates(smpl_rotations(*moving[:2]), moving[2], FPS)
            loads = [x.expand(2, *x.shape) for x in values[5:]]
            after, before = self.weighted(layer, rates, [*values[:5], *loads])
            return after, before
        if self.kept is None:
            self.kept = layer.rates(smpl_rotations(*values[:2]), values[2], FPS)
        found = []
        for sign in (1, -1):
            x = [v + sign * change if i == k else v for i, v in enumerate(values)]
            person = SMPLDynamics(fps=FPS, mass=x[3], height=x[4], rates=method(self.name))
            found.append(self.weighted(person, self.kept, x))
        return found[0], found[1]


class Loss:
    """The physics loss of moved poses."""

    # It bends far more: it is of torques' second differences, and a limit's square begins with a bend of its own.
    steps = (1e-7, 3e-7, 1e-5)

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.given = tuple(given)

    def __call__(self, *x: Tensor) -> Tensor:
        layer = SMPLDynamics(fps=FPS, mass=x[3], height=x[4])
        load = {"left_ankle": (x[5], x[6])}
        return layer.physics_loss(x[0], x[1], x[2], given=self.given, loads=load, loss=PhysicsLoss())[None]

    def both(self, values: Sequence[Tensor], k: int, change: Tensor) -> tuple[Tensor, Tensor]:
        """After and before a change of input k."""
        found = [self(*(x + s * change if i == k else x for i, x in enumerate(values))) for s in (1, -1)]
        return found[0], found[1]


def differences(function: Torques | Loss, values: list[Tensor]) -> dict[str, float]:
    """Relative difference of gradient and central differences by each input."""
    leaves = [x.clone().requires_grad_() for x in values]
    gradients = torch.autograd.grad(function(*leaves).sum(), leaves)
    found = {}
    for k, (name, gradient) in enumerate(zip(NAMES, gradients, strict=True)):
        direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        wanted, best = float((gradient * direction).sum()), math.inf
        for step in function.steps:
            with torch.no_grad():
                after, before = function.both(values, k, step * direction)
            slope = float((after - before).sum()) / (2 * step)
            best = min(best, abs(slope - wanted) / max(abs(wanted), 1e-300))
            if best < ENOUGH:
                break
        found[name] = best
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", help="ways to rates, or physics_loss")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    values = inputs(options.frames)
    weights = torch.randn(options.frames, 24, 3, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    cases: dict[str, Torques | Loss] = {name: Torques(name, weights) for name in METHODS}
    moved = [x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(7)).double() for x in values[:3]]
    cases["physics_loss"] = Loss(moved)
    print(f"{options.frames} frames, relative difference" + "".join(f"{name:>15}" for name in NAMES) + f"{'s':>6}")
    rows = {}
    for name, function in cases.items():
        if options.only and name not in options.only:
            continue
        start = time.perf_counter()
        rows[name] = differences(function, values)
        cells = "".join(f"{rows[name][x]:15.1e}" for x in NAMES)
        print(f"{name:>{len(str(options.frames)) + 28}}{cells}{time.perf_counter() - start:6.0f}", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"frames": options.frames, "differences": rows}, indent=1))


if __name__ == "__main__":
    main()
