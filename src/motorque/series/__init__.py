"""The things that flow: plain frozen dataclasses with checked shapes, times and names (numpy, SI units, ground)."""

from motorque.series.camera import Camera
from motorque.series.keypoints import KEYPOINT_NAMES, Keypoints
from motorque.series.kinetics import Kinetics
from motorque.series.loads import Load, Loads
from motorque.series.markers import Markers
from motorque.series.motion import Motion
from motorque.series.poses import Poses
from motorque.series.scales import Scales

__all__ = ["KEYPOINT_NAMES", "Camera", "Keypoints", "Kinetics", "Load", "Loads", "Markers", "Motion", "Poses", "Scales"]
