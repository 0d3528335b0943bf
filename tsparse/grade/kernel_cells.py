"""What of a cell is a kernel: its `@triton.jit` functions, the constants beside them, and nothing else.

In the interpreter a kernel is Python, and Python can do what no kernel can: change the interpreter, look at
the numbers behind a tensor, import. A GPU knows none of that. So for an exercise about kernels only such
functions of a cell are run, and only if they hold what Triton's language has: then what is counted beside
them is true.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

MODULES = {"triton": "triton", "triton.language": "tl", "math": "math"}
"""Modules that a kernel may name, and what this file calls them."""

SUBMODULES = frozenset({"core", "extra", "semantic", "standard", "random", "target_info"})

OF_TRITON = frozenset({"jit", "cdiv", "next_power_of_2"})

OF_TENSORS = frozenset(
    {
        *("T", "abs", "advance", "argmax", "argmin", "broadcast_to", "cast", "cdiv", "ceil", "cos", "cumsum"),
        *(
            "dtype",
            "element_ty",
            "erf",
            "exp",
            "exp2",
            "expand_dims",
            "flip",
            "floor",
            "fma",
            "gather",
            "item",
        ),
        *("log", "log2", "logical_and", "logical_or", "max", "min", "numel", "permute", "primitive_bitwidth"),
        *(
            "ravel",
            "reduce",
            "reshape",
            "rsqrt",
            "shape",
            "sigmoid",
            "sin",
            "softmax",
            "sort",
            "split",
            "sqrt",
        ),
        *("sqrt_rn", "store", "sum", "to", "trans", "value", "view", "xor_sum"),
    }
)

BUILTINS = frozenset(
    {
        *(
            "abs",
            "bool",
            "divmod",
            "float",
            "int",
            "isinstance",
            "len",
            "max",
            "min",
            "pow",
            "print",
            "range",
        ),
        *("round", "sum", "tuple"),
    }
)

LANGUAGE = (
    *(ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Pass, ast.Assert, ast.Expr),
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If, ast.Break, ast.Continue),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call, ast.keyword, ast.Starred),
    *(ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.List),
    *(ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue),
    *(ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context),
)
"""All that a kernel may be made of; not `match` for example, whose patterns read attributes."""

LINE_END = re.compile(r"\r\n?|\n")
"""Where Python ends a line; `str.splitlines` and `linecache` end them at other characters too."""


class NotAKernel(ValueError):
    """A line that Triton's language does not have; the message says which, and what to do."""


def kernels_of(source: str, known: frozenset[str] = frozenset()) -> str:
    """The cell with every line blank that is no kernel, constant or import of Triton: lines keep their place.

    `known` are the kernels and constants of other cells.

    Raises:
        NotAKernel: A kernel holds what only Python can do, or shares a line with what is left out.
        SyntaxError: It is not Python at all.
    """
    kept, modules, own = _kept(source, known)
    modules = {"tl": "tl", "triton": "triton", "math": "math"} | modules
    own -= set(modules)
    for node in kept:
        if isinstance(node, ast.FunctionDef):
            _check(node, modules, own)
    lines = LINE_END.split(source)
    stays = {line for node in kept for line in range(_first(node), (node.end_lineno or node.lineno) + 1)}
    text = "\n".join(text if number in stays else "" for number, text in enumerate(lines, 1)) + "\n"
    _check_text(text, kept)
    return text


def names_of(source: str) -> frozenset[str]:
    """The kernels and constants of a cell."""
    try:
        return frozenset(_kept(source, frozenset())[2])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()


def _kept(source: str, known: frozenset[str]) -> tuple[list[ast.stmt], dict[str, str], set[str]]:
    """The statements that stay, the modules that they import, and the names of kernels and constants."""
    kept: list[ast.stmt] = []
    modules: dict[str, str] = {}
    own = set(known)
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = dict(_modules(node))
            if found:
                modules |= found
                kept.append(node)
        elif isinstance(node, ast.FunctionDef) and _is_jit(node):
            own.add(node.name)
            kept.append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _is_constant(node, own):
            own |= _named(node)
            kept.append(node)
    return kept, modules, own


def _check_text(text: str, kept: Sequence[ast.stmt]) -> None:
    """Raise `NotAKernel` where a text holds, or shows Triton, more than the statements that were checked."""
    if text.splitlines() != text.split("\n")[:-1]:
        raise NotAKernel("Your cell holds a character that ends a line elsewhere: type its lines anew.")
    try:
        same = ast.dump(ast.parse(text)) == ast.dump(ast.Module(list(kept), []))
    except SyntaxError:
        same = False
    if not same:
        raise NotAKernel("Begin each import, constant and kernel of your cell on a line of its own.")


