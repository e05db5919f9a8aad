"""motorque: from what was seen of a moving person to joint angles, torques and forces, each with an error bar."""

__version__ = "0.1.0"
