"""An Experiment document that is sound, and ways to change it."""

import pytest
from support.documents import sound


@pytest.fixture(scope="session")
def document():
    """Gives the sound document with changes (`support.documents.sound`)."""
    return sound
