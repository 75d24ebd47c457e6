"""The functions of alignment methods: which one does a job, what it is called with, what it may return."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from raysweep.models.seeding import seeded
from raysweep.plan.identity import AlignmentJob
from raysweep.registry import imported, taken
from raysweep.sweep.align import Align
from raysweep.sweep.method_options import ActivationMatching
from raysweep.sweep.methods import METHODS, of_ours
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.offering import Offer
from raysweep.work.origin import check_source

_SEEDED = Lock()  # the global generators belong to the process, which may carry out several jobs at once
EXAMPLES = 10_000  # of the training data, for a method without an option `examples`
OF_EXAMPLES = {"images", "labels"}  # arguments that have as many as the option `examples` says


@dataclass(frozen=True)
class Method:
    """The function of a method, for a kind of job, with its options."""

    name: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    own: bool

    def takes(self, name: str) -> bool:
        """Whether the function's signature names an argument."""
        return name in inspect.signature(self.function).parameters

    @property
    def examples(self) -> int:
        """How many training images and labels the function gets, at most."""
        found: int = self.options.get("examples", EXAMPLES)
        return found

    def reads(self) -> set[str]:
        """Return the options that have an effect: on the function itself, or on what it gets."""
        found = taken(self.function, self.options)
        if any(map(self.takes, OF_EXAMPLES)):
            found |= {"examples"}
        return found | (ActivationMatching.model_fields.keys() if self.takes("similarities") else set())

    def __call__(self, offer: Offer, seed: int) -> Any:
        """Call the function with what it takes of the offer, of the options, and with the seed.

        While a user's function runs, the global generators of torch, numpy and random are seeded too. Raises
        `ValueError` where it fails, but `ImportError` and `OSError` as they are.
        """
        arguments = {name: compute() for name, compute in offer.items() if self.takes(name)}
        arguments |= {name: self.options[name] for name in taken(self.function, self.options)}
        arguments |= {"seed": seed} if self.takes("seed") else {}
        if not self.own:
            return self.function(**arguments)
        try:
            with _SEEDED:
                return seeded(seed, lambda: self.function(**arguments))
        except (ImportError, OSError) as error:  # of this node or of storage: elsewhere or later it may work
            error.add_note(f"in alignment method {self.name!r}")
            raise
        except Exception as error:
            raise ValueError(
                f"alignment method {self.name!r} fails: {type(error).__name__}: {error}"
            ) from error


def method_of(job: AlignmentJob, align: Align) -> Method:
    """Return the method that carries out a job.

    Raises `ValueError` for an unknown method, and for a job that it cannot align; `UserError` and
    `CodeDiffers` where a user's function is missing or not the one that the job was planned with.
    """
    options, entry = align.options_of(job.method), of_ours(job.method)
    if entry is None:
        own = METHODS.own_function(job.method)
        check_source(own, json.loads(job.how)[2]["source"])
        return Method(job.method, own.load(), options, own=True)
    what = "widths" if job.embeds else "joint" if job.joint else "function"
    path = getattr(entry, what)
    if path is None or (job.stack > 1 and not entry.stacks):
        what = "stacks" if job.stack > 1 else what
        raise ValueError(f"{job.method} cannot align {what}")
    return Method(job.method, imported(path), options, own=False)


def permutations_of(found: Any, spec: PermutationSpec, count: int, name: str) -> list[Permutation]:
    """Return what a method found for each of `count` networks.

    Of two networks one permutation may stand alone, which is that of the second. Raises `ValueError` for
    anything else, and for permutations that do not fit the spec.
    """
    if isinstance(found, Permutation) and count == 2:
        found = [Permutation.identity(spec.sizes), found]
    each = list(found) if isinstance(found, Sequence) else []
    if len(each) != count or not all(isinstance(permutation, Permutation) for permutation in each):
        one = "a Permutation, or " if count == 2 else ""
        raise ValueError(
            f"alignment method {name!r} returns {_described(found)}; expected {one}a list of {count} "
            "Permutations"
        )
    for permutation in each:
        if permutation.factors or permutation.rotations:
            raise ValueError(
                f"alignment method {name!r}: only permutations are stored, without factors and rotations"
            )
        try:
            spec.check(permutation)
        except ValueError as error:
            raise ValueError(f"alignment method {name!r}: {error}") from error
    return each


def _described(found: Any) -> str:
    kind = type(found).__name__
    return f"{kind} of {len(found)}" if isinstance(found, Sequence) else kind
