"""Named tensors as bytes in the safetensors format, and masks packed to one bit per weight.

torch is imported only when tensors are read or written, so that commands which read no tensors start quickly.
"""

from typing import TYPE_CHECKING

from raysweep.errors import CorruptObject
from raysweep.store.records import json_object

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]


def encode(tensors: "Tensors", metadata: dict[str, str] | None = None) -> bytes:
    """Return tensors in the safetensors format.

    Tensors that share memory, such as tied weights, are written once under each name, so that reading them
    back gives a complete state dict.
    """
    from safetensors.torch import save

    separate: Tensors = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        memory = own.untyped_storage().data_ptr()
        separate[name] = own.clone() if memory in taken else own
        taken.add(memory)
    return save(separate, metadata=metadata)


def decode(content: bytes) -> "Tensors":
    """Return the tensors that `encode` wrote. Raises `CorruptObject` for other content."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except SafetensorError as error:
        raise CorruptObject(str(error)) from error


def metadata_of(content: bytes) -> dict[str, str]:
    """Return the metadata that `encode` wrote. Raises `CorruptObject` for other content."""
    size = int.from_bytes(content[:8], "little")  # safetensors: a length, a JSON header, the data
    found: dict[str, str] = json_object(content[8 : 8 + size]).get("__metadata__", {})
    return found


def pack_masks(masks: "Tensors") -> "Tensors":
    """Return masks with eight weights per byte (`bits/<name>`), and their shapes (`shape/<name>`)."""
    import numpy as np
    import torch

    packed = {}
    for name, mask in masks.items():
        packed[f"bits/{name}"] = torch.from_numpy(np.packbits(mask.cpu().numpy()))
        packed[f"shape/{name}"] = torch.tensor(mask.shape)
    return packed


def unpack_masks(packed: "Tensors") -> "Tensors":
    """Return the masks that `pack_masks` packed. Raises `CorruptObject` for impossible shapes."""
    import numpy as np
    import torch

    masks = {}
    for key in [key for key in packed if key.startswith("bits/")]:
        name = key.removeprefix("bits/")
        shape = torch.Size(packed[f"shape/{name}"].tolist())
        if not 0 <= shape.numel() <= 8 * packed[key].numel():  # checked before memory is allocated
            raise CorruptObject(f"a mask of {packed[key].numel()} bytes cannot have the shape {tuple(shape)}")
        bits = np.unpackbits(packed[key].numpy(), count=shape.numel())
        masks[name] = torch.from_numpy(bits.astype(bool)).view(shape)
    return masks
