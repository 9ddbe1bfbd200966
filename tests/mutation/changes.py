"""The small changes that a mutant may have: for a module's text, every place and what could stand there instead.

Pure: text in, edits out. An edit replaces a few bytes of the text and leaves the rest as it was, so that a diff shows
the change alone. What is no behaviour is left out: annotations, docstrings, decorators, what a class is declared with,
the wording of errors and of log lines, and assertions.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
DECLARING = {"TypeVar", "ParamSpec", "NewType", "cast", "getLogger", "namedtuple"}


@dataclass(frozen=True, order=True)
class Edit:
    """The bytes from `start` to `end` become `new`; `place` is the same for edits of which a mutant has one."""

    start: int
    end: int
    new: str
    function: str
    place: tuple[int, int, str]

    def apply(self, text: bytes) -> bytes:
        """The module's text with the edit."""
        return text[: self.start] + self.new.encode() + text[self.end :]

    def lines(self, text: bytes) -> tuple[int, str, str]:
        """The first line touched, and the touched lines before and after, with single spaces."""
        begin = text.rfind(b"\n", 0, self.start) + 1
        end = text.find(b"\n", self.end) % (len(text) + 1)
        before, after = text[begin:end], text[begin : self.start] + self.new.encode() + text[self.end : end]
        return text.count(b"\n", 0, begin) + 1, " ".join(before.decode().split()), " ".join(after.decode().split())


def edits(text: bytes) -> list[Edit]:
    """Every edit of a module's text, in the order of the text; some do not compile."""
    return sorted(set(_Finder(text).found))


def compiles(text: bytes) -> bool:
    """Whether a module's text is Python."""
    try:
        compile(text, "<mutant>", "exec")
    except SyntaxError:
        return False
    return True


