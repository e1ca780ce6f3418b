"""Definitions of custom kinds on an API server."""

from support.cluster.access import create
from support.cluster.played_kinds import CRDS
from support.shell import wait_for


def define(client, *kinds):
    """The definitions of played kinds, ready for use."""
    names = []
    for kind in kinds:
        definition = kind.definition()
        create(client, CRDS, definition)
        names.append(definition["metadata"]["name"])
    for name in names:
        wait_for(lambda name=name: _established(client, name))


def undefine(client, kind):
    """Take a definition away, and all objects with it."""
    client.delete(f"{CRDS}/{kind.definition()['metadata']['name']}")


def _established(client, name):
    states = client.get(f"{CRDS}/{name}").get("status", {}).get("conditions") or ()
    return any(state["type"] == "Established" and state["status"] == "True" for state in states)
