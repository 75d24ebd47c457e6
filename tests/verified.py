"""What `raysweep verify` says of a root."""

from raysweep.commands.verify import Verification


def problems(files):
    return Verification(files).problems()


def remarks(files):
    verification = Verification(files)
    list(verification.problems())
    return verification.remarks()
