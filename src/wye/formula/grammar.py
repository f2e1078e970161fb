"""From text to tree.

program    = { line } value { "," value }
line       = target { "," target } "=" value
target     = name [ "[" axis { "," axis } "]" ]
value      = value operator value | "-" value | "not" value | atom
operator   = or < and < not < comparisons < + - < * / @ % < unary minus < **     (weakest first)
keyword    = name "=" ( value | "(" value { "," value } ")" )          (several for those in `SEVERAL` alone)
atom       = ( number | name | name "(" arguments ")" | "(" value ")" ) { "[" entries "]" }
"""

from __future__ import annotations

import math

from ..errors import FormulaError, Place
from .cursor import Cursor
from .tokens import FOREIGN, Token
from .tree import (
    Brackets,
    Call,
    Compare,
    Line,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Power,
    Program,
    Rest,
    Several,
    Target,
    Text,
    Truth,
    join_chain,
)

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
OR, AND, NOT, COMPARE, SUM, PRODUCT, MINUS, POWER = range(1, 9)
STRENGTH = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(COMPARISONS, COMPARE),
    **dict.fromkeys("+-", SUM),
    **dict.fromkeys(("*", "/", "@", "%"), PRODUCT),
    "**": POWER,
}
SEVERAL = frozenset({"label_weights"})
"""Keywords whose value may be several constants: `label_weights=(0.7, 0.3)`."""


def parse(text: str) -> Program:
    """The tree of a text; a FormulaError points at the first place that is not in the language."""
    return Parser(text).program()


