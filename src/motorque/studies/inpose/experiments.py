"""Which conditions and methods each of the paper's tables and figures, and each of our own questions, asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from motorque.errors import DataError
from motorque.studies.inpose import cast
from motorque.studies.inpose.protocol import DEFAULT, SENSORS, Condition, Shape
from motorque.studies.inpose.results import Results

SCALES = (0.6, 0.7, 0.8, 1.0, 1.2, 1.3, 1.4)
PLACE_NOISE = (0.0, 1.0, 2.5, 5.0, 7.5, 10.0)
"""[cm]"""
ROTATION_NOISE = (0.0, 2.5, 5.0, 7.5, 10.0)
"""[deg]"""
BONE_ERRORS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
"""[cm]"""
SHAPES = (
    DEFAULT,
    Condition(Shape(upper=0.85)),
    Condition(Shape(upper=1.17)),
    Condition(Shape(upper=0.7)),
    Condition(Shape(upper=1.3)),
    Condition(Shape(arms=1.1, torso=0.9)),
    Condition(Shape(arms=1.25, torso=0.8)),
    Condition(Shape(arms=0.8)),
    Condition(Shape(arms=1.25)),
)
"""Tables 1 to 3. The upper body's 0.85 and 1.17 are the paper's; it lost its other factors on the way to us, and these
are our choice."""
UNKNOWN = (
    DEFAULT,
    Condition(Shape(whole=0.8)),
    Condition(Shape(whole=1.2)),
    Condition(Shape(upper=0.85)),
    Condition(Shape(upper=1.17)),
    Condition(Shape(arms=1.1, torso=0.9)),
)
"""Bodies that nobody is told the bones of."""
MORE_SENSORS = (
    DEFAULT,
    Condition(sensors=(*SENSORS, "pelvis")),
    Condition(sensors=(*SENSORS, "left_ankle", "right_ankle")),
    Condition(sensors=(*SENSORS, "pelvis", "left_ankle", "right_ankle")),
)
MAIN = (*cast.SHIPPED, *cast.BASELINES.values())
"""Who is asked wherever methods are compared."""
SINGLE = tuple(name for name in MAIN if name != cast.MEAN_OF_4)
"""The same without the mean of several samples."""


@dataclass(frozen=True)
class Experiment:
    """A set of tests.

    Args:
        name: What it is called on the command line and in files.
        title: What it asks.
        conditions: What is changed.
        methods: Who is asked, by name; those that are not there are left out and said.
        axis: What the conditions are numbers of, with its unit, where they are.
        values: These numbers, one for each condition.
    """

    name: str
    title: str
    conditions: tuple[Condition, ...]
    methods: tuple[str, ...]
    axis: str = ""
    values: tuple[float, ...] = ()

    def answered(self, results: Results) -> bool:
        """Whether each condition has some result."""
        return all(any(results.has(m, condition.name) for m in self.methods) for condition in self.conditions)

    def tests(self) -> Iterator[tuple[str, Condition]]:
        """Every method in every condition."""
        for condition in self.conditions:
            for method in self.methods:
                yield method, condition


EXPERIMENTS = (
    Experiment(
        "shapes",
        "The default shape, and bodies of other proportions (Tables 1, 2, 3)",
        SHAPES,
        (*MAIN, cast.GLOBAL_4, cast.LOCAL_4),
    ),
    Experiment(
        "scales",
        "Whole bodies of other sizes (Figure 3 a, b)",
        tuple(Condition(Shape(whole=scale)) for scale in SCALES),
        MAIN,
        "factor of the whole body",
        SCALES,
    ),
    Experiment(
        "place_noise",
        "Noise of measured places (Figures 3 c and 8)",
        tuple(Condition(place_noise=0.01 * size) for size in PLACE_NOISE),
        (*MAIN, cast.UNTOLD, cast.LIKE_PAPER),
        "noise of places in each direction [cm]",
        PLACE_NOISE,
    ),
    Experiment(
        "rotation_noise",
        "Noise of measured rotations (Figure 9)",
        tuple(Condition(rotation_noise=math.radians(size)) for size in ROTATION_NOISE),
        SINGLE,
        "noise of rotation vectors in each direction [deg]",
        ROTATION_NOISE,
    ),
    Experiment(
        "bone_errors",
        "Bone lengths that are told wrong (Figure 8)",
        tuple(Condition(bone_error=0.01 * size) for size in BONE_ERRORS),
        (cast.INPOSE, cast.HEAD, cast.FOUND_BONES, cast.PRIOR_IK, cast.MEAN_IK),
        "error of bone lengths [cm]",
        BONE_ERRORS,
    ),
    Experiment(
        "unknown_bones",
        "Bones that nobody tells, found from the recording itself",
        UNKNOWN,
        (cast.HEAD, cast.UNKNOWN_BONES, cast.DEFAULT_BONES, cast.MEAN_IK),
    ),
    Experiment(
        "places",
        "With and without measured places (Table 4)",
        (DEFAULT,),
        (cast.INPOSE, cast.ALONE, cast.HEAD, cast.ALONE_HEAD, cast.PRIOR_IK, cast.GLOBAL, cast.GLOBAL_TURNS),
    ),
    Experiment(
        "guidance",
        "Kinds of guidance, as in the paper: 50 steps, nothing after (Table 5)",
        (DEFAULT,),
        (cast.PAPER_HEAD, cast.GRADIENT, cast.LOCAL_PSEUDO, cast.LOCAL_GRADIENT),
    ),
    Experiment(
        "covariance",
        "Theorem 1's covariance and the identity (appendix B); they are one where bones lie in the frontal plane",
        (DEFAULT, Condition(Shape(bent=0.3)), Condition(Shape(upper=0.85, bent=0.3))),
        (cast.HEAD, cast.THEOREM),
    ),
    Experiment(
        "steps",
        "Steps of the diffusion",
        (DEFAULT,),
        (cast.HEAD, cast.STEPS_10, cast.STEPS_50, cast.PAPER_INPOSE, cast.PAPER_HEAD),
    ),
    Experiment("sensors", "More sensors, without another training", MORE_SENSORS, (cast.INPOSE, cast.HEAD)),
    Experiment(
        "feet",
        "Feet on the floor, by an option",
        (DEFAULT,),
        (cast.HEAD, cast.FEET, cast.FEETLESS_4, cast.MEAN_OF_4),
    ),
)
RUNTIME, STILLS = "runtime", "stills"
"""What is no table of errors: how fast methods are (Table 6), and stick figures (Figures 4, 10 to 12)."""
NAMES = (*(experiment.name for experiment in EXPERIMENTS), RUNTIME, STILLS)


def checked(names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of what is asked for, all by default.

    Raises:
        DataError: There is no such experiment.
    """
    for name in names or ():
        if name not in NAMES:
            raise DataError(f"there is no experiment {name!r}; there are {', '.join(NAMES)}")
    return NAMES if names is None else names


def chosen(names: tuple[str, ...]) -> tuple[Experiment, ...]:
    """Experiments by name, in their own order."""
    return tuple(e for e in EXPERIMENTS if e.name in names)
