"""Learning error bars: ``python -m motorque.estimators.inpose.calibration LIBRARY --weights W [W2 …]``.

Movements of people from whom a prior did not learn are sampled as a user would sample them, in their own bones, from
head and wrists, and from the head alone for arms of which nothing is measured. How far off that is makes the table of
:mod:`motorque.estimators.inpose.error_bars`: its 90 % bands hold 90 % of all these people's errors, people counting
alike. The first weights are those that the table is for; they left out few people, so that more can be given, trained
on other people with the same settings, each for those whom none before it left out. Errors of people who are tested
are never looked at; others' trainings may have learned from them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

import motorque
from motorque.errors import DataError
from motorque.estimators.inpose.bodies import Bodies, pelvis_of
from motorque.estimators.inpose.drawing import USUAL, SamplingSettings, drawn_from, refit
from motorque.estimators.inpose.error_bars import BAND, FREE, GROUPS, KINDS, TABLE, fingerprint
from motorque.estimators.inpose.folds import CMU_TEST, default_split
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.learned_tables import learn_table
from motorque.estimators.inpose.library import Library, Movement
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import HEAD, JOINTS, RATE, THREE, WINDOW, angles_between, columns, places

Array = NDArray[np.float64]

SAMPLES = 8
SECONDS = 4.0
"""Of each recording at most, from its middle."""
MOST = 12
"""Recordings of each person at most, evenly among them."""
HELD = 0.9
NARROWEST = 1e-6
"""Of variances: what is left of them where the spread of samples says all."""
LEAST = {"angle": np.radians(1.0), "place": 0.002}
"""What stands for no error at all where errors are fitted [rad, m]."""


@dataclass(frozen=True)
class Truth:
    """What somebody truly did.

    Args:
        subject: Who.
        columns6: Global rotations as six numbers, shape [T, 22, 6].
        pelvis: Over a floor at y = 0 [m], shape [T, 3].
        rest: Rest joints [m], shape [22, 3].
    """

    subject: str
    columns6: torch.Tensor
    pelvis: torch.Tensor
    rest: torch.Tensor


@dataclass(frozen=True)
class Errors:
    """How far the mean of samples is off, and how far they are from each other, each [T, 22].

    Args:
        subject: Of whom.
        angle: Angle between the found and the true global rotation [rad].
        place: How far the found place is from the true one, the head where it was measured [m].
        spread: Of samples' rotations [rad].
        place_spread: Of their places [m].
        drawn: The samples.
    """

    subject: str
    angle: Array
    place: Array
    spread: Array
    place_spread: Array
    drawn: Bodies


def errors_of(
    truth: Truth,
    prior: InPose,
    *,
    sensors: Sequence[int] = THREE,
    settings: SamplingSettings = USUAL,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Errors:
    """Sample a movement from what its sensors would say, without noise.

    Args:
        truth: What was done.
        prior: What samples.
        sensors: Joints whose rotation and place are measured.
        settings: How it is sampled.
        samples: How many.
        seed: Of the first.
    """
    true, rest = truth.columns6.double(), truth.rest.double()
    points = places(true, rest, truth.pelvis.double())
    seen = torch.zeros(true.shape[:2], dtype=torch.bool)
    seen[:, list(sensors)] = True
    measured = Measured(true.float(), seen, points.float(), seen, rest.float(), placed=True)
    found = drawn_from(prior.network, measured, settings, seeds=[seed + number for number in range(samples)])
    turns = found.turns.numpy()
    pelvis = np.stack([pelvis_of(sample, found.measured, rest.numpy(), root=settings.root) for sample in turns])
    drawn = Bodies(
        np.arange(len(true)) / RATE,
        turns,
        pelvis,
        rest.numpy(),
        measured=found.measured,
        settings=found.settings,
        stands=found.stands,
    )
    mean = refit(drawn)
    return Errors(
        truth.subject,
        angles_between(torch.tensor(columns(mean.rotations[0])), true).numpy(),
        np.linalg.norm(mean.positions[0] - points.numpy(), axis=-1),
        drawn.spread,
        drawn.place_spread,
        drawn,
    )


def middle_of(library: Library, movement: Movement, seconds: float) -> Truth:
    """The middle of a recording [s], in the person's own bones."""
    frames = min(movement.frames, max(WINDOW, round(seconds * RATE)))
    first = movement.first + (movement.frames - frames) // 2
    rows = slice(first, first + frames)
    six, pelvis = (torch.tensor(np.array(values[rows])) for values in (library.rotations, library.pelvis))
    return Truth(movement.subject, six, pelvis, torch.tensor(movement.rest))


def calibrated(
    errors: Sequence[Errors],
    *,
    parts: Mapping[str, Sequence[str]] = GROUPS,
    sensors: Sequence[int] = THREE,
) -> dict[str, dict[str, tuple[float, float]]]:
    """The two numbers of each part of the body that strangers' errors ask for, rotations in rad and places in m.

    Args:
        errors: Of some people, sampled :data:`SAMPLES` times.
        parts: Joints by part of the body.
        sensors: What was measured, which does not count.

    Raises:
        DataError: There is nobody.
    """
    if not errors:
        raise DataError("error bars: there is no movement to learn from")
    found: dict[str, dict[str, tuple[float, float]]] = {kind: {} for kind in KINDS}
    for name, joints in parts.items():
        own = [JOINTS.index(joint) for joint in joints if JOINTS.index(joint) not in sensors]
        people = [[e for e in errors if e.subject == subject] for subject in sorted({e.subject for e in errors})]
        for kind, off, spread in zip(KINDS, ("angle", "place"), ("spread", "place_spread"), strict=True):
            each = [
                tuple(np.concatenate([getattr(e, what)[:, own].ravel() for e in person]) for what in (off, spread))
                for person in people
            ]
            found[kind][name] = widening(each, SAMPLES, least=LEAST[off])
    return found


