"""``motorque study``: the papers' experiments from the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from motorque import cli_arguments as check
from motorque.journal import Journal
from motorque.progress import Progress

STUDIES = ("noise",)
MOST = 1000
"""Draws: every number is then known to a few thousandths."""
LARGEST = 2**32 - 1
"""Seed."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``motorque study``."""
    parser.add_argument("study", choices=STUDIES, help="noise: how noise of poses breaks torques, and what mends it")
    parser.add_argument(
        "--motion",
        nargs="+",
        default=[],
        type=check.existing_file,
        metavar="M",
        help="SMPL poses (.npz), .bvh, .amc, or CMU's .txt, one or several; a generated walk by default",
    )
    parser.add_argument("--seeds", type=draws, default=20, metavar="N", help="draws of noise behind each number; 20")
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="K", help="of the draws: the same one, the same numbers; 0"
    )
    parser.add_argument("--mass", type=check.mass, metavar="KG", help="body mass [kg]; 75 where the motion has none")
    parser.add_argument("--fps", type=check.rate, metavar="HZ", help="frames per second of the motions as recorded")
    parser.add_argument(
        "--no-refinement", action="store_true", help="leave Table 1 and Figure 3 out, which take longest"
    )
    parser.add_argument("--out", required=True, type=check.output_path, metavar="DIR", help="folder for the results")


def draws(text: str) -> int:
    """How many draws of noise."""
    if not text.isdecimal() or len(text) > len(str(MOST)) or not 2 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no count of draws; give a whole number from 2 to {MOST}")
    return int(text)


def seed(text: str) -> int:
    """Seed of the draws."""
    if not text.isdecimal() or len(text) > len(str(LARGEST)) or int(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {LARGEST}")
    return int(text)


def study(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque study``; returns what to tell the user."""
    check.check_output_folder(options.out, options.motion)
    from motorque.studies.drawing import needs_matplotlib
    from motorque.studies.noise.study import noise_study, write_study, written

    needs_matplotlib()  # before the work, not after it
    subjects = _subjects(options, journal)
    found = noise_study(
        subjects, draws=options.seeds, seed=options.seed, refinement=not options.no_refinement, progress=progress
    )
    write_study(found, options.out)
    return f"{written(found)}\n{Path(options.out) / 'index.html'}"


def _subjects(options: argparse.Namespace, journal: Journal) -> list:
    import dataclasses

    from motorque.errors import DataError
    from motorque.fitting.load_poses import load_poses
    from motorque.studies.noise.protocol import FRAMES, MASS, subject
    from motorque.synthesis.smpl_walk import smpl_walk

    if not options.motion:
        return [subject(dataclasses.replace(smpl_walk(), mass=options.mass or MASS), "generated walk")]
    paths = [path.resolve() for path in options.motion]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise DataError(f"{twice.name}: is given twice; leave one out")
    names = [path.stem for path in options.motion]
    found = []
    for path, name in zip(options.motion, names, strict=True):
        poses = load_poses(path, fps=options.fps, mass=options.mass, journal=journal)
        if poses.mass is None:
            journal.assume(f"a body mass of {MASS:g} kg, to which torques are in proportion", path.name)
        one = subject(poses, name if names.count(name) == 1 else str(path))
        if len(one.poses.times) < FRAMES:
            journal.assume(f"{len(one.poses.times)} frames at {one.poses.rate:g} Hz instead of {FRAMES}", path.name)
        found.append(one)
    return found
