"""The compiled back end: mechanics traced once for a tree and run as SIMD code across frames.

How it works and how to change it: ``docs/compiled.md``.
"""
