"""``motorque evaluate``: how well an estimator does on people whom it never saw, from the command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from motorque import cli_arguments as check
from motorque.cli_training import add_estimator, check_run, count, folder, seed
from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.progress import Progress

SECONDS = 2.0
"""Of each recording: all experiments on CMU's tested people, with all baselines, then take some half an hour of two
idle cores."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``motorque evaluate``."""
    add_estimator(parser, "recordings, or a library made of them, as for motorque train")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument(
        "--checkpoint", type=check.existing_path, metavar="C", help="weights, or the folder of a training"
    )
    weights.add_argument(
        "--folds",
        nargs="+",
        type=check.existing_path,
        metavar="RUN",
        help="several trainings, each tested on those whom it left out, for intervals over people",
    )
    parser.add_argument("--out", required=True, type=check.output_path, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--baselines", type=folder, metavar="DIR", help="trained baselines: NAME.safetensors, or a training's NAME/"
    )
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        type=named_file,
        metavar="NAME=FILE",
        help="a trained baseline: bodiffusion-global, bodiffusion-local, regression; may be given again",
    )
    parser.add_argument(
        "--subjects", type=check.names, metavar="NAMES", help="who is tested, of those whom the weights never saw"
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=SECONDS,
        metavar="S|all",
        help=f"of each recording, from its middle [s]; {SECONDS:g}",
    )
    parser.add_argument(
        "--most", type=count, metavar="N", help="recordings of each person at most, evenly among them; all by default"
    )
    parser.add_argument("--only", type=check.names, metavar="NAMES", help="some experiments: shapes,scales …")
    parser.add_argument("--resume", action="store_true", help="go on with the evaluation in DIR")
    parser.add_argument("--seed", type=seed, default=0, metavar="K", help="of noise and samples; 0")
    parser.add_argument("--workers", type=count, metavar="N", help="processes; one for each core by default")


def named_file(text: str) -> tuple[str, Path]:
    """A name and a file."""
    name, mark, path = text.partition("=")
    if not name or not mark:
        raise argparse.ArgumentTypeError(f"{text}: give the baseline's name and its file: NAME=FILE")
    return name, check.existing_path(path)


def seconds(text: str) -> float | None:
    """How much of each recording [s], or None for all of it."""
    if text == "all":
        return None
    value = check.number(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} s is no part of a recording; give seconds above zero, or all")
    return value


def evaluate(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque evaluate``; returns what to tell the user."""
    check_run(options)
    from motorque.studies.drawing import needs_matplotlib
    from motorque.studies.inpose.experiments import checked, chosen
    from motorque.studies.inpose.results import FILE, Results
    from motorque.studies.inpose.setup import Setup, begin, library_of, whom_to_test
    from motorque.studies.inpose.study import extras, run
    from motorque.studies.inpose.verdicts import counted
    from motorque.studies.inpose.write import write_evaluation

    needs_matplotlib()  # before the work, not after it
    names = checked(options.only)
    workers = options.workers or os.cpu_count() or 1
    library = library_of(
        options.data,
        options.out / "library",
        workers=workers,
        journal=journal,
        progress=lambda what, done: progress(what, 0.1 * done),
    )
    checkpoints = options.folds or [options.checkpoint]
    tested = [
        whom_to_test(path, library, subjects=options.subjects, baselines=baselines(options, path.name), journal=journal)
        for path in checkpoints
    ]
    people = [name for part in tested for name in part.subjects]
    twice = next((name for name in people if people.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"--folds: {twice!r} is left out by two of the trainings; each must test others")
    setup = Setup(library.folder, tuple(tested), options.seconds, options.seed, options.most)
    begin(options.out, setup, library, resume=options.resume)
    results = Results(options.out / FILE, seed=options.seed)
    results.tidy()
    run(setup, chosen(names), results, workers=workers, progress=progress)
    more = extras(setup, names, results, options.out, threads=workers)
    page = write_evaluation(setup, names, results, options.out, more)
    return f"figures that were asked for: {counted(results, more.runtime)}\npage: {page}"


def baselines(options: argparse.Namespace, run: str = "") -> dict[str, Path]:
    """Files of baselines by name.

    Args:
        options: Of the command line.
        run: The training's folder; a folder of that name among the baselines has those of the same fold.

    Raises:
        DataError: A name is none of a baseline's, or given twice.
        FileFormatError: The folder holds none.
    """
    from motorque.estimators.inpose.weights import WEIGHTS, weights_file
    from motorque.studies.inpose.cast import BASELINES

    found: dict[str, Path] = {}
    if options.baselines is not None:
        for name in BASELINES:
            folder = options.baselines / run if (options.baselines / run).is_dir() else options.baselines
            paths = (folder / f"{name}.safetensors", folder / name / WEIGHTS)
            path = next((path for path in paths if path.is_file()), None)
            if path is not None:
                found[name] = path
        if not found:
            raise FileFormatError(f"{options.baselines}: holds no baseline; it needs {', '.join(BASELINES)}")
    for name, path in options.baseline:
        if name not in BASELINES:
            raise DataError(f"--baseline: there is no {name!r}; there are {', '.join(BASELINES)}")
        if name in found:
            raise DataError(f"--baseline: {name} is given twice; leave one out")
        found[name] = weights_file(path)
    return found
