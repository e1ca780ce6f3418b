"""Success and failure conditions: the part of GJSON 1.14.1 that run objects need (api.md §14.1).

A path is keys and list positions joined by `.` or `|`, `[@this]`, `#(field==value)` for the first item that fits and
`#(field==value)#` for all that do. After `#(…)#` a `.` goes on in each item, a `|` in the list of them. Anything else
of GJSON is refused by `check`, so that no expression is silently without effect.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from katib_py.core.errors import InvalidInput, Problem, show

_KEY: Final = r"(?:[^\x00-\x1f\x7f.|#*?@\[\]{}()!\\\"~<>=%,]|\\[ -~])+"
_VALUE: Final = r"\"[^\"\\|\x00-\x1f]*\"|[A-Za-z0-9_.+-]+"
KEY: Final = re.compile(_KEY)
QUERY: Final = re.compile(
    rf"#\( *(?P<path>{_KEY}(?:\.{_KEY})*?) *(?:(?P<op>==|=|!=|<=|>=|<|>) *(?P<value>{_VALUE}) *)?\)(?P<all>#?)"
)
THIS: Final = "[@this]"
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity)|nan", re.I)
HEXADECIMAL: Final = re.compile(r"[+-]?0x", re.I)
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MAX_LENGTH: Final = 1000
SUPPORTED: Final = "keys joined by . or |, [@this], #(field==value) and #(field==value)#"


class Match(NamedTuple):
    """A condition that holds: the reason and message of what it found."""

    reason: str
    message: str


class _Missing:
    """No value: GJSON's result that does not exist."""


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping, or the position in a list; one with escapes is never a position."""

    name: str
    escaped: bool


@dataclass(frozen=True, slots=True)
class This:
    """`[@this]`: a list of the value alone."""


@dataclass(frozen=True, slots=True)
class Query:
    """`#(…)`: the first item that fits, or with `every` all of them."""

    path: tuple[Step, ...]
    compare: str
    value: str
    every: bool


class Step(NamedTuple):
    """One step of a path, and whether a pipe joins it to the one before."""

    part: Key | This | Query
    piped: bool


Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition made ready."""

    steps: Steps

    @classmethod
    def parse(cls, expression: str) -> Condition:
        """The condition of this expression, the empty one of which never holds; raises InvalidInput."""
        return cls(_parse(expression) if expression else ())

    def match(self, document: Mapping[str, Any]) -> Match | None:
        """What the condition finds in a run object; None where it does not hold.

        It holds when its result is a mapping, or a list whose first item is one; of other lists and of scalars, Katib
        can make no reason and message, and takes them for no status.
        """
        found = select(document, self.steps)
        if isinstance(found, list) and found:
            found = found[0]
        if not isinstance(found, Mapping):
            return None
        texts = [found.get(field) for field in ("reason", "message", "condition")]
        if not all(text is None or isinstance(text, str) for text in texts):
            return None
        return Match(texts[0] or "", texts[1] or "")


def check(expression: str) -> str | None:
    """What of the expression is not supported, in the user's words; None for a good one."""
    try:
        _parse(expression)
    except InvalidInput as error:
        return error.problems[0].message
    return None


def evaluate(expression: str, document: Mapping[str, Any]) -> Match | None:
    """`Condition.parse` and `match` in one."""
    return Condition.parse(expression).match(document)


def select(value: Any, steps: Steps) -> Any:
    """GJSON's result of the path on a JSON value; MISSING where there is none."""
    if not steps:
        return MISSING
    (part, _), rest = steps[0], steps[1:]
    match part:
        case This():
            wrapped = [] if value is MISSING else [value]
            return select(wrapped, rest) if rest else wrapped
        case Query() if isinstance(value, list):
            return _query(value, part, rest)
        case _ if isinstance(value, list | Mapping):
            return _onward(_child(value, part), rest)
    return MISSING


def _child(value: Any, part: Key | Query) -> Any:
    if isinstance(part, Query):
        return MISSING
    if isinstance(value, Mapping):
        return value.get(part.name, MISSING)
    position = int(part.name) if not part.escaped and part.name.isascii() and part.name.isdigit() else len(value)
    return value[position] if position < len(value) else MISSING


