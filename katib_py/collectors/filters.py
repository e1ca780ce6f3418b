"""Metric filters: RE2 patterns whose first two groups are a metric's name and its value."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import re2

from katib_py.core.errors import InvalidInput, Problem, show

# Katib's default filter, which also reads nan and inf; there it matches them with an empty value.
DEFAULT: Final = rb"([\w|-]+)\s*=\s*([+-]?(?:(?i:nan|inf(?:inity)?)\b|\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?))"


def compile_filters(patterns: Iterable[str], path: str = "spec.metricsCollectorSpec.source.filter") -> tuple[Any, ...]:
    """The filters, or the default one where there is none; raises InvalidInput with every pattern that is none."""
    compiled, problems = [], []
    for index, pattern in enumerate(patterns):
        problem = filter_problem(pattern)
        if problem is None:
            compiled.append(_compile(pattern.encode()))
        else:
            problems.append(Problem(f"{path}.metricsFormat[{index}]", f"is {show(pattern)}; {problem}"))
    if problems:
        raise InvalidInput(problems)
    return tuple(compiled) or (default_filter(),)


def filter_problem(pattern: str) -> str | None:
    """What is wrong with a filter, in words; None for a good one."""
    try:
        groups = _compile(pattern.encode()).groups
    except (re2.error, UnicodeEncodeError) as error:
        return f"must be an RE2 expression ({_words(error)})"
    return None if groups >= 2 else f"must have two groups, name and value; it has {groups}"


@lru_cache(maxsize=1)
def default_filter() -> Any:
    """The filter of an experiment that names none."""
    return _compile(DEFAULT)


def readable(text: bytes) -> bytes:
    """The same bytes where every byte that is no UTF-8 is a question mark, which RE2's dot matches."""
    if text.isascii():
        return text
    return text.decode("utf-8", "katib-question-mark").encode()


def _compile(pattern: bytes) -> Any:
    options = re2.Options()
    options.log_errors = False  # it would write to stderr what is raised anyway
    return re2.compile(pattern, options)


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(error)


def _question_marks(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "?" * (error.end - error.start), error.end


codecs.register_error("katib-question-mark", _question_marks)
