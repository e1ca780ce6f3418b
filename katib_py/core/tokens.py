"""Tokens that tell a db-manager who calls: a trial, which may report its own metrics, or the controller.

They are keyed digests of what the caller is, so nobody has to keep a list of them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

METADATA_KEY: Final = "katib-token"  # of the gRPC metadata
SHORTEST_KEY: Final = 16


def trial_token(key: str, namespace: str, name: str, uid: str) -> str:
    """What the environment of the trial with this uid carries."""
    return _digest(key, "trial", namespace, name, uid)


def controller_token(key: str) -> str:
    """What the controller shows: with it every call is allowed."""
    return _digest(key, "controller")


def is_same(shown: str, expected: str) -> bool:
    """Whether the tokens are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(shown.encode(), expected.encode())


def call_metadata(token: str) -> tuple[tuple[str, str], ...]:
    """The gRPC metadata that shows the token; nothing where there is none."""
    return ((METADATA_KEY, token),) if token else ()


def _digest(key: str, *parts: str) -> str:
    # A kind has a fixed number of parts, so a NUL within one makes no text that another list of parts makes.
    return hmac.new(key.encode(), "\0".join(parts).encode(), hashlib.sha256).hexdigest()
