"""From what was measured to the skeleton: scaling, inverse kinematics, loads, and the repair of recordings."""
