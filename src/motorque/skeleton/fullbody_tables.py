"""The numbers of the built-in skeleton: bodies, joints and contact spheres of the right side and the middle.

Sources:
    [R] Rajagopal A, Dembia CL, DeMers MS, Delp DD, Hicks JL, Delp SL (2016). Full-body musculoskeletal model for
        muscle-driven simulation of human gait. IEEE Trans Biomed Eng 63: 2068-2079. Bodies, masses, inertias, hip,
        ankle, subtalar, toe, back and arm joints, patella.
    [L] Lai AKM, Arnold AS, Wakeling JM (2017). Why are antagonist muscles co-activated in my simulation? Ann Biomed Eng
        45: 2762-2774. The knee: frames and polynomials of the tibia's motion, range to 140 degrees.
    [U] Uhlrich SD, Jackson RW, Seth A, Kolesar JA, Delp SL (2022). Sci Rep 12: 9842. The combination, as published with
        OpenCap (LaiUhlrich2022.osim, Apache-2.0): ranges, pelvis, subtalar and toe joints free, hand welded to radius.
    [C] opencap-processing (Apache-2.0): the six contact spheres of a foot, its LaiArnoldModified2017_contacts.osim
        taken back to the generic foot (its factor of 1.0059769868939754).

The left side is the mirror image in the plane Z = 0 (see :func:`motorque.skeleton.fullbody.fullbody`). Lengths in m,
angles in rad, masses in kg, inertias in kg·m² about the centre of mass (xx, yy, zz; no products of inertia).
"""

from __future__ import annotations

from motorque.skeleton.functions import Function, Linear, Polynomial, simm_spline

Numbers = tuple[float, ...]

NAME = "motorque_fullbody"

# name: mass, centre of mass, inertia [R]
BODIES: dict[str, tuple[float, Numbers, Numbers]] = {
    "pelvis": (11.777, (-0.0707, 0.0, 0.0), (0.1028, 0.0871, 0.0579)),
    "femur_r": (9.3014, (0.0, -0.17, 0.0), (0.1339, 0.0351, 0.1412)),
    "tibia_r": (3.7075, (0.0, -0.1867, 0.0), (0.0504, 0.0051, 0.0511)),
    "patella_r": (0.0862, (0.0018, 0.0264, 0.0), (2.87e-06, 1.311e-05, 1.311e-05)),
    "talus_r": (0.1, (0.0, 0.0, 0.0), (0.001, 0.001, 0.001)),
    "calcn_r": (1.25, (0.1, 0.03, 0.0), (0.0014, 0.0039, 0.0041)),
    "toes_r": (0.2166, (0.0346, 0.006, -0.0175), (0.0001, 0.0002, 0.001)),
    "torso": (26.8266, (-0.03, 0.32, 0.0), (1.4745, 0.7555, 1.4314)),
    "humerus_r": (2.0325, (0.0, -0.164502, 0.0), (0.011946, 0.004121, 0.013409)),
    "ulna_r": (0.6075, (0.0, -0.120525, 0.0), (0.002962, 0.000618, 0.003213)),
    "radius_r": (0.6075, (0.0, -0.120525, 0.0), (0.002962, 0.000618, 0.003213)),
    "hand_r": (0.4575, (0.0, -0.068095, 0.0), (0.000892, 0.000547, 0.00134)),
}

# joint: kind, parent, position and body-fixed x-y-z angles of the joint in it, child, the same in the child
# [R]; knee [L]
JOINTS: dict[str, tuple[str, str, Numbers, Numbers, str, Numbers, Numbers]] = {
    "ground_pelvis": ("CustomJoint", "ground", (0, 0, 0), (0, 0, 0), "pelvis", (0, 0, 0), (0, 0, 0)),
    "hip_r": ("CustomJoint", "pelvis", (-0.056276, -0.07849, 0.07726), (0, 0, 0), "femur_r", (0, 0, 0), (0, 0, 0)),
    "walker_knee_r": (
        "CustomJoint",
        "femur_r", (-0.0045, -0.4096, -0.00175), (-1.64157, 1.44618, 1.5708),
        "tibia_r", (-0.00808954, -0.0035348, -0.00148474), (-1.64157, 1.44618, 1.5708),
    ),
    "patellofemoral_r": (
        "CustomJoint", "femur_r", (-0.00809, -0.40796, -0.00275), (0, 0, 0), "patella_r", (0, 0, 0), (0, 0, 0)
    ),
    "ankle_r": (
        "PinJoint",
        "tibia_r", (-0.01, -0.4, 0.0), (0.175895, -0.105208, 0.0186622),
        "talus_r", (0, 0, 0), (0.175895, -0.105208, 0.0186622),
    ),
    "subtalar_r": (
        "PinJoint",
        "talus_r", (-0.04877, -0.04195, 0.00792), (-1.76819, 0.906223, 1.8196),
        "calcn_r", (0, 0, 0), (-1.76819, 0.906223, 1.8196),
    ),
    "mtp_r": (
        "PinJoint",
        "calcn_r", (0.1788, -0.002, 0.00108), (-3.14159, 0.619901, 0.0),
        "toes_r", (0, 0, 0), (-3.14159, 0.619901, 0.0),
    ),
    "back": ("CustomJoint", "pelvis", (-0.1007, 0.0815, 0.0), (0, 0, 0), "torso", (0, 0, 0), (0, 0, 0)),
    "acromial_r": ("CustomJoint", "torso", (0.003155, 0.3715, 0.17), (0, 0, 0), "humerus_r", (0, 0, 0), (0, 0, 0)),
    "elbow_r": (
        "PinJoint",
        "humerus_r", (0.013144, -0.286273, -0.009595), (-0.0228627, 0.228018, 0.0051689),
        "ulna_r", (0, 0, 0), (-0.0228627, 0.228018, 0.0051689),
    ),
    "radioulnar_r": (
        "PinJoint",
        "ulna_r", (-0.006727, -0.013007, 0.026083), (-1.56884, 0.056428, 1.53614),
        "radius_r", (0, 0, 0), (-1.56884, 0.056428, 1.53614),
    ),
    "radius_hand_r": (
        "WeldJoint",
        "radius_r", (-0.008797, -0.235841, 0.01361), (-1.5708, 0, -1.5708),
        "hand_r", (0, 0, 0), (-1.5708, 0, -1.5708),
    ),
}  # fmt: skip

