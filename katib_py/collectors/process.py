"""From the flags of a collector to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import grpc

from katib_py.collectors.kinds import collector_for
from katib_py.collectors.options import Options, parse_options
from katib_py.collectors.reporter import Reporter
from katib_py.collectors.sidecar import NOWHERE, Sidecar, leave
from katib_py.core.errors import InvalidInput
from katib_py.core.summary import write_summary
from katib_py.wire import rpc

READING: Final = "reading"


def run(arguments: Sequence[str], told: Sequence[int]) -> int:
    """Collect until SIGTERM or SIGINT; `told` holds one that came before. The exit status is 0 unless nothing could be
    collected at all: who ran beside the training never makes it fail.
    """
    options = parse_options(arguments, os.environ)
    try:
        return asyncio.run(_collect(options, told))
    except InvalidInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


async def _collect(options: Options, told: Sequence[int]) -> int:
    attach = collector_for(options.spec, options.objective)
    assert attach is not None
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    if told:
        ended.set()
    leave(options.message, READING)
    async with grpc.aio.insecure_channel(options.address, options=rpc.REPORT_OPTIONS) as channel:
        reporter = Reporter(channel, options.trial, options.born, os.environ)
        summary = await Sidecar(attach(NOWHERE), options.objective, reporter).run(ended, options.grace)
    leave(options.message, write_summary(summary))
    if not summary.reported:
        print(f"not everything was reported: {summary.reason}", file=sys.stderr)
    return 0
