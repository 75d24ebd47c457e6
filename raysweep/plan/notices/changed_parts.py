"""In which parts two versions of a source file differ."""

import ast


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
