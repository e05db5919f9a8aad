"""Error bars on every angle, torque and load of an analysis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.load_filtering import THRESHOLD
from motorque.series import Kinetics, Load, Loads, Markers, Motion
from motorque.series.markers import within
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.assembly import chain_of, with_loads, with_sources
from motorque.uncertainty.evidence import (
    EvidencePiece,
    MarkerEvidence,
    load_evidence,
    marker_evidence,
    pieces,
    rows_of_loads,
    rows_of_motion,
)
from motorque.uncertainty.following_loads import of_load
from motorque.uncertainty.marker_noise import NoisePart
from motorque.uncertainty.model_errors import MODEL_SOURCES, ModelErrors, model_spreads
from motorque.uncertainty.monte_carlo import monte_carlo
from motorque.uncertainty.propagate import Chain, Spread, propagate
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.torque_gain import TorqueGain

Array = NDArray[np.float64]

SOURCES = (
    "marker noise",
    "soft tissue",
    "marker placement",
    "plate noise",
    "plate offset",
    "smoothing",
)
"""What a band can hold, and by default does."""

CLEAR_OF_ZERO = 5.0
"""Standard deviations of a vertical force that it must have for its centre of pressure to be told: with fewer, error by
first order says too little of a quotient."""

NOTHING = 1e-5
"""Size of noise that is none [m]."""

MARGIN = 32
"""Frames that a piece of a long recording sees beside the filter's reach, so that its seams do not show."""

SHARING = "sharing between the feet"
"""What the bars of estimated ground forces leave out unless their own rules were followed draw by draw."""

Method = Literal["monte carlo", "linear"]


@dataclass(frozen=True, eq=False)
class LoadBand:
    """Standard deviations of a load: force [N], point [m] and moment [N·m], each [T, 3].

    The point's are NaN where there is none, and where the vertical force is not clear of zero: under five of its own
    standard deviations, as at the edges of contact, where the point may be anywhere.
    """

    force: Array
    point: Array
    moment: Array


@dataclass(frozen=True, eq=False)
class Bands:
    """Standard deviations of a whole analysis; a 90 % band is 1.645 of them to either side.

    Args:
        times: [s], shape [T].
        names: Coordinate names.
        angles: Of the coordinates [rad or m], shape [T, nq]; NaN where no marker tells a coordinate.
        torques: Of the generalized forces [N·m or N], shape [T, nv]; NaN in frames whose markers fail.
        loads: By load name.
        by_source: Standard deviations of angles and torques from each source alone, root mean square over time, by
            source and then "angles" and "torques", each of shape [nq] or [nv].
        included: What is in the band, with its size in words.
        excluded: What is not, and why.
        method: ``monte carlo`` or ``linear``.
        draws: How many draws, 0 if linear.
        seed: Seed of the draws.
        beside: Standard deviations of the generalized forces from a model's usual errors that are not in ``torques``
            (:data:`MODEL_SOURCES`), shape [T, nv], or None where nobody asked for them.
    """

    times: Array
    names: tuple[str, ...]
    angles: Array
    torques: Array
    loads: Mapping[str, LoadBand]
    by_source: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    included: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    method: Method = "linear"
    draws: int = 0
    seed: int = 0
    beside: Array | None = None

    def between(self, start: float | None, end: float | None) -> Bands:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.times, start, end, "bands")
        loads = {n: LoadBand(b.force[keep], b.point[keep], b.moment[keep]) for n, b in self.loads.items()}
        beside = None if self.beside is None else self.beside[keep]
        return dataclasses.replace(
            self,
            times=self.times[keep],
            angles=self.angles[keep],
            torques=self.torques[keep],
            loads=loads,
            beside=beside,
        )

    def on_motion(self, motion: Motion) -> Motion:
        """The motion with these standard deviations."""
        return Motion(motion.times, motion.values, motion.names, self.angles)

    def on_kinetics(self, kinetics: Kinetics) -> Kinetics:
        """The generalized forces with these standard deviations."""
        return Kinetics(kinetics.times, kinetics.values, kinetics.names, self.torques)

    def on_loads(self, loads: Loads) -> Loads:
        """The loads with these standard deviations of their forces."""
        return Loads(
            loads.times,
            tuple(
                dataclasses.replace(x, force_std=self.loads[x.name].force) if x.name in self.loads else x
                for x in loads.loads
            ),
        )


