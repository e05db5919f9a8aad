"""The errors that a user can meet: one subclass per cause, each message saying what, where and what to do."""

from __future__ import annotations


class MotorqueError(Exception):
    """A wrong input or a question without an answer; the command line prints it as one line and exits with 2."""


class FileFormatError(MotorqueError):
    """A file that can't be read as what it claims to be."""


class ModelError(MotorqueError):
    """A skeleton or musculoskeletal model that is inconsistent or uses something unsupported."""


class DataError(MotorqueError):
    """Numbers that do not fit the question: wrong names, shapes, times or ranges."""


class OutputError(MotorqueError):
    """A result that can't be written where it was asked for."""


class MissingExtraError(MotorqueError):
    """A feature whose optional dependency is not installed."""
