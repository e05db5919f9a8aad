"""The compiled back end as it is used: its answers, gradients, threads, forks, cache and what it refuses."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compiled_motions import motion, relative, with_gradients
from dynamics_cases import case
from motorque.errors import DataError, ModelError
from motorque.mechanics import backends
from motorque.mechanics.compiled import kernel, machine
from motorque.mechanics.dynamics import bias_forces, forward_dynamics, inverse_dynamics, mass_matrix
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton

pytestmark = pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "never")


@pytest.fixture(scope="module")
def body() -> Skeleton:
    return fullbody()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("frames", [0, 1, 7, 16, 33, 130])
def test_answers_as_torch_whatever_the_number_of_frames(
    body: Skeleton, frames: int, dtype: torch.dtype, tolerance: float
) -> None:
    exact = motion(body, frames)
    here = body.to(dtype=dtype)
    tau = inverse_dynamics(here, *(x.to(dtype) for x in exact), backend="compiled")
    assert tau.shape == (frames, body.nv) and tau.dtype == dtype
    if frames:
        # The torch back end in double precision on the rounded input is the truth for both.
        truth = inverse_dynamics(body, *(x.to(dtype).double() for x in exact), backend="torch")
        assert relative(tau, truth) < tolerance


def test_batch_dimensions_are_broadcast(body: Skeleton) -> None:
    q, v, a = motion(body, 6)
    wide = inverse_dynamics(body, q.reshape(2, 3, -1), v[0], a.reshape(2, 3, -1), backend="compiled")
    flat = inverse_dynamics(body, q, v[:1].expand(6, -1), a, backend="torch")
    assert wide.shape == (2, 3, body.nv)
    assert relative(wide.reshape(6, -1), flat) < 1e-12
    assert inverse_dynamics(body, q[0], v[0], a[0], backend="compiled").shape == (body.nv,)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e38])
def test_a_frame_that_is_no_number_spoils_no_other(body: Skeleton, bad: float, dtype: torch.dtype) -> None:
    here = body.to(dtype=dtype)
    arrays = motion(body, 50, dtype=dtype)
    clean = [x.clone().requires_grad_() for x in arrays]
    good = inverse_dynamics(here, *clean, backend="compiled")
    good.sum().backward()
    for place in (0, 17, 49):
        for which in range(3):
            spoilt = [x.clone() for x in arrays]
            spoilt[which][place] = bad
            spoilt = [x.requires_grad_() for x in spoilt]
            tau = inverse_dynamics(here, *spoilt, backend="compiled")
            tau.sum().backward()
            others = torch.arange(50) != place
            assert torch.equal(tau[others], good[others])
            # In double precision 1e38 overflows nowhere, not even squared.
            assert not torch.isfinite(tau[place]).all() or (bad == 1e38 and (dtype == torch.float64 or which != 1))
            for x, y in zip(spoilt, clean, strict=True):
                assert torch.equal(x.grad[others], y.grad[others])


@pytest.mark.parametrize("tree", ["smpl", "fullbody", "custom", "coupled"])
def test_a_frame_somewhere_that_is_none_has_no_forces(tree: str) -> None:
    """Where a body is, and how fast all of it moves, cancels as the code is written."""
    skeleton, q, v, a = case(tree, "angles", frames=6)
    place = torch.arange(6) == 2
    columns = [c for c, name in enumerate(skeleton.coordinate_names) if name.endswith(("tx", "ty", "tz"))]
    assert len(columns) == 3
    for column in columns:
        for which in range(2):
            arrays = [q.clone(), v.clone(), a.clone()]
            arrays[which][2, column] = float("nan")
            arrays[0].requires_grad_()
            for function in (inverse_dynamics, forward_dynamics):
                found = [function(skeleton, *arrays, backend=b) for b in ("compiled", "torch")]
                assert torch.equal(torch.isnan(found[0]).all(-1), place)
                assert torch.equal(torch.isnan(found[0]), torch.isnan(found[1]))
                (slope,) = torch.autograd.grad(found[0].sum(), arrays[0])
                assert torch.equal(torch.isnan(slope).any(-1), place)
            spoilt = [torch.isnan(mass_matrix(skeleton, arrays[0].detach(), backend=b)) for b in ("compiled", "torch")]
            assert torch.equal(*(x.any(-1).any(-1) for x in spoilt))


def test_threads_share_kernels(body: Skeleton) -> None:
    jobs = [motion(body, 300, seed=seed) for seed in range(8)]
    wanted = [inverse_dynamics(body, *job, backend="compiled") for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: inverse_dynamics(body, *job, backend="compiled"), jobs * 4))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted * 4, strict=True))


def test_many_frames_are_shared_among_threads(body: Skeleton) -> None:
    threads = torch.get_num_threads()
    arrays = motion(body, 3 * kernel.FRAMES_PER_THREAD + 5)
    skeleton, (mass,) = with_gradients(body, ("mass",))
    answers = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            tau = inverse_dynamics(skeleton, *arrays, backend="compiled")
            answers.append((tau, *torch.autograd.grad(tau.square().sum(), mass)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(answers[0][0], answers[1][0])
    assert torch.allclose(answers[0][1], answers[1][1], rtol=1e-12)


def _in_child(send: object, skeleton: Skeleton, arrays: list[Tensor]) -> None:
    send.send(inverse_dynamics(skeleton, *arrays, backend="compiled").numpy())  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_goes_on(body: Skeleton) -> None:
    arrays = motion(body, 5000)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        wanted = inverse_dynamics(body, *arrays, backend="compiled").numpy()
        context = multiprocessing.get_context("fork")
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=_in_child, args=(send, body, arrays))
        child.start()
        assert receive.poll(30), "the forked process hangs"
        assert np.array_equal(receive.recv(), wanted)
        child.join(10)
        assert child.exitcode == 0
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_process_forked_while_another_thread_compiles_can_compile(body: Skeleton) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def compile_slowly() -> None:
        with kernel._KERNELS_LOCK, machine.LOCK:
            inside.set()
            go_on.wait(10)

    compiling = threading.Thread(target=compile_slowly)
    compiling.start()
    assert inside.wait(10)
    threading.Timer(0.3, go_on.set).start()
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_compiles_in_child, args=(send,))
    child.start()  # waits for the other thread
    compiling.join(10)
    try:
        assert receive.poll(30), "the forked process hangs"
        assert receive.recv() > 0
    finally:
        child.kill()
        child.join(10)


def _compiles_in_child(pipe: Connection) -> None:
    with kernel._KERNELS_LOCK:
        pipe.send(len(machine.compile_assembly("define void @kernel() {\n ret void\n}")))


def fresh_process(code: str, folder: Path, **environment: str) -> str:
    variables = {**os.environ, "MOTORQUE_CACHE": str(folder), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


RUN = """
import torch
from motorque.mechanics.compiled import machine
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics
from motorque.skeleton.fullbody import fullbody
compiled = []
original = machine.compile_assembly
machine.compile_assembly = lambda *a, **k: compiled.append(1) or original(*a, **k)
body = fullbody()
x = torch.full((3, body.nv), 0.1, dtype=torch.float64)
tau = inverse_dynamics(body, x, x, x, backend="compiled")
print(len(compiled), repr(tau.sum().item()))
"""


def test_kernels_are_kept_on_disk_and_checked_when_read(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    first = fresh_process(RUN, folder).split()
    assert first[0] == "1"
    (kept,) = folder.glob("*.kernel")
    assert fresh_process(RUN, folder).split() == ["0", first[1]]
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    assert fresh_process(RUN, folder).split() == first
    folder.chmod(0o777)  # anybody could put code there
    assert fresh_process(RUN, folder).split() == first


def test_old_kernels_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORQUE_CACHE", str(tmp_path))
    monkeypatch.setattr(machine, "MOST_KERNELS", 3)
    tmp_path.chmod(0o700)
    for number in range(5):
        machine.keep(f"kernel{number}", b"code")
        os.utime(tmp_path / f"kernel{number}.kernel", (number, number))
    assert [machine.load(f"kernel{number}") for number in range(5)] == [None, None, *[b"code"] * 3]


def test_without_llvmlite_torch_answers_after_one_notice(tmp_path: Path) -> None:
    code = """
