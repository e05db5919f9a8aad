"""``motorque sensors``: whole bodies from a few tracked points, on the command line."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

from motorque import cli_arguments as kind
from motorque.cli_training import count, seed
from motorque.errors import DataError, OutputError
from motorque.journal import Journal
from motorque.progress import Progress

RESULTS = ("poses.npz", "std.csv", "summary.json")
MOST_NOISE = 0.5
"""Largest noise of places that is meant in metres."""
MOST_ERROR = 30.0
"""Largest error of a length that is meant in centimetres."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``motorque sensors``."""
    parser.add_argument(
        "tracks",
        type=kind.one_of(".csv", ".npz"),
        metavar="TRACKS",
        help="table or archive: time, head_px, head_qw …",
    )
    parser.add_argument("--out", required=True, type=kind.output_path, metavar="DIR", help="folder for the results")
    parser.add_argument("--height", type=kind.height, metavar="M", help="body height [m]")
    parser.add_argument(
        "--bones", type=kind.one_of(".json"), metavar="BONES.json", help="lengths [m] of some bones, or rest joints"
    )
    parser.add_argument(
        "--bones-error", type=centimetres, metavar="CM", help="how far off each told length is (std) [cm]; 0"
    )
    parser.add_argument(
        "--fit-bones",
        action=argparse.BooleanOptionalAction,
        help="find bones from the recording; by default where they are not told, or with --bones-error",
    )
    parser.add_argument("--sex", type=kind.sex, metavar="SEX", help="f, m or unknown; the mean by default")
    parser.add_argument("--mass", type=kind.mass, metavar="KG", help="body mass [kg], for --analyze")
    parser.add_argument(
        "--weights", type=kind.one_of(".safetensors"), metavar="FILE", help="of the prior, from motorque train inpose"
    )
    parser.add_argument(
        "--samples", type=count, default=8, metavar="N", help="bodies drawn; std.csv needs 2 or more, 8 are best; 8"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="K", help="of the first one; 0")
    parser.add_argument("--steps", type=steps, metavar="N", help="of the diffusion, 1 to 750; 4")
    parser.add_argument(
        "--paper", action="store_true", help="sample as the paper does: 50 steps, its guidance, nothing after"
    )
    parser.add_argument("--noise", type=noise, metavar="M", help="standard deviation of places [m]; 0.002")
    parser.add_argument("--rotation-noise", type=angle, metavar="DEG", help="of rotations [deg]; 0.6")
    parser.add_argument(
        "--feet",
        action=argparse.BooleanOptionalAction,
        help="put feet on the ground, where they neither slip, hover nor sink deep; by default, but not with --paper",
    )
    parser.add_argument("--root", choices=("head", "mean"), help="what says where the body is; head")
    axes = parser.add_argument_group("what the device means")
    axes.add_argument(
        "--up", type=kind.pose_axis, metavar="AXIS", help="up axis (y, z, -y, -z); y, of people who stand"
    )
    axes.add_argument(
        "--convention",
        choices=("smpl", "inverse", "openxr", "unity"),
        default="smpl",
        help="rotations: from a joint's axes (x left, y up, z forward) to the world's; its inverse; OpenXR's; Unity's",
    )
    axes.add_argument(
        "--t-pose", type=kind.number, metavar="S", help="when the person stands in the T-pose; sensors may sit any way"
    )
    axes.add_argument("--units", choices=("m", "cm", "mm", "in"), help="of places; found if not given")
    axes.add_argument(
        "--floor", type=floor, default=0.0, metavar="M|none", help="height of the floor [m]; none if not known; 0"
    )
    axes.add_argument(
        "--offset",
        type=offset,
        action="append",
        default=[],
        metavar="JOINT=X,Y,Z",
        help="where a sensor is in its joint's axes (x left, y up, z forward) [m], as head=0,0.05,0.1; in the joint",
    )
    axes.add_argument(
        "--offset-error",
        type=centimetres,
        default=0.0,
        metavar="CM",
        help="how far off that is (std) [cm]; offsets are found from the recording if above 0; 0",
    )
    axes.add_argument(
        "--delay",
        type=delay,
        action="append",
        default=[],
        metavar="JOINT=MS",
        help="how much later a sensor's rows are than what they show [ms], as left_wrist=80, where clocks differ; 0",
    )
    parser.add_argument("--start", type=kind.number, metavar="S", help="leave out what is before this time [s]")
    parser.add_argument("--end", type=kind.number, metavar="S", help="leave out what is after this time [s]")
    parser.add_argument("--analyze", action="store_true", help="go on to joint torques and a report, in DIR/torques")


