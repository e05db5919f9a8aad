"""Tables of an evaluation: one for each experiment, and what differs between methods on the same recordings."""

from __future__ import annotations

from collections.abc import Sequence

from motorque.studies.inpose import cast, paper
from motorque.studies.inpose.experiments import MAIN, SINGLE, Experiment
from motorque.studies.inpose.protocol import DEFAULT
from motorque.studies.inpose.results import Results
from motorque.studies.statistics import Interval
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
        if set(experiment.methods) >= set(SINGLE):
            made += [difference_table(experiment, results, method) for method in (cast.HEAD, cast.MEAN_OF_4)]
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
        f"{experiment.name}_differences" + ("_mean" if method == cast.MEAN_OF_4 else ""),
        f"{experiment.title}: {method} less each other method, paired by recording",
        (
            "condition",
            "less",
            *(SHOWN[m] for m in COMPARED),
            *(f"by {m.upper()}" for m in COMPARED[:2]),
            *(f"by {m.upper()}, these people" for m in COMPARED[:2]),
        ),
        notes=("By: what the interval over people and recordings says; these people: over recordings alone.",),
    )
    for other, condition in experiment.tests():
        if other == method:
            continue
        mine, theirs = (method, condition.name), (other, condition.name)
        values = [results.difference(mine, theirs, measure) for measure in COMPARED]
        if all(value is not None for value in values):
            these = [results.difference(mine, theirs, measure, people=False) for measure in COMPARED[:2]]
            said = [answer(value) for value in (*values[:2], *these)]
            table.add(condition.name, other, *values, *said)
    return table


def answer(value: Interval | None) -> str:
    """What an interval of a difference of errors says."""
    if value is None:
        return OPEN
    return BETTER if value.high < 0 else WORSE if value.low > 0 else OPEN


def people_table(results: Results) -> Table:
    """Errors on the default shape by person, with intervals over that person's recordings."""
    table = Table(
        "people",
        "The default shape, person by person",
        ("person", "method", "recordings", *(SHOWN[measure] for measure in COMPARED)),
    )
    for subject in sorted({row.subject for row in results.rows.values()}):
        own = results.only(subject)
        for method in MAIN:
            if own.has(method, DEFAULT.name):
                values = (own.mean(method, DEFAULT.name, measure) for measure in COMPARED)
                table.add(subject, method, len(own.of(method, DEFAULT.name)), *values)
    return table


def paper_table(results: Results) -> Table:
    """What the paper has for the default shape, and what is here; not the same recordings, people or body."""
    table = Table(
        "paper",
        "The paper's figures for the default shape beside these",
        ("table", "method", *(f"{SHOWN[m]}, paper" for m in COMPARED), *(SHOWN[m] for m in COMPARED)),
        notes=("The paper tests on AMASS with SMPL's average man; its regression is AvatarJLM.",),
    )
    rows: list[tuple[str, str, tuple[float | None, ...]]] = []
    for name, of in paper.DEFAULT_SHAPE.items():
        rows += [(name, method, own) for method, own in of.items()]
    rows += [("Table 4", method, (*own, None, None)) for method, own in paper.WITHOUT_PLACES.items()]
    for name, method, theirs in rows:
        if results.has(method, DEFAULT.name):
            table.add(name, method, *theirs, *(results.mean(method, DEFAULT.name, measure) for measure in COMPARED))
    return table
