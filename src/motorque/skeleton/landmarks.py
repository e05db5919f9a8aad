"""Where on the built-in skeleton markers are put: landmarks of the body with their position and how far to trust it.

Positions are markers' centres on the skin over the landmark, in the frame of the generic (unscaled) body. Sources, all
placed on this same skeleton:
    [O] OpenCap's marker set (opencap-core, Apache-2.0), the r_*_study names.
    [A] the marker sets of Rajagopal et al. 2016 and Lai, Arnold & Wakeling 2017 as published with AddBiomechanics'
        Rajagopal2015 and with the OpenCap validation study's generic LaiArnold model.
    [S] the same landmarks on the two scaled models at hand, each divided by its body's scale factors.
    [H] gait2354's Scale marker set (opensim-core, Apache-2.0), whose pelvis, femur, foot and torso frames are the same.
    [P] Pose2Sim's keypoints on its LaiUhlrich-based model (BSD-3).
    [Z] de Leva 1996 for levels along the trunk.
Where several give a landmark they agree within 2 cm and the middle is taken.

Uncertainty. Palpating a bony landmark repeats within 6 to 21 mm by one examiner and 12 to 25 mm between examiners
(Della Croce, Leardini, Chiari, Cappozzo 2005, Gait Posture 21: 226-237, from 11 pelvis and lower-limb landmarks), and
the same landmark on the scaled models of [S] lies 6 to 20 mm from here; well-defined ones have 10 mm here, others 15 to
25 mm. Regression of the hip centre errs by 5 to 20 mm (Leardini et al. 1999, J Biomech 32: 99-103). Wands, clusters and
other markers put anywhere on a segment have 100 mm: their place is found from the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bony", "joint", "technical"]


@dataclass(frozen=True)
class Landmark:
    """A named place on the skeleton.

    Args:
        name: Its name; ``_r`` and ``_l`` say the side.
        body: The body that carries it.
        position: A marker there, in the generic body's frame [m].
        kind: ``bony`` (palpable, informs scaling), ``joint`` (a joint centre, informs scaling) or ``technical`` (put
            anywhere on the segment: to be located from the data).
        std: Standard deviation of its position on a person, once bodies are scaled [m].
    """

    name: str
    body: str
    position: tuple[float, float, float]
    kind: Kind
    std: float


# name, body, x, y, z [m], kind, std [mm]; right side and middle
_RIGHT_AND_MIDDLE: tuple[tuple[str, str, float, float, float, Kind, float], ...] = (
    # Pelvis
    ("asis_r", "pelvis", 0.026, 0.010, 0.128, "bony", 10),  # [O] [A] [S]
    ("psis_r", "pelvis", -0.156, 0.025, 0.047, "bony", 10),  # [O] [A] [S]
    ("sacrum", "pelvis", -0.163, 0.030, 0.0, "bony", 12),  # between the PSIS [H] [S]
    ("iliac_crest_r", "pelvis", -0.060, 0.075, 0.140, "bony", 25),  # tubercle, estimated from asis and psis
    ("hip_center_r", "pelvis", -0.056276, -0.07849, 0.07726, "joint", 12),  # the hip joint itself
    ("hip_center_mid", "pelvis", -0.056276, -0.07849, 0.0, "joint", 15),
    # Thigh
    ("trochanter_r", "femur_r", -0.015, -0.010, 0.085, "bony", 20),  # gluteus medius insertion [A] and skin
    ("knee_lateral_r", "femur_r", 0.006, -0.402, 0.055, "bony", 10),  # lateral epicondyle [O] [A] [S]
    ("knee_medial_r", "femur_r", 0.007, -0.402, -0.055, "bony", 10),  # medial epicondyle [O] [A] [S]
    ("knee_center_r", "femur_r", 0.002, -0.402, 0.0, "joint", 12),  # between the epicondyles [A] [S]
    ("thigh_wand_r", "femur_r", 0.010, -0.250, 0.085, "technical", 100),  # [H]
    ("thigh_1_r", "femur_r", 0.090, -0.150, 0.070, "technical", 100),  # [O]
    ("thigh_2_r", "femur_r", 0.055, -0.250, 0.085, "technical", 100),  # [O]
    ("thigh_3_r", "femur_r", -0.020, -0.140, 0.100, "technical", 100),  # [O]
    ("thigh_front_r", "femur_r", 0.080, -0.250, 0.0047, "technical", 100),  # [H]
    ("patella_r", "patella_r", 0.030, 0.025, 0.0, "bony", 15),  # in front of the patella's centre of mass [A]
    # Shank
    ("tibial_tuberosity_r", "tibia_r", 0.045, -0.078, 0.003, "bony", 15),  # [H]
    ("fibula_head_r", "tibia_r", -0.028, -0.045, 0.045, "bony", 15),  # biceps femoris insertion [A] and skin
    ("ankle_lateral_r", "tibia_r", -0.017, -0.385, 0.050, "bony", 10),  # lateral malleolus [O] [A] [S]
    ("ankle_medial_r", "tibia_r", 0.004, -0.380, -0.038, "bony", 10),  # medial malleolus [O] [A] [S]
    ("ankle_center_r", "tibia_r", -0.007, -0.388, 0.004, "joint", 12),  # between malleoli and talus joint
    ("shank_wand_r", "tibia_r", 0.0, -0.230, 0.065, "technical", 100),  # [O]
    ("shank_1_r", "tibia_r", 0.0, -0.115, 0.070, "technical", 100),  # [O]
    ("shank_2_r", "tibia_r", 0.026, -0.230, 0.080, "technical", 100),  # [O]
    ("shank_3_r", "tibia_r", -0.050, -0.220, 0.080, "technical", 100),  # [O]
    # Foot
    ("heel_r", "calcn_r", -0.026, 0.024, -0.009, "bony", 12),  # [O] [A] [S] [H]
    ("toe_2_r", "calcn_r", 0.184, 0.017, 0.007, "bony", 12),  # head of the second metatarsal [O] [S]
    ("toe_1_r", "calcn_r", 0.190, 0.012, -0.036, "bony", 15),  # head of the first metatarsal [H] [A]
    ("toe_5_r", "calcn_r", 0.143, 0.004, 0.062, "bony", 12),  # head of the fifth metatarsal [O] [A] [S]
    ("toe_5_front_r", "calcn_r", 0.183, 0.019, 0.060, "bony", 25),  # the same on a shoe, as that set has it [S]
    ("toe_5_base_r", "calcn_r", 0.075, 0.005, 0.053, "bony", 20),  # tuberosity of the fifth metatarsal
    ("midfoot_top_r", "calcn_r", 0.110, 0.050, -0.010, "technical", 50),  # [H]
    ("midfoot_lateral_r", "calcn_r", 0.100, 0.020, 0.040, "technical", 50),  # [H]
    ("toe_lateral_r", "calcn_r", 0.180, 0.0, 0.065, "technical", 50),  # [H]
    ("toe_tip_r", "toes_r", 0.079, 0.022, -0.011, "bony", 15),  # tip of the shoe or great toe [H] [S]
    ("hallux_base_r", "toes_r", 0.026, 0.040, -0.030, "bony", 15),  # on top of the great toe's joint [A]
    ("hallux_r", "toes_r", 0.065, 0.012, -0.018, "bony", 15),  # great toe [P]
    ("small_toe_r", "toes_r", 0.020, 0.008, 0.052, "bony", 20),  # [P], level with the spheres of [C]
    # Trunk and head
    ("c7", "torso", -0.080, 0.424, 0.0, "bony", 10),  # [O] [A] [S]
    ("t10", "torso", -0.120, 0.190, 0.0, "bony", 20),  # level of the xiphoid [Z]
    ("jugular_notch", "torso", 0.048, 0.380, 0.0, "bony", 12),  # [A] [S]
    ("sternoclavicular_r", "torso", 0.052, 0.378, 0.024, "bony", 12),  # [A] [S]
    ("sternum_mid", "torso", 0.070, 0.300, 0.0, "bony", 25),  # [H]
    ("xiphoid", "torso", 0.095, 0.210, 0.0, "bony", 20),  # level [Z]
    ("scapula_r", "torso", -0.110, 0.330, 0.075, "technical", 50),
    ("acromion_r", "torso", 0.002, 0.412, 0.141, "bony", 12),  # [A] [S] [H]
    ("shoulder_front_r", "torso", 0.050, 0.3715, 0.170, "technical", 50),  # [A]
    ("shoulder_back_r", "torso", -0.052, 0.3715, 0.170, "technical", 50),  # [A]
    ("neck", "torso", -0.010, 0.400, 0.0, "joint", 25),  # between the acromia
    ("head_top", "torso", 0.001, 0.662, 0.0, "bony", 20),  # [H] [S]
    ("head_front_r", "torso", 0.090, 0.590, 0.065, "technical", 30),
    ("head_back_r", "torso", -0.090, 0.585, 0.065, "technical", 30),
    ("temple_r", "torso", 0.050, 0.565, 0.078, "technical", 30),
    ("nose", "torso", 0.110, 0.530, 0.0, "technical", 30),
    ("eye_r", "torso", 0.085, 0.560, 0.032, "technical", 30),
    ("ear_r", "torso", 0.005, 0.540, 0.080, "technical", 30),
    # Arm
    ("shoulder_center_r", "humerus_r", 0.0, 0.0, 0.0, "joint", 20),
    ("elbow_lateral_r", "humerus_r", 0.0135, -0.277, 0.040, "bony", 10),  # [O] [A] [S]
    ("elbow_medial_r", "humerus_r", 0.003, -0.283, -0.046, "bony", 10),  # [O] [A] [S]
    ("elbow_center_r", "humerus_r", 0.010, -0.283, -0.006, "joint", 12),  # between the epicondyles and the joint
    ("upper_arm_r", "humerus_r", 0.005, -0.150, 0.045, "technical", 100),
    ("biceps_r", "humerus_r", 0.037, -0.180, 0.018, "technical", 100),  # [S]
    ("wrist_radius_r", "radius_r", -0.014, -0.225, 0.042, "bony", 15),  # radial styloid; [O] and [A] 3 cm apart
    ("wrist_ulna_r", "radius_r", -0.026, -0.225, -0.016, "bony", 15),  # ulnar styloid [O] [A]
    ("wrist_dorsal_r", "radius_r", -0.030, -0.235, 0.006, "bony", 20),  # [S]
    ("wrist_center_r", "radius_r", -0.009, -0.234, 0.013, "joint", 15),  # where the hand begins
    ("forearm_r", "radius_r", 0.010, -0.120, 0.035, "technical", 100),  # [S]
    ("hand_knuckle_r", "hand_r", -0.015, -0.085, 0.005, "bony", 20),  # between second and third knuckle
    ("hand_tip_r", "hand_r", 0.0, -0.165, 0.0, "bony", 25),
    ("thumb_r", "hand_r", 0.020, -0.070, 0.040, "technical", 50),
)


def _both_sides() -> dict[str, Landmark]:
    found: dict[str, Landmark] = {}
    for name, body, x, y, z, kind, std in _RIGHT_AND_MIDDLE:
        found[name] = Landmark(name, body, (x, y, z), kind, std / 1000)
        if name.endswith("_r"):
            left = f"{name[:-2]}_l"
            found[left] = Landmark(
                left, f"{body[:-2]}_l" if body.endswith("_r") else body, (x, y, -z), kind, std / 1000
            )
    return found


LANDMARKS: dict[str, Landmark] = _both_sides()
