"""The steps that a person asks for, from files to files, and the main job that joins them."""
