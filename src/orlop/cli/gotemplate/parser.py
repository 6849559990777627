"""From tokens to statements: the grammar of `text/template`, without templates that have names."""

from __future__ import annotations

from orlop.cli.gotemplate.expressions import AndOr, Call, Dot, Fields, Literal, Variable
from orlop.cli.gotemplate.functions import FUNCTIONS, REFUSED
from orlop.cli.gotemplate.lexer import tokens
from orlop.cli.gotemplate.mistake import Mistake
from orlop.cli.gotemplate.statements import Assign, Block, Declare, If, Leave, Print, Range, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.cli.gotemplate.expressions import Expression
    from orlop.cli.gotemplate.lexer import Token
    from orlop.cli.gotemplate.statements import Statement

    #: Makes an expression of an operand and the arguments that follow it.
    Operand = Callable[[list[Expression]], Expression]

_ABSENT = ("block", "define", "template")
_ENDS_COMMAND = ("close", "|", ")")


def parse(text: str, start: int = 0, *, escapes: bool = False) -> Block:
    """The template that begins at ``start``; ``escapes`` is the lexer's.

    Raises:
        Mistake: it cannot be read, or uses what orlop has not.
    """
    parser = _Parser(tokens(text, start, escapes=escapes))
    block, end = parser.block()
    if end.kind != "end of format":
        raise Mistake(end.position, f"{{{{{end}}}}} without something that it belongs to")
    return block


