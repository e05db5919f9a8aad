"""The command line: ``motorque analyze|keypoints|sensors|torques|refine|scale|ik|id|loads|study|train|evaluate|demo|
doctor``.

Exit codes: 0 done; 1 a fault in motorque or, for ``doctor``, a broken installation; 2 a wrong input, said in one line;
130 interrupted; 143 terminated.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import motorque
from motorque import cli_arguments as kind
from motorque import cli_evaluation, cli_sensors, cli_steps, cli_studies, cli_training
from motorque.cli_notices import line, print_notices
from motorque.errors import MotorqueError
from motorque.journal import Journal, Notice
from motorque.progress import Progress, TerminalProgress

Step = Callable[[argparse.Namespace, Journal, Progress], str]

DESCRIPTION = "From a recording of a moving person to joint angles, torques and ground forces."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: What follows the program's name; the process's own by default.
    """
    arguments = _joined_axes(sys.argv[1:] if arguments is None else arguments)
    options = build_parser().parse_args(arguments)
    options.command_line = shlex.join(["motorque", *arguments])
    debug = options.debug
    try:
        with interruptible(), _library_warnings(shown=debug):
            if options.command == "doctor":
                from motorque.doctor import examine

                code = examine()
            else:
                _run(options)
                code = 0
            sys.stdout.flush()  # here, where a reader that has gone can still be told from a fault
        return code
    except KeyboardInterrupt:
        kept = options.command in ("train", "evaluate")
        what = "go on with --resume" if kept else "nothing was written"
        return _fail(f"interrupted; {what}", 128 + signal.SIGINT, debug)
    except MotorqueError as error:
        return _fail(str(error), 2, debug)
    except BrokenPipeError:  # whoever read the output has gone: nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _fail(f"{what}{error.strerror or error}; check the path and the rights to it", 2, debug)
    except MemoryError:
        return _fail("the memory is not enough for this recording; cut it with --start and --end", 2, debug)
    except Exception as error:
        hint = "" if debug else "; please report it with what --debug shows"
        return _fail(f"this is a fault in motorque: {_fault(error)}{hint}", 1, debug)


