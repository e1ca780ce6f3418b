"""Errors at the command line: one clear paragraph and an exit code, never a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from katib_py.core.errors import (
    Conflict,
    Held,
    InvalidInput,
    KatibError,
    NotFound,
    Problem,
    ServiceUnavailable,
    StoreUnavailable,
)

EXIT_SUCCEEDED: Final = 0
EXIT_FAILED: Final = 1
EXIT_INVALID: Final = 2
EXIT_STORE: Final = 3
EXIT_INTERRUPTED: Final = 130

CODES: Final[dict[type[KatibError], int]] = {
    InvalidInput: EXIT_INVALID,
    NotFound: EXIT_INVALID,
    Conflict: EXIT_STORE,
    Held: EXIT_STORE,
    StoreUnavailable: EXIT_STORE,
    ServiceUnavailable: EXIT_FAILED,
}

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what katib-py raises on purpose into words on standard error and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KatibError as error:
            print(words(error), file=sys.stderr)
            raise SystemExit(
                next((code for kind, code in CODES.items() if isinstance(error, kind)), EXIT_FAILED)
            ) from None
        except BrokenPipeError:
            # The reader of our output has gone, as `| head` does; there is nobody to tell.
            sys.stderr.close()
            raise SystemExit(EXIT_FAILED) from None

    return run


def words(error: KatibError) -> str:
    """The error as the user reads it."""
    if not isinstance(error, InvalidInput):
        return f"error: {error}"
    errors = [problem for problem in error.problems if problem.severity == "error"]
    head = "error: this cannot be used:" if len(errors) == 1 else f"error: {len(errors)} things stand in the way:"
    return "\n".join([head, *(f"  {line}" for line in problem_lines(error.problems))])


def problem_lines(problems: tuple[Problem, ...] | list[Problem]) -> list[str]:
    """One line per problem, warnings marked."""
    return [f"warning: {problem}" if problem.severity == "warning" else str(problem) for problem in problems]
