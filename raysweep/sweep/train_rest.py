"""The keys of `train` that are not swept: how many networks are trained, and what is kept of them."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from raysweep.sweep.fields import Number, Strict, Time, Whole
from raysweep.sweep.imports import ImportTable, read_imports
from raysweep.training.moment import Moment

Numbers = Annotated[list[Annotated[Whole, Field(ge=0)]], Field(min_length=1)]


class Every(Strict):
    every: Time = Field(description="The distance between two checkpoints.")

    @field_validator("every")
    @classmethod
    def _some(cls, value: Moment) -> Moment:
        if not value.count:
            raise ValueError("expected more than 0; '1st' is every step")
        return value


class Geometric(Strict):
    first: Time = Field(
        default=Moment(1, "st"), description="The moment of the first checkpoint of a geometric series."
    )
    factor: Number = Field(gt=1, description="The factor from the moment of one checkpoint to the next.")


class TrainRest(Strict):
    """The keys of `train` that are not swept: they do not change the numbers of a trial."""

    replicates: Annotated[Whole, Field(gt=0, le=100_000)] | Numbers = Field(
        default=4,
        description="How many networks are trained of each configuration, or a list of the replicates' "
        "numbers. With fewer than four there are no intervals, and no claim is decided.",
    )
    checkpoints: Every | Geometric | list[Time] = Field(
        default=[],
        description="The moments at which checkpoints are stored in addition to the start and the end. "
        "Moments past the end are ignored.",
    )
    imports: str | list[str] | list[ImportTable] = Field(
        default=[],
        description="Your own trained networks, of which each file is one replicate: files, folders and "
        "patterns such as `runs/*/last.ckpt`; or tables of these, one for each setting, with those keys of "
        "`train` in which the settings differ and what you know of their training.",
    )
    data_root: str | None = Field(
        default=None, description="The folder of the data, laid out as torchvision does."
    )
    download: bool = Field(
        default=False, description="Whether files of the data set that are missing are downloaded."
    )

    @field_validator("imports", mode="before")
    @classmethod
    def _tables(cls, value: Any) -> Any:
        """Say once what is valid, for all forms."""
        return read_imports(value)

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _form(cls, value: Any) -> Any:
        """Choose the form by its keys, so that an error message speaks of that form alone."""
        if isinstance(value, dict):
            return (Geometric if "factor" in value or "first" in value else Every).model_validate(value)
        return value

    def import_tables(self) -> list[ImportTable]:
        """Return the tables of imported networks; files without a table are one that gives no keys."""
        if isinstance(self.imports, str):
            return [ImportTable(files=self.imports)] if self.imports else []
        names = [each for each in self.imports if isinstance(each, str)]
        return (
            [ImportTable(files=names)] if names else [t for t in self.imports if isinstance(t, ImportTable)]
        )

    def replicate_numbers(self) -> list[int]:
        given = self.replicates
        return list(range(given)) if isinstance(given, int) else sorted(given)