def bands_of_analysis(
    skeleton: Skeleton,
    *,
    markers: Markers,
    found: Motion,
    motion: Motion,
    rate: Array,
    acceleration: Array,
    loads: Loads,
    plates: Loads | None = None,
    cutoff: float | None = None,
    weights: Mapping[str, float] | None = None,
    evidence: MarkerEvidence | None = None,
    sources: Iterable[str] = SOURCES,
    model_errors: ModelErrors | None = None,
    beside: bool = False,
    method: Method = "monte carlo",
    draws: int = 500,
    seed: int = 0,
) -> Bands:
    """Error bars of an analysis of markers, from nothing but the recording itself.

    Everything is at the same frames, the ones that were smoothed (margins included); cut the result with
    :meth:`Bands.between`.

    Args:
        skeleton: The person's skeleton.
        markers: The measured markers, as they went into inverse kinematics.
        found: What inverse kinematics found, not smoothed.
        motion: The same, smoothed.
        rate: Its first time derivative, shape [T, nq].
        acceleration: Its second one, shape [T, nq].
        loads: Loads on bodies at the motion's times, as they went into inverse dynamics.
        plates: Measured loads before any filter, in ground, in any rate, named as ``loads`` (or as their beginning);
            None if loads were not measured.
        cutoff: Low-pass cutoff that motion and loads went through [Hz], or None.
        weights: Marker weights of inverse kinematics.
        evidence: What :func:`marker_evidence` said of these markers, if it was asked already.
        sources: What the band shall hold, of :data:`SOURCES` and :data:`MODEL_SOURCES`.
        model_errors: How large the latter are, if not as usual.
        beside: Whether those of the latter that are not in the band are told beside it (:attr:`Bands.beside`).
        method: ``monte carlo`` through the chain, or ``linear`` propagation.
        draws: Draws of the former.
        seed: Their seed.

    Raises:
        DataError: A source is not known, or arrays do not belong together.
    """
    chosen = tuple(sources)
    unknown = [s for s in chosen if s not in SOURCES + MODEL_SOURCES]
    if unknown:
        raise DataError(f"bands: no source {unknown[0]!r}; there are {', '.join(SOURCES + MODEL_SOURCES)}")
    evidence = marker_evidence(skeleton, markers, found, weights=weights) if evidence is None else evidence
    measured = load_evidence(loads, plates)
    smoothed = np.stack([motion.values, rate, acceleration])
    frames = smoothed.shape[1]
    if not (evidence.frames == frames == len(loads.times)):
        raise DataError(
            f"bands: {evidence.frames} frames of coordinates, {frames} smoothed and {len(loads.times)} of loads; give "
            "them at the same frames"
        )
    model_errors = model_errors or ModelErrors()
    result: list[tuple[Bands, slice, slice]] = []
    for number, (rows, kept) in enumerate(pieces(frames, Smoother.reach_of(found.rate, cutoff) + MARGIN)):
        piece, plate, own = evidence.between(rows), measured.between(rows), rows_of_loads(loads, rows)
        chain = chain_of(skeleton, piece.gain.coupling, smoothed[:, rows], own, found.rate, cutoff)
        chain, gain = with_loads(chain, plate, own, estimated=plates is None)
        chain = with_sources(chain, gain, piece, plate, chosen)
        asked = beside or set(chosen) & set(MODEL_SOURCES)
        model = model_spreads(chain, gain, own, model_errors) if asked else {}
        left_out = [spread.torques[:, : skeleton.nv] for name, spread in model.items() if name not in chosen]
        bands = bands_of_chain(
            chain, gain, rows_of_motion(motion, rows), own, chosen,
            model=model, method=method, draws=draws, seed=seed + number,
            kept=slice(kept.start - rows.start, kept.stop - rows.start),
        )  # fmt: skip
        said = {name: _size(name, evidence.parts, chain, model_errors) for name in bands.by_source}
        zero = np.zeros_like(bands.torques)
        bands = dataclasses.replace(bands, beside=np.sqrt(sum(left_out, zero)) if beside else None)
        bands = _where_told(bands, piece, evidence.told)
        result.append((dataclasses.replace(bands, included=said), rows, kept))
    bands = _joined(result)
    excluded = {name: "switched off" for name in SOURCES if name not in chosen}
    excluded |= {
        n: f"no recording shows it; usually {_size(n, {}, chain, model_errors)}; --model-errors puts it in"
        for n in MODEL_SOURCES
        if n not in chosen
    }
    excluded |= {n: "none was found" for n in chosen if n not in bands.included}
    if plates is None and len(loads.loads) > 1:
        excluded[SHARING] = "how the feet share the ground force is left as it was found"
    return dataclasses.replace(bands, excluded=excluded)


