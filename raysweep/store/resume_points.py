"""The resume points of unfinished alignments.

resume/<alignment_id>    from where one that takes long goes on: tensors of its method, by name
"""

from typing import TYPE_CHECKING

from raysweep.errors import CorruptObject
from raysweep.store.files import Files
from raysweep.store.tensors import decode, encode, metadata_of

if TYPE_CHECKING:
    from raysweep.store.tensors import Tensors

FOLDER = "resume"


class ResumePoints:
    """Resume points by alignment id, each with its `origin`: all that its bits depend on besides the id."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def write(self, alignment_id: str, origin: str, tensors: "Tensors") -> None:
        """Replace the resume point of an alignment."""
        self._files.put_checked(_name(alignment_id), encode(tensors, {"origin": origin}))

    def read(self, alignment_id: str, origin: str) -> "Tensors":
        """Return a resume point; nothing where there is none of this origin, or it is damaged."""
        content = self._content(alignment_id)
        if not content or metadata_of(content).get("origin") != origin:
            return {}
        return decode(content)

    def is_sound(self, alignment_id: str) -> bool:
        """Whether the resume point of an alignment can be read."""
        return self._content(alignment_id) is not None

    def drop(self, alignment_id: str) -> None:
        """Remove the resume point of an alignment, if there is one."""
        self._files.delete(_name(alignment_id))

    def ids(self) -> list[str]:
        """Return the ids of the alignments that have a resume point."""
        return [name.removeprefix(f"{FOLDER}/") for name in self._files.list(FOLDER)]

    def _content(self, alignment_id: str) -> bytes | None:
        try:
            return self._files.find_checked(_name(alignment_id))
        except CorruptObject:
            return None


def _name(alignment_id: str) -> str:
    return f"{FOLDER}/{alignment_id}"
