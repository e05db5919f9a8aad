"""Do 90 % bands of bodies from worn sensors hold 90 % of the truth? Prints tables and writes JSON.

    python benchmarks/inpose_coverage.py --data LIBRARY [--weights FILE] [--subjects 07,131] [--seconds 2]
        [--body own|default] [--sensors head,left_wrist,right_wrist] [--json FILE]

The middle of each recording of some people (the watched ones by default, from whom the prior did not learn) is sampled
eight times with default settings from its sensors' places and rotations, without noise, in the person's own bones or on
the default body. Errors are those of the mean of samples, closed again, as `motorque sensors` writes it: angles of
global rotations, and distances of places where the measured head is put onto the true one.

By joint: the root mean square error and spread, one over the other, and how often errors are in a 90 % band by the
spread and by the standard deviation (`Bodies.standard_deviation`, `.place_standard_deviation`): within 1.44 of it,
which holds 90 % of Gaussian errors alike in three directions. The table that widens spreads was made from six
people, the watched ones among them; so by part of the body also what a table made from one of the people alone holds of
each other one (by the table alone, without what bones' lengths allow). Measured joints are without error here and count
in neither.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.estimators.inpose.calibration import SAMPLES, Errors, Truth, calibrated, errors_of, middle_of
from motorque.estimators.inpose.error_bars import ANY, BAND, GROUPS, KINDS, Widening, by_joint
from motorque.estimators.inpose.folds import CMU_TEST
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.library import Library, load_library
from motorque.estimators.inpose.tree import JOINTS, columns
from motorque.studies.inpose.protocol import DEFAULT, SENSORS, trials

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """Errors of one joint or of one part of the body.

    Args:
        what: `rotations_rad` or `places_m`.
        name: The joint or the part.
        error: Root mean square [rad or m].
        spread: Alike.
        by_spread: Share of errors in 90 % bands by the spread.
        held: By the standard deviation.
        std: Its root mean square [rad or m].
    """

    what: str
    name: str
    error: float
    spread: float
    by_spread: float
    held: float
    std: float


def truths(library: Library, subjects: Sequence[str], seconds: float, body: str) -> Iterator[Truth]:
    """What people did."""
    if body == "default":
        for trial in trials(library, subjects, seconds=seconds):
            six = torch.tensor(columns(trial.rotations.numpy()))
            yield Truth(trial.subject, six, trial.pelvis, DEFAULT.shape.rest)
        return
    for subject in subjects:
        own = [m for m in library.movements if m.subject == subject]
        if not own:
            raise DataError(f"data: no recording of {subject!r}")
        yield from (middle_of(library, movement, seconds) for movement in own)


def collected(errors: Sequence[Errors], kind: str, joints: Sequence[int], own: Widening | None = None) -> list[Array]:
    """Errors, spreads and standard deviations of some joints in all frames; these by another table if one is given."""
    found: list[list[Array]] = [[], [], []]
    for e in errors:
        turns = kind == KINDS[0]
        spread = e.spread if turns else e.place_spread
        if own is not None:
            std = np.minimum(own(spread, SAMPLES), ANY if turns else np.inf)
        else:
            std = e.drawn.standard_deviation if turns else e.drawn.place_standard_deviation
        for values, part in zip(found, (e.angle if turns else e.place, spread, std), strict=True):
            values.append(part[:, list(joints)].ravel())
    return [np.concatenate(values) for values in found]


def rows_of(errors: Sequence[Errors], measured: Sequence[int]) -> Iterator[Row]:
    """By joint, then by part of the body, of rotations and of places."""
    named = {name: [JOINTS.index(name)] for name in JOINTS}
    named |= {f"all {name}": [JOINTS.index(joint) for joint in joints] for name, joints in GROUPS.items()}
    named["all"] = list(range(len(JOINTS)))
    for kind in KINDS:
        for name, joints in named.items():
            joints = [joint for joint in joints if joint not in measured]
            if joints:
                off, spread, std = collected(errors, kind, joints)
                rms = (float(np.sqrt(np.mean(values**2))) for values in (off, spread))
                held = (float(np.mean(off < BAND * values)) for values in (spread, std))
                yield Row(kind, name, *rms, *held, float(np.sqrt(np.mean(std**2))))


def crossed(errors: Sequence[Errors], measured: Sequence[int]) -> list[dict[str, object]]:
    """What a table made from one of the people holds of each other one, by part of the body."""
    people, found = sorted({e.subject for e in errors}), []
    for one in people:
        table = calibrated([e for e in errors if e.subject == one])
        for other in people:
            theirs = [e for e in errors if e.subject == other]
            for kind in KINDS if other != one else ():
                for name, own in GROUPS.items():
                    joints = [JOINTS.index(joint) for joint in own if JOINTS.index(joint) not in measured]
                    off, _, std = collected(theirs, kind, joints, by_joint(table[kind]))
                    held = float(np.mean(off < BAND * std))
                    found.append({"from": one, "of": other, "what": kind, "name": name, "held": held})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--subjects", default="07,131")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--body", choices=("own", "default"), default="own")
    parser.add_argument("--sensors", default=",".join(SENSORS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sensors = [JOINTS.index(name) for name in options.sensors.split(",")]
    prior, library = InPose.load(options.weights), load_library(options.data)
    errors = [
        errors_of(truth, prior, sensors=sensors)
        for truth in truths(library, options.subjects.split(","), options.seconds, options.body)
    ]
    found: dict[str, object] = {"frames": sum(len(e.angle) for e in errors), "people": {}}
    for person in [None, *sorted({e.subject for e in errors})]:
        own = [e for e in errors if person in (None, e.subject)]
        rows = list(rows_of(own, sensors))
        found["people"][person or "all"] = [asdict(row) for row in rows]  # type: ignore[index]
        print(f"{person or 'everybody'}: {len(own)} recordings, {sum(len(e.angle) for e in own)} frames")
        print(f"{'':26s} error  spread  ratio  held by it     std  held by it")
        for row in rows:
            if person is None or row.name.startswith("all"):
                scale, unit = (np.degrees(1), "deg") if row.what == KINDS[0] else (100.0, "cm")
                print(
                    f"{row.name:18s} [{unit:>3s}] {scale * row.error:7.2f} {scale * row.spread:7.2f} "
                    f"{row.error / max(row.spread, 1e-9):6.2f} {100 * row.by_spread:9.1f} % {scale * row.std:7.2f} "
                    f"{100 * row.held:9.1f} %"
                )
    # No table is ever made from who is tested, not even to look at it
    if tuple(options.sensors.split(",")) == SENSORS and not {*options.subjects.split(",")} & {*CMU_TEST}:
        found["crossed"] = crossed(errors, sensors)
        for each in crossed(errors, sensors):
            print(f"made from {each['from']}, {each['what']} of {each['of']}'s {each['name']}: {each['held']:.1%} held")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
