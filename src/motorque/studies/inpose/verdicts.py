"""Whether what was asked for came out, in plain sentences with their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from motorque.studies.inpose import cast
from motorque.studies.inpose.experiments import BONE_ERRORS, PLACE_NOISE, SCALES, SHAPES
from motorque.studies.inpose.protocol import DEFAULT, Condition, Shape
from motorque.studies.inpose.results import Results
from motorque.studies.inpose.runtime import Runtime
from motorque.studies.statistics import Interval
from motorque.studies.tables import Table

FLAT = 0.05
"""How far errors of other sizes may be from that of scale 1."""
NEAR = 1.1
"""Times the best baseline's error, and times the error without noise."""
NOISE, BONES = 5.0, 3.0
"""Of places and of bone lengths [cm]."""
WRONG = 1.25
"""Times the error with the right bones."""
FEET = 0.85
"""Times the lower body's error without contact guidance."""
SPEED = 60.0
"""New frames a second."""
ALGEBRA = 0.1
"""Of a guided step."""
BASELINE = 0.8
"""Times the error of the mean pose with inverse kinematics: more is no baseline."""
YES, NO, ABSENT = "yes", "no", "not measured"
Row = tuple[str, str, str, str]
Ratio = Interval | None


def verdict_table(results: Results, runtime: Runtime | None) -> Table:
    """A row for each figure that was asked for."""
    table = Table(
        "verdicts", "What was asked for, and what came out", ("figure", "asked for", "reached", "measured here")
    )
    for row in (
        _scales(results),
        *_shapes(results),
        _default(results),
        _noise(results),
        _bones(results),
        _feet(results),
        *_speed(runtime),
        _baseline(results),
    ):
        table.add(*row)
    return table


def counted(results: Results, runtime: Runtime | None) -> str:
    """How many figures were reached, in a few words."""
    answers = [row[2] for row in verdict_table(results, runtime).rows]
    return ", ".join(
        f"{answers.count(answer)} {what}"
        for answer, what in ((YES, "reached"), (NO, "missed"), (ABSENT, "not measured"))
        if answer in answers
    )


def times(value: Ratio) -> str:
    """A quotient with its interval."""
    return "not measured" if value is None else f"{value.mean:.3f} times [{value.low:.3f}, {value.high:.3f}]"


def _there(results: Results, names: Sequence[str], condition: Condition = DEFAULT) -> list[str]:
    return [name for name in names if results.has(name, condition.name)]


def _of_all(held: bool, there: bool) -> str:
    """The answer where all baselines must be beaten: no one who was not given is."""
    return NO if not held else YES if there else ABSENT


def _missing(names: Iterable[str]) -> str:
    """Baselines that were not given, as the end of a sentence."""
    away = list(names)
    return f"; not given: {', '.join(away)}" if away else ""


def _scales(results: Results) -> Row:
    asked = (
        "whole-body scales 0.6 to 1.4",
        "InPose's scaled MPJPE and MPJRE within 5 % of those at scale 1; the baselines' not",
    )
    own = {name: _farthest(results, name) for name in (cast.INPOSE, cast.HEAD, cast.MEAN_OF_4)}
    if all(values is None for values in own.values()):
        return (*asked, ABSENT, "")
    others = {name: _farthest(results, name) for name in cast.BASELINES.values()}
    flat = all(max(values) <= FLAT for values in own.values() if values)
    bent = [max(values) > FLAT for values in others.values() if values]
    held = _of_all(flat and all(bent), all(others.values()))
    parts = (
        f"{name} by at most {100 * values[0]:.2g} % in MPJPE and {100 * values[1]:.2g} % in MPJRE"
        for name, values in (own | others).items()
        if values
    )
    note = _missing(name for name, values in others.items() if not values)
    return (*asked, held, f"off the errors at scale 1: {'; '.join(parts)}{note}")


def _farthest(results: Results, method: str) -> tuple[float, float] | None:
    """How far a method's errors at other sizes are from those at scale 1 at most, as shares: MPJPE, MPJRE."""
    found = []
    for measure in ("mpjpe", "mpjre"):
        ratios = [
            results.ratio((method, Condition(Shape(whole=s)).name), (method, DEFAULT.name), measure)
            for s in SCALES
            if s != 1.0
        ]
        if any(ratio is None for ratio in ratios):
            return None
        found.append(max(abs(ratio.mean - 1) for ratio in ratios if ratio is not None))
    return found[0], found[1]


def _shapes(results: Results) -> Iterator[Row]:
    changed = [condition for condition in SHAPES if condition != DEFAULT]
    which = {True: "intervals over people and recordings", False: "intervals over these people's recordings"}
    for method, people in itertools.product((cast.MEAN_OF_4, cast.HEAD), which):
        asked = (
            f"changed shapes, {method}, {which[people]}",
            "InPose (head) better than every shape-blind baseline on MPJPE and MPJRE, by paired intervals",
        )
        held, lost, blind = [], [], _there(results, cast.BLIND, changed[0])
        away = [name for name in cast.BASELINES.values() if name not in blind]
        for condition in changed:
            for other in blind:
                for measure in ("mpjpe", "mpjre"):
                    off = results.difference((method, condition.name), (other, condition.name), measure, people=people)
                    if off is None:
                        continue
                    held.append(off.high < 0)
                    if not held[-1]:
                        lost.append(f"{condition.name}, {other}, {measure.upper()} {off}")
        if not held:
            yield (*asked, ABSENT, "no baseline was given")
            continue
        yield (
            *asked,
            _of_all(all(held), not away),
            f"{sum(held)} of {len(held)} comparisons" + (f"; not: {_some(lost)}" if lost else "") + _missing(away),
        )


