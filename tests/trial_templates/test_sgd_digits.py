import json
import math
import os
import re
import subprocess
import sys
import threading
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from katib_py.collectors.kinds import Place, collector_for
from katib_py.core.experiment import MetricsCollectorSpec
from katib_py.core.objective import ObjectiveSpec
from trial_templates import digits
from trial_templates.sgd_digits import reports
from trial_templates.sgd_digits.checkpoint import legs_of
from trial_templates.sgd_digits.collect import follow
from trial_templates.sgd_digits.network import Epoch, Settings, train

DATA = digits.split()
OBJECTIVE = ObjectiveSpec(
    type="maximize", objective_metric_name="accuracy", additional_metric_names=("loss",), metric_strategies=()
)


def last(**settings) -> Epoch:
    *_, epoch = train(DATA, Settings(**settings))
    return epoch


def run(*options: str, **env: str) -> str:
    command = [sys.executable, "-m", "trial_templates.sgd_digits.train", "--epochs=3", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **env}).stdout


def collected(kind: str, source: dict, output: Path, path: Path | None = None) -> list[tuple[str, float]]:
    spec = MetricsCollectorSpec.model_validate({"collector": {"kind": kind}, "source": source})
    collector = collector_for(spec, OBJECTIVE)(Place(output, path))
    return [(found.metric, float(found.value)) for found in collector.read(datetime.now(UTC), final=True)]


def test_good_settings_read_digits_and_bad_ones_do_not():
    assert last(lr=0.1, momentum=0.9, hidden=64).accuracy > 0.95
    assert last(lr=1e-5, epochs=2).accuracy < 0.5


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_loss_falls_from_epoch_to_epoch(activation):
    losses = [epoch.loss for epoch in train(DATA, Settings(lr=0.05, activation=activation, epochs=4))]

    assert losses == sorted(losses, reverse=True)


def test_the_same_settings_give_the_same_epochs():
    assert last(epochs=2) == last(epochs=2)
    assert last(epochs=2) != last(epochs=2, seed=1)


def test_a_learning_rate_that_is_far_too_high_ends_in_a_result():
    assert last(lr=1e6, epochs=2).accuracy < 0.3


def test_text_is_what_the_default_filter_reads(tmp_path):
    (tmp_path / "out").write_text(run())

    found = collected("StdOut", {}, tmp_path / "out")

    assert [name for name, _ in found] == ["loss", "accuracy"] * 3
    assert found[-1][1] > 0.8


@pytest.mark.parametrize(("form", "format"), [("text", "TEXT"), ("json", "JSON")])
def test_a_file_gets_what_standard_output_would(form, format, tmp_path):
    path = tmp_path / "new" / "metrics.log"

    assert run(f"--format={form}", f"--to={path}") == ""

    found = collected("File", {"fileSystemPath": {"path": "/m", "format": format}}, tmp_path, path)
    assert sorted(name for name, _ in found) == ["accuracy"] * 3 + ["loss"] * 3


def test_the_platform_may_name_the_file(tmp_path):
    assert run(KATIB_METRICS_PATH=str(tmp_path / "metrics.log")) == ""
    assert "accuracy=" in (tmp_path / "metrics.log").read_text()


def test_values_in_json_are_text_because_katib_ignores_numbers():
    line = json.loads(run("--format=json").splitlines()[0])

    assert isinstance(line["accuracy"], str)
    assert isinstance(line["loss"], str)


def test_custom_lines_need_a_filter_of_ones_own(tmp_path):
    (tmp_path / "out").write_text(run("--format=custom"))
    own = {"filter": {"metricsFormat": [r"([\w-]+) -> ([+-]?\d*(?:\.\d+)?)"]}}

    assert collected("StdOut", {}, tmp_path / "out") == []
    assert len(collected("StdOut", own, tmp_path / "out")) == 6


def test_events_are_what_tensorboard_reads(tmp_path):
    run("--format=tensorboard", f"--to={tmp_path}")

    found = collected("TensorFlowEvent", {"fileSystemPath": {"path": "/events"}}, tmp_path, tmp_path)

    assert sorted(name for name, _ in found) == ["accuracy"] * 3 + ["loss"] * 3


def test_events_need_a_folder():
    with pytest.raises(ValueError, match="--to=FOLDER"):
        reports.reporter("tensorboard", "", 0)


def test_the_page_serves_the_latest_epoch_and_waits_until_it_was_fetched(free_port):
    pages = []

    def fetch() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as answer:
            pages.append(answer.read().decode())

    with reports.prometheus(free_port) as report:
        report(Epoch(1, 0.5, 0.8))
        fetch()
        report(Epoch(2, 0.25, 0.9))
        late = threading.Timer(0.2, fetch)
        late.start()
    late.join()

    assert [re.findall(r"^accuracy (.*)$", page, re.MULTILINE) for page in pages] == [["0.8"], ["0.9"]]


def test_a_collector_of_ones_own_follows_the_file_to_its_end(tmp_path):
    file = tmp_path / "epochs.csv"
    with file.open("w") as out:
        print("1,0.5,0.8", file=out)
        out.write("2,0.2")

    def finish() -> None:
        with file.open("a") as out:
            out.write("5,0.9\nend\n")

    threading.Timer(0.3, finish).start()
    assert list(follow(file)) == ["1,0.5,0.8", "2,0.25,0.9"]


def test_what_the_csv_ends_with_is_its_end():
    lines = run("--format=csv").splitlines()

    assert lines[-1] == "end"
    assert all(math.isfinite(float(value)) for line in lines[:-1] for value in line.split(","))


def epochs(output: str) -> list[str]:
    return output.splitlines()


def test_a_training_with_a_pause_is_the_training_at_a_stretch(tmp_path):
    at_once = epochs(run("--epochs=4"))
    first = epochs(run("--epochs=2", f"--checkpoint={tmp_path}"))
    assert first + epochs(run("--epochs=4", f"--checkpoint={tmp_path}")) == at_once


def test_a_training_that_has_had_its_epochs_is_judged_once_more(tmp_path):
    told = epochs(run("--checkpoint", KATIB_CHECKPOINT_DIR=str(tmp_path)))
    assert epochs(run("--checkpoint", KATIB_CHECKPOINT_DIR=str(tmp_path))) == told[-1:]


def test_a_trial_goes_on_for_further_epochs_and_the_weights_tell_their_way(tmp_path):
    for trial, lr in (("a", "0.1"), ("b", "0.2"), ("b", "0.2")):
        run("--epochs=2", "--further", f"--lr={lr}", f"--checkpoint={tmp_path}", KATIB_TRIAL_NAME=trial)
    first, second = legs_of(tmp_path)
    assert (first.trial, first.begin, first.end, first.lr) == ("a", 0, 2, 0.1)
    assert (second.trial, second.begin, second.end, second.lr) == ("b", 2, 4, 0.2)
    assert second.given == first.left != second.left
