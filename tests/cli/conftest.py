import pytest
from support.shell import Shell


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)