import sys, warnings
sys.modules["llvmlite"] = None
import torch
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics
from motorque.skeleton.fullbody import fullbody
body = fullbody()
x = torch.full((2, body.nv), 0.1, dtype=torch.float64)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    tau = [inverse_dynamics(body, x, x, x, backend=b) for b in ("auto", "compiled", "torch")]
print(len(told), "llvmlite" in str(told[0].message), torch.equal(tau[0], tau[2]), torch.equal(tau[1], tau[2]))
"""
    assert fresh_process(code, tmp_path).split() == ["1", "True", "True", "True"]


def test_auto_compiles_where_there_is_enough_work(body: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_WORK", {})
    monkeypatch.setattr(backends, "COMPILE_AFTER", 50)
    monkeypatch.setattr("motorque.mechanics.compiled.plan.is_ready", lambda key: False)
    used = []
    from motorque.mechanics.compiled.backend import InverseDynamics

    original = InverseDynamics.forces
    monkeypatch.setattr(InverseDynamics, "forces", lambda self, x: used.append(1) or original(self, x))
    for expected in (0, 0, 1, 2):
        inverse_dynamics(body, *motion(body, 20))
        assert len(used) == expected


def test_transforms_get_torch(body: Skeleton) -> None:
    q, v, a = motion(body, 3)
    by_vmap = torch.func.vmap(lambda *x: inverse_dynamics(body, *x))(q, v, a)
    assert relative(by_vmap, inverse_dynamics(body, q, v, a, backend="torch")) < 1e-12
    masses = torch.stack([body.mass, 2 * body.mass])
    by_masses = torch.func.vmap(lambda m: inverse_dynamics(dataclasses.replace(body, mass=m), q, v, a))(masses)
    assert relative(by_masses[0], by_vmap) < 1e-12
    with pytest.raises(DataError, match="no forward derivatives and no vmap; use backend='torch'"):
        torch.func.vmap(lambda *x: inverse_dynamics(body, *x, backend="compiled"))(q, v, a)


@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_wrong_input_is_named(body: Skeleton, backend: str) -> None:
    q, v, a = motion(body, 4)
    force = torch.zeros(4, 3, dtype=torch.float64)
    wrong = [
        ((q[:, :3], v, a), {}, DataError, r"q needs 35 columns, got shape \[4, 3\]"),
        ((q, v, a[:, :3]), {}, DataError, r"a needs 35 columns, got shape \[4, 3\]"),
        ((q, v[:3], a), {}, DataError, r"the shapes do not fit each other: q \[4, 35\], v \[3, 35\]"),
        ((q.float(), v, a), {}, DataError, "q is float32 but the skeleton is float64"),
        ((q, v.numpy(), a), {}, DataError, "v must be a torch tensor, got ndarray"),
        ((q, v.to("meta"), a), {}, DataError, "v is on meta but the skeleton on cpu"),
        ((q, v, a), {"loads": {"tail": (force, force)}}, ModelError, "no body named 'tail'"),
        ((q, v, a), {"loads": [("calcn_r", force, force)]}, DataError, "loads must be forces and moments by body name"),
        ((q, v, a), {"loads": {"calcn_r": force}}, DataError, "the load on calcn_r must be a force and a moment"),
        ((q, v, a), {"loads": {"calcn_r": (force[:, :2], force)}}, DataError, "force on calcn_r needs 3 columns"),
    ]
    for arrays, options, kind, message in wrong:
        with pytest.raises(kind, match=message) as caught:
            inverse_dynamics(body, *arrays, backend=backend, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no back end 'fortran'; there are auto, torch, compiled"):
        inverse_dynamics(body, q, v, a, backend="fortran")  # type: ignore[arg-type]


def test_bias_forces_use_the_back_end_that_is_asked_for(body: Skeleton) -> None:
    """Also where columns of coupled coordinates are there but not read."""
    q, v, _ = motion(body, 4)
    q[:, body.couplers[0].dependent] = float("nan")
    wanted = bias_forces(body, q, v, backend="torch")
    free = list(body.free_coordinates)
    assert torch.equal(bias_forces(body, q[:, free], v[:, free], backend="torch"), wanted)
    assert torch.isfinite(wanted).all()
    assert relative(bias_forces(body, q, v, backend="compiled"), wanted) < 1e-12
    assert not torch.equal(bias_forces(body, q, v, backend="compiled"), wanted)  # it is another implementation
    with pytest.raises(DataError, match="there is no back end 'numba'"):
        bias_forces(body, q, v, backend="numba")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="v needs 35 columns"):
        bias_forces(body, q, v[:, free])


def test_half_precision_gets_torch(body: Skeleton) -> None:
    half = body.to(dtype=torch.float16)
    arrays = motion(body, 2, dtype=torch.float16)
    assert inverse_dynamics(half, *arrays).dtype == torch.float16
    with pytest.raises(DataError, match="computes in float32 and float64, not in float16"):
        inverse_dynamics(half, *arrays, backend="compiled")


def test_no_warnings(body: Skeleton) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inverse_dynamics(body, *motion(body, 40), backend="compiled")
