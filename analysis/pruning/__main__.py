"""`python -m analysis.pruning ROOT`."""

from analysis.command import command
from analysis.pruning import __doc__ as question
from analysis.pruning import analyse

command(question, "imp_digits", analyse)
