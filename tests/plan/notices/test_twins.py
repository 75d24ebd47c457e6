"""Files of imported networks that hold one network are named."""

import shutil

import torch
from safetensors.torch import save_file

from raysweep.cluster.imports import import_networks
from raysweep.models.initialise import initialised
from raysweep.plan.desired import desired
from raysweep.plan.notices.fruitless import fruitless
from raysweep.plan.notices.twins import same_weights
from raysweep.store.files import Files
from raysweep.sweep.load import check
from tests.conftest import mlp
from tests.work.test_resume import Silent


def test_copies_and_files_of_the_same_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        state = initialised(mlp(), "pytorch", number).state_dict()
        torch.save(state, f"{number}.pt")
        save_file(state, f"{number}.safetensors")
    shutil.copy("1.pt", "copy.pt")
    names = ["0.pt", "0.safetensors", "1.pt", "copy.pt"]
    train = {"dataset": "digits", "width": mlp().width, "depth": mlp().depth, "imports": names}
    wanted, files = desired(check("test", {"name": "s", "train": train})), Files(str(tmp_path / "root"))
    (said,) = (line for line in fruitless(wanted) if "imports" in line)
    assert said == "train.imports: 1.pt and copy.pt have the same content, and are one replicate"
    assert same_weights(files, wanted) == []
    import_networks(files, wanted, Silent())
    assert same_weights(files, wanted) == [
        "warning: train.imports: 0.pt and 0.safetensors hold the same weights, but count as 2 replicates; "
        "name one of them"
    ]
