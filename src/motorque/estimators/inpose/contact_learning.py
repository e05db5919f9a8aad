"""Learning which foot stands: ``python -m motorque.estimators.inpose.contact_learning LIBRARY --weights W``.

Movements that are learned from are sampled as a user would sample them, from head and wrists in their own bones, and a
logistic regression learns from what samples look like which points of the true feet stand. Playgrounds and uneven
ground are left out: there the floor is not where feet stand.

The prior should be one in the middle of its training: a finished one knows these people too well, its samples of them
look better than strangers' do, and the table then trusts them too much.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

import motorque
from motorque.errors import DataError
from motorque.estimators.inpose.contact_chance import (
    LAGS,
    SOLES,
    STANDS,
    WEIGHTS,
    Sample,
    from_head,
    looks,
    sole_heights,
    unit_length,
)
from motorque.estimators.inpose.drawing import FAST, SamplingSettings, drawn_from
from motorque.estimators.inpose.folds import default_split
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.learned_tables import learn_table
from motorque.estimators.inpose.library import Library, Movement
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import HEAD, JOINTS, RATE, THREE, places
from motorque.progress import Progress, silent

Array = NDArray[np.float64]

OFF_THE_FLOOR = ("playground", "uneven ground")
EACH = 12
"""Movements of an activity at most, so that walks do not outnumber all else."""
LONGEST = 150
"""Frames of a movement at most."""
RIDGE = 1e-3
"""Of the squares of the regression's numbers, beside the mean loss of a point."""


def learned(
    library: Library,
    movements: Sequence[Movement],
    prior: InPose,
    *,
    settings: SamplingSettings = FAST,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[dict[str, Array], dict[str, float]]:
    """The regressions' numbers and the mean loss of each [nat].

    Args:
        library: Where movements are.
        movements: Those that may be learned from.
        prior: What samples.
        settings: How.
        seed: Of which movements and stretches, and of the samples.
        progress: Told how far it is.

    Raises:
        DataError: No movement can be learned from.
    """
    rng = np.random.default_rng(seed)
    chosen = _chosen(movements, rng)
    if not chosen:
        raise DataError("feet: there is no movement on a floor to learn from")
    told, true = [], []
    for number, movement in enumerate(chosen):
        own = _looks(library, movement, prior, settings, rng, seed)
        told.append(own[0])
        true.append(own[1])
        progress("sampling", (number + 1) / len(chosen))
    x, y = np.concatenate(told), np.concatenate(true)
    found, losses = {}, {}
    for name, own_points in (("ankle", [0, 2]), ("ball", [1, 3])):
        rows = x[:, own_points].reshape(-1, x.shape[-1])
        found[name], losses[name] = regression(rows, y[:, own_points].reshape(-1))
    return found, losses


def regression(rows: Array, stands: NDArray[np.bool_]) -> tuple[Array, float]:
    """Numbers, the constant last, and the mean loss [nat] of a logistic regression; rows [M, K], stands [M]."""
    rows = np.column_stack([rows, np.ones(len(rows))])

    def cost(weights: Array) -> tuple[float, Array]:
        told = rows @ weights
        slope = rows.T @ (1 / (1 + np.exp(-np.clip(told, -30, 30))) - stands) / len(rows)
        loss = float(np.mean(np.logaddexp(0, told) - stands * told))
        return loss + RIDGE * float(weights @ weights), slope + 2 * RIDGE * weights

    best = minimize(cost, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return np.asarray(best.x), float(best.fun) - RIDGE * float(best.x @ best.x)


def _chosen(movements: Sequence[Movement], rng: np.random.Generator) -> list[Movement]:
    by_activity: dict[str, list[Movement]] = {}
    for movement in movements:
        if movement.activity not in OFF_THE_FLOOR:
            by_activity.setdefault(movement.activity, []).append(movement)
    found = []
    for _, own in sorted(by_activity.items()):
        found += [own[k] for k in sorted(rng.permutation(len(own))[:EACH])]
    return found


def _looks(
    library: Library,
    movement: Movement,
    prior: InPose,
    settings: SamplingSettings,
    rng: np.random.Generator,
    seed: int,
) -> tuple[Array, NDArray[np.bool_]]:
    """What a sample of a stretch of a movement looks like, [T - 1, 4, 33], and which true points stand, [T - 1, 4]."""
    late = max(movement.frames - LONGEST, 0)
    first = movement.first + int(rng.integers(late + 1))
    rows = slice(first, first + min(movement.frames, LONGEST))
    six = torch.tensor(np.array(library.rotations[rows]))
    pelvis = torch.tensor(np.array(library.pelvis[rows]))
    rest = torch.tensor(np.array(movement.rest))
    points = places(six.double(), rest, pelvis.double())
    seen = torch.zeros(len(six), len(JOINTS), dtype=torch.bool)
    seen[:, list(THREE)] = True
    measured = Measured(six, seen, points.float(), seen, rest.float(), placed=True)
    turns = drawn_from(prior.network, measured, settings, seeds=[seed]).turns[0].numpy()
    unit = unit_length(rest.numpy())
    head = points[:, HEAD].numpy() / unit
    feet = head[:, None] + np.einsum("pjc,tjxc->tpx", from_head(rest.numpy() / unit), turns)
    sample = Sample(feet, head, turns[:, 0], sole_heights(rest.numpy() / unit))
    speed = RATE * np.linalg.norm(np.diff(points[:, list(SOLES)].numpy() / unit, axis=0), axis=-1)
    return looks(sample), speed < STANDS


def main(arguments: list[str] | None = None) -> int:
    """Learn from the command line; returns the exit status."""
    return learn_table(arguments, name="contact_learning", about=__doc__, table=WEIGHTS, learn=_table)


def _table(library: Library, priors: Sequence[InPose]) -> tuple[str, str]:
    """The table's text, and what there is to tell of it."""
    if len(priors) != 1:
        raise DataError("feet: which foot stands is learned by samples of one prior; give one --weights")
    prior = priors[0]
    found, losses = learned(library, default_split(library.movements).train, prior)
    about = {
        "motorque": motorque.__version__,
        "library": library.fingerprint,
        "prior_step": prior.about.get("step"),
        "loss_nat": {name: round(loss, 4) for name, loss in losses.items()},
    }
    table = {"about": about, "lags": LAGS} | {name: [round(x, 4) for x in own] for name, own in found.items()}
    told = f"mean loss of a point: ankles {losses['ankle']:.3f}, balls {losses['ball']:.3f}: "
    return json.dumps(table) + "\n", told


if __name__ == "__main__":
    sys.exit(main())
