"""The names of a cluster's Services, answered as CoreDNS would: python -m support.cluster.names KUBECONFIG ADDRESS."""

import asyncio
import struct
import sys
from collections import defaultdict
from ipaddress import ip_address

from support.cluster.async_client import AsyncClient

ZONE = "svc.cluster.local"
SECONDS = 1
A, AAAA = 1, 28
SUCCESS, NO_SUCH_NAME = 0, 3
PORT = 53


class Names:
    """What is known of Services and of who serves them."""

    def __init__(self):
        self.services = {}
        self.slices = defaultdict(dict)

    def service(self, event):
        found = event["object"]
        key = (found["metadata"]["name"], found["metadata"]["namespace"])
        if event["type"] == "DELETED":
            self.services.pop(key, None)
        else:
            self.services[key] = found["spec"]

    def slice(self, event):
        metadata = event["object"]["metadata"]
        key = (metadata["labels"].get("kubernetes.io/service-name"), metadata["namespace"])
        if event["type"] == "DELETED":
            self.slices[key].pop(metadata["name"], None)
        else:
            self.slices[key][metadata["name"]] = event["object"].get("endpoints") or []

    def addresses(self, name):
        """Those of a name, or None where there is no such name."""
        words = name.lower().removesuffix(f".{ZONE}").split(".")
        if not name.lower().endswith(f".{ZONE}") or len(words) not in (2, 3):
            return None
        *host, service, namespace = words
        spec = self.services.get((service, namespace))
        if spec is None:
            return None
        if not host and spec.get("clusterIP") != "None":
            return [spec["clusterIP"]]
        return self._served(spec, (service, namespace), host)

    def _served(self, spec, key, host):
        """The pods behind a headless service, or the one of this host name."""
        endpoints = [one for found in self.slices[key].values() for one in found]
        early = spec.get("publishNotReadyAddresses", False)
        wanted = [
            one
            for one in endpoints
            if (not host or one.get("hostname") == host[0]) and (early or one.get("conditions", {}).get("ready", True))
        ]
        return [address for one in wanted for address in one["addresses"]] or (None if host else [])


class Answers(asyncio.DatagramProtocol):
    """Answers questions for addresses over UDP."""

    def __init__(self, names):
        self.names = names
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(answer(data, self.names), address)


def answer(data, names):
    """The reply to a query with one question, in the wire's format (RFC 1035)."""
    (number,) = struct.unpack_from("!H", data)
    name, end = _question(data)
    (kind,) = struct.unpack_from("!H", data, end)
    found = names.addresses(name)
    records = [_record(one) for one in found or [] if kind == A]
    code = NO_SUCH_NAME if found is None else SUCCESS
    # A response, authoritative, with recursion said to be there, for resolvers that insist.
    flags = 0x8580 | code
    return struct.pack("!6H", number, flags, 1, len(records), 0, 0) + data[12 : end + 4] + b"".join(records)


def _question(data):
    place, labels = 12, []
    while length := data[place]:
        labels.append(data[place + 1 : place + 1 + length].decode("ascii", "replace"))
        place += 1 + length
    return ".".join(labels), place + 1


def _record(address):
    packed = ip_address(address).packed
    # 0xC00C points at the name in the question.
    return struct.pack("!3HIH", 0xC00C, A, 1, SECONDS, len(packed)) + packed


async def main(kubeconfig, address):
    names = Names()
    async with AsyncClient(kubeconfig) as client:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: Answers(names), local_addr=(address, PORT))
        await asyncio.gather(
            _follow(client, "/api/v1/services", names.service),
            _follow(client, "/apis/discovery.k8s.io/v1/endpointslices", names.slice),
        )


async def _follow(client, path, learn):
    async for event in client.follow(path):
        learn(event)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
