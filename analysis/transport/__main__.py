"""`python -m analysis.transport ROOT`."""

from analysis.command import command
from analysis.transport import __doc__ as question
from analysis.transport import analyse

command(question, "imp_digits", analyse)
