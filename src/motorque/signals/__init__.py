"""Filters, splines and their derivatives."""

from motorque.signals.filters import butterworth, opensim_lowpass
from motorque.signals.splines import NaturalSpline

__all__ = ["NaturalSpline", "butterworth", "opensim_lowpass"]