def _some(texts: Sequence[str], most: int = 4) -> str:
    more = f"; and {len(texts) - most} more (shapes_differences)" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more


def _default(results: Results) -> Row:
    asked = ("default shape", "InPose within 10 % of the best baseline's MPJPE")
    blind = _there(results, cast.BLIND)
    errors = {name: results.mean(name, DEFAULT.name, "mpjpe") for name in blind}
    best = min(((value.mean, name) for name, value in errors.items() if value is not None), default=None)
    if best is None or not results.has(cast.HEAD, DEFAULT.name):
        return (*asked, ABSENT, "no baseline was given")
    ratios = {
        name: results.ratio((name, DEFAULT.name), (best[1], DEFAULT.name), "mpjpe")
        for name in (cast.MEAN_OF_4, cast.HEAD, cast.INPOSE, cast.PRIOR_IK, cast.MEAN_IK)
    }
    own = ratios[cast.MEAN_OF_4]
    held = own is not None and own.mean <= NEAR
    parts = (f"{name} {times(value)}" for name, value in ratios.items() if value is not None)
    away = [name for name in cast.BASELINES.values() if name not in blind]
    said = f"the best is {best[1]} with {best[0]:.2f} cm; {'; '.join(parts)}{_missing(away)}"
    return (*asked, _of_all(held, not away), said)


def _noise(results: Results) -> Row:
    asked = ("noise of places", f"InPose's error at {NOISE:g} cm within 10 % of its error without noise")
    assert NOISE in PLACE_NOISE
    ours = (cast.MEAN_OF_4, cast.HEAD, cast.INPOSE)
    noisy = Condition(place_noise=0.01 * NOISE).name
    ratios = {
        name: results.ratio((name, noisy), (name, DEFAULT.name), "mpjpe")
        for name in (*ours, cast.UNTOLD, cast.LIKE_PAPER, cast.PRIOR_IK, cast.MEAN_IK, *cast.BASELINES.values())
    }
    own = [ratio.mean for name, ratio in ratios.items() if ratio is not None and name in ours]
    if not own:
        return (*asked, ABSENT, "")
    held = max(own) <= NEAR
    parts = (f"{name} {times(value)}" for name, value in ratios.items() if value is not None)
    return (*asked, YES if held else NO, f"MPJPE is, without noise's, {'; '.join(parts)}")


def _bones(results: Results) -> Row:
    asked = ("bone lengths wrong by 3 cm", "MPJPE within 25 % of that with the right ones, by an option")
    assert BONES in BONE_ERRORS
    wrong = Condition(bone_error=0.01 * BONES).name
    ratios = {
        name: results.ratio((name, wrong), (cast.HEAD, DEFAULT.name), "mpjpe")
        for name in (cast.FOUND_BONES, cast.HEAD, cast.INPOSE, cast.PRIOR_IK)
    }
    best = ratios[cast.FOUND_BONES]
    parts = (f"{name} {times(value)}" for name, value in ratios.items() if value is not None)
    said = f"MPJPE is, of {cast.HEAD} with the right bones, {'; '.join(parts)}"
    if best is None:
        return (*asked, ABSENT, said if ratios[cast.HEAD] is not None else "")
    return (*asked, YES if best.mean <= WRONG else NO, said)


def _feet(results: Results) -> Row:
    asked = ("lower body with contact guidance", "LPE at least 15 % lower than without")
    ratio = results.ratio((cast.FEET, DEFAULT.name), (cast.HEAD, DEFAULT.name), "lpe")
    if ratio is None:
        return (*asked, ABSENT, "")
    said = f"LPE is {times(ratio)} that of {cast.HEAD}"
    means = results.ratio((cast.MEAN_OF_4, DEFAULT.name), (cast.FEETLESS_4, DEFAULT.name), "lpe")
    if means is not None:
        said += f"; of means of 4, {times(means)}"
    return (*asked, YES if ratio.mean <= FEET else NO, said)


def _speed(runtime: Runtime | None) -> Iterator[Row]:
    fast = (f"speed on {runtime.threads if runtime else 2} CPU cores", "60 samples a second at 60 Hz or more")
    light = ("guidance's linear algebra", "under 10 % of a sampling step")
    if runtime is None:
        yield (*fast, ABSENT, "")
        yield (*light, ABSENT, "")
        return
    of = {speed.method: speed for speed in runtime.speeds}
    own = of.get(cast.FEET, of.get(cast.HEAD))
    if own is None:
        yield (*fast, ABSENT, "")
    else:
        yield (
            *fast,
            YES if own.rate >= SPEED else NO,
            f"{own.method}: {own.rate:.0f} with {own.steps} steps; streams {1000 * runtime.stream.least:.0f} to "
            f"{1000 * runtime.stream.most:.0f} ms behind, {runtime.stream.rate:.0f} frames a second; "
            f"{runtime.load:.1f} other processes wanted a core",
        )
    yield (*light, YES if runtime.algebra < ALGEBRA else NO, f"{100 * runtime.algebra:.2g} %")


def _baseline(results: Results) -> Row:
    asked = ("the regression is a baseline", "MPJPE on the default shape 20 % below mean pose + IK")
    ratio = results.ratio((cast.REGRESSION, DEFAULT.name), (cast.MEAN_IK, DEFAULT.name), "mpjpe")
    if ratio is None:
        return (*asked, ABSENT, "no regression was given")
    return (*asked, YES if ratio.mean <= BASELINE else NO, times(ratio))
