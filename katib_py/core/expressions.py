"""Expressions over parameters: what they stand for, and how they are worked out for one assignment or for columns.

A value may be a number, a categorical's text, or a column of either in any array type; NaN where the parameter is not
active. A comparison with such a parameter is neither true nor false.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from typing import Any, Final, NamedTuple

# Decimal fractions are not exact in binary: 0.1 + 0.2 <= 0.3 is meant to hold.
TOLERANCE: Final = 1e-12

Values = Mapping[str, Any]
Operation = Callable[[Any, Any], Any]


class Kind(Enum):
    """What an expression stands for."""

    NUMBER = "a number"
    TEXT = "text"
    TRUTH = "a comparison"


class Truth(NamedTuple):
    """Whether something can be true and can be false (Kleene 1938); both, where an inactive parameter decides it."""

    true: Any
    false: Any


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression. `texts`: the values that a categorical has, or the one of a literal."""

    kind: Kind
    names: frozenset[str]
    evaluate: Callable[[Values], Any]
    texts: tuple[str, ...] = ()


def arithmetic(left: Node, sign: str, right: Node) -> Node:
    """The sum, difference, product, quotient or remainder of two numbers."""
    combine = ARITHMETIC[sign]
    names = left.names | right.names
    return Node(Kind.NUMBER, names, lambda values: combine(left.evaluate(values), right.evaluate(values)))


def comparison(left: Node, right: Node, compare: Operation) -> Node:
    """The comparison of two numbers or texts."""
    names = left.names | right.names

    def evaluate(values: Values) -> Truth:
        absent = reduce(operator.or_, (values[name] != values[name] for name in names))
        is_so = compare(left.evaluate(values), right.evaluate(values))
        return Truth(is_so | absent, (is_so ^ True) | absent)

    return Node(Kind.TRUTH, names, evaluate)


def both(left: Node, right: Node) -> Node:
    """Whether one and the other hold."""

    def evaluate(values: Values) -> Truth:
        one, other = left.evaluate(values), right.evaluate(values)
        return Truth(one.true & other.true, one.false | other.false)

    return Node(Kind.TRUTH, left.names | right.names, evaluate)


def either(left: Node, right: Node) -> Node:
    """Whether one or the other holds."""

    def evaluate(values: Values) -> Truth:
        one, other = left.evaluate(values), right.evaluate(values)
        return Truth(one.true | other.true, one.false & other.false)

    return Node(Kind.TRUTH, left.names | right.names, evaluate)


def negated(node: Node) -> Node:
    """Whether it does not hold."""
    return Node(Kind.TRUTH, node.names, lambda values: Truth(*reversed(node.evaluate(values))))


def _compare(decide: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A comparison of numbers that are equal within the tolerance; one that does not exist compares as nothing."""

    def compare(left: Any, right: Any) -> Any:
        difference = left - right
        exists = (difference - difference) == 0
        return decide(difference, TOLERANCE * (abs(left) + abs(right))) & exists

    return compare


def _over(divide: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def divided(left: Any, right: Any) -> Any:
        try:
            return divide(left, right)
        except ZeroDivisionError:
            return math.nan

    return divided


COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": _compare(lambda difference, slack: difference < -slack),
    "<=": _compare(lambda difference, slack: difference <= slack),
    ">": _compare(lambda difference, slack: difference > slack),
    ">=": _compare(lambda difference, slack: difference >= -slack),
    "==": _compare(lambda difference, slack: abs(difference) <= slack),
    "!=": _compare(lambda difference, slack: abs(difference) > slack),
}
ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _over(operator.truediv),
    "//": _over(operator.floordiv),
    "%": _over(operator.mod),
}
