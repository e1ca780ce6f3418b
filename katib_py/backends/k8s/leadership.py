"""Which of several controllers acts: the holder of a Lease.

The official client's election never gives a lease back, so that every rollout would stand still until it ran out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, ApiError
from katib_py.backends.k8s.resources import LEASES

LEASE_SECONDS: Final = 15  # a holder that has not renewed for this long is gone
RENEW_SECONDS: Final = 2.0
GIVE_UP_SECONDS: Final = 10.0  # a holder that could not renew for this long stops acting before others begin

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seen:
    """A state of the lease, and when on our own clock it was seen first: clocks of machines differ."""

    version: str = ""
    since: float = 0.0


class Leadership:
    """One candidate. `acquired` returns when it leads; `lost` when it does no more."""

    def __init__(self, api: Api, namespace: str, name: str, identity: str) -> None:
        self._api = api
        self._where = (namespace, name)
        self._identity = identity
        self._seen = Seen()
        self._held: Json | None = None
        self._renewed = 0.0

    async def acquired(self) -> None:
        """Return once the lease is ours."""
        while True:
            try:
                if await self._try():
                    log.info("%s leads", self._identity)
                    return
            except ApiError as error:
                log.info("the lease %s/%s cannot be had: %s", *self._where, error)
            await asyncio.sleep(RENEW_SECONDS)

    async def lost(self) -> None:
        """Renew the lease; return when that was not possible for too long, or somebody else has it."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with asyncio.timeout(GIVE_UP_SECONDS / 2):
                    if not await self._try():
                        break
            except (ApiError, TimeoutError) as error:
                if time.monotonic() - self._renewed > GIVE_UP_SECONDS - RENEW_SECONDS:
                    log.warning("the lease %s/%s could not be renewed: %s", *self._where, error)
                    break
        self._held = None

    async def release(self) -> None:
        """Give the lease back, so that another need not wait."""
        if self._held is not None:
            with suppress(ApiError):
                await self._write(self._held, holder="")
            self._held = None

    async def _try(self) -> bool:
        """Whether the lease is ours now."""
        began = time.monotonic()
        try:
            lease = await self._api.get(LEASES, *self._where)
        except Absent:
            lease = await self._create()
        spec = lease.get("spec") or {}
        if lease["metadata"]["resourceVersion"] != self._seen.version:
            self._seen = Seen(lease["metadata"]["resourceVersion"], time.monotonic())
        holder = spec.get("holderIdentity") or ""
        age = time.monotonic() - self._seen.since
        if holder not in {"", self._identity} and age < float(spec.get("leaseDurationSeconds") or LEASE_SECONDS):
            return False
        self._held = await self._write(lease, self._identity)
        self._renewed = began
        return True

    async def _create(self) -> Json:
        namespace, name = self._where
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        return await self._api.create(LEASES, namespace, {**body, "metadata": {"name": name, "namespace": namespace}})

    async def _write(self, lease: Json, holder: str) -> Json:
        """Write the lease if nobody was faster; raises Changed."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        old: dict[str, Any] = lease.get("spec") or {}
        spec = {**old, "holderIdentity": holder, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        if old.get("holderIdentity") != holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(old.get("leaseTransitions") or 0) + 1
        return await self._api.replace(LEASES, self._where[0], {**lease, "spec": spec})
