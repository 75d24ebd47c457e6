"""`python -m analysis.trajectory ROOT`."""

from analysis.command import command
from analysis.trajectory import __doc__ as question
from analysis.trajectory import analyse

command(question, "trajectory_digits", analyse)