def _onward(found: Any, rest: Steps) -> Any:
    if not rest:
        return found
    piped = rest[0].piped or isinstance(rest[0].part, This)
    return select(found, rest) if piped or isinstance(found, list | Mapping) else MISSING


def _query(items: list[Any], query: Query, rest: Steps) -> Any:
    fitting = [item for item in items if isinstance(item, list | Mapping) and _fits(select(item, query.path), query)]
    split = next((index for index, step in enumerate(rest) if step.piped), len(rest))
    within, after = rest[:split], rest[split:]
    results = [select(item, within) if within else item for item in fitting]
    if query.every:
        found: Any = [result for result in results if result is not MISSING]
    else:
        found = results[0] if results else MISSING
    if within and not fitting:
        return found  # GJSON finds the pipe only when an item fits
    return select(found, after) if after else found


def _fits(found: Any, query: Query) -> bool:
    """GJSON's comparison: by the type of what was found, whatever the type of the value written."""
    compare = COMPARISONS.get(query.compare)
    if compare is None:
        return found is not MISSING
    match found:
        case str():
            return compare(found, query.value)
        case bool():
            return _fits_flag(found, query)
        case int() | float():
            return compare(_number(found), _number(query.value))
    return False


def _fits_flag(found: bool, query: Query) -> bool:
    """True is above false; >= holds for every true and <= for every false, as in GJSON."""
    other = {"true": True, "false": False}.get(query.value)
    match query.compare:
        case "=" | "==":
            return other is found
        case "!=":
            return other is not found
        case ">=" | "<=":
            return found is (query.compare == ">=")
    return other is (not found) and found is (query.compare == ">")


def _number(value: str | float) -> float:
    """As Go reads numbers here: text that is none counts as 0, and what is too large as infinite."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        return 0.0
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)  # type: ignore[arg-type]


def _parse(expression: str) -> Steps:
    if len(expression) > MAX_LENGTH:
        raise InvalidInput([Problem("", f"has {len(expression)} characters; at most {MAX_LENGTH} are supported")])
    steps: list[Step] = []
    position, piped = 0, False
    while True:
        part, end = _part(expression, position)
        steps.append(Step(part, piped))
        if end == len(expression):
            break
        if expression[end] not in ".|":
            raise _unsupported(expression, end)
        piped, position = expression[end] == "|", end + 1
    _check_order(expression, steps)
    return tuple(steps)


def _part(expression: str, position: int) -> tuple[Key | This | Query, int]:
    if expression.startswith(THIS, position):
        return This(), position + len(THIS)
    if (match := QUERY.match(expression, position)) is not None:
        return _query_part(match, expression), match.end()
    if (match := KEY.match(expression, position)) is not None:
        return _key(match.group()), match.end()
    raise _unsupported(expression, position)


def _query_part(match: re.Match[str], expression: str) -> Query:
    value = match["value"] or ""
    if value.startswith('"'):
        value = value[1:-1]
    if HEXADECIMAL.match(value):
        raise _unsupported(expression, match.start("value"))
    path = tuple(Step(_key(key.group()), False) for key in KEY.finditer(match["path"].strip(" ")))
    return Query(path, match["op"] or "", value, bool(match["all"]))


def _key(text: str) -> Key:
    return Key(re.sub(r"\\(.)", r"\1", text), "\\" in text)


def _check_order(expression: str, steps: list[Step]) -> None:
    """GJSON does something of its own with [@this] after a query or an escaped key."""
    special = False
    for part, _ in steps:
        if special and isinstance(part, This):
            raise _unsupported(expression, expression.rindex(THIS))
        special = special or isinstance(part, Query) or (isinstance(part, Key) and part.escaped)


def _unsupported(expression: str, position: int) -> InvalidInput:
    if position >= len(expression):
        what = "ends where a key is expected" if expression else "is empty"
    else:
        what = f"is not supported from {show(expression[position:], 40)} on"
    return InvalidInput([Problem("", f"{what}; supported are {SUPPORTED}")])
