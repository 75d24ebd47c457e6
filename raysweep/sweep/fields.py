"""What the keys of several sections share: their types, and that unknown keys are errors."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from raysweep.training.moment import Moment
from raysweep.vocabulary import ANALYSES, CONTROLS, LISTED_KINDS, Branch, Kind


def one_of(valid: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in valid:
            raise ValueError(f"valid choices: {', '.join(valid)}")
        return value

    return check


def json_names(valid: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(valid), "type": "string"})


Seed = Annotated[int, Field(ge=0)] | Literal["replicate"]
Time = Annotated[
    Moment, BeforeValidator(Moment.parse), PlainSerializer(str), WithJsonSchema({"type": "moment"})
]
Share = Annotated[float, Field(gt=0, le=1)]
Device = Literal["cpu", "cuda"]
AtLeastTwo = Annotated[int, Field(ge=2)]
ListedKind = Annotated[Kind, BeforeValidator(one_of(LISTED_KINDS)), json_names(LISTED_KINDS)]
Control = Annotated[Branch, BeforeValidator(one_of(CONTROLS)), json_names(CONTROLS)]
Analysis = Annotated[str, BeforeValidator(one_of(ANALYSES)), json_names(ANALYSES)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
