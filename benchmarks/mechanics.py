"""Mechanics: motorque against Pinocchio, MuJoCo, OpenSim and torch eager, on the same motions, in one run.

Checks first that all agree, then times them in turn, round after round, and prints frames per second (median, least,
most), ratios, and how near memory's speed comes; writes JSON::

    OMP_NUM_THREADS=2 python benchmarks/mechanics.py [--rounds 7] [--frames 100000] [--json FILE]

What is timed is what a user calls: public functions from Python, arrays in, arrays out.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import json
from pathlib import Path

import torch
from mechanics_peers import MuJoCo, OpenSim, Pinocchio, motion_of_ball_tree
from mechanics_report import Case, Row, agree, compile_times, copy_speed, extra_memory, print_rows, race

import motorque as mq
from motorque.mechanics.compiled import machine
from motorque.mechanics.derivatives import inverse_dynamics_derivatives
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics, mass_matrix

FLOAT32, FLOAT64 = torch.float32, torch.float64
THREADS = int(os.environ["OMP_NUM_THREADS"])


def gradient(skeleton, q, v, a, weights, backend):
    """Forces and one vector-Jacobian product."""
    arrays = [x.detach().requires_grad_() for x in (q, v, a)]
    tau = inverse_dynamics(skeleton, *arrays, backend=backend)
    return tau, torch.autograd.grad(tau, arrays, weights)


def in_parts(function, arrays, size=4096):
    """Eager torch is fastest on parts that stay in the cache."""
    for first in range(0, arrays[0].shape[0], size):
        function(*(x[first : first + size] for x in arrays))


def ball_tree(options) -> list[Row]:
    """24 bodies, a free root and 23 ball joints given as quaternions: SMPL's tree."""
    skeleton = mq.skeleton.smpl(rotations="quaternion")
    frames = options.frames
    q, v, a = motion_of_ball_tree(skeleton, frames)
    pinocchio, mujoco = Pinocchio(skeleton, q, v, a), MuJoCo(skeleton, q, v, a)
    few = slice(0, 200)
    truth = inverse_dynamics(skeleton, q[few], v[few], a[few], backend="torch")
    agree("pinocchio rnea", truth, pinocchio.forces(pinocchio.rnea(200)), 1e-9)
    agree("mujoco mj_inverse", truth, mujoco.forces(mujoco.inverse(200)), 1e-9)
    agree("pinocchio aba", pinocchio.given_accelerations[few], torch.as_tensor(pinocchio.aba(200)), 1e-8)
    here, data = {FLOAT64: skeleton, FLOAT32: skeleton.to(dtype=FLOAT32)}, {}
    for dtype in (FLOAT32, FLOAT64):
        data[dtype] = [x.to(dtype) for x in (q, v, a)]
        tolerance = 1e-5 if dtype == FLOAT32 else 1e-9
        arrays = [x[few] for x in data[dtype]]
        tau = inverse_dynamics(here[dtype], *arrays, backend="compiled")
        agree(f"compiled {dtype}", truth, tau, tolerance)
        agree(f"compiled mass matrix {dtype}", mass_matrix(skeleton, q[few], backend="torch").flatten(1),
              mass_matrix(here[dtype], arrays[0], backend="compiled").flatten(1), tolerance)  # fmt: skip
        if dtype == FLOAT64:
            agree("compiled aba", a[few], forward_dynamics(here[dtype], *arrays[:2], tau, backend="compiled"), 1e-8)
    tau = {d: inverse_dynamics(here[d], *data[d], backend="compiled") for d in here}
    weights = {d: torch.ones_like(tau[d]) for d in here}
    loop, eager = min(frames, 4000), min(frames, 16384)

    def forces(d, frames=frames):
        arrays = [x[:frames] for x in data[d]]
        return lambda: inverse_dynamics(here[d], *arrays, backend="compiled")

    def forces_and_gradient(d, frames=frames):
        arrays = [x[:frames] for x in (*data[d], weights[d])]
        return lambda: gradient(here[d], *arrays, "compiled")

    def accelerations(d, frames=frames):
        arrays = [x[:frames] for x in (*data[d][:2], tau[d])]
        return lambda: forward_dynamics(here[d], *arrays, backend="compiled")

    def masses(d, frames):
        return lambda: mass_matrix(here[d], data[d][0][:frames], backend="compiled")

    def jacobians(d, frames):
        arrays = [x[:frames] for x in data[d]]
        return lambda: inverse_dynamics_derivatives(here[d], *arrays, backend="compiled")

    def eager_forward():
        in_parts(lambda *x: inverse_dynamics(here[FLOAT32], *x, backend="torch"), [x[:eager] for x in data[FLOAT32]])

    def eager_gradient():
        arrays = [x[:eager] for x in (*data[FLOAT32], weights[FLOAT32])]
        in_parts(lambda *x: gradient(here[FLOAT32], *x, "torch"), arrays)

    def both(call, frames=frames):
        return [
            Case("motorque float32", frames, call(FLOAT32, frames)),
            Case("motorque float64", frames, call(FLOAT64, frames)),
        ]

    few_rounds, many_rounds, one_thread = options.rounds, 10 * options.rounds, ", 24 bodies, 120 frames, one thread"
    # A shared machine changes its mind within seconds: the main promise is raced for longer.
    rows = race("RNEA, 24 bodies", 5 * few_rounds, [
        *both(forces),
        Case("pinocchio rneaInParallel", frames, lambda: pinocchio.rnea_in_parallel(THREADS)),
        Case("pinocchio rnea, loop", loop, lambda: pinocchio.rnea(loop)),
        Case("mujoco mj_inverse, loop", loop, lambda: mujoco.inverse(loop)),
        Case("torch eager float32", eager, eager_forward),
    ])  # fmt: skip
    rows += race("RNEA and gradient (one product), 24 bodies", few_rounds, [
        *both(forces_and_gradient),
        Case("torch eager float32", eager, eager_gradient),
    ])  # fmt: skip
    rows += race("forward dynamics (ABA), 24 bodies", few_rounds, [
        *both(accelerations),
        Case("pinocchio abaInParallel", frames, lambda: pinocchio.aba_in_parallel(THREADS)),
        Case("pinocchio aba, loop", loop, lambda: pinocchio.aba(loop)),
        Case("mujoco mj_forward, loop", loop, lambda: mujoco.forward(loop)),
    ])  # fmt: skip
    rows += race("mass matrix (CRBA), 24 bodies", few_rounds, [
        *both(masses, 20_000),
        Case("pinocchio crba, loop", loop, lambda: pinocchio.crba(loop)),
    ])  # fmt: skip
    torch.set_num_threads(1)
    rows += race("RNEA" + one_thread, many_rounds, [
        *both(forces, 120),
        Case("pinocchio rnea, loop", 120, lambda: pinocchio.rnea(120)),
    ], pause=0.0)  # fmt: skip
    rows += race("RNEA and gradient (one product)" + one_thread, many_rounds, [
        *both(forces_and_gradient, 120),
        Case("pinocchio rnea, loop (no gradient)", 120, lambda: pinocchio.rnea(120)),
    ], pause=0.0)  # fmt: skip
    rows += race("forward dynamics (ABA)" + one_thread, many_rounds, [
        *both(accelerations, 120),
        Case("pinocchio aba, loop", 120, lambda: pinocchio.aba(120)),
    ], pause=0.0)  # fmt: skip
    for count in (120, 1000):
        rows += race(f"full Jacobians of RNEA (75 products), 24 bodies, {count} frames, one thread", few_rounds, [
            *both(jacobians, count),
            Case("pinocchio rnea derivatives, loop", count, lambda count=count: pinocchio.derivatives(count)),
        ], pause=0.0)  # fmt: skip
    torch.set_num_threads(THREADS)
    return rows


