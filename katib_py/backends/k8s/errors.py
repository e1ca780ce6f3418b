"""What an API server says no with, as the errors of katib-py."""

from __future__ import annotations

import json
from typing import Any

from katib_py.core.errors import Conflict, KatibError, NotFound, StoreUnavailable


class ApiError(KatibError):
    """The API server refused a request; `status` is HTTP's, `reason` Kubernetes' own word, such as Forbidden."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class Absent(ApiError, NotFound):
    """No such object, or no such kind."""


class AlreadyExists(ApiError, Conflict):
    """An object of this name is there already."""


class Changed(ApiError, Conflict):
    """The object is not any more what the change relied on."""


class Expired(ApiError):
    """A watch or a page asked for a moment that the API server has forgotten."""


class Refused(ApiError):
    """The request cannot succeed as it is: invalid, forbidden, or refused by an admission webhook or a quota."""


class Unreachable(ApiError, StoreUnavailable):
    """The API server cannot be reached, is too busy to answer, or does not know us at the moment."""


class Occupied(Unreachable):
    """An object that is about to go is still there in the place of ours."""


class Fenced(Unreachable):
    """The write was not sent: this process may have lost the right to it."""


def error_of(status: int, body: bytes) -> ApiError:
    """The error that an answer with this HTTP status means; `body` is a Status object, or what a proxy wrote."""
    details = _details(body)
    reason, message = str(details.get("reason") or ""), str(details.get("message") or "")
    message = message or body[:200].decode(errors="replace") or f"the API server answers HTTP {status}"
    if status == 422 and not (details.get("details") or {}).get("causes"):
        # Of an invalid object Kubernetes names the fields. Without any it is a JSON Patch whose test does not hold.
        return Changed(status, reason, f"the object is not as the change takes it to be: {message}")
    return _kind(status, reason)(status, reason, message)


def error_of_event(details: dict[str, Any]) -> ApiError:
    """The error that a watch event of type ERROR carries."""
    status = int(details.get("code") or 500)
    reason = str(details.get("reason") or "")
    return _kind(status, reason)(status, reason, str(details.get("message") or "the watch failed"))


def _kind(status: int, reason: str) -> type[ApiError]:
    if status == 404:
        return Absent
    if status == 409:
        return AlreadyExists if reason == "AlreadyExists" else Changed
    if status == 410:
        return Expired
    # An API server that starts says 401, and one whose caller's token is about to be renewed: both pass.
    if status in {400, 403, 405, 406, 413, 415, 422}:
        return Refused
    return Unreachable


def _details(body: bytes) -> dict[str, Any]:
    try:
        details = json.loads(body)
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}