# The one number that is no mirror image: the left toe joint's first angle is -3.14159 too, 5e-6 rad off its mirror
# image.
MTP_L_ANGLES: Numbers = (-3.14159, -0.619901, 0.0)

# joint: name, default, smallest, largest value, clamped [U]
COORDINATES: dict[str, tuple[tuple[str, float, float, float, bool], ...]] = {
    "ground_pelvis": (
        ("pelvis_tilt", 0.0, -1.57079633, 1.57079633, True),
        ("pelvis_list", 0.0, -1.57079633, 1.57079633, True),
        ("pelvis_rotation", 0.0, -100.0, 100.0, True),
        ("pelvis_tx", 0.0, -100.0, 100.0, True),
        ("pelvis_ty", 0.929999999097643, -30.0, 30.0, True),
        ("pelvis_tz", 0.0, -100.0, 100.0, True),
    ),
    "hip_r": (
        ("hip_flexion_r", 0.0, -0.52359878, 2.0943951, True),
        ("hip_adduction_r", 0.0, -0.87266463, 0.52359878, True),
        ("hip_rotation_r", 0.0, -0.6981317, 0.6981317, True),
    ),
    "walker_knee_r": (("knee_angle_r", 0.0, 0.0, 2.44346095279206, True),),
    "patellofemoral_r": (("knee_angle_r_beta", 0.0, -99999.9, 99999.9, False),),
    "ankle_r": (("ankle_angle_r", 0.0, -0.872664625997165, 0.872664625997165, True),),
    "subtalar_r": (("subtalar_angle_r", 0.0, -0.610865238198015, 0.610865238198015, True),),
    "mtp_r": (("mtp_angle_r", 0.0, -0.785398163397448, 0.52359878, True),),
    "back": (
        ("lumbar_extension", 0.0, -1.57079633, 1.57079633, True),
        ("lumbar_bending", 0.0, -1.57079633, 1.57079633, True),
        ("lumbar_rotation", 0.0, -1.57079633, 1.57079633, True),
    ),
    "acromial_r": (
        ("arm_flex_r", 0.0, -10.0, 10.0, True),
        ("arm_add_r", 0.0, -10.0, 10.0, True),
        ("arm_rot_r", 0.0, -10.0, 10.0, True),
    ),
    "elbow_r": (("elbow_flex_r", 0.0, 0.0, 2.618, True),),
    "radioulnar_r": (("pro_sup_r", 0.0, 0.0, 2.09, True),),
    "radius_hand_r": (),
}

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
IDENTITY: Function = Linear(1.0, 0.0)
FIXED: Function = Linear(0.0, 0.0)

_BETA = (
    0,
    0.174533,
    0.349066,
    0.523599,
    0.698132,
    0.872665,
    1.0472,
    1.22173,
    1.39626,
    1.5708,
    1.74533,
    1.91986,
    2.0944,
)
# Patella against the angle of the knee [R]
_PATELLA_TURN = (0.00113686, -0.00629212, -0.105582, -0.253683, -0.414245, -0.579047, -0.747244, -0.91799, -1.09044,
                 -1.26379, -1.43763, -1.61186, -1.78634)  # fmt: skip
_PATELLA_X = (
    0.0524,
    0.0488,
    0.0437,
    0.0371,
    0.0296,
    0.0216,
    0.0136,
    0.0057,
    -0.0019,
    -0.0088,
    -0.0148,
    -0.0196,
    -0.0227,
)
_PATELLA_Y = (-0.0108, -0.019, -0.0263, -0.0322, -0.0367, -0.0395, -0.0408, -0.0404, -0.0384, -0.0349, -0.0301, -0.0245,
              -0.0187)  # fmt: skip

