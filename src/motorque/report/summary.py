"""``summary.json``: the analysis in numbers, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from motorque import __version__
from motorque.report.certainty import LEVEL, Sureness
from motorque.report.quality import doubtful_torques
from motorque.report.results import Results
from motorque.report.tables import SIDE_NAMES
from motorque.report.video_tables import video_summary

FORMAT = 1


def summary(found: Results) -> str:
    """Strict JSON (no NaN, no Infinity: they become null), UTF-8, indented."""
    return json.dumps(_plain(_summary(found)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _summary(found: Results) -> dict[str, object]:
    analysis = found.analysis
    subject = analysis.subject
    return {
        "format": FORMAT,
        "program": "motorque",
        "version": __version__,
        "versions": analysis.versions,
        "title": analysis.title,
        "command": analysis.command,
        "inputs": [{"path": f.path, "role": f.role, "sha256": f.sha256 or None} for f in analysis.inputs],
        "subject": {
            "mass_kg": subject.mass,
            "mass_source": subject.mass_source,
            "height_m": subject.height,
            "height_source": subject.height_source,
            "sex": subject.sex,
            "sex_source": subject.sex_source,
        },
        "model": {"name": analysis.skeleton.name, "mass_kg": analysis.skeleton.total_mass()},
        "recording": {
            "frames": len(analysis.times),
            "start_s": float(analysis.times[0]),
            "end_s": float(analysis.times[-1]),
            "rate_hz": analysis.motion.rate,
        },
        "settings": analysis.settings,
        "loads": None if analysis.loads is None else ("measured" if analysis.loads_measured else "estimated"),
        "results": _results(found),
        "uncertainty": _uncertainty(found),
        "video": video_summary(found.video),
        "checks": [
            {
                "name": c.name,
                "value": c.value,
                "limit": c.limit,
                "unit": c.unit,
                "verdict": c.verdict,
                "detail": c.detail,
            }
            for c in found.checks
        ],
        "notices": [{"kind": n.kind, "text": n.text, "about": n.about} for n in analysis.journal.notices],
        "scales": None
        if analysis.scales is None
        else {body: analysis.scales.factors[k].tolist() for k, body in enumerate(analysis.scales.bodies)},
        "timings_s": analysis.timings,
    }


def _results(found: Results) -> dict[str, object]:
    mass = found.analysis.subject.mass
    return {
        "range_of_motion": {
            r.label.name: {
                "unit": "deg" if r.unit == "°" else r.unit,
                "minimum": r.low,
                "maximum": r.high,
                "range": r.high - r.low,
            }
            for r in found.ranges
        },
        "torque_peaks": {
            p.label.name: {
                "maximum_nm": p.high,
                "minimum_nm": p.low,
                "maximum_nm_per_kg": p.high / mass,
                "minimum_nm_per_kg": p.low / mass,
            }
            for p in found.peaks
        },
        "doubtful_torques": doubtful_torques(found.analysis.journal),
        "joint_work": {
            f"{p.joint}_{p.side}" if p.side else p.joint: {
                "peak_w_per_kg": float(np.nanmax(p.power)),
                "positive_j_per_kg": p.positive_work,
                "negative_j_per_kg": p.negative_work,
            }
            for p in found.powers
        },
        "gait": {
            "kind": found.gait.kind,
            "why": found.gait.why,
            "events_from": found.gait.sources or None,
            "treadmill_speed_m_per_s": found.gait.treadmill or None,
            "events": [
                {"time_s": e.time, "side": SIDE_NAMES[e.side], "event": e.kind, "source": e.source}
                for e in found.gait.events
            ],
            "cycles": {SIDE_NAMES[s]: len(c) for s, c in found.gait.cycles.items()},
            "measures": {
                m.name: {
                    "unit": m.unit,
                    **{
                        side: {"mean": float(np.mean(v)), "n": len(v)}
                        for side, v in (("right", m.right), ("left", m.left), ("both", m.both))
                        if v
                    },
                }
                for m in found.gait.measures
            },
            "notes": found.gait.notes,
        },
        "ground_force_peaks_percent_bw": {
            c.name: float(np.nanmax(c.values)) for c in found.curves["forces"] if np.isfinite(c.values).any()
        },
        "marker_error": None
        if found.markers is None
        else {
            "rms_m": found.markers.total_rms,
            "max_m": found.markers.total_max,
            "largest_marker": found.markers.names[found.markers.largest],
            "largest_time_s": float(found.markers.worst_time[found.markers.largest]),
            "worst_rms_m": float(found.markers.rms[0]),
            "worst_rms_marker": found.markers.names[0],
            "rms_per_marker_m": {n: float(found.markers.rms[k]) for k, n in enumerate(found.markers.names)},
        },
        "residuals": None
        if found.residuals is None
        else {
            "force_rms_n": float(np.sqrt(np.nanmean(found.residuals.force**2))),
            "force_peak_n": float(np.nanmax(found.residuals.force)),
            "force_limit_n": found.residuals.force_limit,
            "moment_rms_nm": float(np.sqrt(np.nanmean(found.residuals.moment**2))),
            "moment_peak_nm": float(np.nanmax(found.residuals.moment)),
            "moment_limit_nm": found.residuals.moment_limit,
        },
    }


def _uncertainty(found: Results) -> dict[str, object] | None:
    """Where error bars come from and how wide they are; None without any.

    Half widths are medians over time, the sources' standard deviations root mean squares.
    """
    sure, choice = found.certainty, found.analysis.cutoff
    chosen = None
    if choice is not None:
        chosen = {
            "cutoff_hz": choice.cutoff,
            "reason": choice.reason,
            "residual_analysis_hz": choice.residual_analysis,
            "cross_validation_hz": choice.cross_validation,
            "tried_hz": choice.tried,
            "noise_nm": choice.noise,
            "loss_nm": choice.loss,
        }
    if sure is None:
        return None if chosen is None else {"choice_of_cutoff": chosen}
    by = {n: c for c, n in enumerate(sure.bands.names)}

    def rows(curves: list[Sureness], kind: str) -> dict[str, object]:
        return {
            c.label.name: {
                "unit": "deg" if c.unit == "°" else c.unit,
                "half_width_90": c.half,
                "size": c.size,
                "half_width_90_with_model": c.judged,
                **({} if c.trust is None else {"trust": c.trust}),
                "rms_standard_deviation_by_source": {
                    source: float(sizes[kind][by[c.label.name]])
                    * ({"°": 180 / math.pi, "mm": 1e3}.get(c.unit, 1.0) if kind == "angles" else 1.0)
                    for source, sizes in sure.bands.by_source.items()
                },
            }
            for c in curves
        }

    return {
        "sentence": sure.sentence,
        "level": LEVEL,
        "method": sure.bands.method,
        "draws": sure.bands.draws,
        "seed": sure.bands.seed,
        "included": sure.bands.included,
        "excluded": sure.bands.excluded,
        "angles": rows(sure.angles, "angles"),
        "torques": rows(sure.torques, "torques"),
        "loads": {
            x.name: {"body": x.body, "force_half_width_90_n": x.force, "point_half_width_90_m": x.point}
            for x in sure.loads
        },
        "choice_of_cutoff": chosen,
    }


def _plain(value: object) -> object:
    """The value as JSON knows it: numpy and tuples become numbers and lists, what is not finite becomes null."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, PurePath) else repr(value)