def _modules(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import gives to modules of a kernel; nothing if it imports anything else."""
    inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    found = [(alias.asname or alias.name.partition(".")[0], inside + alias.name) for alias in node.names]
    if all(module in MODULES for _, module in found):
        for name, module in found:
            yield name, "triton" if name == "triton" else MODULES[module]


def _is_jit(node: ast.FunctionDef) -> bool:
    """Whether `@triton.jit` is what makes this function a kernel."""
    return any(_dotted(one) == "triton.jit" for one in node.decorator_list)


def _dotted(node: ast.expr) -> str:
    """`triton.jit`, where an expression is one name or two; nothing where it is more."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(ast.Name(module), name):
            return f"{module}.{name}"
    return ""


def _is_constant(node: ast.Assign | ast.AnnAssign, own: set[str]) -> bool:
    """Whether a statement gives names to numbers: `BLOCK = 16`, `LOG2E: tl.constexpr = 1.4427`.

    What it names itself must be among the cell's `own` names.
    """
    plain = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Name, ast.Load)
    value = node.value
    if not all(isinstance(target, ast.Name) for target in _targets(node)):
        return False
    if isinstance(node, ast.AnnAssign) and _dotted(node.annotation) not in ("tl.constexpr", *BUILTINS):
        return False
    if isinstance(value, ast.Call) and _dotted(value.func) == "tl.constexpr" and len(value.args) == 1:
        value = value.args[0]
    return value is not None and all(
        isinstance(part, plain) and (not isinstance(part, ast.Name) or part.id in own)
        for part in ast.walk(value)
    )


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _named(node: ast.Assign | ast.AnnAssign) -> set[str]:
    return {target.id for target in _targets(node) if isinstance(target, ast.Name)}


def _first(node: ast.stmt) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def _check(function: ast.FunctionDef, modules: dict[str, str], own: set[str]) -> None:
    """Raise `NotAKernel` at the first thing in a function that no kernel may hold."""
    nodes = list(ast.walk(function))
    local = {arg.arg for node in nodes if isinstance(node, ast.arguments) for arg in _arguments(node)}
    local |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if local & set(modules):
        raise NotAKernel(
            f"`{function.name}` uses `{min(local & set(modules))}` as a name of its own: take another."
        )
    roots = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        at = f"Line {getattr(node, 'lineno', function.lineno)} of your cell"
        if not isinstance(node, LANGUAGE) or (isinstance(node, ast.FunctionDef) and node is not function):
            word = ast.unparse(node).split("\n")[0][:60]
            raise NotAKernel(f"{at} (`{word}`) is nothing that a kernel can do on a GPU; take it out.")
        if isinstance(node, ast.Subscript) and _is_of_an_address(node):
            pointer, place = ast.unparse(node.value), ast.unparse(node.slice)
            call = "store" if isinstance(node.ctx, ast.Store) else "load"
            raise NotAKernel(
                f"{at} writes `{ast.unparse(node)}`, but a kernel gets an address and no tensor: "
                f"`tl.{call}({pointer} + {place}{', ...' if call == 'store' else ''})`."
            )
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            raise NotAKernel(f"{at} assigns to `{ast.unparse(node)}`; a kernel can only assign to names.")
        if isinstance(node, ast.Attribute) and not _is_of_the_language(node, modules):
            raise NotAKernel(f"{at} uses `{ast.unparse(node)}`, which a kernel has not on a GPU.")
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            whole_module = node.id in modules and id(node) not in roots
            if whole_module or node.id not in {*local, *own, *modules, *BUILTINS}:
                raise NotAKernel(
                    f"{at} uses `{node.id}`. A kernel knows its arguments, `tl`, constants, and other "
                    "`@triton.jit` functions of this cell."
                )


def _arguments(node: ast.arguments) -> list[ast.arg]:
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *filter(None, (node.vararg, node.kwarg))]


def _is_of_an_address(node: ast.Subscript) -> bool:
    """Whether it is an address by its name, and is asked for a place; `at_ptr[:, None]` is a shape."""
    named = isinstance(node.value, ast.Name) and node.value.id.endswith("_ptr")
    shapes = (ast.Slice, ast.Tuple)
    return named and not isinstance(node.slice, shapes) and ast.unparse(node.slice) != "None"


def _is_of_the_language(node: ast.Attribute, modules: dict[str, str]) -> bool:
    """Whether an attribute is one of Triton's language, or of its tensors."""
    if node.attr.startswith("_"):
        return False
    root = node.value
    module = modules.get(root.id) if isinstance(root, ast.Name) else None
    if module == "triton":
        return node.attr in OF_TRITON or node.attr == "language"
    if module == "tl":
        return node.attr not in SUBMODULES
    if module == "math":
        return True
    if isinstance(root, ast.Attribute) and _is_module(root, modules):
        return node.attr not in SUBMODULES and (root.attr != "math" or node.attr in OF_TENSORS)
    return node.attr in OF_TENSORS


def _is_module(node: ast.Attribute, modules: dict[str, str]) -> bool:
    """Whether an attribute is `triton.language` or `tl.math`."""
    module = modules.get(node.value.id) if isinstance(node.value, ast.Name) else None
    return (module, node.attr) in (("triton", "language"), ("tl", "math"))
