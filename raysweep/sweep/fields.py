"""What the keys of several sections share: their types, and that unknown keys are errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

from raysweep.choices import valid_choices
from raysweep.digest import canonical
from raysweep.registry import Registry
from raysweep.training.moment import Moment


def one_of(valid: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in valid:
            raise ValueError(valid_choices(value, valid))
        return value

    return check


def json_names(valid: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(valid), "type": "string"})


@dataclass(frozen=True)
class NameOf:
    """In an `Annotated` text: it is a name of a registry. The JSON schema lists the names of the moment."""

    registry: Registry[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.registry.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "enum": [*self.registry, *(["module:function"] if self.registry.own else [])],
            "type": "string",
        }


def _no_text(value: Any) -> Any:
    """Refuse what pydantic would take for a number: true, and texts such as 010 and 1_000."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("number", "not a number")
    return value


Whole = Annotated[int, BeforeValidator(_no_text)]
Number = Annotated[float, BeforeValidator(_no_text)]
Time = Annotated[
    Moment, BeforeValidator(Moment.parse), PlainSerializer(str), WithJsonSchema({"type": "moment"})
]
Device = Literal["cpu", "cuda"]


class Arguments(dict[str, Any]):
    """Options of a function, as JSON-like values by name; equal ones have one hash."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(canonical(self))


def _json_like(value: Any) -> Any:
    if not isinstance(value, dict):
        return value  # which is then refused for its type
    if not all(isinstance(name, str) for name in value):
        raise ValueError("options have names")
    try:
        canonical(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"options are numbers, texts, lists and mappings: {error}") from error
    return Arguments(value)


Options = Annotated[Arguments, BeforeValidator(_json_like), WithJsonSchema({"type": "object"})]
NO_OPTIONS = Arguments()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)
