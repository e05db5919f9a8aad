"""One person followed through a video, with a record of everything that makes it doubtful that it always is the same.

The person is the largest one in the first picture with anybody, or the one that the user chose. From picture to picture
he is looked for where he was. If he is lost he is looked for everywhere, and taken up again near where he was lost, or,
later, by the colours of his clothes. Now and then everybody in the picture is counted: that tells when somebody crosses
his way, and whether it is still he who is followed afterwards.

What cannot be done: two people in the same clothes who cross can be mixed up; somebody much smaller than the others may
not be counted; and whether a picture is mirrored is not to be seen in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.vision.appearance import colours, likeness
from motorque.vision.detector import Detector, Person, Region
from motorque.vision.picture import Picture

Array = NDArray[np.float64]

LOOK_AROUND = 0.5
"""Time between two counts of everybody in the picture [s]; while somebody else is near, :data:`LOOK_CLOSELY`."""

LOOK_CLOSELY = 0.2

JUMP = 0.25
"""A person further from where he was expected than this share of his region's side (about a third of his height) is
somebody else, or a mistake."""

JUMP_TIME = 0.12
"""Pictures further apart than this [s] say nothing about jumps."""

RESIZE = 1.5
"""Nor does anybody grow or shrink by this factor from one picture to the next."""

PATIENCE = 1.0
"""Somebody lost for longer than this [s] may come back anywhere; before, he is expected near where he was."""

ALIKE = 0.6
"""Likeness of clothes under which somebody is taken for another person. The same person from the front and the back
has 0.7 to 1, different clothes 0 to 0.5."""

ENOUGH_ALIKE = 0.15
"""By how much the clothes of another must be more like the ones remembered to follow him instead."""

HIDDEN = 2.0
"""For so long [s] somebody who was near and is not seen any more is taken to be behind or before the person."""

COVER = 0.5
"""Overlap of two regions from which they are taken for the same person's."""

CLOSE = 0.05
"""Overlap of two people's regions from which they are too close for their clothes to be told apart surely."""

NEAR = 0.15
"""Share of the smaller box about a person's points in the other's above which two people are said to cross."""


