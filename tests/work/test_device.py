"""What a worker sets before its first job, seen from a process of its own."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PASSES = """
import resource, sys, torch
from torch import nn
from raysweep.alignment import sinkhorn_rebasin, straight_through
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.symmetry import PermutationSpec
from raysweep.training.optimiser import adam, adamw, rmsprop, sgd
from raysweep.work.device import keep_freed_memory, make_deterministic

make_deterministic(1)
if sys.argv[1] == "kept":
    keep_freed_memory()
model = build(ModelConfig("resnet20", 16, None, "layer", (3, 32, 32), 10)).eval()
images = torch.zeros(64, 3, 32, 32)
with torch.no_grad():
    for turn in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        model(images)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
model(images[:2]).sum().backward()
for make in (sgd, adam, adamw, rmsprop):
    given = {"nesterov": False} if make == sgd else {}
    make(model.parameters(), learning_rate=0.1, momentum=0.9, weight_decay=0.1, **given).step()
network, images = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(8, 5)
spec, states = PermutationSpec.trace(network, images[:2]), [network.state_dict()] * 2
for method in (sinkhorn_rebasin, straight_through):
    method(spec, states, 0, [network] * 2, images, torch.arange(8) % 2, steps=1)
assert torch.are_deterministic_algorithms_enabled()
assert "torch._dynamo" not in sys.modules, "the compiler takes two seconds to import"
"""

# Without a GPU at hand CUDA is stood in for by two functions of torch's.
BROKEN = """
import sys, torch
from raysweep.work.device import end_if_cuda_is_broken

def synchronize():
    if sys.argv[1] == "broken":
        raise RuntimeError("CUDA error: device-side assert triggered")

torch.cuda.is_initialized, torch.cuda.synchronize = lambda: True, synchronize
end_if_cuda_is_broken()
print("goes on")
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PASSES, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_freed_tensors_are_used_again_without_page_faults():
    assert faults("kept") < 0.5 * faults("left alone")


@pytest.mark.parametrize(("state", "code", "said"), [("broken", 1, ""), ("sound", 0, "goes on")])
def test_a_process_ends_where_cuda_fails_for_good(state, code, said):
    done = subprocess.run([sys.executable, "-c", BROKEN, state], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (code, said)
