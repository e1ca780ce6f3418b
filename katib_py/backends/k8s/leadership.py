"""Which of several controllers acts: the holder of a Lease.

The official client's election never gives a lease back, so that every rollout would stand still until it ran out; and
its holder may wake from a sleep and go on writing.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, AlreadyExists, ApiError, Changed
from katib_py.backends.k8s.fence import LEASE_SECONDS, SURE_SECONDS, Fence, now
from katib_py.backends.k8s.resources import LEASES

RENEW_SECONDS: Final = 2.0
AGAIN_SECONDS: Final = 0.5
CALL_SECONDS: Final = 3.0  # a renewal that takes longer is tried anew

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seen:
    """A state of the lease, and when on our own clock it was seen first: clocks of machines differ."""

    version: str = ""
    since: float = 0.0


class Leadership:
    """One candidate. `acquired` returns when it leads; `lost` when it does no more.

    `fence` is open for as long as nobody else can have the lease; whoever acts for the leader writes through it.
    """

    def __init__(self, api: Api, namespace: str, name: str, identity: str) -> None:
        self.fence = Fence()
        self.fence.shut()
        self._api = api
        self._where = (namespace, name)
        self._identity = identity
        self._seen = Seen()
        self._held: Json | None = None
        self._trouble = ""

    async def acquired(self) -> None:
        """Return once the lease is ours."""
        standing_by = False
        while True:
            pause = RENEW_SECONDS
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    left = await self._take()
                if left is None:
                    log.info("%s leads", self._identity)
                    return
                pause = min(pause, left)
                if not standing_by:
                    standing_by = True
                    log.info("%s stands by", self._identity)
            except (ApiError, TimeoutError) as error:
                self._complain(error)
            await asyncio.sleep(pause)

    async def lost(self) -> None:
        """Renew the lease; return once somebody else has had it.

        While it cannot be renewed the fence is shut, and nobody need give up what he has in hand: the lease may prove
        to be ours still.
        """
        while self._held is not None:
            await asyncio.sleep(RENEW_SECONDS if not self._trouble else AGAIN_SECONDS)
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await self._renew()
            except (ApiError, TimeoutError) as error:
                self._complain(error)
        self.fence.shut()

    async def release(self) -> None:
        """Give the lease back, so that another need not wait; whoever acted has ended."""
        self.fence.shut()
        held, self._held = self._held, None
        if held is not None:
            with suppress(ApiError, TimeoutError):
                async with asyncio.timeout(CALL_SECONDS):
                    await self._write(held, "")

    async def _take(self) -> float | None:
        """Take the lease if it is free; else the seconds for which its holder is believed without another sign."""
        lease = await self._found() or await self._create()
        if (left := self._believed(lease)) > 0:
            return left
        await self._hold(lease)
        return None

    def _believed(self, lease: Json) -> float:
        """For how many seconds its holder is believed: those since the lease was last seen to change count."""
        spec, version = lease.get("spec") or {}, lease["metadata"]["resourceVersion"]
        if version != self._seen.version:
            self._seen = Seen(version, now())
        if spec.get("holderIdentity") in {None, "", self._identity}:
            return 0.0
        return float(spec.get("leaseDurationSeconds") or LEASE_SECONDS) - (now() - self._seen.since)

    async def _renew(self) -> None:
        """Write the lease again. One that was ours without a break may have been changed by who does not lead."""
        assert self._held is not None
        try:
            await self._hold(self._held)
        except (Absent, Changed):
            lease = await self._found()
            if lease is not None and _term(lease) == _term(self._held):
                await self._hold(lease)
                return
            log.warning("the lease %s/%s was %s", *self._where, "taken by somebody else" if lease else "deleted")
            self._held = None

    async def _found(self) -> Json | None:
        try:
            return await self._api.get(LEASES, *self._where)
        except Absent:
            return None

    async def _hold(self, lease: Json) -> None:
        # The fence counts from before the write: nobody can have seen it earlier.
        began = now()
        self._held = await self._write(lease, self._identity)
        self.fence.open(began + SURE_SECONDS)
        self._trouble = ""

    async def _create(self) -> Json:
        namespace, name = self._where
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        try:
            return await self._api.create(LEASES, namespace, {**body, "metadata": {"name": name}})
        except AlreadyExists:
            return await self._api.get(LEASES, namespace, name)

    async def _write(self, lease: Json, holder: str) -> Json:
        """Write the lease if nobody was faster; raises Changed."""
        moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        old: dict[str, Any] = lease.get("spec") or {}
        spec = {**old, "holderIdentity": holder, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": moment}
        if old.get("holderIdentity") != holder:
            spec["acquireTime"] = moment
            spec["leaseTransitions"] = int(old.get("leaseTransitions") or 0) + 1
        return await self._api.replace(LEASES, self._where[0], {**lease, "spec": spec})

    def _complain(self, error: Exception) -> None:
        words = str(error) or "the API server does not answer"
        if words != self._trouble:
            log.warning("the lease %s/%s cannot be had: %s", *self._where, words)
        self._trouble = words


def _term(lease: Json) -> tuple[str, int]:
    """Who holds the lease, and how often it had passed on by then."""
    spec = lease.get("spec") or {}
    return str(spec.get("holderIdentity") or ""), int(spec.get("leaseTransitions") or 0)