class _Parser:
    __slots__ = ("_place", "_ranges", "_tokens", "_variables")

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._place = 0
        self._variables = ["$"]
        self._ranges = 0

    def block(self) -> tuple[Block, Token]:
        """Statements up to an ``else`` or ``end``, which is read, or the end of the format."""
        statements: list[Statement] = []
        known = len(self._variables)
        while True:
            token = self._next()
            if token.kind == "end of format":
                break
            if token.kind == "text":
                statements.append(Text(token.value))
                continue
            self._skip_space()
            token = self._peek()
            if token.kind in ("else", "end"):
                self._next()
                break
            statements.append(self._statement(token))
        del self._variables[known:]
        return Block(statements), token

    def _statement(self, token: Token) -> Statement:
        if token.kind in ("if", "with", "range"):
            self._next()
            return self._control(token)
        if token.kind in ("break", "continue"):
            self._next()
            self._close(token.kind)
            if not self._ranges:
                raise Mistake(token.position, f"{token.kind} outside of a range")
            return Leave(token.kind)
        if token.kind in _ABSENT:
            raise Mistake(token.position, f"{token.kind} is not one of the actions that orlop has")
        names, assigns = self._names(most=1)
        expression = self._pipeline("close")
        if not names:
            return Print(expression)
        return self._binding(token, names[0], expression, assigns=assigns)

    def _control(self, keyword: Token) -> Statement:
        """What follows ``if``, ``with`` or ``range``, up to its ``end``."""
        known = len(self._variables)
        is_range = keyword.kind == "range"
        names, assigns = self._names(most=2 if is_range else 1)
        expression = self._pipeline("close")
        if is_range and not assigns:
            self._variables += names
        elif names and not is_range:
            expression = self._binding(keyword, names[0], expression, assigns=assigns)
        self._ranges += is_range
        body, end = self.block()
        self._ranges -= is_range
        if is_range:
            del self._variables[known:]  # without an element they have no value
        otherwise = self._otherwise(keyword, end)
        del self._variables[known:]
        if is_range:
            return Range(names, expression, body, otherwise, assigns=assigns)
        return If(expression, body, otherwise, changes_dot=keyword.kind == "with")

    def _otherwise(self, keyword: Token, end: Token) -> Block:
        """What follows the body, which is nothing or an ``else``, and the ``end``."""
        block = Block(())
        if end.kind == "else":
            self._skip_space()
            following = self._peek()
            if following.kind == keyword.kind and keyword.kind != "range":
                self._next()
                return Block((self._control(following),))  # one end for both
            self._close("else")
            block, end = self.block()
        if end.kind != "end":
            raise Mistake(end.position, f"expected {{{{end}}}} of {keyword.kind}, found {end}")
        self._close("end")
        return block

    def _binding(self, token: Token, name: str, expression: Expression, *, assigns: bool) -> Declare:
        if assigns:
            return Assign(token.position, name, expression)
        self._variables.append(name)
        return Declare(token.position, name, expression)

    def _names(self, most: int) -> tuple[list[str], bool]:
        """The variables in front of ``:=`` or ``=``, if there are any, and whether it is ``=``."""
        start = self._place
        names: list[str] = []
        while len(names) < most:
            self._skip_space()
            token = self._next()
            if token.kind != "variable":
                break
            names.append(token.value)
            self._skip_space()
            sign = self._next()
            if sign.kind in (":=", "="):
                for name in names if sign.kind == "=" else ():
                    self._known(token.position, name)
                return names, sign.kind == "="
            if sign.kind != ",":
                break
        self._place = start
        return [], False

    def _pipeline(self, closing: str) -> Expression:
        """Commands with ``|`` between them, and the token that ends them, which is read."""
        self._skip_space()
        expression = self._command([])
        while (token := self._next()).kind == "|":
            self._skip_space()
            expression = self._command([expression])
        if token.kind != closing:
            wanted = "}}" if closing == "close" else closing
            raise Mistake(token.position, f'expected "{wanted}", found "{token}"')
        return expression

    def _command(self, before: list[Expression]) -> Expression:
        """An operand and its arguments, the last of which is what was before the ``|``."""
        start = self._peek()
        operands: list[Operand] = []
        while self._peek().kind not in _ENDS_COMMAND:
            operands.append(self._operand())
            token = self._peek()
            if token.kind not in ("space", *_ENDS_COMMAND):
                raise Mistake(token.position, f'expected a space, found "{token}"')
            self._skip_space()
        if not operands:
            raise Mistake(start.position, f'expected a value or a function, found "{start}"')
        first, *rest = operands
        arguments = [make([]) for make in rest] + before
        if start.kind == "nil" and not arguments:
            raise Mistake(start.position, "nil alone cannot be printed")
        if before and not rest and start.kind == "literal":
            raise Mistake(start.position, f'expected a function after "|", found "{start}"')
        return first(arguments)

    def _operand(self) -> Operand:
        token = self._next()
        position = token.position
        if token.kind == "(":
            inside = self._pipeline(")")
            return _fields(position, inside, self._fields())
        names = self._fields()
        if token.kind == "field":
            return _fields(position, Dot(position), [token.value, *names])
        if token.kind == "variable":
            self._known(position, token.value)
            return _fields(position, Variable(position, token.value), names)
        if names:
            raise Mistake(position, f'"{token}" has no fields')
        if token.kind == "name":
            return lambda arguments: _call(token, arguments)
        if token.kind in ("literal", "nil"):
            return _fields(position, Literal(position, token.value if token.kind == "literal" else None), [])
        if token.kind == ".":
            return _fields(position, Dot(position), [])
        raise Mistake(position, f'expected a value or a function, found "{token}"')

    def _fields(self) -> list[str]:
        names: list[str] = []
        while self._peek().kind == "field":
            names.append(self._next().value)
        return names

    def _known(self, position: int, name: str) -> None:
        if name not in self._variables:
            raise Mistake(position, f"variable {name} was not declared")

    def _close(self, after: str) -> None:
        self._skip_space()
        token = self._next()
        if token.kind != "close":
            raise Mistake(token.position, f'expected "}}}}" after {after}, found "{token}"')

    def _skip_space(self) -> None:
        while self._peek().kind == "space":
            self._place += 1

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._tokens[self._place]
        self._place += 1
        return token


def _fields(position: int, of: Expression, names: list[str]) -> Operand:
    """An operand that is not a function: only its last field may take arguments."""

    def make(arguments: list[Expression]) -> Expression:
        if names:
            return Fields(position, of, names, arguments)
        if arguments:
            raise Mistake(position, "expected a function in front of arguments")
        return of

    return make


def _call(token: Token, arguments: list[Expression]) -> Expression:
    name = token.value
    if name in ("and", "or"):
        least, most = 1, None
    elif name in FUNCTIONS:
        _, least, most = FUNCTIONS[name]
    elif name in REFUSED:
        raise Mistake(token.position, f"function {name} is not one of those that orlop has")
    else:
        import difflib  # only a mistake pays for it

        near = difflib.get_close_matches(name, ["and", "or", *FUNCTIONS], 3)
        hint = f"did you mean {' or '.join(near)}" if near else "a field begins with a dot"
        raise Mistake(token.position, f"there is no function {name}; {hint}")
    count = len(arguments)
    if count < least or (most is not None and count > most):
        wanted = least if count < least else most
        bound = "" if most == least else "at least " if count < least else "at most "
        plural = "" if wanted == 1 else "s"
        raise Mistake(token.position, f"{name} takes {bound}{wanted} argument{plural}, not {count}")
    return AndOr(token.position, name, arguments) if name in ("and", "or") else Call(token.position, name, arguments)
