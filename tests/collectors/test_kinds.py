from __future__ import annotations

from datetime import UTC, datetime

import pytest

from katib_py.collectors.kinds import KINDS, Place, collector_for
from katib_py.collectors.prometheus import PrometheusCollector
from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import CollectorKind, MetricsCollectorSpec
from katib_py.core.objective import ObjectiveSpec, ObjectiveType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOSS = ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name="loss")


def spec(kind, **source):
    return MetricsCollectorSpec.model_validate({"collector": {"kind": kind}, "source": source})


def read(spec, place):
    attach = collector_for(spec, LOSS)
    assert attach is not None
    return [item.value for item in attach(place).read(NOW, final=True)]


def test_every_kind_has_its_row():
    assert set(KINDS) == set(CollectorKind)


@pytest.mark.parametrize("kind", ["Push", "Custom"])
def test_what_reports_by_itself_needs_no_collector(kind):
    assert collector_for(spec(kind), LOSS) is None


def test_standard_output_is_read_with_the_default_filter(tmp_path):
    (tmp_path / "output").write_text("loss=0.5")
    assert read(MetricsCollectorSpec(), Place(tmp_path / "output")) == ["0.5"]


def test_a_file_is_read_as_its_format_says(tmp_path):
    (tmp_path / "metrics").write_text('{"loss": 0.5}\n')
    place = Place(tmp_path / "output", tmp_path / "metrics")
    assert read(spec("File", fileSystemPath={"format": "JSON"}), place) == ["0.5"]
    assert read(spec("File", fileSystemPath={"format": "TEXT"}), place) == []
    custom = spec("File", fileSystemPath={"format": "TEXT"}, filter={"metricsFormat": [r'"(\w+)": ([\d.]+)']})
    assert read(custom, place) == ["0.5"]


def test_filters_are_refused_before_any_trial():
    with pytest.raises(InvalidInput, match=r"metricsFormat\[0\]: is '\('"):
        collector_for(spec("StdOut", filter={"metricsFormat": ["("]}), LOSS)


def test_a_folder_of_events_that_is_not_there_gives_nothing(tmp_path):
    assert read(spec("TensorFlowEvent", fileSystemPath={"path": "/train"}), Place(tmp_path, tmp_path / "none")) == []


def test_prometheus_is_scraped_where_the_run_is(tmp_path):
    attach = collector_for(spec("PrometheusMetric", httpGet={"port": "8080", "path": "/metrics"}), LOSS)
    assert attach is not None
    collector = attach(Place(tmp_path))
    assert isinstance(collector, PrometheusCollector)
    collector.read(NOW, final=True)
    assert collector.notes() == ["http://127.0.0.1:8080/metrics gave no metrics: it was not asked"]
