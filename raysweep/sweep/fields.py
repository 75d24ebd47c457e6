"""What the keys of several sections share: their types, and that unknown keys are errors."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from raysweep.training.moment import Moment


def one_of(valid: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in valid:
            raise ValueError(f"valid choices: {', '.join(valid)}")
        return value

    return check


def json_names(valid: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(valid), "type": "string"})


Time = Annotated[
    Moment, BeforeValidator(Moment.parse), PlainSerializer(str), WithJsonSchema({"type": "moment"})
]
Device = Literal["cpu", "cuda"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
