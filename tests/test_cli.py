"""The command line: what it passes on, what it refuses and how, and what it prints where."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import motorque
from motorque.cli import main
from motorque.errors import DataError
from motorque.journal import Journal

INPUTS = ("walk.trc", "walk2.trc", "trial.c3d", "static.trc", "m.osim", "grf.mot", "loads.xml", "setup.xml", "ik.mot")

STEPS = {
    "analyze": ("motorque.workflows.analyze", "analyze"),
    "scale": ("motorque.workflows.scale", "scale_step"),
    "ik": ("motorque.workflows.inverse_kinematics", "ik_step"),
    "id": ("motorque.workflows.inverse_dynamics", "id_step"),
    "loads": ("motorque.workflows.ground_loads", "loads_step"),
}

USE = {
    "analyze": "analyze walk.trc --out out",
    "scale": "scale --model m.osim --static static.trc --out scaled.osim",
    "ik": "ik --model m.osim --markers walk.trc --out new.mot",
    "id": "id --model m.osim --motion ik.mot --out new.sto",
    "loads": "loads --model m.osim --motion ik.mot --out new.mot",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with input files whose content nobody reads here."""
    monkeypatch.chdir(tmp_path)
    for name in INPUTS:
        Path(name).write_text("content")
    Path("a_folder").mkdir()
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Every workflow replaced by one that notes how it was called."""
    noted: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def noting(name: str) -> Callable[..., Path]:
        def workflow(*args: Any, **options: Any) -> Path:
            noted.append((name, args, options))
            return Path("out/report.html")

        return workflow

    for name in STEPS:
        replace_workflow(monkeypatch, name, noting(name))
    return noted


def replace_workflow(monkeypatch: pytest.MonkeyPatch, step: str, function: Callable[..., Any]) -> None:
    module, attribute = STEPS[step]
    fake = types.ModuleType(module)
    setattr(fake, attribute, function)
    monkeypatch.setitem(sys.modules, module, fake)


def run(line: str) -> int:
    try:
        return main(shlex.split(line))
    except SystemExit as leave:  # argparse leaves this way
        assert isinstance(leave.code, int)
        return leave.code


def left_over(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {*INPUTS, "a_folder"}


def test_every_option_of_the_contract_arrives(folder: Path, calls: list[Any]) -> None:
    line = (
        "analyze trial.c3d --out out --model m.osim --static static.trc --loads grf.mot --height 1.8 --mass 75 --sex f"
        " --cutoff 8 --up -z --units mm --start 0.5 --end 2 --model-errors"
    )
    assert run(line) == 0
    (name, args, options) = calls[0]
    assert (name, args) == ("analyze", ([Path("trial.c3d")], Path("out")))
    assert isinstance(options.pop("journal"), Journal)
    assert callable(options.pop("progress"))
    assert shlex.split(options.pop("command"))[:2] == ["motorque", "analyze"]
    assert options == {
        "model": Path("m.osim"),
        "static": Path("static.trc"),
        "loads": Path("grf.mot"),
        "height": 1.8,
        "mass": 75.0,
        "sex": "f",
        "cutoff": 8.0,
        "up": "-z",
        "units": "mm",
        "start": 0.5,
        "end": 2.0,
        "model_errors": True,
    }


def test_defaults_of_analyze(folder: Path, calls: list[Any]) -> None:
    assert run(USE["analyze"]) == 0
    options = calls[0][2]
    assert options["sex"] == "unknown"
    names = ("model", "static", "loads", "height", "mass", "cutoff", "up", "units", "start", "end")
    assert [options[name] for name in names] == [None] * len(names)


def test_demo_writes_its_recording_and_analyzes_it(folder: Path, calls: list[Any]) -> None:
    assert run("demo --out out/demo") == 0
    (name, args, options) = calls[0]
    assert (name, args) == ("analyze", ([Path("out/demo/recording/walk.trc")], Path("out/demo")))
    assert options["static"] == Path("out/demo/recording/static.trc")
    assert options["mass"] > 0 and options["sex"] in ("f", "m")
    assert args[0][0].stat().st_size > 100_000 and options["static"].stat().st_size > 10_000


@pytest.mark.parametrize(
    ("line", "args", "expected"),
    [
        (
            "scale --model m.osim --static static.trc --setup setup.xml --mass 60 --out new.osim",
            ("m.osim", "static.trc"),
            {"setup": Path("setup.xml"), "mass": 60.0, "out": Path("new.osim")},
        ),
        (
            "ik --model m.osim --markers walk.trc --setup setup.xml --start 1 --end 2 --out new.mot --errors err.sto",
            ("m.osim", "walk.trc"),
            {
                "setup": Path("setup.xml"),
                "tasks": None,
                "start": 1.0,
                "end": 2.0,
                "out": Path("new.mot"),
                "errors": Path("err.sto"),
            },
        ),
        (
            "ik --model m.osim --markers walk.trc --tasks setup.xml --out new.mot",
            ("m.osim", "walk.trc"),
            {"setup": None, "tasks": Path("setup.xml"), "start": None, "end": None, "errors": None},
        ),
        (
            "id --model m.osim --motion ik.mot --loads loads.xml --cutoff 6 --exclude-forces muscles,grf --reduced"
            " --out new.sto",
            ("m.osim", "ik.mot"),
            {
                "loads": Path("loads.xml"),
                "cutoff": 6.0,
                "exclude_forces": ("muscles", "grf"),
                "reduced": True,
                "start": None,
                "end": None,
                "out": Path("new.sto"),
            },
        ),
        (USE["id"], ("m.osim", "ik.mot"), {"loads": None, "cutoff": None, "exclude_forces": None, "reduced": False}),
        (
            "id --model m.osim --motion ik.mot --exclude-forces= --out new.sto",
            ("m.osim", "ik.mot"),
            {"exclude_forces": ()},
        ),
        (
            "loads --model m.osim --motion ik.mot --mass 60 --cutoff 12 --out new.mot",
            ("m.osim", "ik.mot"),
            {"mass": 60.0, "cutoff": 12.0, "out": Path("new.mot")},
        ),
    ],
)
def test_steps_pass_on_what_they_get(
    folder: Path, calls: list[Any], line: str, args: tuple[str, ...], expected: dict[str, Any]
) -> None:
    assert run(line) == 0
    assert calls[0][1] == tuple(map(Path, args))
    assert {key: calls[0][2][key] for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("analyze nowhere.trc --out out", r"nowhere\.trc: there is no such file"),
        ("analyze a_folder --out out", "a_folder is a folder"),
        ("analyze walk.trc walk2.trc --out out", r"walk\.trc, walk2\.trc: are several trials; run them one by one"),
        ("analyze grf.mot --out out", r"grf\.mot: is no recording.*--loads"),
        ("analyze m.osim --out out", r"m\.osim: is no recording.*--model"),
        ("analyze walk.trc", "required: --out"),
        ("analyze --out out", "required: INPUT"),
        ("analyze walk.trc --out ''", "--out: the name is empty"),
        ("analyze walk.trc --out walk.trc", r"walk\.trc: is a file; give the name of a folder"),
        ("analyze walk.trc --out walk.trc/out", r"walk\.trc/out: cannot be written: a part of the path is a file"),
        ("analyze walk.trc --out out --mass -5", "--mass: -5 is no body mass"),
        ("analyze walk.trc --out out --mass 0", "--mass: 0 is no body mass"),
        ("analyze walk.trc --out out --mass 75000", "--mass: 75000 is no body mass; give kilograms"),
        ("analyze walk.trc --out out --mass heavy", "--mass: 'heavy' is not a number"),
        ("analyze walk.trc --out out --mass nan", "--mass: nan is not a finite number"),
        ("analyze walk.trc --out out --height 175", r"--height: 175 .*did you mean 1\.75\?"),
        ("analyze walk.trc --out out --height -1", "--height: -1 is no body height"),
        ("analyze walk.trc --out out --cutoff 0", "--cutoff: 0 is no cutoff frequency"),
        ("analyze walk.trc --out out --up north", "--up: 'north' is not an axis"),
        ("analyze walk.trc --out out --units inch", "--units: invalid choice: 'inch'"),
        ("analyze walk.trc --out out --sex other", "--sex: 'other' is none of f \\(female\\), m"),
        ("analyze walk.trc --out out --start 2 --end 1", "--end: 1 s is not after --start, 2 s"),
        ("analyze walk.trc --out out --start 1 --end 1", "--end: 1 s is not after"),
        ("analyze walk.trc --out out --static m.osim", r"--static: m\.osim is not a \.trc or \.c3d file"),
        ("analyze walk.trc --out out --mas 75", "unrecognized arguments: --mas 75"),
        ("analyse walk.trc --out out", "invalid choice: 'analyse'"),
        ("", r"required: COMMAND \(see 'motorque --help'\)"),
        ("scale --model m.osim --static static.trc --out m.osim", r"m\.osim: is an input and would be overwritten"),
        ("scale --model m.osim --static static.trc --out a_folder", "a_folder: cannot be written: there is a folder"),
        ("scale --model m.osim --static static.trc --out /dev/null", "/dev/null: cannot be written: it is a device"),
        ("ik --model m.osim --markers walk.trc --setup setup.xml --tasks setup.xml --out new.mot", "not allowed with"),
        ("ik --model m.osim --markers walk.trc --out new.mot --errors ./new.mot", "name of two results"),
        ("ik --model m.osim --markers walk.trc --out new.mot --start 3 --end 2", "--end: 2 s is not after --start"),
        ("id --model grf.mot --motion ik.mot --out new.sto", r"--model: grf\.mot is not a \.osim file"),
        ("id --model m.osim --motion ik.mot --loads nowhere.mot --out new.sto", r"--loads: nowhere\.mot: there is no"),
        ("loads --model m.osim --motion ik.mot --cutoff -6 --out new.mot", "--cutoff: -6 is no cutoff"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    folder: Path, calls: list[Any], capsys: pytest.CaptureFixture[str], line: str, what: str
) -> None:
    assert run(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("motorque: ") and err.count("\n") == 1
    assert re.search(what, err), err
    assert calls == []
    assert left_over(folder) == set()


def test_results_do_not_overwrite_an_input_of_analyze(
    folder: Path, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("markers.trc").write_text("my recording")
    assert run("analyze markers.trc --out .") == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert Path("markers.trc").read_text() == "my recording"
    assert run("analyze markers.trc --out out") == 0


def test_looking_whether_it_can_be_written_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        assert left_over(folder) == {"old.mot"}
        assert Path("old.mot").read_text() == "old"
        raise DataError("no marker of the model")

    Path("old.mot").write_text("old")
    for step in STEPS:
        replace_workflow(monkeypatch, step, failing)
    assert run("ik --model m.osim --markers walk.trc --out old.mot --errors new/err.sto") == 2
    assert run("analyze walk.trc --out new/out") == 2
    assert left_over(folder) == {"old.mot"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("error", "code", "what"),
    [
        (DataError("walk.trc, frame 3:\n no marker"), 2, r"^motorque: walk\.trc, frame 3: no marker\n$"),
        (PermissionError(errno.EACCES, "Permission denied", "grf.mot"), 2, r"^motorque: grf\.mot: Permission denied;"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "^motorque: No space left on device"),
        (MemoryError(), 2, "^motorque: the memory is not enough"),
        (KeyError("pelvis"), 1, r"^motorque: this is a fault in motorque: KeyError: 'pelvis' \(test_cli\.py, line"),
        (KeyboardInterrupt(), 130, "^motorque: interrupted"),
    ],
)
def test_errors_of_a_step(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    step: str,
    error: BaseException,
    code: int,
    what: str,
) -> None:
    def failing(*_: Any, journal: Journal, **__: Any) -> None:
        journal.warn("this is not said when the step fails")
        raise error

    replace_workflow(monkeypatch, step, failing)
    assert run(USE[step]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(what, err), err
    assert err.count("\n") == 1
    assert run(f"{USE[step]} --debug") == code
    err = capsys.readouterr().err
    assert "Traceback" in err and "warning: this is not said" in err
    assert left_over(folder) == set()


def noticing(*_: Any, journal: Journal, **__: Any) -> Path:
    """A workflow with something to say."""
    for gap in range(20):
        journal.repair(f"a gap of {gap + 1} frames was filled", about=f"M{gap}")
    journal.warn("the pelvis residual is large", about="pelvis_ty")
    journal.assume("the unit is mm", about="walk.trc")
    journal.info("matched: " + ", ".join(f"M{index}" for index in range(200)))
    return Path("out/report.html")


def test_notices_are_grouped_on_stderr_and_the_result_is_on_stdout(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_workflow(monkeypatch, "analyze", noticing)
    assert run(USE["analyze"]) == 0
    out, err = capsys.readouterr()
    assert out == "report: out/report.html\n"
    *lines, last = err.splitlines()
    assert last.startswith("info: matched: M0, M1") and last.endswith(", … (--debug shows all)") and len(last) <= 240
    assert lines == [
        "repair: M0: a gap of 1 frames was filled",
        "repair: M1: a gap of 2 frames was filled",
        "repair: M2: a gap of 3 frames was filled",
        "repair: … and 17 more of this sort (--debug shows all)",
        "warning: pelvis_ty: the pelvis residual is large",
        "assumption: walk.trc: the unit is mm",
    ]
    assert run(f"{USE['analyze']} --debug") == 0
    assert len(capsys.readouterr().err.splitlines()) == 23
    assert run(f"--quiet {USE['analyze']}") == 0
    assert capsys.readouterr() == ("", "warning: pelvis_ty: the pelvis residual is large\n")


def test_warnings_of_libraries_stay_off_the_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    def warning(*_: Any, **__: Any) -> Path:
        warnings.warn("invalid value in divide", RuntimeWarning, stacklevel=1)
        return Path("out/report.html")

    replace_workflow(monkeypatch, "analyze", warning)
    assert run(USE["analyze"]) == 0
    assert capsys.readouterr().err == ""


def test_progress_is_for_terminals_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def working(*_: Any, progress: Callable[[str, float], None], **__: Any) -> Path:
        for step in range(11):
            progress("fitting the body", step / 10)
        return Path("out/report.html")

    replace_workflow(monkeypatch, "analyze", working)
    assert run(USE["analyze"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(USE["analyze"]) == 0
    assert "fitting the body" in capsys.readouterr().err
    assert run(f"{USE['analyze']} --quiet") == 0
    assert capsys.readouterr().err == ""


def test_bar_is_drawn_on_a_terminal_of_unknown_size_and_taken_off_again() -> None:
    code = (
        "from motorque.progress import TerminalProgress\n"
        "with TerminalProgress() as progress:\n"
        "    progress('scaling', 0.25)\n"
        "    progress('kinematics', 1.7)\n"
    )
    ours, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    drawn = [text.rstrip() for text in shown.split("\r")]
    assert any(text.startswith("scaling") and " 25 %" in text for text in drawn), drawn
    assert any(text.startswith("kinematics") and "100 %" in text for text in drawn), drawn
    assert drawn[-1] == ""


def test_sigterm_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from motorque.files.output import OutputFolder

    def killed(inputs: list[Path], out: Path, **_: Any) -> None:
        with OutputFolder(out) as results:
            (results.path / "model.osim").write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    replace_workflow(monkeypatch, "analyze", killed)
    assert run(USE["analyze"]) == 128 + signal.SIGTERM
    assert left_over(folder) == set()
    assert signal.getsignal(signal.SIGTERM) == before


def test_reader_of_the_output_that_goes_away_is_no_fault() -> None:
    """``motorque doctor | true``"""
    code = "import sys, time; from motorque.cli import main; time.sleep(0.3); sys.exit(main(['--debug', 'doctor']))"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"motorque {motorque.__version__}\n"
    for step in (*USE, "demo", "doctor"):
        assert run(f"{step} --help") == 0
        assert "usage: motorque" in capsys.readouterr().out


def test_help_does_not_wait_for_torch() -> None:
    """The promise is 0.3 s; what would break it is a library, so those are what is looked for."""
    code = (
        "import sys\nfrom motorque.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'lxml', 'plotly', 'ezc3d', 'tqdm', 'roma'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_python_m_motorque() -> None:
    done = subprocess.run([sys.executable, "-m", "motorque", "ik"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("motorque: the following arguments are required: --model")