def _where_told(bands: Bands, piece: EvidencePiece, ever: NDArray[np.bool_]) -> Bands:
    """The bands where markers tell the coordinates, which they ``ever`` do, [n], or never; NaN elsewhere."""
    angles, torques, free = bands.angles.copy(), bands.torques.copy(), list(piece.gain.free)
    angles[:, free] = np.where(piece.sure, angles[:, free], np.nan)
    # Where markers fail that are there otherwise, the pose is a guess, and so is what it takes to move there.
    torques[(ever & ~piece.gain.told).any(1)] = np.nan
    return dataclasses.replace(bands, angles=angles, torques=torques)


def _joined(found: list[tuple[Bands, slice, slice]]) -> Bands:
    """The bands of a recording from those of its pieces, each with its rows and those of them that are kept."""
    first = found[0][0]
    if len(found) == 1:
        return first
    inner = [slice(kept.start - rows.start, kept.stop - rows.start) for _, rows, kept in found]
    parts = [bands for bands, _, _ in found]

    def rows(of: Callable[[Bands], Array]) -> Array:
        return np.concatenate([of(bands)[kept] for bands, kept in zip(parts, inner, strict=True)])

    def overall(source: str, of: str) -> Array:
        sizes = [p.by_source[source][of] if source in p.by_source else np.zeros_like(first.times[:1]) for p in parts]
        weights = [kept.stop - kept.start for kept in inner]
        return np.asarray(np.sqrt(sum(w * x**2 for w, x in zip(weights, sizes, strict=True)) / sum(weights)))

    def load(name: str) -> LoadBand:
        return LoadBand(
            rows(lambda b: b.loads[name].force),
            rows(lambda b: b.loads[name].point),
            rows(lambda b: b.loads[name].moment),
        )

    sources = list(dict.fromkeys(name for p in parts for name in p.by_source))
    said = {name: text for p in reversed(parts) for name, text in p.included.items()}
    return dataclasses.replace(
        first,
        times=rows(lambda b: b.times),
        angles=rows(lambda b: b.angles),
        torques=rows(lambda b: b.torques),
        beside=None if first.beside is None else rows(lambda b: np.asarray(b.beside)),
        loads={name: load(name) for name in first.loads},
        by_source={s: {of: overall(s, of) for of in ("angles", "torques")} for s in sources},
        included={s: said[s] for s in sources if s in said},
    )