def real_model(options) -> list[Row]:
    """A model with 37 coordinates, couplers and splines, against OpenSim's own solver."""
    peer = OpenSim(options.data / "models/LaiUhlrich2022.osim")
    q, v, a = peer.motion(options.frames)
    few, loop = 100, min(options.frames, 500)
    agree("opensim solver", peer.solve(few), inverse_dynamics(
        peer.skeleton, q[:few], v[:few], a[:few], backend="compiled", as_simbody=True), 1e-9)  # fmt: skip
    here = {FLOAT64: peer.skeleton, FLOAT32: peer.skeleton.to(dtype=FLOAT32)}
    data = {d: [x.to(d) for x in (q, v, a)] for d in here}

    def ours(d):
        return lambda: inverse_dynamics(here[d], *data[d], backend="compiled", as_simbody=True)

    title = f"inverse dynamics, {peer.skeleton.name}, {peer.skeleton.nv} coordinates"
    return race(title, options.rounds, [
        Case("motorque float32", options.frames, ours(FLOAT32)),
        Case("motorque float64", options.frames, ours(FLOAT64)),
        Case("opensim InverseDynamicsSolver, loop", loop, lambda: peer.solve(loop)),
    ])  # fmt: skip


FLOORS = [
    ("RNEA, 24 bodies", "motorque float32", "pinocchio rneaInParallel", 12),
    ("RNEA, 24 bodies", "motorque float64", "pinocchio rneaInParallel", 7),
    ("RNEA and gradient (one product), 24 bodies", "motorque float32", "torch eager float32", 20),
    ("RNEA, 24 bodies, 120 frames, one thread", "motorque float32", "pinocchio rnea, loop", 2),
    ("RNEA, 24 bodies, 120 frames, one thread", "motorque float64", "pinocchio rnea, loop", 2),
    ("forward dynamics (ABA), 24 bodies", "motorque float32", "pinocchio aba, loop", 8),
    (
        "inverse dynamics, LaiUhlrich2022, 35 coordinates",
        "motorque float32",
        "opensim InverseDynamicsSolver, loop",
        500,
    ),
]
"""What is promised where there is AVX-512; half of it on AVX2."""


