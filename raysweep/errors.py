"""Errors that end a command with one clear message instead of a traceback."""

VERIFY = "raysweep verify lists all problems and how to repair them"  # said of a damaged object


class UserError(Exception):
    """Bad usage, configuration or input; its text names the place, the value and what would be valid."""


class MissingFiles(UserError):
    """Files of a data set that are on no disk of this machine."""


class SpecError(UserError):
    """A network whose permutation symmetries are not understood, or whose spec fails its proof."""


class CorruptObject(Exception):
    """A stored object whose checksum does not match its content, or that is none of ours."""
