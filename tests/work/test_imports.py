import pytest
import torch
from safetensors.torch import save_file

from raysweep.errors import UserError
from raysweep.models.initialise import initialised
from raysweep.work.imports import read_state
from tests.conftest import mlp


@pytest.fixture
def state():
    return initialised(mlp(), "pytorch", 0).state_dict()


def test_reads_safetensors_and_pt(tmp_path, state):
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    torch.save({"state_dict": {f"module.{n}": t for n, t in state.items()}, "epoch": 3}, tmp_path / "c.pth")
    for path in tmp_path.iterdir():
        found = read_state(str(path))
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


class Payload:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_what_is_no_state_dict_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Payload()}, tmp_path / "hostile.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"not a file of tensors")
    for name in ("hostile.pt", "list.pt", "broken.safetensors", "missing.pt"):
        with pytest.raises(UserError, match=name):
            read_state(str(tmp_path / name))
    assert "must never run" not in capsys.readouterr().out
