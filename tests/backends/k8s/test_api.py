"""What an API server's answers mean: each status, a busy server, one that is away, one that is no API server."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from support.ports import free_port

from katib_py.backends.k8s import api as apis
from katib_py.backends.k8s import connection as connections
from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.connection import Connection
from katib_py.backends.k8s.errors import (
    Absent,
    AlreadyExists,
    Changed,
    Expired,
    Fenced,
    Refused,
    Unreachable,
    error_of,
)
from katib_py.backends.k8s.fence import Fence
from katib_py.backends.k8s.resources import JOBS
from katib_py.core.errors import Conflict, NotFound, StoreUnavailable


def status(code, reason="", message="", **details):
    document = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return web.json_response(document, status=code)


class Server:
    """Answers requests with what it was given, the last answer for ever; `asked` are the requests' methods."""

    def __init__(self, *answers):
        self.answers, self.asked, self.bodies = [*answers], [], []

    async def __call__(self, request):
        self.asked.append(request.method)
        self.bodies.append(await request.read())
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return await answer(request) if callable(answer) else answer


def replying(code=200, **headers):
    async def reply(_):
        return web.json_response(
            {"kind": "Job"}, status=code, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return reply


@asynccontextmanager
async def serving(*answers):
    server = Server(*answers)
    runner = web.ServerRunner(web.Server(server), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api = Api(Connection(Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")))
    try:
        yield server, api
    finally:
        await api.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("code", "reason", "kind", "base"),
    [
        (400, "BadRequest", Refused, Refused),
        (401, "Unauthorized", Unreachable, StoreUnavailable),
        (403, "Forbidden", Refused, Refused),
        (404, "NotFound", Absent, NotFound),
        (405, "MethodNotAllowed", Refused, Refused),
        (409, "AlreadyExists", AlreadyExists, Conflict),
        (409, "Conflict", Changed, Conflict),
        (410, "Expired", Expired, Expired),
        (410, "Gone", Expired, Expired),
        (413, "RequestEntityTooLarge", Refused, Refused),
        (415, "UnsupportedMediaType", Refused, Refused),
        (500, "InternalError", Unreachable, StoreUnavailable),
        (502, "", Unreachable, StoreUnavailable),
        (503, "ServiceUnavailable", Unreachable, StoreUnavailable),
        (504, "Timeout", Unreachable, StoreUnavailable),
    ],
)
async def test_each_status_is_an_error_of_its_kind(code, reason, kind, base):
    async with serving(status(code, reason, "these words")) as (_, api):
        with pytest.raises(base, match="these words") as raised:
            await api.get(JOBS, "default", "one")
    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.reason) == (code, reason)


def test_an_invalid_object_is_told_from_a_patch_whose_test_does_not_hold():
    invalid = status(422, "Invalid", "spec.x is invalid", causes=[{"field": "spec.x"}])
    failed = status(422, "Invalid", "the server rejected our request due to an error in our request")
    assert type(error_of(422, invalid.body)) is Refused
    assert type(error_of(422, failed.body)) is Changed


async def test_a_webhooks_refusal_is_said_in_its_own_words():
    words = 'admission webhook "validator.experiment.katib.kubeflow.org" denied the request: no such thing'
    async with serving(status(403, "", words)) as (_, api):
        with pytest.raises(Refused, match="no such thing"):
            await api.create(JOBS, "default", {})


async def test_a_proxys_page_is_shown_in_part():
    page = web.Response(text="<html>gateway</html>" * 100, status=502)
    async with serving(page) as (_, api):
        with pytest.raises(StoreUnavailable, match="gateway") as raised:
            await api.get(JOBS, "default", "one")
    assert len(str(raised.value)) <= 200


@pytest.mark.parametrize("body", ["no json", "[1]", '"text"'])
async def test_an_answer_that_is_no_object_is_no_api_servers(body):
    async with serving(web.Response(text=body)) as (_, api):
        with pytest.raises(StoreUnavailable):
            await api.get(JOBS, "default", "one")


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_server_is_asked_again_when_it_says(code):
    busy = replying(code, Retry_After="0")
    async with serving(busy, busy, replying()) as (server, api):
        assert await api.create(JOBS, "default", {"kind": "Job"}) == {"kind": "Job"}
    assert server.asked == ["POST"] * 3
    assert set(server.bodies) == {b'{"kind":"Job"}'}


async def test_a_server_that_stays_busy_is_unavailable_in_the_end(monkeypatch):
    monkeypatch.setattr(connections, "CALL_SECONDS", 0.2)
    async with serving(web.Response(status=429, headers={"Retry-After": "1"}, text="busy")) as (server, api):
        with pytest.raises(StoreUnavailable, match="busy"):
            await api.get(JOBS, "default", "one")
    assert server.asked == ["GET"]


async def test_a_write_that_a_server_may_have_done_is_not_sent_again():
    async with serving(status(500, "InternalError", "broken")) as (server, api):
        with pytest.raises(StoreUnavailable):
            await api.create(JOBS, "default", {})
    assert server.asked == ["POST"]


async def test_nobody_there_is_unavailable():
    api = Api(Connection(Configuration(host=f"http://127.0.0.1:{free_port()}")))
    try:
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await api.get(JOBS, "default", "one")
    finally:
        await api.close()


async def test_a_server_that_never_answers_is_unavailable_after_a_while(monkeypatch):
    monkeypatch.setattr(apis, "CALL_SECONDS", 0.2)

    async def silent(_):
        await asyncio.sleep(60)

    async with serving(silent) as (_, api):
        with pytest.raises(StoreUnavailable):
            await api.get(JOBS, "default", "one")


async def test_a_connection_that_breaks_in_the_middle_of_an_answer_is_unavailable():
    async def broken(request):
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b'{"kind":')
        request.transport.abort()
        return answer

    async with serving(broken) as (_, api):
        with pytest.raises(StoreUnavailable):
            await api.get(JOBS, "default", "one")


async def test_events_of_any_length_come_whole():
    long = "x" * (1 << 20)

    async def events(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        for line in (
            b'{"type": "ADDED", "object": {"a": "%s"}}\n' % long.encode(),
            b'{"type": "BOOK',
            b"MARK",
        ):
            await answer.write(line)
        await answer.write(b'", "object": {}}\n{"type": "ADDED", "object"')
        return answer

    async with serving(events) as (_, api), api.watch(JOBS, "1") as found:
        seen = [event async for event in found]
    assert [(event.type, len(str(event.object))) for event in seen] == [("ADDED", len(long) + 9), ("BOOKMARK", 2)]


@pytest.mark.parametrize(("code", "kind"), [(410, Expired), (500, Unreachable)])
async def test_an_error_within_a_watch_is_raised(code, kind):
    event = b'{"type": "ERROR", "object": {"code": %d, "message": "too old"}}\n' % code
    async with serving(web.Response(body=event)) as (_, api), api.watch(JOBS, "1") as found:
        with pytest.raises(kind, match="too old"):
            await anext(aiter(found))


async def test_a_shut_fence_stops_writes_only():
    fence = Fence()
    async with serving(replying()) as (server, api):
        fenced = api.fenced(fence)
        await fenced.create(JOBS, "default", {})
        fence.shut()
        for write in (
            fenced.create(JOBS, "default", {}),
            fenced.patch(JOBS, ("default", "one"), {}),
            fenced.replace(JOBS, "default", {"metadata": {"name": "one"}}),
            fenced.delete(JOBS, ("default", "one")),
        ):
            with pytest.raises(Fenced):
                await write
        await fenced.get(JOBS, "default", "one")
        await api.create(JOBS, "default", {})
    assert server.asked == ["POST", "GET", "POST"]


async def test_a_fence_that_shuts_while_a_connection_is_made_is_asked_again():
    fence = Fence()

    def slow(address):
        fence.shut()
        return socket.socket(*address[:3])

    async with serving(replying()) as (server, api):
        api._connection._session.connector._socket_factory = slow
        with pytest.raises(StoreUnavailable):
            await api.fenced(fence).create(JOBS, "default", {})
    assert server.asked == []
