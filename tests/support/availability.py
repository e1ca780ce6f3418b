"""What becomes of a test whose means are not there."""

import os

import pytest


def cannot_run(reason):
    """Skip; in CI, where everything is to be had, fail."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