def bands_of_chain(
    chain: Chain,
    gain: TorqueGain,
    motion: Motion,
    loads: Loads,
    chosen: tuple[str, ...],
    *,
    model: Mapping[str, Spread] | None = None,
    method: Method,
    draws: int,
    seed: int,
    kept: slice = slice(None),
) -> Bands:
    """Error bars of a chain with its noise, by one method or the other; see :func:`bands_of_analysis`.

    ``kept`` are the frames whose sources are summed up.
    """
    nv = chain.skeleton.nv
    model = {name: s for name, s in (model or {}).items() if name in chosen}
    spreads = {name: s for name, s in propagate(chain, gain).items() if name in chosen} | model
    total = Spread(np.zeros(chain.motion.shape[1:]), np.zeros(gain.motion.shape[1:3]))
    for spread in spreads.values():
        total = total.plus(spread)
    if method == "monte carlo":
        drawn = monte_carlo(chain, draws=draws, seed=seed)
        total = Spread(drawn.angles, drawn.torques, {n: drawn.wrenches.get(n, w) for n, w in total.wrenches.items()})
        for spread in model.values():
            known = {n: w for n, w in spread.wrenches.items() if n in drawn.wrenches}
            total = total.plus(dataclasses.replace(spread, wrenches=known))
    bars = {load.name: load_band(load, total.wrenches.get(load.name)) for load in loads.loads}
    if chain.following is not None:
        behind = np.sqrt(total.torques[:, nv:]).reshape(len(motion.times), -1, 6)
        bars.update(
            {
                name: _bar(load, behind[:, number])
                for number, (name, load) in enumerate(zip(chain.following.names, loads.loads, strict=True))
            }
        )
    return Bands(
        motion.times,
        motion.names,
        np.sqrt(total.angles),
        np.sqrt(total.torques[:, :nv]),
        bars,
        {
            name: {"angles": np.sqrt(s.angles[kept].mean(0)), "torques": np.sqrt(s.torques[kept, :nv].mean(0))}
            for name, s in spreads.items()
        },
        {},
        {},
        method,
        draws if method == "monte carlo" else 0,
        seed,
    )


def load_band(load: Load, wrench: Array | None) -> LoadBand:
    """Standard deviations of a load from the covariance of its force and moment about the ground origin.

    Args:
        load: The load.
        wrench: Covariance, shape [T, 6, 6], or None where nothing is known.
    """
    if wrench is None:
        nothing = np.full((len(load.force), 3), np.nan)
        return LoadBand(nothing, nothing, nothing)
    by = of_load(load)
    return _bar(load, np.sqrt(np.maximum(np.diagonal(by @ wrench @ by.mT, axis1=1, axis2=2), 0.0)))


def _bar(load: Load, std: Array) -> LoadBand:
    """A load's band from the standard deviations of force, point x and z, and vertical moment, shape [T, 6]."""
    # A quotient by a force that may as well be near zero is anywhere: its spread has no bound.
    defined = np.isfinite(load.point).all(1) & (load.force[:, 1] >= np.maximum(THRESHOLD, CLEAR_OF_ZERO * std[:, 1]))
    none = np.zeros(len(std))
    point = np.stack([std[:, 3], none, std[:, 4]], axis=1)
    moment = np.stack([none, std[:, 5], none], axis=1)
    return LoadBand(std[:, :3], np.where(defined[:, None], point, np.nan), moment)


def _size(name: str, parts: Mapping[str, NoisePart], chain: Chain, errors: ModelErrors) -> str:
    """A source's size in words."""
    if name == "segment masses":
        return f"{100 * errors.mass:g} % of each segment's mass"
    if name == "joint centres":
        return f"{1e3 * errors.joint_center:g} mm per axis"
    if name == "centre of pressure":
        return f"{1e3 * errors.pressure:g} mm per axis"
    if name in parts:
        part = parts[name]
        process = part.process
        text = f"{1e3 * part.typical:.2g} mm per marker and axis"
        if part.typical < NOTHING:
            return "none that shows: the markers are exact or were filtered before" if process else "none that shows"
        if name == "marker noise" and process is not None:
            share = 1 - process.white
            step = 1 / chain.smoother.rate
            lasting = -step / np.log(process.memory) if process.memory > 0 else 0.0
            text += f", {100 * process.white:.0f} % of it white"
            text += f", the rest lasting {1e3 * lasting:.0f} ms" if share > 0.05 else ""
        return text
    if name in ("plate noise", "plate offset"):
        rows = [x.spreading if name == "plate noise" else x.offset for x in chain.loads]
        sizes = ", ".join(f"{np.sqrt((r[:3] ** 2).sum() / 3):.2g}" for r in rows)
        return f"{sizes} N per axis"
    return "what the low-pass filter and the recording's ends take from the motion and the loads"