def _run(options: argparse.Namespace) -> None:
    """Run a step with a progress bar, then print what it noticed and where its result is."""

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    def at_once(notice: Notice) -> None:
        progress.close()
        tell(line(notice))

    step: Step = options.step
    with TerminalProgress(enabled=False if options.quiet else None) as progress:
        # Held back until the work has succeeded: a wrong input is answered by one line, that which says what is wrong.
        journal = Journal(listener=at_once if options.debug else None)
        message = step(options, journal, progress)
    if not options.debug:
        print_notices(journal.notices, tell, only_warnings=options.quiet)
    if not options.quiet:
        print(_printable(message))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(prog="motorque", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"motorque {motorque.__version__}")
    common = _Parser(add_help=False)
    for where, default in ((parser, False), (common, argparse.SUPPRESS)):
        where.add_argument("--debug", action="store_true", default=default, help="show every notice and any traceback")
        where.add_argument("--quiet", action="store_true", default=default, help="print warnings and errors only")
    steps = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, step: Step, summary: str) -> argparse.ArgumentParser:
        sub = steps.add_parser(name, parents=[common], help=summary, description=summary)
        sub.set_defaults(step=step)
        return sub

    sub = add("analyze", cli_steps.analyze, "From one recording to joint angles, torques, ground forces and a report.")
    sub.add_argument(
        "inputs", nargs="+", type=kind.existing_file, metavar="INPUT", help="the trial: .trc, .c3d, or video"
    )
    _out(sub, "DIR", "folder for the results")
    _model(sub, required=False, note="; the built-in skeleton by default")
    sub.add_argument("--static", type=kind.one_of(".trc", ".c3d"), metavar="S.trc", help="standing trial, for scaling")
    _loads(sub)
    sub.add_argument("--height", type=kind.height, metavar="M", help="body height [m]")
    _mass(sub)
    sub.add_argument("--sex", type=kind.sex, default="unknown", metavar="SEX", help="f, m or unknown, for the masses")
    _cutoff(sub, "of the low-pass filter of motion and loads [Hz]; chosen from the recording by default, 6 for videos")
    sub.add_argument(
        "--up", type=kind.axis, metavar="AXIS", help="axis that points up (x, y, z, -x …); found if not given"
    )
    sub.add_argument("--units", choices=("mm", "m"), help="unit of the marker positions; found if not given")
    sub.add_argument(
        "--model-errors",
        action="store_true",
        help="let error bars hold a model's usual errors too: masses 10 %%, joint centres 10 mm, pressure 5 mm",
    )
    _interval(sub)
    video = sub.add_argument_group("video")
    video.add_argument(
        "--fov", type=kind.field_of_view, metavar="DEG", help="angle of view along the picture's longer side"
    )
    video.add_argument(
        "--cameras", type=kind.existing_path, metavar="CALIB", help="calibration: Pose2Sim .toml, OpenCap, Qualisys"
    )
    video.add_argument(
        "--facing",
        type=str.lower,
        choices=("auto", "+x", "-x", "+z", "-z"),
        default="auto",
        help="where the person faces in the results; auto is +x, or the way gone if that is far",
    )
    _detector(video, "--detector-model")
    video.add_argument(
        "--prior",
        choices=("learned", "habits"),
        help="what one camera leaves open: learned from many motions, as by default, or weak general habits",
    )
    video.add_argument("--no-pictures", action="store_true", help="leave the pictures out of the report")
    video.add_argument("--blur-faces", action="store_true", help="make the person's face coarse in the report")

    sub = add("keypoints", cli_steps.keypoints, "Find the points of one person's body in a video.")
    sub.add_argument("video", type=kind.existing_file, metavar="VIDEO", help="the video: .mp4, .mov and most others")
    _out(sub, "KEYPOINTS.npz", "the points in pixels, with confidence; kept as they are if made the same way before")
    _detector(sub)
    _interval(sub)

    sub = add("torques", cli_steps.torques, "From SMPL poses or motion capture's bones to joint torques and a report.")
    sub.add_argument(
        "input", type=kind.existing_file, metavar="POSES", help="SMPL poses (.npz), .bvh, .amc, or CMU's .txt"
    )
    _out(sub, "DIR", "folder for the results")
    _person_of_poses(sub)
    sub.add_argument(
        "--model", type=kind.one_of(".npz", ".pkl"), metavar="FILE", help="your SMPL, SMPL-H or SMPL-X model"
    )
    _loads(sub)
    sub.add_argument(
        "--contact",
        choices=("estimated", "none", "spheres"),
        default="estimated",
        help="ground forces without --loads: found in the motion, none, or of spheres on a floor at height 0",
    )
    sub.add_argument(
        "--rates",
        metavar="METHOD",
        help="way to velocities and accelerations: auto (as the recording's own noise asks for, then a low-pass "
        "filter; the default), butterworth, spline, savitzky-golay, rts, central",
    )
    sub.add_argument(
        "--cutoff",
        type=float,
        metavar="HZ",
        help="low-pass cutoff of butterworth (if alone) or spline; with --rates auto that of the filter after the "
        "smoothing that the noise asks for, 6 by default",
    )
    _interval(sub)

    sub = add("refine", cli_steps.refine, "Take noise out of SMPL poses or of a model's motion, by mechanics.")
    sub.add_argument(
        "input", type=kind.existing_file, metavar="INPUT", help="SMPL poses (.npz), .bvh, .amc, or .mot with --model"
    )
    _out(sub, "DIR", "folder for the results")
    sub.add_argument(
        "--model", type=kind.one_of(".osim", ".npz", ".pkl"), metavar="FILE", help="OpenSim model, or your SMPL model"
    )
    sub.add_argument(
        "--method",
        choices=("mechanics", "smooth", "adam"),
        default="mechanics",
        help="smooth knows of mechanics at most inertia; adam is SMPL-Dynamics' gradient descent, for poses",
    )
    _person_of_poses(sub)
    _interval(sub)

    sub = add("demo", cli_steps.demo, "Analyze the built-in recording, a generated walk.")
    _out(sub, "DIR", "folder for the results; out/demo by default", default=Path("out/demo"))
    nothing = dict.fromkeys(("model", "loads", "height", "cutoff", "up", "units", "start", "end"))
    sub.set_defaults(**nothing, model_errors=False)

    sub = add("scale", cli_steps.scale, "Scale a model to a person by a standing trial, as OpenSim's Scale tool does.")
    _model(sub)
    static = "standing trial; the setup's own by default"
    sub.add_argument("--static", type=kind.one_of(".trc"), metavar="S.trc", help=static)
    sub.add_argument("--setup", type=kind.one_of(".xml"), metavar="SCALE.xml", help="OpenSim's setup of the Scale tool")
    _mass(sub)
    _out(sub, "SCALED.osim", "the scaled model")

    sub = add("ik", cli_steps.ik, "Joint angles from markers by weighted least squares.")
    _model(sub)
    sub.add_argument("--markers", required=True, type=kind.one_of(".trc"), metavar="T.trc", help="the trial")
    setup = sub.add_mutually_exclusive_group()
    setup.add_argument("--setup", type=kind.one_of(".xml"), metavar="IK.xml", help="OpenSim's setup of the IK tool")
    setup.add_argument("--tasks", type=kind.one_of(".xml"), metavar="TASKS.xml", help="OpenSim's IK task set")
    _interval(sub)
    _out(sub, "IK.mot", "the motion, in degrees")
    sub.add_argument("--errors", type=kind.output_path, metavar="ERR.sto", help="marker errors of each frame")

    sub = add("id", cli_steps.id_, "Generalized forces from a motion and external loads.")
    _model(sub)
    _motion(sub)
    _loads(sub)
    _cutoff(sub, "of the low-pass filter of the motion [Hz]; not filtered by default")
    sub.add_argument(
        "--exclude-forces",
        type=kind.names,
        metavar="NAMES",
        help="the model's forces to leave out, by group, class or name, separated by commas;"
        " muscles by default, and contact forces too where there are --loads",
    )
    _interval(sub)
    sub.add_argument("--reduced", action="store_true", help="project coupled coordinates onto the independent ones")
    _out(sub, "ID.sto", "the generalized forces")

    sub = add("loads", cli_steps.loads, "Estimate the ground reaction forces of a motion, without force plates.")
    _model(sub)
    _motion(sub)
    _mass(sub)
    _cutoff(sub, "of the low-pass filter of the motion [Hz]; 6 by default")
    _out(sub, "GRF.mot", "the ground reaction forces")

    cli_studies.add_options(add("study", cli_studies.study, "Repeat a paper's experiments: figures, tables, a page."))
    summary = "Learn an estimator's weights from recordings; can be stopped and resumed at any moment."
    cli_training.add_options(add("train", cli_training.train, summary))
    summary = "How well an estimator does on people whom it never saw: the tables and figures of its paper."
    cli_evaluation.add_options(add("evaluate", cli_evaluation.evaluate, summary))

    summary = "From a few worn sensors, and whose bones they move, to the poses of a whole body."
    cli_sensors.add_options(add("sensors", cli_sensors.sensors, summary))

    summary = "Say what is installed, what works, and what an optional part would need."
    steps.add_parser("doctor", parents=[common], help=summary, description=summary)
    return parser


