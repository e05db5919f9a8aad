"""``motorque train``: learning an estimator's weights from recordings, on the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from motorque import cli_arguments as check
from motorque.errors import DataError
from motorque.journal import Journal
from motorque.progress import Progress

ESTIMATORS = ("inpose",)
METHODS = ("inpose", "bodiffusion-global", "bodiffusion-local", "regression")
SETTINGS = ("method", "size", "steps", "minutes", "batch", "rate", "dropout", "test", "validation", "seed")
"""Options that are a training's settings: it can't go on with other ones."""
MOST_STEPS = 10**8
LARGEST_SEED = 2**31 - 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``motorque train``."""
    add_estimator(
        parser, "recordings: AMASS's .npz, .bvh, .asf with .amc, CMU's folders; or a library made of them before"
    )
    parser.add_argument("--out", required=True, type=check.output_path, metavar="RUN", help="the training's folder")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training in RUN, as it was begun: options that differ are refused",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="what is trained: inpose, the prior, by default; or what it is compared with, of the same data and steps",
    )
    parser.add_argument("--size", choices=("small", "paper", "tiny"), help="of the network; small by default")
    parser.add_argument("--steps", type=count, metavar="N", help="number of steps; what fits into --minutes by default")
    parser.add_argument("--minutes", type=positive, metavar="MIN", help="time for learning [min]; 60")
    parser.add_argument("--batch", type=count, metavar="N", help="windows in a batch, by process; 32")
    parser.add_argument("--rate", type=positive, metavar="LR", help="highest learning rate; 2e-3, 1e-4 for paper")
    parser.add_argument("--dropout", type=share, metavar="P", help="share of values left out in learning; 0.1")
    parser.add_argument("--test", type=check.names, metavar="NAMES", help="subjects kept for tests: 02,06 …")
    parser.add_argument("--validation", type=check.names, metavar="NAMES", help="subjects that are only watched")
    parser.add_argument("--seed", type=seed, metavar="K", help="of everything random; 0")
    parser.add_argument("--threads", type=count, metavar="N", help="of the network; one for each core by default")
    parser.add_argument(
        "--save-every", type=positive, default=5.0, metavar="MIN", help="minutes between checkpoints; 5"
    )


def add_estimator(parser: argparse.ArgumentParser, data: str) -> None:
    """Which estimator, and recordings for it, with help on them."""
    parser.add_argument("estimator", choices=ESTIMATORS, help="inpose: whole bodies from a few tracked points")
    parser.add_argument("--data", required=True, nargs="+", type=folder, metavar="DIR", help=data)


def folder(text: str) -> Path:
    """A folder that is there."""
    path = Path(text)
    if not path.is_dir():
        what = "is a file; give its folder" if path.exists() else "there is no such folder; check the name"
        raise argparse.ArgumentTypeError(f"{text}: {what}")
    return path


def count(text: str) -> int:
    """How many of something, at least one."""
    if not text.isdecimal() or len(text) > len(str(MOST_STEPS)) or not 1 <= int(text) <= MOST_STEPS:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give a whole number of 1 or more")
    return int(text)


def seed(text: str) -> int:
    """Seed of everything random."""
    if not text.isdecimal() or len(text) > len(str(LARGEST_SEED)) or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {LARGEST_SEED}")
    return int(text)


def positive(text: str) -> float:
    """A number above zero."""
    value = check.number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} must be above zero")
    return value


def share(text: str) -> float:
    """A share from 0 to below 1."""
    value = check.number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 0 or more, and below 1")
    return value


def train(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque train``; returns what to tell the user."""
    check_run(options)
    import torch

    from motorque.estimators.inpose.begun import refuse_others
    from motorque.estimators.inpose.train import PriorTraining, train_prior
    from motorque.studies.inpose.recipes import RECIPES
    from motorque.training.ranks import ranks

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    given = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    if options.resume:

        def rate(method: str, size: str) -> float | None:
            return RECIPES[method].pace(size)[0] if method in RECIPES else None

        refuse_others(options.out, given, rate=rate)
    training = PriorTraining(**given)
    with ranks() as own:

        def tell(text: str) -> None:
            if own.first and not options.quiet and not sys.stderr.isatty():  # a terminal has the bar
                print(text, file=sys.stderr, flush=True)

        weights = train_prior(
            options.data,
            options.out,
            training,
            resume=options.resume,
            recipes=RECIPES,
            workers=os.cpu_count() or 1,
            save_every=60.0 * options.save_every,
            tell=tell,
            ranks=own,
            journal=journal,
            progress=progress,
        )
    return f"weights: {weights}"


def check_run(options: argparse.Namespace) -> None:
    """Refuse a run within the data, which would then be read as data."""
    for data in options.data:
        if options.out.resolve().is_relative_to(data.resolve()):
            raise DataError(f"{options.out}: lies within the data ({data}); choose another folder with --out")
