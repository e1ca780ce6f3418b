"""What plays a part of the cluster, beside a synchronous test: on a loop and a thread of its own."""

import asyncio
import threading
from contextlib import AsyncExitStack, contextmanager


@contextmanager
def beside(enter):
    """The asynchronous context that `enter(stack)` builds up is entered meanwhile; its problem is raised at the end."""
    thread = _Thread(enter)
    thread.start()
    try:
        yield thread.entered()
    finally:
        thread.leave()


class _Thread(threading.Thread):
    def __init__(self, enter):
        super().__init__()
        self._enter = enter
        self._ready = threading.Event()
        self._value, self._problem = None, None

    def run(self):
        try:
            asyncio.run(self._hold())
        except Exception as problem:  # noqa: BLE001 - raised in the test's thread
            self._problem = problem
        finally:
            self._ready.set()

    async def _hold(self):
        self._loop, self._left = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            self._value = await self._enter(stack)
            self._ready.set()
            await self._left.wait()

    def entered(self):
        self._ready.wait()
        if self._problem:
            raise self._problem
        return self._value

    def leave(self):
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._left.set)
        self.join()
        if self._problem:
            raise self._problem
