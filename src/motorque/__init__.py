"""motorque: from what was seen of a moving person to joint angles, torques and forces.

``import motorque as mq`` is the door to the house: every name of :data:`__all__` is fetched from its room when it is
first used, so that the import itself is quick and loads neither torch nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same table for type checkers and editors; tests/test_house.py holds the two together
    from motorque.errors import DataError as DataError
    from motorque.errors import FileFormatError as FileFormatError
    from motorque.errors import MissingExtraError as MissingExtraError
    from motorque.errors import ModelError as ModelError
    from motorque.errors import MotorqueError as MotorqueError
    from motorque.errors import OutputError as OutputError
    from motorque.estimators.inpose.inpose import InPose as InPose
    from motorque.estimators.keypoint_prior.prior import LearnedPrior as LearnedPrior
    from motorque.files.acclaim import read_amc as read_amc
    from motorque.files.acclaim import read_asf as read_asf
    from motorque.files.bvh import read_bvh as read_bvh
    from motorque.files.c3d import read_c3d as read_c3d
    from motorque.files.calibration import read_cameras as read_cameras
    from motorque.files.calibration_toml import write_cameras as write_cameras
    from motorque.files.calibration_videos import cameras_for_videos as cameras_for_videos
    from motorque.files.expmap import read_expmap as read_expmap
    from motorque.files.external_loads import read_loads as read_loads
    from motorque.files.external_loads import write_loads as write_loads
    from motorque.files.motion_files import read_kinetics as read_kinetics
    from motorque.files.motion_files import read_motion as read_motion
    from motorque.files.motion_files import write_kinetics as write_kinetics
    from motorque.files.motion_files import write_motion as write_motion
    from motorque.files.osim import load_skeleton as load_skeleton
    from motorque.files.osim import read_osim as read_osim
    from motorque.files.osim_forces import read_model_forces as read_model_forces
    from motorque.files.osim_scale import scale_osim as scale_osim
    from motorque.files.osim_write import write_osim as write_osim
    from motorque.files.output import OutputFolder as OutputFolder
    from motorque.files.smpl_bones import read_bones as read_bones
    from motorque.files.smpl_model import SMPLModel as SMPLModel
    from motorque.files.smpl_model import read_smpl_model as read_smpl_model
    from motorque.files.smpl_poses import read_poses as read_poses
    from motorque.files.smpl_poses import write_poses as write_poses
    from motorque.files.storage import read_storage as read_storage
    from motorque.files.tracks import read_tracks as read_tracks
    from motorque.files.trc import read_trc as read_trc
    from motorque.files.trc import write_trc as write_trc
    from motorque.fitting.ground_loads import estimate_ground_loads as estimate_ground_loads
    from motorque.fitting.ik import CoordinateTask as CoordinateTask
    from motorque.fitting.ik import inverse_kinematics as inverse_kinematics
    from motorque.fitting.keypoint_fit import KeypointFit as KeypointFit
    from motorque.fitting.keypoint_fit import fit_keypoints as fit_keypoints
    from motorque.fitting.load_poses import load_poses as load_poses
    from motorque.fitting.marker_placement import place_markers as place_markers
    from motorque.fitting.motion_prior import MotionPrior as MotionPrior
    from motorque.fitting.motion_prior import PoseGuess as PoseGuess
    from motorque.fitting.pose_smoothing import SmoothedPoses as SmoothedPoses
    from motorque.fitting.pose_smoothing import smooth_poses as smooth_poses
    from motorque.fitting.refine import RefineSettings as RefineSettings
    from motorque.fitting.refine import refine_poses as refine_poses
    from motorque.fitting.refine_adam import refine_adam as refine_adam
    from motorque.fitting.refine_motion import RefinedMotion as RefinedMotion
    from motorque.fitting.refine_motion import refine_motion as refine_motion
    from motorque.fitting.retarget import proportions as proportions
    from motorque.fitting.retarget import retarget as retarget
    from motorque.fitting.retarget_source import segment_axes as segment_axes
    from motorque.fitting.scale import measure_scales as measure_scales
    from motorque.fitting.scale_from_motion import fit_body as fit_body
    from motorque.fitting.smpl_from_bones import joint_centres as joint_centres
    from motorque.fitting.smpl_from_bones import poses_from_bones as poses_from_bones
    from motorque.journal import Journal as Journal
    from motorque.journal import Notice as Notice
    from motorque.mechanics.contact import ContactModel as ContactModel
    from motorque.mechanics.contact import Floor as Floor
    from motorque.mechanics.contact_laws import HuntCrossley as HuntCrossley
    from motorque.mechanics.contact_laws import SmoothHuntCrossley as SmoothHuntCrossley
    from motorque.mechanics.derivatives import inverse_dynamics_derivatives as inverse_dynamics_derivatives
    from motorque.mechanics.dynamics import bias_forces as bias_forces
    from motorque.mechanics.dynamics import forward_dynamics as forward_dynamics
    from motorque.mechanics.dynamics import gravity_forces as gravity_forces
    from motorque.mechanics.dynamics import inverse_dynamics as inverse_dynamics
    from motorque.mechanics.dynamics import inverse_mass_matrix as inverse_mass_matrix
    from motorque.mechanics.dynamics import mass_matrix as mass_matrix
    from motorque.mechanics.energy import kinetic_energy as kinetic_energy
    from motorque.mechanics.energy import momentum as momentum
    from motorque.mechanics.energy import potential_energy as potential_energy
    from motorque.mechanics.jacobians import body_jacobian as body_jacobian
    from motorque.mechanics.jacobians import body_jacobian_rate as body_jacobian_rate
    from motorque.mechanics.jacobians import center_of_mass_jacobian as center_of_mass_jacobian
    from motorque.mechanics.jacobians import center_of_mass_jacobian_rate as center_of_mass_jacobian_rate
    from motorque.mechanics.jacobians import point_jacobian as point_jacobian
    from motorque.mechanics.jacobians import point_jacobian_rate as point_jacobian_rate
    from motorque.mechanics.joint_reactions import ball_torques as ball_torques
    from motorque.mechanics.joint_reactions import joint_reactions as joint_reactions
    from motorque.mechanics.kinematics import center_of_mass as center_of_mass
    from motorque.mechanics.kinematics import forward_kinematics as forward_kinematics
    from motorque.mechanics.kinematics import marker_positions as marker_positions
    from motorque.mechanics.passive import ModelForces as ModelForces
    from motorque.mechanics.position_rates import convert_speeds as convert_speeds
    from motorque.mechanics.position_rates import position_rates as position_rates
    from motorque.mechanics.simulate import Simulation as Simulation
    from motorque.mechanics.simulate import simulate as simulate
    from motorque.mechanics.smpl_dynamics import SMPLDynamics as SMPLDynamics
    from motorque.mechanics.smpl_output import SMPLDynamicsOutput as SMPLDynamicsOutput
    from motorque.mechanics.velocities import body_accelerations as body_accelerations
    from motorque.mechanics.velocities import body_velocities as body_velocities
    from motorque.mechanics.velocities import center_of_mass_acceleration as center_of_mass_acceleration
    from motorque.mechanics.velocities import center_of_mass_velocity as center_of_mass_velocity
    from motorque.mechanics.velocities import point_acceleration as point_acceleration
    from motorque.mechanics.velocities import point_velocity as point_velocity
    from motorque.progress import TerminalProgress as TerminalProgress
    from motorque.series import Camera as Camera
    from motorque.series import Keypoints as Keypoints
    from motorque.series import Kinetics as Kinetics
    from motorque.series import Load as Load
    from motorque.series import Loads as Loads
    from motorque.series import Markers as Markers
    from motorque.series import Motion as Motion
    from motorque.series import Poses as Poses
    from motorque.series import Scales as Scales
    from motorque.series.bones import BoneMotion as BoneMotion
    from motorque.series.tracks import Tracks as Tracks
    from motorque.signals.pose_rates import PoseRates as PoseRates
    from motorque.signals.pose_rates import pose_rates as pose_rates
    from motorque.skeleton import Skeleton as Skeleton
    from motorque.skeleton.fullbody import fullbody as fullbody
    from motorque.skeleton.marker_sets import match_markers as match_markers
    from motorque.skeleton.marker_sets import skeleton_with_markers as skeleton_with_markers
    from motorque.skeleton.rotations import convert_positions as convert_positions
    from motorque.skeleton.scaling import apply_scales as apply_scales
    from motorque.skeleton.smpl import smpl as smpl
    from motorque.skeleton.smpl import smpl_positions as smpl_positions
    from motorque.uncertainty.bands import Bands as Bands
    from motorque.uncertainty.bands import bands_of_analysis as bands_of_analysis
    from motorque.uncertainty.cutoff import choose_cutoff as choose_cutoff
    from motorque.uncertainty.evidence import marker_evidence as marker_evidence
    from motorque.uncertainty.motion_bands import bands_of_motion as bands_of_motion
    from motorque.vision.keypoint_file import VideoKeypoints as VideoKeypoints
    from motorque.vision.keypoint_file import read_keypoints as read_keypoints
    from motorque.vision.keypoint_file import read_video_keypoints as read_video_keypoints
    from motorque.vision.keypoint_file import write_keypoints as write_keypoints
    from motorque.vision.keypoints import find_keypoints as find_keypoints
    from motorque.vision.openpose_json import read_openpose as read_openpose
    from motorque.vision.projection import project as project
    from motorque.vision.video import Video as Video
    from motorque.workflows.analyze import analyze as analyze
    from motorque.workflows.ground_loads import loads_step as loads_step
    from motorque.workflows.inverse_dynamics import id_step as id_step
    from motorque.workflows.inverse_dynamics import inverse_dynamics_step as joint_moments
    from motorque.workflows.inverse_kinematics import ik_step as ik_step
    from motorque.workflows.keypoints import keypoints_step as keypoints_step
    from motorque.workflows.scale import scale_step as scale_step
    from motorque.workflows.sensors import sensors_step as sensors_step
    from motorque.workflows.video import VideoOptions as VideoOptions
    from motorque.workflows.video import analyze_video as analyze_video

__version__ = "0.1.0"

_ROOM = {
    # the things that flow
    "BoneMotion": "series.bones",
    "Camera": "series",
    "Keypoints": "series",
    "Kinetics": "series",
    "Load": "series",
    "Loads": "series",
    "Markers": "series",
    "Motion": "series",
    "Poses": "series",
    "Scales": "series",
    "Skeleton": "skeleton",
    "Tracks": "series.tracks",
    # what a run tells, and what can go wrong
    "DataError": "errors",
    "FileFormatError": "errors",
    "Journal": "journal",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "MotorqueError": "errors",
    "Notice": "journal",
    "OutputError": "errors",
    "OutputFolder": "files.output",
    "TerminalProgress": "progress",
    # the body
    "apply_scales": "skeleton.scaling",
    "convert_positions": "skeleton.rotations",
    "fullbody": "skeleton.fullbody",
    "match_markers": "skeleton.marker_sets",
    "skeleton_with_markers": "skeleton.marker_sets",
    "smpl": "skeleton.smpl",
    "smpl_positions": "skeleton.smpl",
    # files
    "cameras_for_videos": "files.calibration_videos",
    "load_skeleton": "files.osim",
    "read_amc": "files.acclaim",
    "read_asf": "files.acclaim",
    "read_bones": "files.smpl_bones",
    "read_bvh": "files.bvh",
    "read_c3d": "files.c3d",
    "read_cameras": "files.calibration",
    "read_expmap": "files.expmap",
    "read_kinetics": "files.motion_files",
    "read_loads": "files.external_loads",
    "read_model_forces": "files.osim_forces",
    "read_motion": "files.motion_files",
    "read_osim": "files.osim",
    "read_poses": "files.smpl_poses",
    "read_smpl_model": "files.smpl_model",
    "read_storage": "files.storage",
    "read_tracks": "files.tracks",
    "read_trc": "files.trc",
    "scale_osim": "files.osim_scale",
    "SMPLModel": "files.smpl_model",
    "write_cameras": "files.calibration_toml",
    "write_kinetics": "files.motion_files",
    "write_loads": "files.external_loads",
    "write_motion": "files.motion_files",
    "write_osim": "files.osim_write",
    "write_poses": "files.smpl_poses",
    "write_trc": "files.trc",
    # the physics, on tensors
    "ball_torques": "mechanics.joint_reactions",
    "bias_forces": "mechanics.dynamics",
    "body_accelerations": "mechanics.velocities",
    "body_jacobian": "mechanics.jacobians",
    "body_jacobian_rate": "mechanics.jacobians",
    "body_velocities": "mechanics.velocities",
    "center_of_mass": "mechanics.kinematics",
    "center_of_mass_acceleration": "mechanics.velocities",
    "center_of_mass_jacobian": "mechanics.jacobians",
    "center_of_mass_jacobian_rate": "mechanics.jacobians",
    "center_of_mass_velocity": "mechanics.velocities",
    "ContactModel": "mechanics.contact",
    "convert_speeds": "mechanics.position_rates",
    "Floor": "mechanics.contact",
    "forward_dynamics": "mechanics.dynamics",
    "forward_kinematics": "mechanics.kinematics",
    "gravity_forces": "mechanics.dynamics",
    "HuntCrossley": "mechanics.contact_laws",
    "inverse_dynamics": "mechanics.dynamics",
    "inverse_dynamics_derivatives": "mechanics.derivatives",
    "inverse_mass_matrix": "mechanics.dynamics",
    "joint_reactions": "mechanics.joint_reactions",
    "kinetic_energy": "mechanics.energy",
    "marker_positions": "mechanics.kinematics",
    "mass_matrix": "mechanics.dynamics",
    "ModelForces": "mechanics.passive",
    "momentum": "mechanics.energy",
    "pose_rates": "signals.pose_rates",
    "PoseRates": "signals.pose_rates",
    "point_acceleration": "mechanics.velocities",
    "point_jacobian": "mechanics.jacobians",
    "point_jacobian_rate": "mechanics.jacobians",
    "point_velocity": "mechanics.velocities",
    "position_rates": "mechanics.position_rates",
    "potential_energy": "mechanics.energy",
    "simulate": "mechanics.simulate",
    "Simulation": "mechanics.simulate",
    "SMPLDynamics": "mechanics.smpl_dynamics",
    "SMPLDynamicsOutput": "mechanics.smpl_output",
    "SmoothHuntCrossley": "mechanics.contact_laws",
    # error bars
    "Bands": "uncertainty.bands",
    "bands_of_analysis": "uncertainty.bands",
    "bands_of_motion": "uncertainty.motion_bands",
    "choose_cutoff": "uncertainty.cutoff",
    "marker_evidence": "uncertainty.evidence",
    # video
    "KeypointFit": "fitting.keypoint_fit",
    "fit_keypoints": "fitting.keypoint_fit",
    "MotionPrior": "fitting.motion_prior",
    "PoseGuess": "fitting.motion_prior",
    "VideoOptions": "workflows.video",
    "analyze_video": "workflows.video",
    "find_keypoints": "vision.keypoints",
    "project": "vision.projection",
    "read_keypoints": "vision.keypoint_file",
    "read_openpose": "vision.openpose_json",
    "read_video_keypoints": "vision.keypoint_file",
    "Video": "vision.video",
    "VideoKeypoints": "vision.keypoint_file",
    "write_keypoints": "vision.keypoint_file",
    # fitting
    "CoordinateTask": "fitting.ik",
    "estimate_ground_loads": "fitting.ground_loads",
    "fit_body": "fitting.scale_from_motion",
    "inverse_kinematics": "fitting.ik",
    "joint_centres": "fitting.smpl_from_bones",
    "load_poses": "fitting.load_poses",
    "measure_scales": "fitting.scale",
    "place_markers": "fitting.marker_placement",
    "poses_from_bones": "fitting.smpl_from_bones",
    "proportions": "fitting.retarget",
    "RefineSettings": "fitting.refine",
    "refine_adam": "fitting.refine_adam",
    "refine_motion": "fitting.refine_motion",
    "refine_poses": "fitting.refine",
    "RefinedMotion": "fitting.refine_motion",
    "retarget": "fitting.retarget",
    "segment_axes": "fitting.retarget_source",
    "SmoothedPoses": "fitting.pose_smoothing",
    "smooth_poses": "fitting.pose_smoothing",
    # learned
    "InPose": "estimators.inpose.inpose",
    "LearnedPrior": "estimators.keypoint_prior.prior",
    # whole steps: joint moments of a Motion under Loads, and the command line's from files to files
    "analyze": "workflows.analyze",
    "id_step": "workflows.inverse_dynamics",
    "ik_step": "workflows.inverse_kinematics",
    "joint_moments": "workflows.inverse_dynamics:inverse_dynamics_step",
    "keypoints_step": "workflows.keypoints",
    "loads_step": "workflows.ground_loads",
    "scale_step": "workflows.scale",
    "sensors_step": "workflows.sensors",
}
"""Where each public name lives, and after a colon what it is called there if that is another name."""

__all__ = sorted(_ROOM)


def __getattr__(name: str) -> Any:
    """Fetch a public name from its room, or the room of the skeletons itself (PEP 562)."""
    if name == "skeleton":
        return import_module("motorque.skeleton")
    if name not in _ROOM:
        raise AttributeError(f"module 'motorque' has no attribute {name!r}; it offers {', '.join(__all__)}")
    room, _, there = _ROOM[name].partition(":")
    value = getattr(import_module(f"motorque.{room}"), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
