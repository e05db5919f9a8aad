"""Timing in turn, agreement, compile times and memory for `mechanics.py`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass
class Case:
    """Something to be timed: a name, how many frames one call does, and the call."""

    name: str
    frames: int
    call: Callable[[], object]


@dataclass
class Row:
    """Frames per second of one case, and how often the first case of its race is as fast."""

    race: str
    name: str
    median: float
    least: float
    most: float
    ratio: float
    first: str


def agree(what: str, truth: Tensor, found: Tensor, tolerance: float) -> None:
    """Stop unless two results agree, each sample relative to its largest component."""
    error = ((found.double() - truth.double()).abs().amax(-1) / truth.double().abs().amax(-1)).max()
    print(f"  {what}: agrees to {float(error):.1e}")
    if not error <= tolerance:
        raise SystemExit(f"{what} differs by {float(error):.1e}, more than {tolerance:.0e}: nothing is timed")


PAUSE = 0.02
"""Between two cases that use several threads [s]."""


def race(title: str, rounds: int, cases: list[Case], pause: float = PAUSE) -> list[Row]:
    """Time cases in turn: every round times each once, after one that counts for nothing.

    Between them is a pause [s]: threads of the case before, torch's and Pinocchio's, spin while they wait for work.
    On one thread there are none, and small calls are made one after another.
    """
    speeds: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases:
            time.sleep(pause)
            began = time.perf_counter()
            case.call()
            if number:
                speeds[case.name].append(case.frames / (time.perf_counter() - began))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    first = cases[0].name
    return [
        Row(title, name, medians[name], min(values), max(values), medians[first] / medians[name], first)
        for name, values in speeds.items()
    ]


def print_rows(rows: list[Row]) -> None:
    """A table for each race."""
    title = ""
    for row in rows:
        if row.race != title:
            title = row.race
            print(f"\n{title}\n  {'':38} {'kframes/s':>10} {'least':>9} {'most':>9}   {row.first} is faster by")
        speeds = " ".join(f"{x / 1e3:{w}.1f}" for x, w in ((row.median, 10), (row.least, 9), (row.most, 9)))
        print(f"  {row.name:38} {speeds}   {row.ratio:.1f}")


_COMPILE = """
import time, torch
import motorque as mq
from motorque.mechanics.dynamics import inverse_dynamics
import motorque.mechanics.compiled.backend
body = mq.skeleton.smpl(rotations="quaternion").to(dtype=torch.float32)
q = torch.zeros(16, body.nq)
q[:, [c[3] for c in body.position_columns[1]]] = 1.0
q.requires_grad_()
v = torch.ones(16, body.nv)
torch.autograd.grad(inverse_dynamics(body, q, v, v, backend="torch").sum(), q)  # torch itself warms up
began = time.perf_counter()
torch.autograd.grad(inverse_dynamics(body, q, v, v, backend="compiled").sum(), q)
print(time.perf_counter() - began)
"""

_MEMORY = """
import re, sys, torch
import motorque as mq
from motorque.mechanics.dynamics import inverse_dynamics
frames = int(sys.argv[1])
body = mq.skeleton.smpl(rotations="quaternion").to(dtype=torch.float32)
def status(name):  # KiB
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
def run(frames):
    q = torch.zeros(frames, body.nq)
    q[:, [c[3] for c in body.position_columns[1]]] = 1.0
    arrays = [q, *(torch.ones(frames, body.nv) for _ in range(2))]
    inputs = sum(x.nbytes for x in arrays)
    for x in arrays:
        x.requires_grad_()
    weights = torch.ones(frames, body.nv)
    open("/proc/self/clear_refs", "w").write("5")  # the largest size starts anew from the present one
    before = status("VmRSS")
    tau = inverse_dynamics(body, *arrays, backend="compiled")
    found = torch.autograd.grad(tau, arrays, weights)
    return 1024 * (status("VmHWM") - before) / inputs
run(64)
print(run(frames))
"""


def _fresh(code: str, folder: str, *arguments: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**os.environ, "MOTORQUE_CACHE": folder},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def compile_times() -> dict[str, float]:
    """Seconds for the first inverse dynamics and gradient in a new process, with an empty cache and with a full one."""
    first, cached = [], []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            first.append(_fresh(_COMPILE, folder))
            cached.append(_fresh(_COMPILE, folder))
    return {"first": statistics.median(first), "cached": statistics.median(cached)}


def extra_memory(frames: int) -> float:
    """Largest extra memory of a process during inverse dynamics and its gradient, in multiples of the inputs.

    Linux only: elsewhere nan.
    """
    if not Path("/proc/self/clear_refs").exists():
        return float("nan")
    with tempfile.TemporaryDirectory() as folder:
        return statistics.median(_fresh(_MEMORY, folder, str(frames)) for _ in range(3))


def copy_speed(threads: int) -> float:
    """Bytes a second that this machine's memory moves when a large array is copied to another, both counted."""
    torch.set_num_threads(threads)
    one, two = torch.ones(64 << 20), torch.zeros(64 << 20)
    speeds = []
    for _ in range(7):
        began = time.perf_counter()
        two.copy_(one)
        speeds.append(2 * one.nbytes / (time.perf_counter() - began))
    return statistics.median(speeds)
