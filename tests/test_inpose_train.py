"""Training the prior: the command, what it writes, and that a kill loses nothing."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from inpose_people import people_folder, people_library
from motorque.cli import main
from motorque.errors import DataError, FileFormatError, OutputError
from motorque.estimators.inpose.diffusion import Diffusion
from motorque.estimators.inpose.library import FILES, Library
from motorque.estimators.inpose.loss import errors_by_level, prior_loss
from motorque.estimators.inpose.metrics import Metrics
from motorque.estimators.inpose.network import TINY, PriorNetwork
from motorque.estimators.inpose.train import PriorTraining, train_prior
from motorque.estimators.inpose.weights import load_weights
from motorque.estimators.inpose.windows import Batch, Windows, watched_batch
from motorque.journal import Journal
from motorque.training.checkpoint import load_checkpoint, save_checkpoint
from motorque.training.loop import Task, TrainingSettings, train
from motorque.training.ranks import Ranks, ranks

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = PriorTraining("tiny", steps=12, batch=4)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return people_library(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def whole(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    train_prior([library.folder], run, SETTINGS, workers=0, watch_every=4)
    return run


def weights(run: Path) -> torch.Tensor:
    state = load_checkpoint(run / "checkpoint")
    assert state is not None
    return torch.cat([v.flatten() for v in state["average"].values()])


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_says_what_it_was(whole: Path, library: Library) -> None:
    about = json.loads((whole / "settings.json").read_text())
    assert about["training"]["seed"] == 0 and about["training"]["steps"] == 12 and about["versions"]["torch"]
    assert about["data"]["fingerprint"] == library.fingerprint and about["network"]["layers"] == TINY.layers
    assert about["data"]["test"] and about["data"]["validation"]
    names = json.loads((whole / "split.json").read_text())
    people = {part: {m["subject"] for m in names[part]} for part in ("train", "validation", "test")}
    assert len(people["train"]) == 2 and not people["train"] & (people["validation"] | people["test"])
    table = rows(whole)
    assert [row["step"] for row in table] == ["4", "8", "12"]
    degrees = ("validation_degrees_at_0", "validation_degrees_at_999", "learned_degrees_at_999")
    for name in ("loss", "validation_loss", *degrees):
        assert all(math.isfinite(float(row[name])) for row in table)
    network, header = load_weights(whole / "weights.safetensors")
    assert network.size == TINY and header["step"] == 12 and header["training"] == about["training"]
    assert header["figures"]["validation_head_degrees_at_999"] > 0


@pytest.mark.parametrize("stops", [(1,), (5, 6, 11)])
def test_a_stopped_training_ends_where_a_whole_one_does(
    stops: tuple[int, ...], whole: Path, library: Library, tmp_path: Path
) -> None:
    for number, stop in enumerate(stops):
        train_prior(
            [library.folder], tmp_path, SETTINGS, resume=number > 0, workers=0, watch_every=4,
            until=lambda done, stop=stop: done >= stop,
        )  # fmt: skip
    # What it is called with is not looked at: it goes on with its own settings
    train_prior([library.folder], tmp_path, PriorTraining("tiny", steps=99), resume=True, workers=0, watch_every=4)
    assert torch.equal(weights(tmp_path), weights(whole))
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in rows(tmp_path)] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in rows(whole)
    ]


def everything(run: Path) -> dict[str, bytes]:
    """All files of a training's folder."""
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_data_may_be_spelled_otherwise_but_not_be_others(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = tmp_path / "run", tmp_path / "people"
    people_folder(folder)
    go = partial(train_prior, workers=0, watch_every=4)
    monkeypatch.chdir(tmp_path)
    go(["people"], run, SETTINGS, until=lambda done: done >= 5)
    (folder / "s0" / "r0.npz").touch()
    go([folder], run, resume=True, until=lambda done: done >= 6)
    shutil.copytree(folder, "more")
    shutil.copy(folder / "s0" / "r0.npz", Path("more", "s1", "r9.npz"))
    before = everything(run)
    with pytest.raises(DataError, match="begun with other recordings"):
        go(["more"], run, resume=True)
    assert everything(run) == before
    # Libraries made before told data by paths and times: what such a training learned is not thrown away
    old, state = "5c6cb82f6961bb89", load_checkpoint(run / "checkpoint")
    assert state is not None
    save_checkpoint(run / "checkpoint", {**state, "about": {**state["about"], "data": old}})
    index = json.loads((run / "library" / FILES[2]).read_text())
    (run / "library" / FILES[2]).write_text(json.dumps({**index, "fingerprint": old}))
    journal = Journal()
    go([folder], run, resume=True, journal=journal)
    assert ["older one" in notice.text for notice in journal.notices] == [True]
    assert load_checkpoint(run / "checkpoint")["step"] == 12  # type: ignore[index]


def test_a_training_that_is_refused_changes_nothing(library: Library, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_prior([library.folder], run, SETTINGS, workers=0, watch_every=4, until=lambda done: done >= 5)
    before = everything(run)
    other = people_library(tmp_path / "other", 4, 1)
    with pytest.raises(DataError, match=r"another data .* begin another training in another folder"):
        train_prior([other.folder], run, resume=True, workers=0)
    assert everything(run) == before


def test_a_kill_before_the_first_step_keeps_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, run = people_folder(tmp_path / "people"), tmp_path / "run"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("motorque.estimators.inpose.train.make_library", killed)
        with pytest.raises(KeyboardInterrupt):
            train_prior([folder], run, SETTINGS, workers=0)
    train_prior([folder], run, resume=True, workers=0, watch_every=6)
    about = json.loads((run / "settings.json").read_text())
    assert PriorTraining(**about["training"]) == SETTINGS and about["data"]["fingerprint"]


def test_a_training_that_is_refused_leaves_no_settings(library: Library, tmp_path: Path) -> None:
    wrong = PriorTraining("tiny", steps=2, test=("bob",))
    with pytest.raises(DataError, match="no subject 'bob'"):
        train_prior([library.folder], tmp_path / "run", wrong, workers=0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(DataError, match="no subject 'bob'"):
        train_prior([library.folder], tmp_path / "run", wrong, resume=True, workers=0)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text("before")
    with pytest.raises(DataError, match="no subject 'bob'"):
        train_prior([library.folder], tmp_path / "run", wrong, workers=0)
    assert everything(tmp_path / "run") == {"settings.json": b"before"}


def test_options_that_a_training_was_not_begun_with_are_refused(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train_prior([library.folder], run, SETTINGS, workers=0, watch_every=4, until=lambda done: done >= 5)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    command = ["train", "inpose", "--data", str(library.folder), "--out", str(run), "--resume"]
    before, names = everything(run), sorted({m.subject for m in library.movements})
    about = json.loads(before["settings.json"])
    tested, watched = about["data"]["test"][0], about["data"]["validation"][0]
    other = next(name for name in names if name != tested)
    for option, own, given in (
        ("--steps", "12", "99"),
        ("--size", "tiny", "small"),
        ("--batch", "4", "32"),
        ("--seed", "0", "1"),
        ("--minutes", "60", "5"),
        ("--rate", "0.002", "0.001"),
        ("--dropout", f"{TINY.dropout:g}", "0.7"),
        ("--method", "inpose", "regression"),
        ("--test", tested, other),
        ("--validation", watched, tested),
    ):
        assert main([*command, option, given]) == 2
        error = capsys.readouterr().err
        assert f"begun with {option} {own}, not {given};" in error and error.count("\n") == 1
    assert everything(run) == before
    # The same, said again or as the training chose them, and what changes no step
    same = ["--size", "tiny", "--steps", "12", "--batch", "4", "--rate", "2e-3", "--dropout", f"{TINY.dropout}"]
    same += ["--test", tested, "--validation", watched, "--method", "inpose", "--seed", "0", "--minutes", "60"]
    assert main([*command, *same, "--threads", "1", "--save-every", "9"]) == 0
    assert load_checkpoint(run / "checkpoint")["step"] == 12  # type: ignore[index]


COMMAND = [sys.executable, "-m", "motorque", "train", "inpose", "--size", "tiny", "--threads", "1", "--batch", "4"]


@pytest.mark.slow
def test_a_killed_command_ends_where_a_whole_one_does(library: Library, tmp_path: Path) -> None:
    command = [*COMMAND, "--data", str(library.folder), "--steps", "600", "--save-every", "0.005"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run([*command, "--out", str(whole)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "learned from" in done.stderr and "weights:" in done.stdout, done.stderr
    for _ in range(3):
        process = subprocess.Popen(
            [*command, "--out", str(killed), "--resume"], stderr=subprocess.DEVNULL, env=environment
        )
        before = (killed / "checkpoint").stat().st_mtime_ns if (killed / "checkpoint").exists() else 0
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (killed / "checkpoint").exists() and (killed / "checkpoint").stat().st_mtime_ns > before:
                break
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    state = load_checkpoint(killed / "checkpoint")
    assert state is not None and 0 < state["step"] < 600
    done = subprocess.run([*command, "--out", str(killed), "--resume"], capture_output=True, env=environment)
    assert done.returncode == 0
    assert torch.equal(weights(killed), weights(whole))
    assert [row["step"] for row in rows(killed)] == [row["step"] for row in rows(whole)]


@pytest.mark.slow
def test_torchrun_starts_it(library: Library, tmp_path: Path) -> None:
    """One process gives what the plain command gives; two average their gradients and agree."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    plain = [*COMMAND[1:], "--data", str(library.folder), "--steps", "6"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = {}
    for name, start in (
        ("plain", [sys.executable]),
        ("one", [*torchrun, "--nproc-per-node", "1"]),
        ("two", [*torchrun, "--nproc-per-node", "2"]),
    ):
        done = subprocess.run(
            [*start, *plain, "--out", str(tmp_path / name)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        found[name] = weights(tmp_path / name)
    assert torch.equal(found["plain"], found["one"]) and not torch.equal(found["plain"], found["two"])
    assert json.loads((tmp_path / "two" / "settings.json").read_text())["processes"] == 2
    train_prior([library.folder], tmp_path / "big", PriorTraining("tiny", steps=6, batch=8), workers=0)
    assert float((weights(tmp_path / "big") - found["two"]).abs().max()) < 0.1


def test_two_processes_take_one_step_together() -> None:
    """Gradients are averaged: the loop asks for it once a step, and says so in the checkpoint."""

    class Two(Ranks):
        def average_gradients(self, network: torch.nn.Module) -> None:
            calls.append([float(p.grad.abs().max()) for p in network.parameters() if p.grad is not None])

        def mean(self, value: float) -> float:
            return value

        def wait(self) -> None:
            calls.append([])

    calls: list[list[float]] = []
    drawn: list[float] = []

    def batch(generator: torch.Generator, step: int) -> torch.Tensor:
        drawn.append(float(torch.rand((), generator=generator)))
        return torch.ones(1, 1)

    task = Task(torch.nn.Linear(1, 1), batch, lambda network, x: network(x).square().mean(), {})
    path = Path("/nowhere/that/is/written/to")
    train(task, TrainingSettings(3, workers=0, half=False, save_every=0.0), path, ranks=Two(1, 2))
    assert len(calls) == 4 and len(calls[0]) == 2 and calls[3] == []
    alone: list[float] = []
    for rank in (0, 1):
        drawn.clear()
        train(task, TrainingSettings(3, workers=0, half=False, save_every=0.0), path, ranks=Two(1 if rank else 3, 4))
        alone += drawn
    assert len(set(alone)) == 6, "no two processes and steps draw the same batch"


def test_without_torchrun_there_is_one_process() -> None:
    with ranks() as own:
        assert own == Ranks(0, 1) and own.first and own.mean(3.0) == 3.0 and own.any(True) and not own.any(False)


def test_it_learns(library: Library) -> None:
    """A tiny network, a few people it has seen: what the sensors tell soon beats the mean pose."""
    windows = Windows(library, library.movements)
    batch = Batch(*(part[::4] for part in watched_batch(windows, placed=False)))
    torch.manual_seed(0)
    network = PriorNetwork(TINY, mean=windows.mean())
    diffusion = Diffusion(TINY.target, learned_variance=False)
    before = errors_by_level(diffusion, network.eval(), batch)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-3)
    network.train()
    for step in range(250):
        optimizer.zero_grad()
        torch.manual_seed(step)
        again = batch._replace(noise=torch.randn_like(batch.noise), step=torch.randint(1000, batch.step.shape))
        prior_loss(diffusion, network, again).backward()
        optimizer.step()
    after = errors_by_level(diffusion, network.eval(), batch)
    assert after["loss"] < 0.7 * before["loss"] and after["degrees_at_999"] < 0.85 * before["degrees_at_999"]


def test_rows_taken_again_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = Metrics(path)
    for step in (10, 20, 30):
        table.add(step, {"seconds": step / 2, "loss": 1.0})
    again = Metrics(path, done=20)
    assert [row["step"] for row in again.rows] == ["10", "20"] and again.seconds == 10.0
    again.add(30, {"seconds": 16.0, "loss": 0.5, "new": 1.0})
    assert path.read_text().splitlines()[-1] == "30,16,0.5"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="no table"):
        Metrics(path)


def test_a_run_is_not_written_over(whole: Path, library: Library, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--resume"):
        train_prior([library.folder], whole, SETTINGS)
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(FileFormatError, match="no settings of a training"):
        train_prior([library.folder], tmp_path, SETTINGS, resume=True)
    with pytest.raises(DataError, match="goes alone"):
        train_prior([library.folder, library.folder.parent / "data"], tmp_path / "x", SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "empty"], "holds no recording"),
        (["--data", "broken"], "none of the 2 files"),
        (["--data", "nowhere"], "no such folder"),
        (["--data", "people/s0/r0.npz"], "is a file"),
        (["--data", "people", "--test", "bob"], "there is no subject 'bob'"),
        (["--data", "people", "--out", "people/run"], "lies within the data"),
        (["--data", "people", "--steps", "0"], "no count"),
        (["--data", "people", "--rate", "-1"], "above zero"),
    ],
)
def test_wrong_inputs_are_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.npz").write_bytes(b"PK nothing")
    (tmp_path / "broken" / "b.bvh").write_text("HIERARCHY\nROOT")
    people_folder(tmp_path / "people", 3, 1)
    arguments = arguments if "--out" in arguments else [*arguments, "--out", "run"]
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    try:
        code = main(["train", "inpose", "--size", "tiny", "--steps", "2", *arguments])
    except SystemExit as error:  # the parser's own
        code = int(error.code or 0)
    error = capsys.readouterr().err
    assert code == 2 and said in error and error.count("\n") == 1 and "Traceback" not in error
