"""Functions of the user's own, which a sweep file names `module:function`.

They are called with those of the offered arguments that their signatures name. The SHA-256 of the file that
defines a function is part of ids.
"""

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from raysweep.errors import UserError

INSTALLED = {"site-packages", "dist-packages"}
NOT_THE_USERS = {"raysweep", "analysis"}  # they may lie beside a user's modules, in a checkout


def is_own(name: str) -> bool:
    """Whether a name of a sweep file is that of a user's function, written `module:function`."""
    return ":" in name


@dataclass(frozen=True)
class OwnFunction:
    """A user's function; `noun` says what it stands for in messages, as in "model 'nets:build'".

    All methods raise `UserError` for a name that is not `module:function`, and where there is no such module.
    """

    noun: str
    name: str

    def __str__(self) -> str:
        return f"{self.noun} {self.name!r}"

    def split(self) -> tuple[str, str]:
        """Return module and function."""
        module, _, function = self.name.partition(":")
        if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise UserError(f"{self}: write module:function, for example mine:{_example(self.noun)}")
        return module, function

    def find(self) -> ModuleSpec:
        """Find the module without running it, though the packages around it run; the current directory is
        searched last."""
        module, _ = self.split()
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        importlib.invalidate_caches()
        try:
            spec = importlib.util.find_spec(module)
        except Exception as error:  # whatever the packages around it raise
            raise UserError(
                f"{self}: module {module!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if spec is None:
            raise UserError(f"{self}: there is no module {module!r} in {os.getcwd()} or on the Python path")
        return spec

    def load(self) -> Callable[..., Any]:
        """Import the function. Raises `UserError` also where that fails, or where it is none."""
        self.find()
        module, name = self.split()
        try:
            function: object = getattr(importlib.import_module(module), name, None)
        except Exception as error:
            raise UserError(f"{self}: importing {module} fails: {type(error).__name__}: {error}") from error
        if function is None:
            raise UserError(f"{self}: module {module} has no {name!r}")
        if not callable(function):
            raise UserError(f"{self}: {name} is not callable but of type {type(function).__name__}")
        return function

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the file that the name gives; what it imports is not covered.

        Raises `UserError` when the module has no source file.
        """
        return hashlib.sha256(self.source()).hexdigest()

    def source(self) -> bytes:
        """Return the file that the name gives. Raises `UserError` as `digest` does."""
        return Path(self._origin()).read_bytes()

    def sources(self) -> dict[str, bytes]:
        """Return that file and those of the user's modules that it imports, by relative path.

        The user's modules are those beside it on the Python path. An installed package is recorded by its
        file alone. Nothing is run. Raises `UserError` as `digest` does.
        """
        origin, (module, _) = Path(self._origin()), self.split()
        package = origin.name == "__init__.py"
        base = origin.parents[module.count(".") + package]
        found: dict[str, bytes] = {}
        left = [origin]
        while left:
            path = left.pop()
            name = path.relative_to(base).as_posix()
            if name not in found:
                found[name] = path.read_bytes()
                if not INSTALLED & set(base.parts):
                    left += _imported(path, found[name], base)
        return found

    def _origin(self) -> str:
        origin = self.find().origin
        if origin is None or not origin.endswith(".py"):
            raise UserError(f"{self}: its module has no source file in Python")
        return origin


def _example(noun: str) -> str:
    return noun.split()[-1]


def _imported(path: Path, content: bytes, base: Path) -> list[Path]:
    """The files below `base` that a file may import, with those of the packages around them."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        return []
    modules: list[Path] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            modules += [Path(*alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            around = [Path(), *path.relative_to(base).parents]
            if node.level >= len(around):
                continue  # a relative import beyond the top, which fails
            start = around[node.level]
            start = start.joinpath(*(node.module or "").split("."))
            modules += [start, *(start / alias.name for alias in node.names)]
    own = [module for module in modules if module.parts and module.parts[0] not in NOT_THE_USERS]
    files = [base / module.with_suffix(".py") for module in own]
    packages = {each for module in own for each in (module, *module.parents) if each.parts}
    files += [base / package / "__init__.py" for package in sorted(packages)]
    return [file for file in files if file.is_file()]
