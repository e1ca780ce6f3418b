"""The asynchronous twin of the small client, for what plays a part of the cluster beside a test.

It waits for a server that is away: tests kill it, and the parts that are played are not what they test.
"""

import asyncio
import json
import ssl

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from support.cluster.client import PATCHES, Refused

PAUSE = 0.1
AWAY = (aiohttp.ClientError, TimeoutError)


class AsyncClient:
    """Speaks to the server of a kubeconfig, over as many connections as are asked for at once."""

    def __init__(self, kubeconfig, connections=64):
        self._kubeconfig = str(kubeconfig)
        self._connections = connections
        self._session = None

    async def __aenter__(self):
        settings = Configuration()
        await config.load_kube_config(self._kubeconfig, client_configuration=settings)
        trust = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file:
            trust.load_cert_chain(settings.cert_file, settings.key_file)
        token = settings.api_key.get("BearerToken")
        self._session = aiohttp.ClientSession(
            settings.host,
            connector=aiohttp.TCPConnector(ssl=trust, limit=self._connections),
            headers={"Authorization": token} if token else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )
        return self

    async def __aexit__(self, *problem):
        await self._session.close()

    async def get(self, path, **query):
        return await self._send("GET", path, query)

    async def text(self, path, **query):
        """What is no JSON, such as a container's log."""
        async with self._session.get(path, params=query) as answer:
            if answer.status >= 400:
                _result(answer.status, await answer.read())
            return await answer.text()

    async def post(self, path, body, **query):
        return await self._send("POST", path, query, body)

    async def patch(self, path, body, kind="merge", **query):
        return await self._send("PATCH", path, query, body, PATCHES[kind])

    async def delete(self, path, **query):
        return await self._send("DELETE", path, query)

    async def follow(self, path, **query):
        """What is in a list, as ADDED, then what happens to it, for ever; after a gap the list comes again."""
        while True:
            listed = await self.get(path, **query)
            for item in listed["items"]:
                yield {"type": "ADDED", "object": item}
            version = listed["metadata"]["resourceVersion"]
            while version:
                async for event in self._watch(path, version, query):
                    version = event["object"]["metadata"].get("resourceVersion")
                    if event["type"] not in ("BOOKMARK", "ERROR"):
                        yield event

    async def _watch(self, path, version, query):
        query = {**query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        try:
            async with self._session.get(path, params=query) as answer:
                answer.raise_for_status()
                async for line in _lines(answer.content):
                    yield json.loads(line)
        except AWAY:
            await asyncio.sleep(PAUSE)
            yield {"type": "ERROR", "object": {"metadata": {}}}

    async def _send(self, method, path, query, body=None, content="application/json"):
        data = None if body is None else json.dumps(body).encode()
        given = {"params": query, "data": data, "headers": {"Content-Type": content} if data else {}}
        while True:
            try:
                async with self._session.request(method, path, **given) as answer:
                    code, document = answer.status, await answer.read()
            except AWAY:
                code = None
            if code is not None and code not in (429, 500, 503):  # what a server says that starts or is busy
                return _result(code, document)
            await asyncio.sleep(PAUSE)


def _result(code, data):
    document = json.loads(data) if data[:1] == b"{" else {"message": data.decode()}
    if code >= 400:
        raise Refused(code, document)
    return document


async def _lines(stream):
    """Lines of any length: aiohttp's own end at its buffer's."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
