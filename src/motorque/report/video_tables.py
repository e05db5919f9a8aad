"""The video's tables and its part of the summary: the same numbers as on the page."""

from __future__ import annotations

from motorque.report.results import Results
from motorque.report.tables import SIDE_NAMES, Cell, Table
from motorque.report.video_results import VideoResults, ViewResult


def video_tables(found: Results) -> list[Table]:
    """Reprojection errors, how well each coordinate is seen, and the cameras; none for a motion without video."""
    v = found.video
    return [] if v is None else [reprojection_errors(v), angle_uncertainty(v), cameras(v)]


def reprojection_errors(v: VideoResults) -> Table:
    """Error of each keypoint in each view, worst first."""
    columns = (
        "view",
        "keypoint",
        "RMS [px]",
        "RMS at the person's distance [cm]",
        "median [px]",
        "largest [px]",
        "time of the largest [s]",
        "frames seen [%]",
    )
    rows: list[list[Cell]] = [
        [one.view.name, e.name, e.rms, 100 * e.rms_m, e.median, e.maximum, e.worst_time, 100 * e.seen]
        for one in v.views
        for e in one.keypoints
    ]
    return Table("reprojection_errors", columns, rows)


def angle_uncertainty(v: VideoResults) -> Table:
    """Typical standard deviation of each coordinate, and whether the videos see it well, fairly or hardly."""
    columns = ("coordinate", "joint", "side", "unit", "standard deviation", "seen")
    rows: list[list[Cell]] = [
        [s.label.name, s.label.title, SIDE_NAMES[s.label.side], s.unit, s.std, s.sight] for s in v.sights
    ]
    return Table("angle_uncertainty", columns, rows)


def cameras(v: VideoResults) -> Table:
    """Where the cameras are."""
    columns = (
        "view",
        "width [px]",
        "height [px]",
        "focal length [px]",
        "field of view across [deg]",
        "field of view down [deg]",
        "pitch, up [deg]",
        "roll, clockwise [deg]",
        "height above the ground [m]",
        "distance, mean [m]",
        "distance, smallest [m]",
        "distance, largest [m]",
        "bearing from the person, clockwise [deg]",
    )
    rows: list[list[Cell]] = []
    for one in v.views:
        s = one.standpoint
        rows.append(
            [
                one.view.name,
                *one.view.keypoints.size,
                s.focal_length,
                *s.field_of_view,
                s.pitch,
                s.roll,
                s.height,
                *s.distance,
                s.bearing,
            ]
        )
    return Table("cameras", columns, rows)


def video_summary(v: VideoResults | None) -> dict[str, object] | None:
    """The video's evidence for ``summary.json``, or None."""
    if v is None:
        return None
    evidence = v.evidence
    return {
        "detector": evidence.detector or None,
        "notes": list(evidence.notes),
        "pictures_in_report": evidence.pictures,
        "faces_blurred": evidence.pictures and evidence.blur_faces,
        "views": [_view_summary(one) for one in v.views],
        "angles": {
            s.label.name: {
                "unit": "deg" if s.unit == "°" else s.unit,
                "standard_deviation": s.std,
                "seen": s.sight or None,
            }
            for s in v.sights
        },
    }


def _view_summary(one: ViewResult) -> dict[str, object]:
    view, s = one.view, one.standpoint
    return {
        "name": view.name,
        "file": view.file,
        "picture_px": list(view.keypoints.size),
        "frames_used": len(view.keypoints.times),
        "offset_s": view.offset,
        "person": view.person or None,
        "turned_deg": view.turned,
        "camera": {
            "source": view.camera_source or None,
            "focal_length_px": s.focal_length,
            "field_of_view_deg": list(s.field_of_view),
            "pitch_deg": s.pitch,
            "roll_deg": s.roll,
            "height_m": s.height,
            "distance_mean_m": s.distance[0],
            "distance_min_m": s.distance[1],
            "distance_max_m": s.distance[2],
            "bearing_deg": s.bearing,
            "sees_from": s.sees_from,
            "matrix_px": view.camera.matrix,
            "distortion": view.camera.distortion,
            "fisheye": view.camera.fisheye,
            "rotation": view.camera.rotation,
            "translation_m": view.camera.translation,
        },
        "reprojection": {
            "rms_px": one.total_rms,
            "median_px": one.total_median,
            "rms_m": one.total_rms_m,
            "rms_per_keypoint_px": {e.name: e.rms for e in one.keypoints},
        },
    }
