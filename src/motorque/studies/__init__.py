"""The papers' experiments, repeated with what this package has."""
