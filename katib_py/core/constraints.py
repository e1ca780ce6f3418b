"""Parameter constraints: comparisons of arithmetic over parameters, joined by and, or and not.

A small parser of its own: nothing that a user writes is ever evaluated as Python.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from katib_py.core.errors import listed, show
from katib_py.core.expressions import (
    COMPARE,
    Kind,
    Node,
    Operation,
    Truth,
    Values,
    arithmetic,
    both,
    comparison,
    either,
    negated,
)
from katib_py.core.space import Choice, Parameter

MOST_CHARACTERS: Final = 1000
MOST_DEPTH: Final = 30
MOST_POWER: Final = 10
WORDS: Final = ("and", "or", "not", "in")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint as written, the parameters that it speaks of, and what it demands of them."""

    text: str
    names: frozenset[str]
    _truth: Callable[[Values], Truth]

    def holds(self, values: Values) -> Any:
        """Whether, or where, the values satisfy it."""
        return self._truth(values).true


def parse_constraint(text: str, parameters: Sequence[Parameter]) -> Constraint:
    """The constraint that the text means; raises ValueError, its argument in the user's words."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text)} characters; must have at most {MOST_CHARACTERS}")
    parser = _Parser(text, parameters)
    node = parser.whole()
    if node.kind is not Kind.TRUTH:
        raise ValueError(f"is {show(text)}, {node.kind.value}; must compare: units1 >= units2")
    return Constraint(text, node.names, node.evaluate)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Parser:
    """By recursive descent, the binding of operators as in Python."""

    def __init__(self, text: str, parameters: Sequence[Parameter]) -> None:
        self._text = text
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._tokens = list(_tokens(text, self._parameters))
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._either()
        if self._peek().kind != "end":
            raise self._wrong("an operator")
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._take("or"):
            node = either(self._truth(node), self._truth(self._both()))
        return node

    def _both(self) -> Node:
        node = self._not()
        while self._take("and"):
            node = both(self._truth(node), self._truth(self._not()))
        return node

    def _not(self) -> Node:
        if not self._take("not"):
            return self._comparison()
        return negated(self._truth(self._deeper(self._not)))

    def _comparison(self) -> Node:
        left = self._sum()
        found: Node | None = None
        while True:
            token = self._peek()
            if token.text in COMPARE and token.kind == "sign":
                self._at += 1
                right = self._sum()
                part = self._compared(left, token.text, right)
            elif token.kind == "word" and token.text in {"in", "not"}:
                part = right = self._membership(left)
            else:
                return left if found is None else found
            found = part if found is None else both(found, part)
            left = right

    def _membership(self, left: Node) -> Node:
        outside = self._take("not")
        self._expect("in")
        closing = "]" if self._take("[") else ")"
        if closing == ")":
            self._expect("(")
        found = self._compared(left, "==", self._sum())
        while self._take(","):
            if self._peek().text == closing:
                break
            found = either(found, self._compared(left, "==", self._sum()))
        self._expect(closing)
        return negated(found) if outside else found

    def _sum(self) -> Node:
        node = self._product()
        while self._peek().text in {"+", "-"} and self._peek().kind == "sign":
            sign = self._next().text
            node = arithmetic(self._number(node), sign, self._number(self._product()))
        return node

    def _product(self) -> Node:
        node = self._signed()
        while self._peek().text in {"*", "/", "//", "%"} and self._peek().kind == "sign":
            sign = self._next().text
            node = arithmetic(self._number(node), sign, self._number(self._signed()))
        return node

    def _signed(self) -> Node:
        if self._take("-"):
            inner = self._number(self._deeper(self._signed))
            return Node(Kind.NUMBER, inner.names, lambda values: -inner.evaluate(values))
        node = self._atom()
        if not self._take("**"):
            return node
        base, token = self._number(node), self._next()
        if token.kind != "number" or not token.text.isdigit() or not 2 <= int(token.text) <= MOST_POWER:
            raise ValueError(f"is {show(self._text)}; a power must be a whole number from 2 to {MOST_POWER}")
        factors = int(token.text)
        return Node(Kind.NUMBER, base.names, lambda values: math.prod([base.evaluate(values)] * factors))

    def _atom(self) -> Node:
        token = self._peek()
        if self._take("("):
            node = self._deeper(self._either)
            self._expect(")")
            return node
        if token.kind == "number":
            self._at += 1
            number = float(token.text)
            return Node(Kind.NUMBER, frozenset(), lambda _: number)
        if token.kind == "text":
            self._at += 1
            literal = token.text
            return Node(Kind.TEXT, frozenset(), lambda _: literal, (literal,))
        if token.kind == "name":
            self._at += 1
            return self._named(token.text)
        raise self._wrong("a parameter, a number or quoted text")

    def _named(self, name: str) -> Node:
        parameter = self._parameters[name]
        names = frozenset({name})
        if isinstance(parameter, Choice) and not parameter.ordered:
            return Node(Kind.TEXT, names, lambda values: values[name], parameter.values)
        return Node(Kind.NUMBER, names, lambda values: values[name])

    def _compared(self, left: Node, sign: str, right: Node) -> Node:
        compare = COMPARE[sign]
        for node in (left, right):
            if node.kind is Kind.TRUTH:
                raise ValueError(f"is {show(self._text)}; a comparison cannot be compared: join them with and, or")
        if left.kind is Kind.TEXT or right.kind is Kind.TEXT:
            compare = self._text_comparison(left, sign, right)
        if not left.names | right.names:
            raise ValueError(f"is {show(self._text)}; compares no parameter")
        return comparison(left, right, compare)

    def _text_comparison(self, left: Node, sign: str, right: Node) -> Operation:
        if left.kind is not right.kind or sign not in {"==", "!="}:
            named = listed(sorted((left if left.kind is Kind.TEXT else right).names)) or "text"
            words = f"{named} is categorical: compare it with == or != or in, and with quoted text"
            raise ValueError(f"is {show(self._text)}; {words}")
        if not set(left.texts) & set(right.texts):
            literal, other = (left, right) if not left.names else (right, left)
            values = f"{listed(sorted(other.names))} has {listed(other.texts)}"
            raise ValueError(f"is {show(self._text)}; {show(literal.texts[0])} is none of its values: {values}")
        return operator.eq if sign == "==" else operator.ne

    def _number(self, node: Node) -> Node:
        if node.kind is not Kind.NUMBER:
            what = f"{listed(sorted(node.names))} is categorical" if node.kind is Kind.TEXT else "a comparison is none"
            raise ValueError(f"is {show(self._text)}; only numbers can be reckoned with, and {what}")
        return node

    def _truth(self, node: Node) -> Node:
        if node.kind is not Kind.TRUTH:
            raise ValueError(f"is {show(self._text)}; and, or and not join comparisons, not {node.kind.value}")
        return node

    def _deeper(self, parse: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise ValueError(f"is nested too deeply; at most {MOST_DEPTH} levels are read")
        node = parse()
        self._depth -= 1
        return node

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        token = self._peek()
        found = token.kind in {"sign", "word"} and token.text == text
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(text)

    def _wrong(self, wanted: str) -> ValueError:
        token = self._peek()
        found = "it ends" if token.kind == "end" else f"{show(token.text)} stands"
        return ValueError(f"is {show(self._text)}; at character {token.at + 1} {found} where {wanted} should be")


def _tokens(text: str, names: Mapping[str, Parameter]) -> Iterator[_Token]:
    """Names are the longest that fit: with a parameter num-layers, `num-layers` is no difference."""
    plain = [name for name in sorted(names, key=len, reverse=True) if name not in WORDS and not _is_number(name)]
    # A name ends where no further word character follows.
    known = "|".join(re.escape(name) + (r"(?!\w)" if name[-1:].isalnum() else "") for name in plain if name)
    pattern = re.compile(
        r"\s*(?:"
        r"`(?P<quoted>[^`]*)`"
        + (rf"|(?P<name>{known})" if known else "")
        + r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(?!\w)"
        r"|'(?P<single>[^']*)'" + r'|"(?P<double>[^"]*)"' + r"|(?P<word>[^\W\d]\w*)"
        r"|(?P<sign>\*\*|//|[<>=!]=|[-+*/%<>()\[\],]))"
    )
    end = len(text.rstrip())
    at = 0
    while at < end:
        match = pattern.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            place = len(text) - len(rest) + 1
            raise ValueError(f"is {show(text)}; at character {place} {show(rest[:1])} cannot be read")
        kind, found = str(match.lastgroup), match[match.lastgroup or 0]
        begin, at = match.start(kind), match.end()
        if kind in {"quoted", "word"} and found not in WORDS and found not in names:
            raise ValueError(f"is {show(text)}; {show(found)} is no parameter ({listed(names)}), and text is quoted")
        if kind == "quoted" and found not in names:
            raise ValueError(f"is {show(text)}; {show(found)} is no parameter ({listed(names)})")
        kinds = {"quoted": "name", "single": "text", "double": "text"}
        yield _Token(kinds.get(kind, kind), found, begin)
    yield _Token("end", "", end)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
