"""Runs in the environment of an official client: calls it as a test says, a line of JSON each way.

What the client prints goes to standard error, as the lines of this conversation are on standard output.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping


def serve(client, calls, dump):
    """Answer until the input ends: a call is a function of `calls`, else a method of `client`.

    `dump` makes plain values of what is no dataclass, mapping or iterator.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        call = calls.get(asked["call"]) or getattr(client, asked["call"])
        try:
            reply = {"result": _plain(call(*asked["positional"], **asked["named"]), dump)}
        except Exception as problem:  # noqa: BLE001 - whatever it is, the test is told
            reply = {"raised": type(problem).__name__, "message": str(problem), "cause": str(_cause(problem))}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _plain(value, dump):
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), dump) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item, dump) for key, item in value.items()}
    if isinstance(value, (list, tuple, Iterator)):
        return [_plain(item, dump) for item in value]
    return dump(value)


def _cause(problem):
    return problem.__cause__ or problem.__context__