@dataclass
class Follower:
    """Follows one person; call :meth:`next` with every picture in order, then :meth:`report`.

    Args:
        detector: Finds people and their points.
        person: Which one to follow where there are several, 0 for the largest in the first picture that shows that
            many; None for the largest in the first picture with anybody.
    """

    detector: Detector
    person: int | None = None
    most: int = 0
    """The most people seen at once."""
    crossings: list[float] = field(default_factory=list)
    """When somebody else overlapped the person [s]."""
    jumps: list[float] = field(default_factory=list)
    """When the points jumped away and were not taken [s]."""
    switches: list[float] = field(default_factory=list)
    """When it was noticed that somebody else was being followed, and the person was taken up again [s]."""
    doubtful: list[float] = field(default_factory=list)
    """When another person may have been taken up [s]."""
    wrong: list[tuple[float, float]] = field(default_factory=list)
    """From after when until before when it was, or may have been, somebody else who was followed [s]."""
    _region: Region | None = None
    _centers: list[tuple[float, Array, float]] = field(default_factory=list)
    _clothes: Array | None = None
    _looked: float = -np.inf
    _company: bool = False
    _crowded: int = 0
    _met: float = -np.inf
    _started: bool = False
    _sure: float = -np.inf
    _dressed: float = -np.inf

    def __post_init__(self) -> None:
        self.detector.restart()

    def next(self, time: float, picture: Picture) -> Person | None:
        """The person in the next picture, at this time [s]; None where he is not found."""
        if not self._started:
            return self._begin(time, picture)
        person = None if self._region is None else self.detector.follow(picture, self._region)
        if person is not None and self._jumped(time, person):
            self.jumps.append(time)
            person = None
        if person is None:
            person = self._find_again(time, picture)
        if time - self._looked >= (LOOK_CLOSELY if self._company else LOOK_AROUND):
            person = self._look_around(time, picture, person)
        if person is None:
            self._region = None
            return None
        self._accept(time, picture, person)
        return person

    def _begin(self, time: float, picture: Picture) -> Person | None:
        people = self.detector.everybody(picture)
        self.most = max(self.most, len(people))
        wanted = self.person or 0
        if len(people) <= wanted:
            return None
        person = self._take(picture, people[wanted].region)
        if person is not None:
            self._started = True
            self._meet(time, person, [other for other in people if not _is_same(person, other)])
            self._looked = time
            self._accept(time, picture, person)
        return person

    def _take(self, picture: Picture, region: Region) -> Person | None:
        self.detector.restart()
        return self.detector.follow(picture, region)

    def _accept(self, time: float, picture: Picture, person: Person) -> None:
        self._region = person.region
        self._centers = [*self._centers[-2:], (time, _middle(person), person.region.side)]
        if not self._crowded and time - self._dressed >= LOOK_CLOSELY:
            self._dressed = time
            seen = colours(picture, person, self.detector.names)
            if seen is not None and self._clothes is None:
                self._clothes = seen
            elif seen is not None and self._clothes is not None and likeness(seen, self._clothes) > ALIKE:
                self._clothes = 0.8 * self._clothes + 0.2 * seen

    def _expected(self, time: float) -> Array:
        """Where the person should be by now: on from the last two places, no further than a tenth of a second."""
        (then, place, _), *_ = self._centers[::-1]
        if len(self._centers) < 2:
            return place
        before, earlier, _ = self._centers[-2]
        speed = (place - earlier) / max(then - before, 1e-3)
        return np.asarray(place + speed * min(time - then, 0.1))

    def _jumped(self, time: float, person: Person) -> bool:
        then, _, side = self._centers[-1]
        if time - then > JUMP_TIME:
            return False
        ratio = person.region.side / side
        return not (
            np.linalg.norm(_middle(person) - self._expected(time)) < JUMP * side and 1 / RESIZE < ratio < RESIZE
        )

    def _find_again(self, time: float, picture: Picture) -> Person | None:
        people = list(self.detector.everybody(picture))
        self.most = max(self.most, len(people))
        then, _, side = self._centers[-1]
        gap = time - then
        # Within the patience a runner may have gone on by his own height or so each half second.
        reach = side * (JUMP + min(gap, PATIENCE))
        near = [p for p in people if np.linalg.norm(_middle(p) - self._expected(time)) < reach]
        if gap <= PATIENCE:
            people = near
        if not people:
            return None
        alike = [self._likeness(picture, person) for person in people]
        best = int(np.argmax(alike))
        if gap <= PATIENCE and alike[best] < ALIKE:
            return None  # somebody else who passes: wait
        person = self._take(picture, people[best].region)
        self._crowded = 0
        if person is not None and alike[best] < ALIKE:
            self.doubtful.append(time)
            self._clothes = None
        return person

    def _likeness(self, picture: Picture, person: Person) -> float:
        seen = colours(picture, person, self.detector.names)
        return 1.0 if seen is None or self._clothes is None else likeness(seen, self._clothes)

    def _look_around(self, time: float, picture: Picture, person: Person | None) -> Person | None:
        self._looked = time
        people = list(self.detector.everybody(picture))
        self.most = max(self.most, len(people))
        if person is None:
            return None
        others = [other for other in people if not _is_same(person, other)]
        if self._crowded > 1 and not others and time - self._met < HIDDEN:
            self.crossings.append(time)  # whoever was near is hidden by the person, or hides him
            return person
        self._meet(time, person, others)
        if any(_overlap(person, other) > NEAR for other in others):
            self.crossings.append(time)
            return person
        if self._clothes is None:
            return person
        own = self._likeness(picture, person)
        if own > ALIKE:
            self._sure = time
        alike = [self._likeness(picture, other) for other in others]
        best = int(np.argmax(alike)) if alike else 0
        if not alike or alike[best] < max(ALIKE, own + ENOUGH_ALIKE):
            return person
        taken = self._take(picture, others[best].region)
        if taken is not None:
            self.switches.append(time)
            self.wrong.append((self._sure, time))
            self._centers = []
        return taken

    def _meet(self, time: float, person: Person, others: list[Person]) -> None:
        """Note who is there; while somebody is near, the clothes seen may be his, and are not remembered."""
        self._company = bool(others)
        self._met = time if others else self._met
        close = any(person.region.overlap(other.region) > CLOSE for other in others)
        self._crowded = self._crowded + 1 if close else 0

    def report(self, journal: Journal, *, about: str) -> None:
        """Record who was followed and what is doubtful.

        Raises:
            DataError: Nobody was found in any picture, or fewer people than the one chosen needs.
        """
        if not self._started:
            if self.most:
                raise DataError(
                    f"{about}: no picture shows {(self.person or 0) + 1} people at once, at most {self.most}; "
                    + ("leave --person out" if self.most == 1 else f"choose --person 0 to {self.most - 1}")
                )
            raise DataError(f"{about}: nobody is found in it; is a person in the picture, well lit and not too small?")
        if self.most > 1:
            journal.assume(
                f"up to {self.most} people are in the picture; {by_size(self.person)} is followed (--person chooses)",
                about,
            )
        if self.crossings:
            journal.warn(
                f"somebody else crosses the person's way {spans(self.crossings)}; the keypoints there may be mixed up",
                about,
            )
        if self.switches:
            journal.repair(
                f"somebody else had been followed until {spans(self.switches)[3:]}; by the clothes, the person "
                "was taken up again, and what came between was left out",
                about,
            )
        if self.jumps:
            journal.repair(f"keypoints that jumped away were left out {spans(self.jumps)}", about)
        if self.doubtful:
            journal.warn(
                f"after being lost, perhaps another person is followed from {spans(self.doubtful)[3:]}: the clothes "
                "are different",
                about,
            )


