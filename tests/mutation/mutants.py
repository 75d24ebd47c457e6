"""The mutants of a module's source: each differs from it in one place."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

Change = tuple[ast.expr | ast.stmt, ast.expr | ast.stmt]  # a node, and what takes its place

_PAIRS = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn), (ast.Is, ast.IsNot)),
    *((ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.BitOr, ast.BitAnd), (ast.And, ast.Or)),
)
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    **{one: other for pair in _PAIRS for one, other in (pair, pair[::-1])},
    **dict.fromkeys((ast.FloorDiv, ast.Mod, ast.Pow), ast.Mult),
}
NAMES = {"min": "max", "argmin": "argmax", "any": "all"}
NAMES |= {other: one for one, other in NAMES.items()}


@dataclass(frozen=True)
class Mutant:
    """The mutated `source` of a module, and the code at `line` before and after the change.

    `function` is the line at which the function around it begins, decorators included; None outside of any.
    """

    line: int
    function: int | None
    before: str
    after: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """Return all mutants of a module, in the order of its lines.

    Strings, annotations, decorators, assertions and raised errors stay as they are.
    """
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    extents = [(min([n.lineno, *(d.lineno for d in n.decorator_list)]), n.end_lineno or 0) for n in functions]
    found = []
    for node, changed in _changes(tree):
        around = max((start for start, end in extents if start <= node.lineno <= end), default=None)
        found.append(_mutant(source, around, node, changed))
    return sorted((each for each in found if each is not None), key=lambda each: each.line)


def _mutant(
    source: str, function: int | None, node: ast.expr | ast.stmt, changed: ast.expr | ast.stmt
) -> Mutant | None:
    """Replace the text of a node; None where the result is not Python."""
    code, starts = source.encode(), [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    start = starts[node.lineno - 1] + node.col_offset
    end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
    after = ast.unparse(changed)
    text = f"({after})" if isinstance(changed, ast.expr) else after
    mutated = (code[:start] + text.encode() + code[end:]).decode()
    try:
        compile(mutated, "mutant", "exec")
    except SyntaxError:
        return None
    return Mutant(node.lineno, function, ast.unparse(node), after, mutated)


def _changes(tree: ast.AST) -> Iterator[Change]:
    for node in _code(tree):
        if isinstance(node, ast.expr | ast.stmt):
            yield from ((node, changed) for changed in _changed(node))
        for condition in _conditions(node):
            if not (isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)):
                yield condition, ast.UnaryOp(ast.Not(), condition)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one that may be changed."""
    skipped = ("annotation", "returns", "decorator_list", "type_comment")
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in skipped and not _is_text(child):
                yield child
                yield from _code(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom)


def _conditions(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        return [node.test]
    return list(node.ifs) if isinstance(node, ast.comprehension) else []


def _changed(node: ast.expr | ast.stmt) -> Iterator[ast.expr | ast.stmt]:
    copy = deepcopy(node)
    if isinstance(copy, ast.Compare):
        for place, operator in enumerate(copy.ops):
            copy.ops[place] = OPERATORS[type(operator)]()
            yield deepcopy(copy)
            copy.ops[place] = operator
    elif isinstance(copy, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(copy.op) in OPERATORS:
        copy.op = OPERATORS[type(copy.op)]()
        yield copy
    elif isinstance(copy, ast.UnaryOp) and isinstance(copy.op, ast.Not | ast.USub):
        yield copy.operand
    elif isinstance(copy, ast.Constant) and isinstance(copy.value, bool):
        yield ast.Constant(not copy.value)
    elif isinstance(copy, ast.Constant) and isinstance(copy.value, int | float):
        yield ast.Constant(0 if copy.value == 1 else copy.value + 1)
    elif isinstance(copy, ast.Name) and copy.id in NAMES and isinstance(copy.ctx, ast.Load):
        yield ast.Name(NAMES[copy.id])
    elif isinstance(copy, ast.Attribute) and copy.attr in NAMES:
        copy.attr = NAMES[copy.attr]
        yield copy