# joint: rotation axes, and for three rotations and three translations the function of which coordinate (-1 none)
# Order of rotations: the pelvis tilts, lists, rotates; hip, back and shoulder likewise about z, x, y [R].
_ZXY = (Z, X, Y)
_THREE = ((IDENTITY, 0), (IDENTITY, 1), (IDENTITY, 2))
_NO_SHIFT = ((FIXED, -1),) * 3
PIN = ((FIXED, -1), (FIXED, -1), (IDENTITY, 0), *_NO_SHIFT)
WELD = (*_NO_SHIFT, *_NO_SHIFT)
AXES: dict[str, tuple[tuple[Numbers, Numbers, Numbers], tuple[tuple[Function, int], ...]]] = {
    "ground_pelvis": (_ZXY, (*_THREE, (IDENTITY, 3), (IDENTITY, 4), (IDENTITY, 5))),
    "hip_r": (_ZXY, (*_THREE, *_NO_SHIFT)),
    "back": (_ZXY, (*_THREE, *_NO_SHIFT)),
    "acromial_r": (_ZXY, (*_THREE, *_NO_SHIFT)),
    # The tibia's other two rotations and its three translations as polynomials of knee flexion, highest power first [L]
    "walker_knee_r": (
        (X, Z, Y),
        (
            (IDENTITY, 0),
            (Polynomial((0.010832094539863, -0.025218325501241, -0.032847810398852, 0.079100011967027,
                         -1.473252350900463e-08)), 0),
            (Polynomial((0.025165762727423, -0.16948005139054, 0.369499348688249, -4.430358308836305e-08)), 0),
            (Polynomial((1.590447878850381e-04, -0.001015149915669, 0.001817510974968, 2.64142664519923e-05,
                         -7.746563532471892e-07)), 0),
            (Polynomial((-5.796878052338684e-04, 0.005079765745626, -0.011442375726364, 0.003936908668844,
                         -2.516350383213525e-05)), 0),
            (Polynomial((0.001208086889206, -0.004453611224706, 6.116494072981739e-04, 0.006265429606387,
                         -1.461912533723326e-05)), 0),
        ),
    ),
    "patellofemoral_r": (
        (Z, Y, X),
        (
            (simm_spline(_BETA, _PATELLA_TURN), 0),
            (FIXED, -1),
            (FIXED, -1),
            (simm_spline(_BETA, _PATELLA_X), 0),
            (simm_spline(_BETA, _PATELLA_Y), 0),
            (Linear(0.0, 0.00275), -1),
        ),
    ),
}  # fmt: skip

# The patella's coordinate equals the knee's [R]: constraint, dependent, independent
COUPLERS = (("patellofemoral_knee_angle_r_con", "knee_angle_r_beta", "knee_angle_r"),)

# sphere: body, centre [C]; all of one radius
_FOOT_FACTOR = 1.0059769868939754
CONTACT_RADIUS = 0.032
CONTACT_SPHERES: dict[str, tuple[str, Numbers]] = {
    name: (body, (x / _FOOT_FACTOR, -0.01, z / _FOOT_FACTOR))
    for name, body, x, z in (
        ("s1_r", "calcn_r", 0.0020926478348704948, -0.0042116998392377628),
        ("s2_r", "calcn_r", 0.16333229405263558, -0.031605518401906396),
        ("s3_r", "calcn_r", 0.1463974212961392, 0.056837194907444689),
        ("s4_r", "calcn_r", 0.072906007426178476, 0.02901963283269722),
        ("s5_r", "toes_r", 0.066043368172450365, -0.020649899312986109),
        ("s6_r", "toes_r", 0.04953252612933777, 0.068087362816591779),
    )
}

# Stature of the generic skeleton: the 1.70 m man of [R]; its masses add up to 75.337 kg.
GENERIC_HEIGHT = 1.70

# Bone meshes that OpenSim's own Geometry folder has for these bodies, and the factor on their size.
MESHES: dict[str, tuple[tuple[str, ...], float]] = {
    "pelvis": (("r_pelvis", "l_pelvis", "sacrum"), 1.0),
    "femur_r": (("r_femur",), 1.0),
    "tibia_r": (("r_tibia", "r_fibula"), 1.0),
    "patella_r": (("r_patella",), 1.0),
    "talus_r": (("r_talus",), 1.0),
    "calcn_r": (("r_foot",), 1.0),
    "toes_r": (("r_bofoot",), 1.0),
    "torso": (("hat_spine", "hat_jaw", "hat_skull", "hat_ribs_scap"), 1.0),
    "humerus_r": (("humerus_rv",), 1.0),
    "ulna_r": (("ulna_rv",), 1.0),
    "radius_r": (("radius_rv",), 1.0),
    "hand_r": (
        tuple(f"{bone}_rvs" for bone in (
            "pisiform", "lunate", "scaphoid", "triquetrum", "hamate", "capitate", "trapezoid", "trapezium",
            "metacarpal2", "index_proximal", "index_medial", "index_distal", "metacarpal3", "middle_proximal",
            "middle_medial", "middle_distal", "metacarpal4", "ring_proximal", "ring_medial", "ring_distal",
            "metacarpal5", "little_proximal", "little_medial", "little_distal", "metacarpal1", "thumb_proximal",
            "thumb_distal")),
        0.85,
    ),
}  # fmt: skip
