"""Tables of an evaluation: one for each experiment, and what differs between methods on the same recordings."""

from __future__ import annotations

from collections.abc import Sequence

from motorque.studies.inpose import cast
from motorque.studies.inpose.experiments import MAIN, Experiment
from motorque.studies.inpose.results import Results
from motorque.studies.tables import Table

SHOWN = {
    "mpjpe": "MPJPE [cm]",
    "mpjre": "MPJRE [deg]",
    "upe": "UPE [cm]",
    "lpe": "LPE [cm]",
    "hands": "wrists [cm]",
    "angle": "angle [deg]",
    "velocity": "velocity error [cm/s]",
    "jitter": "jitter [m/s³]",
    "true_jitter": "true jitter [m/s³]",
}
"""Columns by measure; see :class:`motorque.studies.inpose.measures.Measures`."""
COMPARED = ("mpjpe", "mpjre", "upe", "lpe")
BETTER, WORSE, OPEN = "better", "worse", "undecided"


def experiment_tables(experiments: Sequence[Experiment], results: Results) -> list[Table]:
    """A table for each experiment that has results, and one of differences for those that compare methods."""
    made = []
    for experiment in experiments:
        table = experiment_table(experiment, results)
        if table.rows:
            made.append(table)
        if set(experiment.methods) >= set(MAIN):
            made.append(difference_table(experiment, results))
    return [table for table in made if table.rows]


def experiment_table(experiment: Experiment, results: Results) -> Table:
    """All measures of an experiment's methods in its conditions."""
    table = Table(experiment.name, experiment.title, ("condition", "method", "recordings", *SHOWN.values()))
    for method, condition in experiment.tests():
        own = results.of(method, condition.name)
        if own:
            values = (results.mean(method, condition.name, measure) for measure in SHOWN)
            table.add(condition.name, method, len(own), *values)
    missing = [m for m in experiment.methods if not any(results.has(m, c.name) for c in experiment.conditions)]
    if missing:
        table.notes = (f"Not here: {', '.join(missing)}.",)
    return table


def difference_table(experiment: Experiment, results: Results, method: str = cast.HEAD) -> Table:
    """A method less each of the others, paired by recording, and what that says."""
    table = Table(
        f"{experiment.name}_differences",
        f"{experiment.title}: {method} less each other method, paired by recording",
        ("condition", "less", *(SHOWN[m] for m in COMPARED), *(f"by {m.upper()}" for m in COMPARED[:2])),
    )
    for other, condition in experiment.tests():
        if other == method:
            continue
        mine, theirs = (method, condition.name), (other, condition.name)
        values = [results.difference(mine, theirs, measure) for measure in COMPARED]
        if all(value is not None for value in values):
            said = [OPEN if v is None else answer(v.low, v.high) for v in values[:2]]
            table.add(condition.name, other, *values, *said)
    return table


def answer(low: float, high: float) -> str:
    """What an interval of a difference of errors says."""
    return BETTER if high < 0 else WORSE if low > 0 else OPEN
