"""A resource as it is now, whatever happens to the watch of it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from katib_py.backends.k8s import api as apis
from katib_py.backends.k8s import informer as informers
from katib_py.backends.k8s.api import Api, Selection
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.resources import CONFIG_MAPS, CUSTOM_RESOURCES, Resource

SPACE = "informed"
PATH = CONFIG_MAPS.path(SPACE)
THINGS = Resource("example.org", "v1", "things", "Thing")


class Told(list):
    """What an informer has told: names, old and new forms."""

    def __call__(self, name, old, new):
        self.append((name.name, old, new))

    async def until(self, *expected):
        async with asyncio.timeout(60):
            while len(self) < len(expected):
                await asyncio.sleep(0.01)
        found, expected = [*self], [*expected]
        self.clear()
        assert sorted(found, key=str) == sorted(expected, key=str)


class Space:
    """Config maps of one namespace, each with one word in it."""

    def __init__(self, client):
        self.client = client
        client.delete(PATH)

    def add(self, name, word="1"):
        self.client.post(PATH, {"metadata": {"name": name}, "data": {"word": word}})

    def change(self, name, word):
        self.client.patch(f"{PATH}/{name}", {"data": {"word": word}})

    def remove(self, name):
        self.client.delete(f"{PATH}/{name}")


@asynccontextmanager
async def informed(kubeconfig, told, resource=CONFIG_MAPS, slim=lambda document: document["data"]["word"]):
    api = await Api.connect(str(kubeconfig))
    # Not the one that Kubernetes puts into every namespace.
    selection = Selection(SPACE, fields="metadata.name!=kube-root-ca.crt")
    try:
        yield Informer(api, resource, slim, told, selection)
    finally:
        await api.close()


@asynccontextmanager
async def running(informer):
    work = asyncio.ensure_future(informer.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def space(own_api_server):
    own_api_server.namespace(SPACE)
    return Space(own_api_server.client)


@pytest.fixture
async def informer(own_api_server, space, told):
    async with informed(own_api_server.kubeconfig, told) as made:
        yield made


async def trouble(informer):
    async with asyncio.timeout(60):
        while not informer.trouble:
            await asyncio.sleep(0.01)
    return informer.trouble


async def test_what_is_there_and_what_happens_is_told(space, told, informer):
    space.add("a")
    async with running(informer):
        await told.until(("a", None, "1"))
        space.change("a", "2")
        await told.until(("a", "1", "2"))
        assert [*informer.items()] == [(Name(SPACE, "a"), "2")]
        space.remove("a")
        await told.until(("a", "2", None))
        assert informer.get(Name(SPACE, "a")) is None


async def test_a_lost_connection_is_taken_up_where_it_was(own_api_server, space, told, informer):
    space.add("a")
    async with running(informer):
        await told.until(("a", None, "1"))
        own_api_server.kill()
        await trouble(informer)
        await asyncio.to_thread(own_api_server.start)
        space.change("a", "2")
        space.change("a", "3")
        await told.until(("a", "1", "2"), ("a", "2", "3"))
        assert informer.trouble == ""


async def test_after_a_gap_that_nobody_remembers_the_difference_is_told(own_api_server, space, told, informer):
    for name in ("same", "changed", "gone", "replaced"):
        space.add(name)
    async with running(informer):
        await told.until(*((name, None, "1") for name in ("same", "changed", "gone", "replaced")))
    space.change("changed", "2")
    space.remove("gone")
    space.remove("replaced")
    space.add("replaced")
    space.add("new")
    await asyncio.to_thread(own_api_server.expire_watches)
    async with running(informer):
        await told.until(
            ("same", "1", "1"),
            ("changed", "1", "2"),
            ("gone", "1", None),
            ("replaced", "1", None),
            ("replaced", None, "1"),
            ("new", None, "1"),
        )
        space.change("new", "2")
        await told.until(("new", "1", "2"))


async def test_more_than_a_page_is_listed_whole(space, told, informer, monkeypatch):
    monkeypatch.setattr(apis, "PAGE_SIZE", 3)
    for number in range(10):
        space.add(f"n{number}")
    async with running(informer):
        await informer.ready()
        assert len(informer) == 10


async def test_a_watch_in_which_nothing_happens_keeps_up(own_api_server, space, informer, monkeypatch):
    monkeypatch.setattr(apis, "WATCH_SECONDS", 5)
    async with running(informer):
        await informer.ready()
        metadata = {"metadata": {"name": "elsewhere"}}
        elsewhere = own_api_server.client.post(CONFIG_MAPS.path(own_api_server.namespace("elsewhere")), metadata)
        async with asyncio.timeout(60):
            while int(informer._version) < int(elsewhere["metadata"]["resourceVersion"]):
                await asyncio.sleep(0.1)


async def test_what_was_forbidden_is_read_once_it_is_granted(own_api_server, space, told, monkeypatch):
    monkeypatch.setattr(informers, "REFUSED_SECONDS", 0.2)
    space.add("a")
    async with informed(own_api_server.account(SPACE, "reader"), told) as informer, running(informer):
        assert "forbidden" in await trouble(informer)
        rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}
        own_api_server.grant(SPACE, "reader", rule)
        await told.until(("a", None, "1"))
        space.remove("a")
        await told.until(("a", "1", None))
        assert informer.trouble == ""


async def test_a_kind_is_found_when_it_comes(own_api_server, space, told, monkeypatch):
    monkeypatch.setattr(informers, "REFUSED_SECONDS", 0.2)
    made = informed(own_api_server.kubeconfig, told, THINGS, lambda thing: thing["kind"])
    async with made as informer, running(informer):
        assert "not found" in await trouble(informer)
        own_api_server.client.post(CUSTOM_RESOURCES.path(), definition(THINGS))
        await informer.ready()
        thing = {"apiVersion": THINGS.api_version, "kind": "Thing", "metadata": {"name": "one"}}
        own_api_server.client.post(THINGS.path(SPACE), thing)
        await told.until(("one", None, "Thing"))


def definition(resource):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()}
    version = {"name": resource.version, "served": True, "storage": True, "schema": schema}
    spec = {"group": resource.group, "names": names, "scope": "Namespaced", "versions": [version]}
    return {"metadata": {"name": f"{resource.plural}.{resource.group}"}, "spec": spec}
