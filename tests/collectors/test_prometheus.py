from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.collectors.prometheus import PrometheusCollector, Target, parse_page
from katib_py.core.objective import ObjectiveSpec, ObjectiveType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOSS = ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name="loss")


def collector(objective=LOSS, port=1):
    return PrometheusCollector(Target("127.0.0.1", port, "/metrics"), objective)


def take(collector, page, seconds=0):
    collector.take(page, NOW + timedelta(seconds=seconds))
    return [(item.metric, item.value) for item in collector.read(NOW)]


@pytest.mark.parametrize(
    ("line", "samples"),
    [
        ("loss 0.5", [("loss", "", "0.5", None)]),
        ("  loss\t1e-3  1395066363000 ", [("loss", "", "1e-3", 1395066363000)]),
        ('loss{b="2",a="1",} NaN', [("loss", 'a="1",b="2"', "NaN", None)]),
        ('loss{a="x\\"}y"} +Inf -1', [("loss", 'a="x\\"}y"', "+Inf", -1)]),
        ("# TYPE loss gauge", []),
        ("loss", []),
        ("loss{ 1", []),
        ("", []),
    ],
)
def test_the_text_format_is_read(line, samples):
    assert list(parse_page(line)) == samples


def test_a_value_is_measured_when_it_changes():
    metrics = collector()
    assert take(metrics, "loss 0.5", 0) == [("loss", "0.5")]
    assert take(metrics, "loss 0.5", 1) == []
    assert take(metrics, "loss 0.25", 2) == [("loss", "0.25")]


def test_the_same_value_at_another_time_of_its_own_is_measured_again():
    metrics = collector()
    take(metrics, "loss 0.5 1000")
    metrics.take("loss 0.5 2000", NOW)
    (item,) = metrics.read(NOW)
    assert item.time == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)


def test_positions_grow_with_time():
    metrics = collector()
    metrics.take("loss 1", NOW)
    metrics.take("loss 2", NOW)
    metrics.take("loss 3", NOW + timedelta(seconds=1))
    positions = [item.position for item in metrics.read(NOW)]
    assert positions == sorted(set(positions))


def test_a_series_is_chosen_by_its_labels_in_any_order():
    objective = LOSS.model_copy(update={"additional_metric_names": ('loss{split="test",k="1"}',)})
    page = 'loss{k="1",split="test"} 2\nloss 1\n'
    assert take(collector(objective), page) == [("loss", "1"), ('loss{split="test",k="1"}', "2")]


def test_of_several_series_the_first_is_read_and_that_is_said():
    metrics = collector()
    assert take(metrics, 'loss{split="train"} 1\nloss{split="test"} 2\n') == [("loss", "1")]
    assert metrics.notes() == ['loss has several series; loss{split="train"} is read. Name one of them to choose']


@pytest.mark.parametrize(("shown", "value"), [("NaN", "NaN"), ("+Inf", "Inf"), ("-Inf", "-Inf"), ("abc", None)])
def test_prometheus_spellings_are_numbers(shown, value):
    assert take(collector(), f"loss {shown}") == ([("loss", value)] if value else [])


def test_the_series_are_known_while_the_objective_is_missing():
    metrics = collector()
    take(metrics, 'los 1\nup{job="x"} 1')
    assert set(metrics.seen) == {"los", 'up{job="x"}'}


async def serve(answers):
    """A server that gives one answer after the other, and its port."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


OK = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"


async def test_a_running_program_is_scraped_until_the_follower_is_cancelled():
    server, port = await serve([OK + b"loss %d\n" % number for number in range(3)] + [OK] * 1000)
    metrics = collector(port=port)
    async with server:
        follower = asyncio.create_task(metrics.follow(every=0.01))
        found = []
        while len(found) < 3:
            await asyncio.sleep(0.01)
            found += metrics.read(NOW)
        follower.cancel()
    assert [item.value for item in found] == ["0", "1", "2"]


@pytest.mark.parametrize("answer", [b"HTTP/1.0 404 Not Found\r\n\r\nloss 1\n", b"SSH-2.0\r\n\r\n", b""])
async def test_an_answer_that_is_no_page_is_no_measurement_and_said_in_the_end(answer):
    server, port = await serve([answer])
    metrics = collector(port=port)
    async with server:
        await metrics.scrape()
    assert metrics.read(NOW) == []
    assert metrics.notes() == []
    metrics.read(NOW, final=True)
    (note,) = metrics.notes()
    assert note.startswith(f"http://127.0.0.1:{port}/metrics gave no metrics: ")


async def test_a_program_that_does_not_listen_yet_is_asked_again():
    server, port = await serve([OK + b"loss 1\n"])
    server.close()
    await server.wait_closed()
    metrics = collector(port=port)
    await metrics.scrape()
    assert metrics.read(NOW) == []


@given(st.text(max_size=60))
def test_no_page_breaks_the_collector(text):
    take(collector(), f'loss{{a="{text}"}} 1\nloss {text}\n{text}')
