"""Training that is killed goes on as if it had not been: to the last bit the same network."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from motorque.errors import DataError, FileFormatError, OutputError
from motorque.training.checkpoint import load_checkpoint, save_checkpoint
from motorque.training.loop import Task, TrainingSettings, schedule, step_generator, train

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = TrainingSettings(40, warm_up=5, workers=0, save_every=0.0)


def batch(generator: torch.Generator, step: int) -> Tensor:
    return torch.randn(16, 4, generator=generator)


def loss(network: nn.Module, x: Tensor) -> Tensor:
    # The dropout inside draws from torch's own generator.
    return (network(x)[:, 0] - x.sum(-1).sin()).square().mean()


def task(**settings: Any) -> Task:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 1))
    return Task(network, batch, loss, {"what": "sine", **settings})


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    return weights(train(task(), SETTINGS, tmp_path_factory.mktemp("whole") / "state"))


@pytest.mark.parametrize("stops", [(1,), (13, 14), (39,), (40,)])
def test_a_stopped_training_ends_where_a_whole_one_does(stops: tuple[int, ...], uninterrupted: Tensor, tmp_path: Path):
    for stop in stops:
        train(task(), SETTINGS, tmp_path / "state", until=lambda done, stop=stop: done == stop)
    assert torch.equal(weights(train(task(), SETTINGS, tmp_path / "state")), uninterrupted)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_made_by_other_processes_are_the_same(workers: int, uninterrupted: Tensor, tmp_path: Path) -> None:
    found = weights(train(task(), replace(SETTINGS, workers=workers), tmp_path / "state"))
    assert torch.equal(found, uninterrupted)


def test_a_killed_training_ends_where_a_whole_one_does(uninterrupted: Tensor, tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "import test_training as t\n"
        "t.train(t.task(), t.SETTINGS, Path(sys.argv[1]), report=None, until=lambda n: time.sleep(0.05))\n"
    )
    state = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-c", code, str(state), str(Path(__file__).parent)])
    try:
        deadline = time.monotonic() + 120
        while not state.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.4)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    reached = load_checkpoint(state)
    assert reached is not None and 1 <= reached["step"] < SETTINGS.steps
    assert torch.equal(weights(train(task(), SETTINGS, state)), uninterrupted)


def test_it_learns_and_the_seed_matters(uninterrupted: Tensor, tmp_path: Path) -> None:
    means: list[float] = []
    settings = TrainingSettings(600, warm_up=20, workers=0, half=False, rate=1e-2)
    train(task(), settings, tmp_path / "a", report=lambda step, mean: means.append(mean))
    assert len(means) == 6 and means[-1] < 0.8 * means[0]
    other = weights(train(task(), replace(SETTINGS, seed=1), tmp_path / "b"))
    assert not torch.equal(other, uninterrupted)
    assert not torch.equal(batch(step_generator(0, 1), 1), batch(step_generator(0, 2), 2))


def test_the_rate_rises_and_falls() -> None:
    rates = [schedule(step, SETTINGS) for step in range(SETTINGS.steps + 1)]
    assert rates[4] == 1.0 and max(rates) == 1.0 and abs(rates[-1] - 0.01) < 1e-12
    assert all(a >= b for a, b in zip(rates[5:], rates[6:], strict=False))


def test_another_trainings_checkpoint_is_refused(tmp_path: Path) -> None:
    train(task(), SETTINGS, tmp_path / "state", until=lambda done: done == 2)
    with pytest.raises(DataError, match=r"another what \(sine, now sum\)"):
        train(replace(task(), settings={"what": "sum"}), SETTINGS, tmp_path / "state")
    with pytest.raises(DataError, match=r"another training\.steps"):
        train(task(), replace(SETTINGS, steps=50), tmp_path / "state")


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    bad = replace(task(), loss=lambda network, x: loss(network, x) * float("nan"))
    with pytest.raises(DataError, match="the loss of step 0 is no number"):
        train(bad, SETTINGS, tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x04."])
def test_what_is_no_checkpoint_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_checkpoint_executes_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"step": 1, "evil": Evil()}, tmp_path / "state")
    with pytest.raises(FileFormatError):
        load_checkpoint(tmp_path / "state")
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_that_cant_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="can't write the checkpoint"):
        save_checkpoint(tmp_path / "file" / "state", {"step": 1})
    assert load_checkpoint(tmp_path / "nothing") is None


def test_mean_losses_that_are_told_are_the_same_after_a_kill(tmp_path: Path) -> None:
    """Of the hundred steps before, those before the kill included."""
    settings = replace(SETTINGS, steps=200)
    whole: list[tuple[int, float]] = []
    train(task(), settings, tmp_path / "whole", report=lambda step, mean: whole.append((step, mean)))
    parts: list[tuple[int, float]] = []
    for stop in (30, 150, 200):
        train(
            task(),
            settings,
            tmp_path / "state",
            until=lambda done, stop=stop: done == stop,
            report=lambda step, mean: parts.append((step, mean)),
        )
    assert parts == whole and [step for step, _ in whole] == [100, 200]
    assert torch.load(tmp_path / "state", weights_only=True)["losses"] == (0.0, 0, whole[-1][1])


def test_who_watches_is_told_a_loss_before_the_first_hundred_steps(tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []

    def go(steps: int, until: int, name: str) -> list[tuple[int, float]]:
        told.clear()
        train(
            task(),
            replace(SETTINGS, steps=steps),
            tmp_path / name,
            report=lambda step, mean: told.append((step, mean)),
            watch=lambda step, network: None,
            watch_every=4,
            until=lambda done: done == until,
        )
        return list(told)

    whole = go(10, 10, "whole")
    assert [step for step, _ in whole] == [4, 8, 10] and all(math.isfinite(mean) for _, mean in whole)
    assert go(10, 5, "stopped") + go(10, 10, "stopped") == whole
    assert [step for step, _ in go(105, 105, "long")] == [*range(4, 100, 4), 100]
