"""Who is learned from, who is watched, and who is tested: nobody is two of these."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from motorque.errors import DataError
from motorque.estimators.inpose.library import Movement

CMU_TEST = ("02", "06", "49")
"""CMU's people who are tested: between them walking, running, jumping, punching, bending and lifting, swordplay and
washing oneself (02), basketball and walking (06), balancing on one leg (49); in the person's own bones (02, 49), in
borrowed ones and in a character's (06): 3.4 minutes. What else they may be in is left out altogether."""
CMU_VALIDATION = ("07", "131")
"""Who is watched while learning: walks, half of them a character's (07), and walks with an actor's arms (131). Not 03,
whose head is turned by 39 degrees against the pelvis throughout, which is no person's way to walk."""


@dataclass(frozen=True)
class Fold:
    """One split by subject.

    Args:
        train: Movements that are learned from; those of unknown people are among them.
        validation: Movements of the subjects that are watched.
        test: Movements of the subjects that are tested.
        left_out: Movements of unknown people who may be among the watched or the tested.
    """

    train: tuple[Movement, ...]
    validation: tuple[Movement, ...]
    test: tuple[Movement, ...]
    left_out: tuple[Movement, ...]


def split(movements: Sequence[Movement], *, test: Sequence[str], validation: Sequence[str] = ()) -> Fold:
    """The fold in which some subjects are tested and some watched.

    Movements whose subject nobody knows are learned from only; where it may be one of the watched or the tested, they
    are not used at all.

    Raises:
        DataError: A subject is not there, is both, or nothing is left to learn from.
    """
    known = subjects(movements)
    for name in (*test, *validation):
        if name not in known:
            raise DataError(f"split: there is no subject {name!r}; there are {', '.join(known)}")
    both = sorted(set(test) & set(validation))
    if both:
        raise DataError(f"split: {both[0]} can't be both tested and watched; leave one out")
    away = {*test, *validation}
    fold = Fold(
        tuple(m for m in movements if m.subject not in away and (m.subject or person(m) not in away)),
        tuple(m for m in movements if m.subject in validation),
        tuple(m for m in movements if m.subject in test),
        tuple(m for m in movements if not m.subject and person(m) in away),
    )
    if not fold.train:
        raise DataError("split: nobody is left to learn from; test or watch fewer subjects")
    return fold


def subjects(movements: Sequence[Movement]) -> list[str]:
    """All known subjects, sorted."""
    return sorted({m.subject for m in movements if m.subject})


def person(movement: Movement) -> str:
    """Who a movement without a subject may be, without the mark of interrogation."""
    return movement.likely.removesuffix("?")


def default_split(movements: Sequence[Movement]) -> Fold:
    """The split of CMU's people where they are there; otherwise a tenth of the subjects each, by a hash of their names.

    Raises:
        DataError: There are fewer than three subjects, so that nobody could be tested.
    """
    known = subjects(movements)
    if {*CMU_TEST, *CMU_VALIDATION} <= set(known):
        return split(movements, test=CMU_TEST, validation=CMU_VALIDATION)
    if len(known) < 3:
        raise DataError(
            f"split: {len(known)} known subjects are too few to learn from some and to watch and test others; "
            "name them with --test and --validation, or give more data"
        )
    order = sorted(known, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    tenth = max(1, len(known) // 10)
    return split(movements, test=order[:tenth], validation=order[tenth : 2 * tenth])


def leave_one_out(movements: Sequence[Movement]) -> list[tuple[str, Fold]]:
    """A fold for each known subject, in which that one is tested and nobody watched.

    Raises:
        DataError: There is one subject only.
    """
    return [(name, split(movements, test=[name])) for name in subjects(movements)]
