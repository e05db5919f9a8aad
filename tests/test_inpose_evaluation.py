"""InPose's evaluation from end to end: what it writes, that a kill loses nothing, and what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from inpose_people import people_library
from motorque.cli import main
from motorque.errors import DataError
from motorque.estimators.inpose.drawing import FAST
from motorque.estimators.inpose.library import Library
from motorque.estimators.inpose.network import TINY, PriorNetwork
from motorque.estimators.inpose.train import PriorTraining, train_prior
from motorque.estimators.inpose.tree import matrices
from motorque.estimators.inpose.weights import save_weights
from motorque.journal import Journal
from motorque.studies.inpose import cast
from motorque.studies.inpose.baseline_weights import kind_of
from motorque.studies.inpose.experiments import EXPERIMENTS, Experiment
from motorque.studies.inpose.methods import Informed, Method
from motorque.studies.inpose.protocol import DEFAULT, Condition, Shape, trials
from motorque.studies.inpose.regression_network import SIZES, RegressionNetwork
from motorque.studies.inpose.results import COLUMNS, FILE, Results
from motorque.studies.inpose.runtime import Runtime, runtime
from motorque.studies.inpose.setup import Setup, whom_to_test
from motorque.studies.inpose.study import Bench, row_of, run
from motorque.studies.inpose.tables import difference_table, experiment_table
from motorque.studies.inpose.verdicts import verdict_table

pytestmark = pytest.mark.usefixtures("one_thread")

TRAINING = PriorTraining("tiny", steps=6, batch=4, test=("data/s0",), validation=("data/s1",))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return people_library(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def weights(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return train_prior([library.folder], folder, TRAINING, workers=0, watch_every=6)


def arguments(weights: Path, library: Library, out: Path, *more: str) -> list[str]:
    return [
        "evaluate", "inpose", "--checkpoint", str(weights), "--data", str(library.folder), "--out", str(out),
        "--seconds", "0.7", "--workers", "1", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def evaluated(weights: Path, library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "evaluation"
    assert main(arguments(weights, library, out, "--only", "scales,stills")) == 0
    return out


def test_the_command_writes_tables_figures_and_one_page(evaluated: Path) -> None:
    rows = list(csv.DictReader((evaluated / FILE).open()))
    table = list(csv.DictReader((evaluated / "scales.csv").open()))
    page = (evaluated / "index.html").read_text()

    assert tuple(rows[0]) == COLUMNS
    assert {row["subject"] for row in rows} == {"data/s0"}
    assert len(rows) == 7 * len(cast.SHIPPED) * 2
    assert len(table) == 7 * len(cast.SHIPPED)
    assert (evaluated / "scales.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in page and "<script" not in page and "http" not in page
    assert "BoDiffusion (Global)" in page  # what is missing is said
    own = [r for r in rows if r["method"] == cast.HEAD and r["condition"] == "default shape"]
    mean = sum(float(r["mpjpe"]) * int(r["frames"]) for r in own) / sum(int(r["frames"]) for r in own)
    shown = next(r for r in table if r["method"] == cast.HEAD and r["condition"] == "default shape")
    assert float(shown["MPJPE [cm]"]) == pytest.approx(mean, rel=1e-6)
    told = {row["figure"]: row for row in csv.DictReader((evaluated / "verdicts.csv").open())}
    assert told["whole-body scales 0.6 to 1.4"]["reached"] in ("yes", "no")  # six steps of training teach nothing
    assert told["default shape"]["reached"] == "not measured"
    assert (evaluated / "stills_1.png").is_file()


@pytest.fixture(scope="module")
def baselines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baselines")
    about = {"data": {"test": ["data/s0"], "validation": ["data/s1"]}}
    for name in cast.BASELINES:
        network = RegressionNetwork(SIZES["tiny"]) if name == "regression" else PriorNetwork(TINY)
        (folder / name).mkdir()
        save_weights(folder / name / "weights.safetensors", network, about, kind=kind_of(name))
    return folder


def test_trained_baselines_stand_beside(
    weights: Path, library: Library, baselines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, given = tmp_path / "out", ["--only", "places,guidance,sensors"]
    assert main(arguments(weights, library, out, *given)) == 0
    before = (out / FILE).read_text()
    assert main(arguments(weights, library, out, *given, "--baselines", str(baselines), "--resume")) == 0
    capsys.readouterr()

    assert (out / FILE).read_text().startswith(before)
    rows = list(csv.DictReader((out / "guidance.csv").open()))
    assert [row["method"] for row in rows] == [
        cast.PAPER_HEAD, cast.GRADIENT, cast.LOCAL_PSEUDO, cast.LOCAL_GRADIENT
    ]  # fmt: skip
    assert {cast.GLOBAL, cast.GLOBAL_TURNS} <= {r["method"] for r in csv.DictReader((out / "places.csv").open())}
    assert {row["table"] for row in csv.DictReader((out / "paper.csv").open())} >= {"Table 4", "Table 5"}


def test_baselines_that_learned_from_the_tested_are_refused(
    weights: Path, library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"data": {"test": ["data/s3"], "validation": []}}
    file = tmp_path / "global.safetensors"
    save_weights(file, PriorNetwork(TINY), about, kind=kind_of("bodiffusion-global"))
    for name, said in (("bodiffusion-global", "learned from data/s0"), ("bodiffusion-local", "no weights of")):
        assert main(arguments(weights, library, tmp_path / "out", "--baseline", f"{name}={file}")) == 2
        assert said in capsys.readouterr().err


def test_folds_are_each_tested_on_whom_they_left_out(weights: Path, library: Library, tmp_path: Path) -> None:
    other = train_prior(
        [library.folder], tmp_path / "other", dataclasses.replace(TRAINING, test=("data/s2",)), workers=0, watch_every=6
    )
    folds = {weights.parent: "data/s0", other.parent: "data/s2"}
    for fold, person in folds.items():  # each fold has its own baselines
        file = tmp_path / "base" / fold.name / "regression" / "weights.safetensors"
        file.parent.mkdir(parents=True)
        about = {"data": {"test": [person], "validation": ["data/s1"]}}
        save_weights(file, RegressionNetwork(SIZES["tiny"]), about, kind=kind_of("regression"))
    order = arguments(weights, library, tmp_path / "out", "--only", "feet,rotation_noise", "--most", "1")
    order[2:4] = ["--folds", *map(str, folds), "--baselines", str(tmp_path / "base")]
    assert main(order) == 0
    rows = list(csv.DictReader((tmp_path / "out" / FILE).open()))
    for method in ("regression", "InPose"):
        assert {row["subject"] for row in rows if row["method"] == method} == {"data/s0", "data/s2"}
    assert len({row["recording"] for row in rows}) == 2, "one of each person's two"
    order[order.index("--out") + 1] = str(tmp_path / "again")
    order[3:5] = [str(weights), str(weights)]
    assert main(order) == 2


def test_a_killed_evaluation_goes_on_where_it_was(
    evaluated: Path, weights: Path, library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killed"
    shutil.copytree(evaluated, out)
    lines = (out / FILE).read_text().splitlines(keepends=True)
    kept = lines[:-5]
    (out / FILE).write_text("".join(kept) + lines[-5][:20])

    assert main(arguments(weights, library, out, "--only", "scales")) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(arguments(weights, library, out, "--only", "scales", "--resume")) == 0

    again = (out / FILE).read_text().splitlines(keepends=True)
    assert again[: len(kept)] == kept  # nothing is computed twice
    timed = COLUMNS.index("cpu_s")
    before, after = ([row[:timed] + row[timed + 1 :] for row in csv.reader(text)] for text in (lines, again))
    assert after == before
    assert (out / "scales.csv").read_text() == (evaluated / "scales.csv").read_text()


def test_rows_of_something_else_are_not_gone_on_with(
    evaluated: Path, weights: Path, library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "other"
    shutil.copytree(evaluated, out)
    assert main(arguments(weights, library, out, "--only", "scales", "--resume", "--seed", "3")) == 2
    assert "other seed" in capsys.readouterr().err
    (out / FILE).write_text("a,b\n1,2\n")
    assert main(arguments(weights, library, out, "--only", "scales", "--resume")) == 2
    assert "no table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--subjects", "data/s2"], "learned from 'data/s2'"),
        (["--subjects", "nobody"], "learned from 'nobody', or does not say"),
        (["--only", "speed"], "there is no experiment 'speed'; there are shapes"),
        (["--seconds", "0"], "no part of a recording"),
        (["--baseline", "regression"], "NAME=FILE"),
        (["--baseline", "linear={weights}"], "there is no 'linear'"),
        (["--baselines", "{data}"], "holds no baseline"),
    ],
)
def test_what_is_refused(
    more: list[str], said: str, weights: Path, library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [text.format(weights=weights, data=library.folder) for text in more]
    try:
        code = main(arguments(weights, library, tmp_path / "out", *given))
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_weights_of_something_else_and_folders_without_files_are_refused(
    weights: Path, library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    save_weights(tmp_path / "nameless.safetensors", PriorNetwork(TINY), {"made": "by hand"})
    for file, said in (
        ("empty", "holds no weights.safetensors"),
        ("broken.safetensors", "can't be read"),
        ("nameless.safetensors", "do not say from whom they learned"),
    ):
        assert main(arguments(tmp_path / file, library, tmp_path / "out")) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("nothing")
    order = arguments(weights, library, tmp_path / "out")
    order[order.index("--data") + 1] = str(tmp_path / "data")
    assert main(order) == 2
    assert "holds no recording" in capsys.readouterr().err


def test_who_interrupts_is_told_how_to_go_on(
    weights: Path, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("motorque.studies.inpose.study.row_of", interrupted)
    assert main(arguments(weights, library, tmp_path / "out")) == 130
    assert "interrupted; go on with --resume" in capsys.readouterr().err


def test_recordings_are_made_a_library_once(weights: Path, tmp_path: Path) -> None:
    order = arguments(weights, people_library(tmp_path), tmp_path / "out")
    order[order.index("--data") + 1] = str(tmp_path / "data")
    assert main([*order, "--only", "covariance"]) == 0
    made = (tmp_path / "out" / "library" / "index.json").stat().st_mtime_ns
    assert main([*order, "--only", "covariance", "--resume"]) == 0
    assert (tmp_path / "out" / "library" / "index.json").stat().st_mtime_ns == made


def test_watched_people_may_be_tested_and_it_is_said(weights: Path, library: Library) -> None:
    journal = Journal()
    found = whom_to_test(weights, library, subjects=["data/s1"], journal=journal)
    assert found.subjects == ("data/s1",)
    assert any("watched" in notice.text for notice in journal.notices)


def test_a_recording_too_many_people_do_not_have(weights: Path, library: Library) -> None:
    with pytest.raises(DataError, match="no recording of 'x'; there are data/s0"):
        trials(library, ["x"])


def test_some_recordings_of_each_person_are_taken_evenly(library: Library) -> None:
    all_of = [trial.name for trial in trials(library, ["data/s0", "data/s2"], seconds=0.7)]
    one_each = [trial.name for trial in trials(library, ["data/s0", "data/s2"], seconds=0.7, most=1)]
    assert one_each == [all_of[0], all_of[2]]
    assert [trial.name for trial in trials(library, ["data/s0", "data/s2"], seconds=0.7, most=5)] == all_of


def test_every_method_of_the_prior_gives_rotations(library: Library) -> None:
    trial = trials(library, ["data/s0"], seconds=0.8)[0]
    measured = trial.measured(Condition(Shape(arms=1.1), place_noise=0.02))
    six = torch.cat([trial.rotations[..., 0], trial.rotations[..., 1]], dim=-1)
    for method in cast.variants(PriorNetwork(TINY, mean=six.mean(0).float())).values():
        own = method.informed(Condition(place_noise=0.02)) if isinstance(method, Informed) else method
        found = own.pose(measured, seed=1)
        assert isinstance(method, Method) and found.shape == trial.rotations.shape
        unit = torch.eye(3, dtype=found.dtype).expand_as(found)
        assert torch.allclose(found @ found.mT, unit, atol=1e-5), method.name


def test_times_are_told_and_kept(library: Library, tmp_path: Path) -> None:
    methods = cast.variants(PriorNetwork(TINY))
    timed = {name: methods[name] for name in (cast.HEAD, cast.MEAN_IK)}
    found = runtime(timed, PriorNetwork(TINY), trials(library, ["data/s0"]), threads=1)
    found.save(tmp_path / "times.json")

    assert Runtime.read(tmp_path / "times.json") == found and Runtime.read(tmp_path / "none.json") is None
    assert [row[0] for row in found.table().rows] == [cast.HEAD, cast.MEAN_IK]
    assert found.speeds[0].steps == FAST.steps and found.speeds[0].rate > 0
    assert 0 < found.algebra < 1 and found.stream.least == pytest.approx(0.1)
    told = {row[0]: row for row in verdict_table(Results(), found).rows}
    assert told["speed on 1 CPU cores"][2] in ("yes", "no")


class Perfect:
    """Says the truth, or the truth turned away by as much as it is told."""

    knows_bones = False

    def __init__(self, name: str, wrong: float = 0.0) -> None:
        self.name, self.wrong = name, wrong

    def pose(self, measured: object, *, seed: int) -> torch.Tensor:
        off = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0, self.wrong]])
        return TRUTH["now"] @ matrices(off).double()


TRUTH: dict[str, torch.Tensor] = {}


def test_tables_say_who_is_better(library: Library) -> None:
    results = Results()
    for trial in trials(library, ["data/s0", "data/s2", "data/s3"], seconds=0.7):
        TRUTH["now"] = trial.rotations
        for method in (Perfect(cast.HEAD), Perfect("regression", 0.1)):
            results.add(row_of(method, trial, DEFAULT))
    experiment = Experiment("few", "Few", (DEFAULT,), (cast.HEAD, "regression", "absent"))

    table, differences = experiment_table(experiment, results), difference_table(experiment, results)

    assert [row[1] for row in table.rows] == [cast.HEAD, "regression"]
    assert table.notes == ("Not here: absent.",)
    assert [row[1] for row in differences.rows] == ["regression"]
    assert differences.rows[0][-2:] == ("better", "better")


def test_jobs_are_each_done_once_and_dear_ones_count_more(weights: Path, library: Library) -> None:
    bench = Bench(Setup(library.folder, (whom_to_test(weights, library, journal=Journal()),), 0.7))
    jobs = list(bench.jobs(EXPERIMENTS))
    keys = [bench.key(job) for job in jobs]

    assert len(set(keys)) == len(keys)
    five, fifty = (next(job for job in jobs if job.method == name) for name in (cast.HEAD, cast.STEPS_50))
    assert bench.cost(fifty) > 5 * bench.cost(five)


def test_several_processes_find_the_same(weights: Path, library: Library, evaluated: Path) -> None:
    setup = Setup(library.folder, (whom_to_test(weights, library, journal=Journal()),), 0.7)
    found = Results()
    experiment = Experiment("few", "Few", (DEFAULT,), cast.SHIPPED)
    run(setup, (experiment,), found, workers=2)
    alone = Results(evaluated / FILE)
    assert len(found.rows) == 2 * len(cast.SHIPPED)
    for key, row in found.rows.items():
        assert alone.rows[key].measures.mpjpe == pytest.approx(row.measures.mpjpe, rel=1e-5)