def by_size(person: int | None) -> str:
    """Who is followed, in words: 0 and nobody in particular are the largest."""
    if person is None:
        return "the largest when the first appeared"
    rank = ("the largest", "the second largest", "the third largest")
    return f"{rank[person]} (number {person})" if person < len(rank) else f"number {person} by size, counted from 0,"


def _middle(person: Person) -> Array:
    """A steady middle of the body: the median of its points [px], shape [2]."""
    return np.asarray(np.median(person.points, axis=0))


def _box(person: Person) -> tuple[Array, Array]:
    seen = person.points[person.confidence >= 0.5]
    seen = person.points if len(seen) < 3 else seen
    return seen.min(0), seen.max(0)


def _overlap(one: Person, two: Person) -> float:
    """Share of the smaller one's box about its points that lies in the other's."""
    (low, high), (low2, high2) = _box(one), _box(two)
    shared = np.prod(np.maximum(np.minimum(high, high2) - np.maximum(low, low2), 0.0))
    return float(shared / max(min(np.prod(high - low), np.prod(high2 - low2)), 1.0))


def _is_same(one: Person, two: Person) -> bool:
    """Whether two finds mean the same person: points near each other, or regions that cover each other."""
    apart = float(np.median(np.linalg.norm(one.points - two.points, axis=-1)))
    return apart < 0.25 * max(one.extent, two.extent, 1.0) or one.region.overlap(two.region) > COVER


def spans(times: list[float]) -> str:
    """Times as intervals: ``at 1.2 to 1.6 s and 3 s``; those less than a second apart go together."""
    runs: list[list[float]] = []
    for time in times:
        if runs and time - runs[-1][1] < 1.0:
            runs[-1][1] = time
        else:
            runs.append([time, time])
    shown = [f"{a:.1f} s" if b - a < 0.05 else f"{a:.1f} to {b:.1f} s" for a, b in runs[:4]]
    return "at " + ", ".join(shown) + (f" and {len(runs) - 4} more times" if len(runs) > 4 else "")
