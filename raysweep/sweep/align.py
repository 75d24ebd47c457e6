"""The section `align` of a sweep file: how permutations are found."""

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, create_model, model_validator

from raysweep.registry import OwnFunction, is_own
from raysweep.sweep.fields import Device, Options, Strict, Whole
from raysweep.sweep.method_options import ActivationMatching, WeightMatching
from raysweep.sweep.methods import METHODS

MethodName = Annotated[
    str, BeforeValidator(METHODS.check), WithJsonSchema({"enum": [*METHODS, "module:function"]})
]


class _Common(Strict):
    methods: list[MethodName] = Field(
        min_length=1,
        default=["weight_matching"],
        description="The methods that find permutations; [names](#names) says what each does.",
    )
    method_options: dict[str, Options] = Field(
        default={},
        description="The options of your own methods: by `module:function` its further arguments.",
    )
    seed: Whole = Field(default=0, ge=0, description="The seed of random orders, batches and restarts.")
    threads: Whole = Field(default=1, gt=0, description="The threads of an align worker.")
    device: Device = Field(
        default="cpu",
        description="The device on which similarities are computed; `cuda` requires `resources.align.gpu`. "
        "Assignments are always solved on the CPU, so with `cuda` a worker computes as many alignments at a "
        "time as it has CPUs (`resources.align.cpu`).",
    )

    if TYPE_CHECKING:  # the sections of all methods are fields of `Align`; these are read by name
        weight_matching: WeightMatching = WeightMatching()
        activation_matching: ActivationMatching = ActivationMatching()

    def options_of(self, method: str) -> dict[str, Any]:
        """Return the options of a method as JSON values. Raises `ValueError` for an unknown one."""
        if is_own(method):
            return dict(self.method_options.get(method, {}))
        METHODS[method]
        options: dict[str, Any] = getattr(self, method).model_dump(mode="json")
        return options

    def own_functions(self) -> list[OwnFunction]:
        """Return the user's functions."""
        return [METHODS.own_function(name) for name in self.methods if is_own(name)]

    @cached_property
    def sources(self) -> dict[str, str]:
        """The SHA-256 of the files of the user's functions, by their names, read once."""
        return {own.name: own.digest() for own in self.own_functions()}

    @model_validator(mode="after")
    def _known_options(self) -> Self:
        for name in self.method_options:
            if name not in self.methods or not is_own(name):
                raise ValueError(
                    f"method_options: {name} is not a module:function among methods; the options of a method "
                    "of raysweep are a section of its name, such as align.weight_matching"
                )
        return self


if TYPE_CHECKING:
    Align = _Common
else:
    Align = create_model(
        "Align",
        __base__=_Common,
        __module__=__name__,
        __doc__="""How networks are aligned; the options of each method bear its name.

        The columns of the table `alignments` that have the names of these keys take their types and meanings
        from here.
        """,
        **{name: (entry.options, entry.options()) for name, entry in METHODS.items()},
    )