def floors(rows: list[Row], instructions: str) -> list[dict[str, object]]:
    """Each promise with what was measured."""
    speeds = {(row.race, row.name): row.median for row in rows}
    share = 1.0 if instructions == "AVX-512" else 0.5
    found = []
    print(f"\npromised on {instructions}")
    for race_name, ours, peer, factor in FLOORS:
        ratio = speeds[race_name, ours] / speeds[race_name, peer]
        kept = "kept" if ratio >= share * factor else "MISSED"
        print(f"  {race_name}: {ours} at least {share * factor:g} × {peer}: {ratio:.1f}, {kept}")
        found.append({"race": race_name, "case": ours, "peer": peer, "floor": share * factor, "ratio": ratio})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MOTORQUE_DATA", shared)))
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:THREADS]))
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    here = machine.processor()
    print(f"{here.name}, {here.instructions}, {THREADS} threads, {options.frames} frames, {options.rounds} rounds")
    rows = ball_tree(options)
    rows += real_model(options)
    print_rows(rows)
    promised = floors(rows, here.instructions)
    compiling, memory, speed = compile_times(), extra_memory(options.frames), copy_speed(THREADS)
    print(f"\ncompiling RNEA and its gradient, 24 bodies: {compiling['first']:.2f} s, then {compiling['cached']:.3f} s")
    print(f"extra memory, inverse dynamics and gradient, float32: {memory:.2f} times the inputs")
    skeleton = mq.skeleton.smpl(rotations="quaternion")
    speeds = {row.race: row.median for row in rows if row.name == "motorque float32"}
    bounds = {}
    for title, columns in (
        ("RNEA, 24 bodies", skeleton.nq + 3 * skeleton.nv),
        ("RNEA and gradient (one product), 24 bodies", 2 * (skeleton.nq + 3 * skeleton.nv) + skeleton.nq + skeleton.nv),
    ):
        bound = speed / (4 * columns)
        bounds[title] = bound
        print(
            f"memory's bound for {title}, float32: {bound / 1e6:.1f} million frames/s at {speed / 1e9:.1f} GB/s; "
            f"reached {100 * speeds[title] / bound:.0f} %"
        )
    if options.json:
        report = {
            "processor": here.name, "instructions": here.instructions, "threads": THREADS, "frames": options.frames,
            "rows": [vars(row) for row in rows], "floors": promised, "compiling_s": compiling, "extra_memory": memory,
            "memory_bytes_per_s": speed, "memory_bound_frames_per_s": bounds,
        }  # fmt: skip
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
