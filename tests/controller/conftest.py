import pytest
from support.simulation import sphere

from katib_py.backends.local.home import Home
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.backends.simulated.platform import SimulatedPlatform
from katib_py.backends.simulated.runner import from_function


@pytest.fixture
def suggesters(tmp_path):
    home = Home(tmp_path, f"sqlite:///{tmp_path}/katib.db")
    return lambda: LocalSuggesters(home)


@pytest.fixture
def simulate(suggesters):
    """Make a simulated platform whose trials do what the function says of their parameters."""

    def make(simulation=None, workers=None):
        return SimulatedPlatform(simulation or from_function("loss", sphere), suggesters(), workers)

    return make
