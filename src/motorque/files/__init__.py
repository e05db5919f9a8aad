"""The formats: models, markers, tables, loads and C3D in and out, and results that appear whole or not at all."""
