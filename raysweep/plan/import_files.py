"""The files of imported networks: what a name in a sweep file stands for, and digests of their content."""

import glob
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from raysweep.digest import digest
from raysweep.errors import UserError
from raysweep.plan.probes import stamp
from raysweep.store.disk_cache import recall, remember

INDEX = ".index.json"  # of a network whose tensors lie in several files, its shards
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", INDEX)  # of files that a folder is searched for


@dataclass(frozen=True)
class ImportFile:
    """A file of one network, as the sweep file or its folder names it, and the SHA-256 of its content."""

    name: str
    digest: str


def import_files(names: tuple[str, ...]) -> list[ImportFile]:
    """Return the files that names stand for: files themselves, all weights in a folder, matches of a pattern.

    A pattern that matches folders alone stands for what is in them. Files of a folder or pattern are sorted,
    with numbers in names by their value. An index of shards stands for the network, and its shards for
    nothing of their own. Raises `UserError` for a name that stands for no file and for one that cannot be
    read.
    """
    return [ImportFile(file, content_digest(file)) for name in names for file in files_of_name(name)]


def files_of_name(name: str) -> list[str]:
    """Return the files that one name stands for. Raises `UserError` where there is none."""
    if Path(name).is_dir():
        found = _inside(name)
        what = f"holds no file that ends in {', '.join(SUFFIXES)}"
        if any(_inside(str(path)) for path in Path(name).iterdir() if path.is_dir()):
            what += f"; its folders do: {Path(name) / '*'}"
    elif Path(name).exists() or not glob.has_magic(name):
        return [name]
    else:
        matches = glob.glob(name, recursive=True)
        found = [path for path in matches if Path(path).is_file()]
        found = found or [file for path in matches for file in _inside(path)]
        what = "matches no file"
    shards = with_shards(found)[len(found) :]
    if kept := sorted(set(found) - set(shards), key=_by_numbers):
        return kept
    raise UserError(f"train.imports: {name} {what}")


def _inside(folder: str) -> list[str]:
    """Return the files of weights in a folder."""
    inside = [path for path in Path(folder).iterdir() if path.name.endswith(SUFFIXES)]
    return [str(path) for path in inside if not path.name.startswith(".") and path.is_file()]


def with_shards(files: list[str]) -> list[str]:
    """Return files with the shards of those that are an index. Raises `UserError` as `shards_of` does."""
    shards = (shard for file in files if file.endswith(INDEX) for shard in shards_of(file).values())
    return [*files, *dict.fromkeys(map(str, shards))]


def shards_of(index: str) -> dict[str, Path]:
    """Return the files, beside an index, in which the tensors of a network lie, by the tensors' names.

    Raises `UserError` for an index that cannot be read, or that names files elsewhere.
    """
    try:
        shards = json.loads(Path(index).read_bytes())["weight_map"]
        found = {str(tensor): Path(index).parent / file for tensor, file in shards.items()}
        whole = bool(found) and all(file == Path(file).name for file in shards.values())
    except OSError as error:
        raise UserError(f"train.imports: {index}: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(
            f"train.imports: {index} is not an index of shards: expected a weight_map from the names of "
            "tensors to those of files beside it"
        )
    return found


def content_digest(file: str, *, known: bool = True) -> str:
    """Return the SHA-256 of a file, or of the digests of an index and its shards.

    With `known`, that of a file of the same size and time is taken from this machine's memory. Raises
    `UserError` when a file cannot be read.
    """
    if not file.endswith(INDEX):
        return _known_digest(file) if known else _digest(file)
    _, *shards = with_shards([file])
    return digest([_digest(file), *(content_digest(shard, known=known) for shard in sorted(shards))])


def _known_digest(file: str) -> str:
    try:
        question = ["content of a file", str(Path(file).resolve()), stamp(Path(file))]
    except OSError as error:
        raise UserError(f"train.imports: {file}: {error.strerror}") from error
    found = recall(question)
    if found is None:
        found = _digest(file)
        remember(question, found)
    return str(found)


def _digest(file: str) -> str:
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"train.imports: {file}: {error.strerror}") from error


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """A key by which run_2 comes before run_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]