def widening(people: Sequence[tuple[Array, ...]], count: int, *, least: float) -> tuple[float, float]:
    """The numbers ``own`` and ``times`` with which 90 % of people's errors are in their bands, people counting alike.

    What a spread tells is how one person's errors differ from frame to frame and joint to joint, not how people differ:
    ``times`` is the same for all, ``own`` each one's, both as Gaussian errors alike in all directions make most likely.
    Of ``own`` the root of the mean square is taken; then both are made larger or smaller until the bands hold 90 %.

    Args:
        people: Errors and spreads of each, both [M].
        count: Of how many samples they are.
        least: Standard deviation that ``own`` is not below.
    """
    squares = [(np.square(off), np.square(spread)) for off, spread in people]

    def loss(own: float, times: float, person: tuple[Array, Array]) -> float:
        variance = own + (times + 1 / count) * person[1]
        return float(np.mean(np.log(variance) + person[0] / variance))

    def fitted(times: float, person: tuple[Array, Array]) -> tuple[float, float]:
        """The log of this person's own variance, and the loss with it."""
        low = 2 * np.log(least)
        span = (low, max(float(np.log(person[0].mean())), low) + 1.0)
        best = minimize_scalar(lambda log: loss(np.exp(log), times, person), bounds=span, method="bounded")
        return float(best.x), float(best.fun)

    steps = np.linspace(np.log(1e-4), np.log(1e2), 57)
    costs = [sum(fitted(np.exp(log), person)[1] for person in squares) for log in steps]
    times = float(np.exp(steps[int(np.argmin(costs))]))
    own = float(np.mean([np.exp(fitted(times, person)[0]) for person in squares]))
    needed = [(off / BAND**2 - spread / count) / (own + times * spread) for off, spread in squares]
    alike = np.concatenate([np.full(len(each), 1 / len(each)) for each in needed])
    factor = float(np.quantile(np.concatenate(needed), HELD, weights=alike, method="inverted_cdf"))
    factor = max(factor, NARROWEST)
    return float(np.sqrt(own * factor)), float(np.sqrt(times * factor))


def main(arguments: list[str] | None = None) -> int:
    """Make the table from the command line; returns the exit status."""
    return learn_table(arguments, name="calibration", about=__doc__, table=TABLE, learn=learned)


def learned(library: Library, priors: Sequence[InPose]) -> tuple[str, str]:
    """The table's text, and what there is to tell of it."""
    left = strangers(library, priors)
    errors, alone = (
        [e for prior, own in zip(priors, left, strict=True) for e in sampled(library, own, prior, sensors=sensors)]
        for sensors in (THREE, (HEAD,))
    )
    numbers, prior = calibrated(errors), priors[0]
    free = calibrated(alone, parts={FREE: GROUPS["arms"]}, sensors=(HEAD,))
    numbers = {kind: numbers[kind] | free[kind] for kind in KINDS}
    about = {
        "motorque": motorque.__version__,
        "library": library.fingerprint,
        "network": fingerprint(prior.network),
        "prior_step": prior.about.get("step"),
        "settings": asdict(USUAL),
        "people": sorted({e.subject for e in errors}),
        "other_networks": [fingerprint(each.network) for each in priors[1:]],
        "frames": sum(len(e.angle) for e in errors),
    }
    rounded = {kind: {name: [round(x, 5) for x in pair] for name, pair in own.items()} for kind, own in numbers.items()}
    told = ""
    for name in (*GROUPS, FREE):
        (turn, by), (place, by_place) = numbers["rotations_rad"][name], numbers["places_m"][name]
        told += f"{name}: {np.degrees(turn):.1f} deg and {by:.2f} times the spread; {100 * place:.1f} cm and "
        told += f"{by_place:.2f}\n"
    return json.dumps({"about": about} | rounded, indent=1) + "\n", told


def strangers(library: Library, priors: Sequence[InPose]) -> list[list[Movement]]:
    """Movements of people whom each prior left out, and none before it: at most :data:`MOST` of each.

    Raises:
        DataError: Weights do not say whom they left out, or left out nobody else.
    """
    found: list[list[Movement]] = []
    known = set(CMU_TEST)
    for prior in priors:
        if "data" in prior.about:
            people = {*prior.about["data"]["validation"], *prior.about["data"]["test"]}
        else:
            people = {m.subject for m in default_split(library.movements).validation}
        own: list[Movement] = []
        for person in sorted(people - known):
            theirs = [m for m in library.movements if m.subject == person]
            own += [theirs[k] for k in np.linspace(0, len(theirs) - 1, min(len(theirs), MOST)).round().astype(int)]
        if not own:
            raise DataError("error bars: weights left out nobody who is not tested, or left out by weights before")
        found.append(own)
        known |= people
    return found


def sampled(
    library: Library, movements: Sequence[Movement], prior: InPose, *, sensors: Sequence[int] = THREE
) -> list[Errors]:
    """Errors of the middle of each movement."""
    return [errors_of(middle_of(library, movement, SECONDS), prior, sensors=sensors) for movement in movements]


if __name__ == "__main__":
    sys.exit(main())
