"""Finds the source of a user's own network, named `module:function`, without importing torch."""

import ast
import hashlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from raysweep.errors import UserError
from raysweep.models.names import is_custom

INSTALLED = {"site-packages", "dist-packages"}
NOT_THE_USERS = {"raysweep", "analysis"}  # they may lie beside a user's modules, in a checkout


def split_name(model: str) -> tuple[str, str]:
    """Return module and function of `module:function`. Raises `UserError` when either is missing."""
    module, _, function = model.partition(":")
    if not module or not function.isidentifier() or not all(p.isidentifier() for p in module.split(".")):
        raise UserError(f"model {model!r}: write module:function, for example networks:build")
    return module, function


def find_module(model: str) -> ModuleSpec:
    """Find the module without running it; the current directory is searched last.

    Raises `UserError` when there is none.
    """
    module, _ = split_name(model)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise UserError(f"model {model!r}: module {module!r} cannot be imported: {error}") from error
    if spec is None:
        raise UserError(
            f"model {model!r}: there is no module {module!r} in {os.getcwd()} or on the Python path"
        )
    return spec


def model_source_digest(model: str) -> str | None:
    """Return the SHA-256 (hex) of the source file of a user's network, None for one of ours.

    The file is that of the module which the name gives; what it imports is not covered. Raises `UserError`
    when the module is not found or has no source file.
    """
    return hashlib.sha256(model_source(model)).hexdigest() if is_custom(model) else None


def model_source(model: str) -> bytes:
    """Return the source file of a user's network. Raises `UserError` as `model_source_digest` does."""
    return Path(_origin(model)).read_bytes()


def _origin(model: str) -> str:
    origin = find_module(model).origin
    if origin is None or not origin.endswith(".py"):
        raise UserError(f"model {model!r}: its module has no source file in Python")
    return origin


def source_files(model: str) -> dict[str, bytes]:
    """Return the file of a user's network and those of the user's modules that it imports, by relative path.

    The user's modules are those beside it on the Python path. An installed package is recorded by its file
    alone. Nothing is run. Raises `UserError` as `model_source_digest` does.
    """
    origin, (module, _) = Path(_origin(model)), split_name(model)
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


def changed_parts(before: bytes, now: bytes) -> str:
    """Say in which functions, methods and classes two versions of a source file differ."""
    try:
        old, new = _parts(before), _parts(now)
    except (SyntaxError, ValueError):
        return "a file that is not Python"
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(changed) or "comments or layout alone"


def _parts(source: bytes) -> dict[str, str]:
    """The syntax trees of the functions and methods of a file, as text; and those of what is between them."""
    found: dict[str, str] = {}

    def add(body: list[ast.stmt], prefix: str, rest: str) -> None:
        between = []
        for node in body:
            if isinstance(node, ast.ClassDef):
                head = [*node.bases, *node.keywords, *node.decorator_list]
                found[f"class {prefix}{node.name}"] = "".join(map(ast.dump, head))
                add(node.body, f"{prefix}{node.name}.", f"class {prefix}{node.name}")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"function {prefix}{node.name}"] = ast.dump(node)
            else:
                between.append(ast.dump(node))
        found[rest] = found.get(rest, "") + "".join(between)

    add(ast.parse(source).body, "", "the statements outside functions")
    return found