def _out(parser: argparse.ArgumentParser, metavar: str, text: str, default: Path | None = None) -> None:
    parser.add_argument(
        "--out", required=default is None, default=default, type=kind.output_path, metavar=metavar, help=text
    )


def _model(parser: argparse.ArgumentParser, *, required: bool = True, note: str = "") -> None:
    text = f"OpenSim model{note}"
    parser.add_argument("--model", required=required, type=kind.one_of(".osim"), metavar="M.osim", help=text)


def _motion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--motion", required=True, type=kind.one_of(".mot", ".sto"), metavar="IK.mot", help="coordinates over time"
    )


def _loads(parser: argparse.ArgumentParser) -> None:
    text = "measured forces, or OpenSim's ExternalLoads that name them"
    parser.add_argument("--loads", type=kind.one_of(".mot", ".sto", ".xml"), metavar="GRF.mot|LOADS.xml", help=text)


def _mass(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mass", type=kind.mass, metavar="KG", help="body mass [kg]")


def _person_of_poses(parser: argparse.ArgumentParser) -> None:
    """Whose poses they are, and what their file may leave out."""
    parser.add_argument("--fps", type=kind.rate, metavar="HZ", help="frames per second; the file's own by default")
    _mass(parser)
    parser.add_argument("--height", type=kind.height, metavar="M", help="body height [m]")
    parser.add_argument("--sex", type=kind.sex, metavar="SEX", help="f, m or unknown; the file's by default")
    parser.add_argument(
        "--up", type=kind.pose_axis, metavar="AXIS", help="up axis of the poses (y, z, -y, -z); found if not given"
    )
    parser.add_argument("--skeleton", type=kind.one_of(".asf"), metavar="FILE.asf", help="skeleton of an .amc")


def _cutoff(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--cutoff", type=kind.cutoff, metavar="HZ", help=f"cutoff {text}")


def _interval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=kind.number, metavar="S", help="leave out what is before this time [s]")
    parser.add_argument("--end", type=kind.number, metavar="S", help="leave out what is after this time [s]")


def _detector(parser: argparse._ActionsContainer, model: str = "--model") -> None:
    """How a video is looked at."""
    parser.add_argument(
        "--detector",
        default="mediapipe",
        metavar="mediapipe|rtmpose|DIR",
        help="what finds the points, or a folder of OpenPose's JSON files of this video; mediapipe by default",
    )
    parser.add_argument(model, type=kind.one_of(".onnx"), metavar="M.onnx", help="RTMPose model, for rtmpose")
    parser.add_argument(
        "--fps", type=kind.rate, metavar="HZ", default=30.0, help="look at this many frames a second at most; 30"
    )
    parser.add_argument(
        "--person", type=kind.index, metavar="N", help="whom to follow, 0 the largest, 1 the next …; 0 by default"
    )
    parser.add_argument(
        "--turn",
        type=kind.turn,
        metavar="DEG",
        help="turn the picture counter-clockwise: 0, 90, 180, 270; found if not given",
    )


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line; no abbreviations: a new option must not change what an old one means."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings, allow_abbrev=False)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        text = message.removeprefix("argument ")
        hint = f" (see '{self.prog} --help')" if text == message else ""
        self.exit(2, f"motorque: {text}{hint}\n")


def _joined_axes(arguments: Sequence[str]) -> list[str]:
    """``--up -z`` as ``--up=-z``, and so for ``--facing``: argparse would take ``-z`` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--up", "--facing") and argument.lower() in ("-x", "-y", "-z"):
            joined[-1] = f"{joined[-1]}={argument}"
        else:
            joined.append(argument)
    return joined


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM leave through the same clean-up as Ctrl-C, with its own exit code."""

    def leave(number: int, frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread, where signals are somebody else's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _library_warnings(*, shown: bool) -> Iterator[None]:
    """Keep warnings of libraries, which speak to programmers, off the terminal unless asked for."""
    with warnings.catch_warnings():
        if not shown and not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield


def _printable(text: str) -> str:
    """The text with what the terminal cannot show, such as bytes of a file's name that are no text, written out."""
    return text.encode(sys.stdout.encoding or "utf-8", errors="backslashreplace").decode(sys.stdout.encoding or "utf-8")


def _fault(error: Exception) -> str:
    """An unexpected error with the place it came from, in one line."""
    steps = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(steps[-1].filename).name}, line {steps[-1].lineno})" if steps else ""
    return f"{type(error).__name__}: {error}{where}"


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"motorque: {' '.join(message.split())}", file=sys.stderr)
    return code