class _Finder:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._lines = [0]
        for line in text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._names: list[str] = []
        self.found: list[Edit] = []
        self._body(ast.parse(text))

    # Walking

    def _body(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self._visit(child)

    def _visit(self, node: ast.AST) -> None:
        if _no_behaviour(node):
            return None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return self._definition(node)
        if isinstance(node, ast.AnnAssign):
            if node.value:
                self._visit(node.value)
            return None
        if isinstance(node, ast.Raise):
            self._delete(node)
            return self._sub(node, but=lambda one: isinstance(one, ast.Constant | ast.JoinedStr))
        for way in _WAYS.get(type(node), ()):
            way(self, node)
        return self._body(node)

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if not isinstance(node, ast.ClassDef):
            for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                self._visit(default)
        self._names.append(node.name)
        for statement in node.body:
            self._visit(statement)
        self._names.pop()

    def _sub(self, node: ast.AST, but: Callable[[ast.AST], bool]) -> None:
        for child in ast.iter_child_nodes(node):
            if not but(child):
                if isinstance(child, ast.Call):
                    self._sub(child, but)
                else:
                    self._visit(child)

    # Editing

    def _at(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno, node.end_col_offset)

    def _part(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._text[start:end].decode()

    def _edit(self, start: int, end: int, new: str, kind: str) -> None:
        self.found.append(Edit(start, end, new, ".".join(self._names), (start, end, kind)))

    def _replace(self, node: ast.expr | ast.stmt, new: str, kind: str) -> None:
        self._edit(*self._span(node), new, kind)

    def _token(self, left: ast.expr, right: ast.expr, old: str, new: str, kind: str) -> None:
        start, end = self._span(left)[1], self._span(right)[0]
        found = self._text[start:end].decode().find(old)
        if found >= 0:
            self._edit(start + found, start + found + len(old), new, kind)

    # Kinds of change

    def _comparison(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            old, others = COMPARISONS[type(operator)]
            for new in others:
                self._token(left, right, old, new, "comparison")
            left = right

    def _logic(self, node: ast.BoolOp) -> None:
        new, neutral = ("or", "True") if isinstance(node.op, ast.And) else ("and", "False")
        for left, right in zip(node.values, node.values[1:], strict=False):
            both = f" {new} ".join(f"({self._part(value)})" for value in (left, right))
            self._edit(self._span(left)[0], self._span(right)[1], f"({both})", "logic")
        for value in node.values:
            self._replace(value, neutral, "condition dropped")

    def _not(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, f"bool({self._part(node.operand)})", "not")
        elif isinstance(node.op, ast.USub):
            self._replace(node, f"({self._part(node.operand)})", "minus")

    def _arithmetic(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.BitOr) and not self._names:
            return  # a union of types
        if type(node.op) in OPERATORS:
            self._token(node.left, node.right, *OPERATORS[type(node.op)], "arithmetic")

    def _constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace(node, str(not value), "constant")
        elif isinstance(value, int):
            for new in (value + 1, value - 1):
                self._replace(node, str(new) if new >= 0 else f"({new})", "constant")
        elif isinstance(value, float):
            self._replace(node, repr(value * 2 if value else 1.0), "constant")
        elif isinstance(value, str | bytes):
            other = ("other" if value == "" else "") if isinstance(value, str) else b"other" if value == b"" else b""
            self._replace(node, repr(other), "constant")

    def _condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        test = self._part(node.test)
        self._replace(node.test, f"not ({test})", "condition")
        self._replace(node.test, "False", "condition")
        if not isinstance(node, ast.While):
            self._replace(node.test, "True", "condition")

    def _filter(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._replace(test, "True", "filter")

    def _call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in OPPOSITES:
            self._replace(node.func, OPPOSITES[node.func.id], "opposite")
        arguments: list[ast.expr | ast.keyword] = sorted(
            [*node.args, *node.keywords], key=lambda one: (one.lineno, one.col_offset)
        )
        for at, argument in enumerate(arguments):
            # `strict` only checks what holds anyway.
            if isinstance(argument, ast.keyword) and argument.arg not in (None, "strict") and at:
                start = self._span(_value(arguments[at - 1]))[1]
                self._edit(start, self._span(argument.value)[1], "", "argument dropped")

    def _slice(self, node: ast.Slice) -> None:
        for bound in (node.lower, node.upper):
            if bound:
                self._replace(bound, "", "bound dropped")

    def _statement(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self._delete(node)

    def _assignment(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            self._delete(node)

    def _addition(self, node: ast.AugAssign) -> None:
        self._delete(node)
        if type(node.op) in OPERATORS:
            old, new = OPERATORS[type(node.op)]
            self._token(node.target, node.value, old + "=", new + "=", "arithmetic")

    def _return(self, node: ast.Return) -> None:
        # Neither None, which it is already, nor False, in whose place it is as good.
        if node.value is not None and not (isinstance(node.value, ast.Constant) and not node.value.value):
            self._replace(node.value, "None", "result")

    def _jump(self, node: ast.Continue | ast.Break) -> None:
        self._replace(node, "break" if isinstance(node, ast.Continue) else "continue", "jump")
        self._delete(node)

    def _delete(self, node: ast.stmt) -> None:
        self._replace(node, "pass", "statement deleted")


def _value(argument: ast.expr | ast.keyword) -> ast.expr:
    return argument.value if isinstance(argument, ast.keyword) else argument


def _no_behaviour(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.JoinedStr():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]) | ast.keyword(arg="strict"):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return True
        case ast.Call(func=ast.Attribute(attr=name)) if name in LOGGING:
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))) if name in LOGGING:
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in DECLARING:
            return True
    return False


_WAYS: dict[type[ast.AST], tuple[Callable[..., None], ...]] = {
    ast.Compare: (_Finder._comparison,),
    ast.BoolOp: (_Finder._logic,),
    ast.UnaryOp: (_Finder._not,),
    ast.BinOp: (_Finder._arithmetic,),
    ast.Constant: (_Finder._constant,),
    ast.If: (_Finder._condition,),
    ast.While: (_Finder._condition,),
    ast.IfExp: (_Finder._condition,),
    ast.comprehension: (_Finder._filter,),
    ast.Call: (_Finder._call,),
    ast.Slice: (_Finder._slice,),
    ast.Expr: (_Finder._statement,),
    ast.Assign: (_Finder._assignment,),
    ast.AugAssign: (_Finder._addition,),
    ast.Return: (_Finder._return,),
    ast.Continue: (_Finder._jump,),
    ast.Break: (_Finder._jump,),
}
