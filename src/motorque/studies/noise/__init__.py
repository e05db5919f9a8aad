"""How noise of poses breaks torques, and what mends it: the experiments of SMPL-Dynamics (arXiv 2605.24776)."""
