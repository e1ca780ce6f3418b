from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from katib_py.collectors.events import checksum, scalars, short_float
from katib_py.collectors.tensorboard import EventFolder
from katib_py.core.objective import ObjectiveSpec, ObjectiveType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WRITTEN = datetime(2025, 6, 1, tzinfo=UTC)


def objective(*metrics):
    return ObjectiveSpec(
        type=ObjectiveType.MAXIMIZE, objective_metric_name=metrics[0], additional_metric_names=metrics[1:]
    )


@pytest.fixture
def write(tmp_path):
    writers = {}

    def write(folder, tag, value, step=0):
        writer = writers.get(folder) or writers.setdefault(folder, EventFileWriter(str(tmp_path / folder)))
        kind = {"tensor": value} if isinstance(value, TensorProto) else {"simple_value": value}
        wall_time = (WRITTEN + timedelta(seconds=step)).timestamp()
        writer.add_event(Event(wall_time=wall_time, step=step, summary=Summary(value=[Summary.Value(tag=tag, **kind)])))
        writer.flush()

    yield write
    for writer in writers.values():
        writer.close()


def rows(collector, final=False):
    return [(item.metric, item.value) for item in collector.read(NOW, final)]


def test_events_are_measured_while_the_program_writes_them(tmp_path, write):
    collector = EventFolder(tmp_path / "train", objective("accuracy"))
    assert collector.read(NOW) == []
    for step in range(3):
        write("train", "accuracy", 0.1 * step, step)
        (item,) = collector.read(NOW)
        assert (item.value, item.time) == (short_float(0.1 * step), WRITTEN + timedelta(seconds=step))
    assert collector.read(NOW, final=True) == []


def test_a_tag_must_be_the_metric_and_not_begin_with_it(tmp_path, write):
    write("a", "accuracy_top5", 1.0)
    write("a", "accuracy", 0.5)
    collector = EventFolder(tmp_path, objective("accuracy"))
    assert rows(collector) == [("accuracy", "0.5")]
    assert collector.seen == ("accuracy_top5",)


def test_a_metric_with_a_folder_is_the_tag_in_that_folder(tmp_path, write):
    write("run/train", "accuracy", 0.5)
    write("run/test", "accuracy", 0.25)
    write("run/strain", "accuracy", 0.75)
    collector = EventFolder(tmp_path, objective("test/accuracy", "run/train/accuracy"))
    assert sorted(rows(collector)) == [("run/train/accuracy", "0.5"), ("test/accuracy", "0.25")]


def test_a_tag_with_a_slash_is_a_metric_too(tmp_path, write):
    write("run", "Loss/train", 0.5)
    assert rows(EventFolder(tmp_path, objective("Loss/train"))) == [("Loss/train", "0.5")]


def test_folders_are_matched_in_the_path_that_the_user_wrote(tmp_path, write):
    write("7", "accuracy", 0.5)
    collector = EventFolder(tmp_path / "7", objective("train/accuracy"), "/var/log/train")
    assert rows(collector) == [("train/accuracy", "0.5")]


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (TensorProto(dtype=1, float_val=[0.1]), "0.1"),
        (TensorProto(dtype=1, tensor_content=struct.pack("<f", 1e-7)), "1e-07"),
        (TensorProto(dtype=2, double_val=[0.1]), "0.1"),
        (TensorProto(dtype=3, int_val=[-3]), "-3"),
        (TensorProto(dtype=9, tensor_content=struct.pack("<q", 2**40)), str(2**40)),
        (TensorProto(dtype=19, half_val=[0x3800]), "0.5"),
        (TensorProto(dtype=14, half_val=[0x3F80]), "1"),
        (TensorProto(dtype=14, tensor_content=b"\x80\xbf"), "-1"),
        (TensorProto(dtype=1, float_val=[float("nan")]), "nan"),
    ],
)
def test_tensors_of_one_element_are_scalars(tmp_path, write, tensor, value):
    write("a", "accuracy", tensor)
    assert rows(EventFolder(tmp_path, objective("accuracy"))) == [("accuracy", value)]


@pytest.mark.parametrize(
    "tensor", [TensorProto(dtype=1, float_val=[1, 2]), TensorProto(dtype=7, string_val=[b"x"]), TensorProto(dtype=1)]
)
def test_other_tensors_are_passed_over(tmp_path, write, tensor):
    write("a", "accuracy", tensor)
    assert rows(EventFolder(tmp_path, objective("accuracy"))) == []


def test_nan_and_infinity_are_measurements(tmp_path, write):
    for step, value in enumerate([float("nan"), float("inf"), float("-inf")]):
        write("a", "accuracy", value, step)
    assert [value for _, value in rows(EventFolder(tmp_path, objective("accuracy")))] == ["nan", "inf", "-inf"]


def grown(source, target, size):
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(source.read_bytes()[:size])


def test_a_file_cut_anywhere_is_read_up_to_there_and_on_from_there(tmp_path, write):
    for step in range(3):
        write("a", "accuracy", float(step), step)
    (source,) = (tmp_path / "a").iterdir()
    target = tmp_path / "growing" / source.name
    whole = EventFolder(tmp_path / "a", objective("accuracy")).read(NOW)
    for size in range(source.stat().st_size):
        collector = EventFolder(target.parent, objective("accuracy"))
        grown(source, target, size)
        found = collector.read(NOW)
        grown(source, target, None)
        assert found + collector.read(NOW, final=True) == whole


def test_positions_do_not_depend_on_when_the_files_appear(tmp_path, write):
    write("b", "accuracy", 0.5)
    before = EventFolder(tmp_path, objective("accuracy")).read(NOW)
    write("a", "accuracy", 0.5, 1)
    after = EventFolder(tmp_path, objective("accuracy")).read(NOW)
    assert before[0] in after
    assert len({item.position for item in after}) == 2


def test_a_damaged_file_is_said_at_the_end_and_the_others_are_read(tmp_path, write):
    write("good", "accuracy", 0.5)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "events.out.tfevents.1").write_bytes(b"x" * 100)
    collector = EventFolder(tmp_path, objective("accuracy"))
    assert rows(collector) == [("accuracy", "0.5")]
    assert collector.notes() == []
    collector.read(NOW, final=True)
    assert collector.notes() == ["bad/events.out.tfevents.1 is damaged at byte 0; the rest of it is not read"]


def test_a_record_that_is_no_event_is_passed_over():
    assert list(scalars(b"\xff\xff\xff")) == []
    assert list(scalars(b"")) == []


def test_the_checksum_is_that_of_the_record_format(tmp_path, write):
    write("a", "accuracy", 0.5)
    (file,) = (tmp_path / "a").iterdir()
    length, check = struct.unpack("<QI", file.read_bytes()[:12])
    assert checksum(struct.pack("<Q", length)) == check


def test_reading_events_needs_neither_tensorboard_nor_tensorflow_nor_numpy():
    program = (
        "import sys, katib_py.collectors.tensorboard, katib_py.collectors.events as events\n"
        "list(events.scalars(b''))\n"
        "print([name for name in ('tensorboard', 'tensorflow', 'numpy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