def steps(text: str) -> int:
    """Steps of the diffusion."""
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= 750:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of steps; give 1 to 750")
    return int(text)


def noise(text: str) -> float:
    """Standard deviation of a place [m]."""
    value = kind.number(text)
    if not 0 <= value <= MOST_NOISE:
        raise argparse.ArgumentTypeError(f"{text} is no noise of places; give metres, 0 to {MOST_NOISE:g}")
    return value


def angle(text: str) -> float:
    """Standard deviation of a rotation, from degrees [rad]."""
    value = kind.number(text)
    if not 0 <= value <= 90:
        raise argparse.ArgumentTypeError(f"{text} is no noise of rotations; give degrees, 0 to 90")
    return math.radians(value)


def centimetres(text: str) -> float:
    """An error of a length, from centimetres [m]."""
    value = kind.number(text)
    if not 0 <= value <= MOST_ERROR:
        raise argparse.ArgumentTypeError(f"{text} is no error of a length; give centimetres, 0 to {MOST_ERROR:g}")
    return value / 100


def offset(text: str) -> tuple[str, tuple[float, ...]]:
    """A sensor's place in its joint's axes: the joint's name and three numbers [m]."""
    name, equal, numbers = text.partition("=")
    place = tuple(kind.number(part) for part in numbers.split(",")) if equal else ()
    if len(place) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is no offset; give one as head=0,0.05,0.1, in metres")
    return name, place


def delay(text: str) -> tuple[str, float]:
    """How much a sensor is late: the joint's name, and from milliseconds [s]."""
    name, equal, number = text.partition("=")
    if not equal:
        raise argparse.ArgumentTypeError(f"{text!r} is no delay; give one as left_wrist=80, in milliseconds")
    return name, kind.number(number) / 1000


def floor(text: str) -> float | None:
    """Height of the floor [m], or None where it is not known."""
    return None if text == "none" else kind.number(text)


def sensors(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque sensors``; returns what to tell the user."""
    kind.check_interval(options.start, options.end)
    if options.paper and (options.noise is not None or options.steps is not None):
        raise DataError("--paper: fixes the steps and how noise is weighed; leave --steps and --noise out")
    if options.bones_error is not None and options.bones is None:
        raise DataError("--bones-error: is of lengths in --bones, and none are given; leave it out")
    if options.bones_error and options.fit_bones is False:
        raise DataError("--no-fit-bones: takes bones as told, whatever --bones-error is; leave one of them out")
    for option, given in (
        ("--offset", [name for name, _ in options.offset]),
        ("--delay", [name for name, _ in options.delay]),
    ):
        twice = [name for name in given if given.count(name) > 1]
        if twice:
            raise DataError(f"{option}: {twice[0]}'s is given twice")
    for name in RESULTS:
        if (options.out / name).exists() and (options.out / name).samefile(options.tracks):
            raise OutputError(
                f"{options.tracks}: is an input and would be overwritten; choose another folder with --out"
            )
    from motorque.estimators.inpose.drawing import PAPER, USUAL
    from motorque.workflows.sensors import sensors_step

    settings = PAPER if options.paper else USUAL
    if options.steps is not None:
        settings = replace(settings, steps=options.steps)
    if options.noise is not None:
        settings = replace(settings, noise=options.noise)
    if options.rotation_noise is not None:
        settings = replace(settings, rotation_noise=options.rotation_noise)
    if options.feet is not None:
        settings = replace(settings, feet=USUAL.feet if options.feet else None)
    if options.root is not None:
        settings = replace(settings, root=options.root)
    found = sensors_step(
        options.tracks,
        options.out,
        height=options.height,
        bones=options.bones,
        sex=options.sex,
        mass=options.mass,
        weights=options.weights,
        samples=options.samples,
        seed=options.seed,
        settings=settings,
        up=options.up,
        convention=options.convention,
        t_pose=options.t_pose,
        units=options.units,
        floor=options.floor,
        bones_error=options.bones_error,
        fit_bones=options.fit_bones,
        offsets=dict(options.offset),
        offset_error=options.offset_error,
        delays=dict(options.delay),
        start=options.start,
        end=options.end,
        analyze=options.analyze,
        journal=journal,
        progress=progress,
        command=options.command_line,
    )
    return f"{'report' if options.analyze else 'poses'}: {found}"
