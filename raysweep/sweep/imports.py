"""The networks that a user has trained elsewhere: their files, and what is known of their training."""

from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field
from pydantic_core import PydanticUndefined

from raysweep.sweep.fields import Strict
from raysweep.sweep.train import Training
from raysweep.vocabulary import DATA_KEYS

# Keys of `train` that are known of an imported network too; how it was trained is not known.
KNOWN_OF_IMPORTS = {*DATA_KEYS, "scaling", "scaling_options", "model", "width", "depth", "norm", "threads"}
# Keys of `train` about the training of imported networks, which their user may know; they change no number.
STATABLE = {"init", "epochs", "batch_size", "drop_last", "optimiser", "learning_rate", "momentum", "nesterov"}
STATABLE |= {"weight_decay", "schedule", "milestones", "gamma", "warmup", "precision", "augment"}
STATABLE |= {
    "init_seed",
    "data_seed",
    "augment_options",
    "init_options",
    "optimiser_options",
    "schedule_options",
}


class ImportTable(Strict):
    """Files of networks of one setting. All other keys are those of `train`."""

    model_config = ConfigDict(extra="allow")

    files: str | list[str] = Field(description="Files, folders and patterns.")
    under: str | None = Field(default=None, description="The keys under which a file has the network.")

    @property
    def names(self) -> list[str]:
        return [self.files] if isinstance(self.files, str) else self.files

    @property
    def keys(self) -> dict[str, Any]:
        """The keys of `train` that the table gives."""
        return dict(self.model_extra or {})


FORMS = (
    "expected a file, folder or pattern; a list of these; or a list of tables, each with the key files and "
    "with keys of train"
)


def read_imports(value: Any) -> Any:
    """Return the value of the key `imports` with its tables read. Raises `ValueError` for any other form."""
    if isinstance(value, str) or _texts(value):
        return value
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(FORMS)
    for each in value:
        files, under = each.get("files"), each.get("under", "")
        if not (isinstance(files, str) or (_texts(files) and files)) or not isinstance(under, str | None):
            raise ValueError(FORMS)
    return [ImportTable.model_validate(each) for each in value]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


@dataclass(frozen=True)
class Imports:
    """The files of one setting as the sweep file names them: files, folders and patterns.

    `under` has the keys, joined by dots, under which each file holds the network. `stated` are the keys of
    `train` that the user has stated of a training that is not known otherwise.
    """

    names: tuple[str, ...]
    under: str | None = None
    stated: tuple[str, ...] = ()


def unstated(training: Training, stated: tuple[str, ...]) -> Training:
    """Return a configuration without what is stated of it, which determines no number."""
    return training.model_copy(update={key: _default(key) for key in stated})


def _default(key: str) -> Any:
    default = Training.model_fields[key].default
    return 0 if default is PydanticUndefined else default  # the epochs
