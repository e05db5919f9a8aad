"""Telling a person what was found: one self-contained HTML page, CSV tables and a machine-readable summary."""

from motorque.report.analysis import Analysis, InputFile, Subject
from motorque.report.video import VideoEvidence, VideoView
from motorque.report.write import write_report

__all__ = ["Analysis", "InputFile", "Subject", "VideoEvidence", "VideoView", "write_report"]