class Parser(Cursor):
    """A recursive descent over the tokens, one method for each rule."""

    def program(self) -> Program:
        start = self.token
        if start.kind == "end":
            raise self.error("the formula is empty.", start, fix='write a value, such as "a + b"')
        lines: list[Line] = []
        while True:
            first = self.token
            values = self.values()
            if self.meets("="):
                lines.append(self.line(first, values))
                continue
            if self.token.kind == "line":
                raise self.error(
                    "only the last line is the value; a line before it binds a name.",
                    first,
                    got=self.text[first.start : self.tokens[self.position - 1].end],
                    fix="write `name = ...`",
                )
            if self.token.kind != "end":
                raise self.error("the formula should end here.", self.token, fix=self.juxtaposed(self.token))
            return Program(tuple(lines), values, span=self.span(start))

    def juxtaposed(self, token: Token) -> str:
        operand = token.kind in ("number", "name", "text")
        return FOREIGN.get(token.text, "put an operator between the two" if operand else "leave it out")

    def line(self, first: Token, values: tuple[Node, ...]) -> Line:
        targets = tuple(self.target(first, value) for value in values)
        equals = self.take()
        value = self.value()
        if self.meets(","):
            raise self.error("a line binds names to one value.", self.token, fix="write a line for each")
        if self.meets("="):
            raise self.error("a line binds names once.", self.token, fix="write a line for each, or == to compare")
        if self.token.kind == "end":
            raise self.error(
                "the last line should be the value.", equals, fix=f"add a line, such as `{targets[0].name}`"
            )
        if self.token.kind != "line":
            raise self.error("the line should end here.", self.token, fix=self.juxtaposed(self.token))
        self.take()
        return Line(targets, value, span=self.span(first))

    def target(self, first: Token, value: Node) -> Target:
        if isinstance(value, Name):
            return Target(value.id, None, span=value.span)
        if isinstance(value, Brackets) and isinstance(value.value, Name):
            entries = value.entries
            if all(isinstance(entry, Name | Rest) for entry in entries):
                axes = tuple(entry.id if isinstance(entry, Name) else "..." for entry in entries)
                return Target(value.value.id, axes, span=value.span)
        start, end = value.span
        raise FormulaError(
            "only a name can be bound.",
            Place(self.text, start, end),
            self.text[start:end],
            "write `name = ...` or `name[i, j] = ...`; == compares",
        )

    def values(self) -> tuple[Node, ...]:
        found = [self.value()]
        while self.meets(","):
            self.take()
            found.append(self.value())
        return tuple(found)

    def value(self, weakest: int = OR) -> Node:
        """Precedence climbing: operators at least as strong as `weakest`."""
        start = self.token
        left = self.prefix(weakest)
        while True:
            token = self.token
            strength = STRENGTH.get(token.text, 0) if token.kind in ("operator", "word") else 0
            if strength < max(weakest, OR):
                return left
            if strength == COMPARE:
                left = Compare(left, self.pairs(COMPARISONS, COMPARE), span=self.span(start))
            elif strength in (OR, AND):
                operands = tuple(node for _, node in self.pairs(frozenset({token.text}), strength))
                same = isinstance(left, Logic) and left.operator == token.text
                left = Logic(token.text, (*(left.operands if same else (left,)), *operands), span=self.span(start))  # type: ignore[union-attr]
            elif strength == POWER:
                self.take()
                left = Power(left, self.deeper(MINUS), span=self.span(start))
            else:
                self.take()
                right = self.value(strength + 1)
                left = join_chain(token.text, left, right)
                left = type(left)(left.first, left.rest, span=self.span(start))
            self.count(token)

    def pairs(self, operators: frozenset[str], strength: int) -> tuple[tuple[str, Node], ...]:
        found: list[tuple[str, Node]] = []
        while self.meets(*operators):
            operator = self.take()
            self.count(operator)
            found.append((operator.text, self.value(strength + 1)))
        return tuple(found)

    def deeper(self, weakest: int = OR) -> Node:
        self.depth += 1
        self.check_depth(self.depth, self.token)
        value = self.value(weakest)
        self.depth -= 1
        return value

    def prefix(self, weakest: int) -> Node:
        start = self.token
        if self.meets("-"):
            self.take()
            self.count(start)
            return Negative(self.deeper(MINUS), span=self.span(start))
        if self.meets("not"):
            if weakest > NOT:
                raise self.error("`not` is weaker than the operator before it.", start, fix="write (not ...)")
            self.take()
            self.count(start)
            return Not(self.deeper(NOT), span=self.span(start))
        return self.postfix()

    def postfix(self) -> Node:
        start = self.token
        value, depth = self.atom(), self.depth
        while self.meets("[", "("):
            opened = self.take()
            depth += 1
            self.check_depth(depth, opened)
            if opened.text == "(":
                raise self.error(
                    "only a function or a part can be called, by its name.", opened, fix="call it as name(...)"
                )
            entries = self.entries(opened)
            value = Brackets(value, entries, span=self.span(start))
            self.count(opened)
        return value

    def entries(self, opened: Token) -> tuple[Node, ...]:
        if self.meets("]"):
            raise self.error("the brackets are empty.", self.token, fix="name the axes: [b, k], or [...] for any")
        found: list[Node] = []
        while not self.meets("]"):
            if self.meets("..."):
                token = self.take()
                self.count(token)
                found.append(Rest(span=self.span(token)))
            else:
                self.refuse_split()
                found.append(self.deeper())
            if self.token.text == ":" or not self.meets("]", ","):
                self.expect("]", opened)
            if self.meets(","):
                self.take()
        self.take()
        return tuple(found)

    def refuse_split(self) -> None:
        kinds = [token.kind for token in self.tokens[self.position + 1 : self.position + 3]]
        if self.meets("(") and kinds == ["name", "name"]:
            fix = "reshape the value outside, and name both axes"
            raise self.error("splits of an axis are not yet part of the language.", self.token, "(h w)", fix)

    def atom(self) -> Node:
        token = self.take()
        self.count(token)
        if token.kind == "number":
            return self.number(token)
        if token.kind == "text":
            return Text(token.text[1:-1], span=self.span(token))
        if token.kind == "word" and token.text in ("True", "False"):
            return Truth(token.text == "True", span=self.span(token))
        if token.kind == "name":
            return self.call(token) if self.meets("(") else Name(token.text, span=self.span(token))
        if token.kind == "operator" and token.text == "(":
            value = self.deeper()
            self.expect(")", token)
            return value
        if token.text == "=":
            raise self.error("a name is missing before `=`.", token, fix="write `name = ...`, or == to compare")
        if token.text == "+":
            raise self.error("`+` stands between two values.", token, fix="leave it out")
        raise self.error("a value is missing here.", token, fix="write a number, a name or a call")

    def number(self, token: Token) -> Number:
        value = float(token.text)
        if token.text.isdigit() and math.isfinite(value):
            value = int(token.text.lstrip("0") or 0)
        if value >= (2**63 if isinstance(value, int) else math.inf):
            raise self.error("the number is too large.", token, got=token.text[:24], fix="write a smaller one")
        return Number(value, span=self.span(token))

    def call(self, name: Token) -> Call:
        opened = self.take()
        args: list[Node] = []
        keywords: list[tuple[str, Node]] = []
        while not self.meets(")"):
            if self.meets("*", "**"):
                raise self.error("arguments are written out one by one.", self.token, fix="leave it out")
            if self.token.kind == "name" and self.tokens[self.position + 1].text == "=":
                keyword = self.take()
                self.take()
                if keyword.text in dict(keywords):
                    raise self.error(f"the keyword `{keyword.text}` is given twice.", keyword, fix="leave one out")
                several = keyword.text in SEVERAL and self.meets("(")
                keywords.append((keyword.text, self.several() if several else self.deeper()))
            elif keywords:
                raise self.error("a value stands after a keyword.", self.token, fix="write the keywords last")
            else:
                args.append(self.deeper())
            if self.meets(","):
                self.take()
            elif not self.meets(")"):
                self.expect(")", opened)
        self.take()
        return Call(name.text, tuple(args), tuple(keywords), span=self.span(name))

    def several(self) -> Node:
        """Constants in brackets; one alone, with no comma behind it, is that constant."""
        opened = self.take()
        self.count(opened)
        items: list[Node] = []
        alone = False
        while not self.meets(")"):
            items.append(self.deeper())
            alone = len(items) == 1 and not self.meets(",")
            if not self.meets(","):
                break
            self.take()
        self.expect(")", opened)
        return items[0] if alone else Several(tuple(items), span=self.span(opened))
