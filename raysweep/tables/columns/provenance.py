"""Columns of `provenance`."""

from raysweep.tables.columns.shared import BOOL, TEXT
from raysweep.tables.keys import Column

PROVENANCE: list[Column] = [
    ("provenance", TEXT, "The digest of all that follows; other tables refer to it."),
    ("device", TEXT, "cpu or cuda: where the results were computed."),
    ("hardware", TEXT, "As in the tables that refer to this one."),
    ("gpu", TEXT, "The model of the GPU. Null on a CPU."),
    ("cpu", TEXT, "The model of the processor, also beside a GPU. Null where the system does not tell."),
    ("cpu_capability", TEXT, "The vector instructions that PyTorch uses on it."),
    ("machine", TEXT, "The architecture of the machine."),
    ("node", TEXT, "The name of the node."),
    ("raysweep", TEXT, "The version of raysweep."),
    ("code", TEXT, "A digest of its source files."),
    ("commit", TEXT, "The commit of the Git checkout in which its code lies. Null without a checkout."),
    ("dirty", BOOL, "Whether tracked files of that checkout had been changed."),
    ("folder_commit", TEXT, "The commit of the checkout in whose folder the command was given. May be null."),
    ("folder_dirty", BOOL, "Whether tracked files of that checkout had been changed."),
    ("command", TEXT, "The command line of the driver."),
    ("python", TEXT, "The version of Python."),
    ("software", TEXT, "As in the tables that refer to this one."),
    ("torch", TEXT, "The version of PyTorch."),
    ("cuda", TEXT, "The version of CUDA. Null on a CPU, as the next two."),
    ("cudnn", TEXT, "The version of cuDNN."),
    ("triton", TEXT, "The version of Triton."),
    ("ray", TEXT, "The version of Ray."),
    ("lapx", TEXT, "The version of lapx, which solves assignments."),
]
