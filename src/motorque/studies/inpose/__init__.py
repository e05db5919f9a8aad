"""InPose's experiments (Zero-shot Human Pose Estimation using Diffusion-based Inverse solvers) and its baselines."""
