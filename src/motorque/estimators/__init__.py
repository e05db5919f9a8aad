"""Learned ways from what was observed to motion and force."""
