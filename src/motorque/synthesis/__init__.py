"""Synthetic people with exact labels: motions, cameras, and what a detector would have made of them."""
