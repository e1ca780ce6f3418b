"""Asking a suggestion service: delta history, short replies, retries, and what becomes of its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from katib_py.controller.foreign_stopping import ForeignStopping
from katib_py.controller.ports import Suggesters
from katib_py.core.errors import InvalidInput, Rejected, ServiceUnavailable, problems_told
from katib_py.core.experiment import Experiment
from katib_py.core.extensions import not_understood
from katib_py.core.stop_rules import check_rules
from katib_py.core.trial import Assignment, Rule, TrialRecord
from katib_py.wire import api, history, rpc
from katib_py.wire.convert import experiment_message
from katib_py.wire.trials import prior_message, trial_message, unused_message

CALL_SECONDS: Final = 60.0
# What a service may announce beyond Katib's protocol.
DELTA: Final = "delta-history"  # it keeps the history, and is sent what is new
ASK_AHEAD: Final = "ask-ahead"  # this experiment's assignments do not depend on results

# A service may be starting, restarting or moved; an experiment that it does not answer for this long has failed.
PATIENCE_SECONDS: Final = 600.0
BACKOFF: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one call asks for: `count` assignments after the `assigned` that are recorded.

    `finished` counts the trials that had finished by then, `aside` the assignments that the service did not make.
    """

    assigned: int
    count: int
    finished: int = 0
    active: tuple[api.Trial, ...] = ()
    aside: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """One assignment of a reply: the name is empty unless the service gave one."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service answered to `wanted`. `ended`: the search has nothing more to propose."""

    wanted: Wanted
    proposals: tuple[Proposal, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    ended: bool = False
    failed: str = ""


@dataclass(slots=True)
class History:
    """The finished trials that the service holds, and those that it has not seen yet."""

    count: int = 0
    digest: bytes = history.EMPTY
    fresh: list[api.Trial] = field(default_factory=list)

    def sent(self, trials: Sequence[api.Trial]) -> None:
        """The service took these, the oldest of the fresh ones."""
        for trial in trials:
            self.digest = history.extend(self.digest, trial)
        self.count += len(trials)
        del self.fresh[: len(trials)]


class Search:
    """The conversation with one experiment's suggestion service; at most one call at a time.

    `finished` reads every finished trial in order of finishing, for a service that has lost or never had them.
    `wake` is called when a reply is there. `held` counts the trials that finished before this object was made.
    """

    def __init__(
        self,
        suggesters: Suggesters,
        experiment: Experiment,
        finished: Callable[[], Awaitable[Iterable[TrialRecord]]],
        wake: Callable[[], None],
        held: int,
    ) -> None:
        self._suggesters = suggesters
        self._experiment = experiment
        self._finished = finished
        self._wake = wake
        self._message = experiment_message(experiment)
        self._features: frozenset[str] = frozenset()
        self._stopping = ForeignStopping(suggesters, self._persistently)
        self._task: asyncio.Task[Reply] | None = None
        # What finished before this controller came is the service's to know or to ask for (FAILED_PRECONDITION).
        self._history = History(held, b"unknown" if held else history.EMPTY)
        self._priors: tuple[api.Trial, ...] = ()
        self.trouble = ""

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self._task is not None and not self._task.done()

    @property
    def ask_ahead(self) -> bool:
        """Whether assignments lose nothing by being asked for before there is room for them."""
        return ASK_AHEAD in self._features

    def begin_from(self, trials: Iterable[TrialRecord]) -> None:
        """Have the service take trials of other experiments for observations; before anything is asked."""
        assert self._experiment.spec.objective is not None
        objective = self._experiment.spec.objective
        self._priors = tuple(prior_message(trial, objective) for trial in trials)
        if not self._history.count:
            self._history.fresh = [*self._priors, *self._history.fresh]

    def learn(self, trial: TrialRecord) -> None:
        """A trial has finished; told in order of finishing."""
        assert self._experiment.spec.objective is not None
        self._history.fresh.append(trial_message(trial, self._experiment.spec.objective))

    def describe(self, experiment: Experiment, settings: Iterable[tuple[str, str]]) -> None:
        """Speak of the experiment as it is now, the settings that the service returned over its own (api.md §12)."""
        self._experiment = experiment
        self._message = experiment_message(experiment, dict(settings))

    async def validate(self) -> None:
        """Have the service check the experiment; raises Rejected with its words, ServiceUnavailable."""
        request = api.ValidateAlgorithmSettingsRequest(experiment=experiment_message(self._experiment))
        try:
            reply = await self._persistently(lambda: self._call("ValidateAlgorithmSettings", request))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise Rejected(problems_told(str(error.details()), "spec.algorithm")) from error
            self._features = frozenset()
        else:
            self._features = frozenset(reply.features)
        if passed_over := list(not_understood(self._experiment.spec, self._features)):
            raise Rejected(passed_over)
        await self._stopping.validate(self._experiment)

    def ask(self, wanted: Wanted) -> None:
        """Start asking, unless a call is under way."""
        if self._task is None:
            self._task = asyncio.create_task(self._ask(wanted))
            self._task.add_done_callback(lambda _: self._wake())

    def reply(self) -> Reply | None:
        """The reply to the last `ask`, once; raises what went wrong beyond retrying."""
        if self._task is None or not self._task.done():
            return None
        task, self._task = self._task, None
        return task.result()

    async def close(self) -> None:
        """Give up a call under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _ask(self, wanted: Wanted) -> Reply:
        try:
            message = await self._persistently(lambda: self._suggest(wanted))
            rules = await self._rules(wanted) if message.parameter_assignments else ()
            check_rules(rules)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                return Reply(wanted, ended=True)
            return Reply(wanted, failed=str(error.details()))
        except (ServiceUnavailable, InvalidInput) as error:
            return Reply(wanted, failed=str(error))
        proposals = tuple(_proposal(item, rules) for item in message.parameter_assignments)
        settings = tuple((item.name, item.value) for item in message.algorithm.algorithm_settings)
        return Reply(wanted, proposals, settings, ended=not proposals and not wanted.active)

    async def _suggest(self, wanted: Wanted) -> api.GetSuggestionsReply:
        request = api.GetSuggestionsRequest(
            experiment=self._message,
            current_request_number=wanted.count,
            total_request_number=wanted.assigned - wanted.aside + wanted.count,
        )
        if DELTA not in self._features:
            _add(request, await self._whole_history(), wanted.active)
            return await self._get(request)
        fresh = list(self._history.fresh)
        request.history.count, request.history.digest = self._history.count, self._history.digest
        _add(request, fresh, wanted.active)
        try:
            reply = await self._get(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return await self._suggest_anew(request, wanted)
        self._history.sent(fresh)
        return reply

    async def _suggest_anew(self, request: api.GetSuggestionsRequest, wanted: Wanted) -> api.GetSuggestionsReply:
        """The service lacks the history: send all of it."""
        known = await self._whole_history()
        told = len(self._history.fresh)
        del request.trials[:]
        request.history.count, request.history.digest = 0, history.EMPTY
        _add(request, known, wanted.active)
        reply = await self._get(request)
        self._history = History(fresh=[*known, *self._history.fresh[told:]])
        self._history.sent(known)
        return reply

    async def _rules(self, wanted: Wanted) -> tuple[Rule, ...]:
        async def trials() -> list[api.Trial]:
            return [*await self._whole_history(), *wanted.active]

        return await self._stopping.rules(self._message, self._experiment, trials)

    async def _whole_history(self) -> list[api.Trial]:
        """Every finished trial: those that the store has, and those whose ends are only being written."""
        objective = self._experiment.spec.objective
        assert objective is not None
        stored = [*self._priors, *(trial_message(trial, objective) for trial in await self._finished())]
        names = {trial.name for trial in stored}
        unwritten = [trial for trial in self._history.fresh if trial.name not in names]
        if DELTA not in self._features:
            self._history.fresh = list(unwritten)
        return [*stored, *unwritten]

    async def _get(self, request: api.GetSuggestionsRequest) -> api.GetSuggestionsReply:
        reply: api.GetSuggestionsReply = await self._call("GetSuggestions", request)
        return reply

    async def _call(self, method: str, request: Any) -> Any:
        channel = await self._suggesters.channel(self._experiment)
        return await rpc.call(channel, "Suggestion", method)(request, timeout=CALL_SECONDS)

    async def _persistently(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        """Repeat while the service does not answer, saying so in `trouble`; raises ServiceUnavailable in the end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        failures = 0
        while True:
            try:
                result = await attempt()
            except (grpc.aio.AioRpcError, ServiceUnavailable) as error:
                if not _passing(error, failures):
                    raise
                self.trouble = _words(error)
                self._wake()
                if loop.time() > deadline:
                    raise ServiceUnavailable(f"no answer for {PATIENCE_SECONDS:.0f} s: {self.trouble}") from error
                await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
            else:
                self.trouble = ""
                return result


def _add(request: api.GetSuggestionsRequest, finished: Sequence[api.Trial], active: Iterable[api.Trial]) -> None:
    """A trial that has finished since the call was planned is finished, and pending no more."""
    names = {trial.name for trial in finished}
    request.trials.extend(finished)
    request.trials.extend(trial for trial in active if trial.name not in names)


def active_trials(
    live: Iterable[TrialRecord], unused: Iterable[Assignment], experiment: Experiment
) -> tuple[api.Trial, ...]:
    """What a service counts as pending: the live trials and the assignments that are no trial yet."""
    assert experiment.spec.objective is not None
    objective = experiment.spec.objective
    return (*(trial_message(trial, objective) for trial in live), *(unused_message(item) for item in unused))


# Not there, or not yet: worth waiting for.
ABSENT: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
    }
)
# An error inside the service: a passing one is gone after a few tries, any other comes again for ever.
BROKEN: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
BROKEN_TRIES: Final = 5


def _passing(error: Exception, failures: int) -> bool:
    if not isinstance(error, grpc.aio.AioRpcError):
        return True
    return error.code() in ABSENT or (error.code() in BROKEN and failures < BROKEN_TRIES)


def _words(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"the suggestion service answers {error.code().name}: {error.details()}"
    return str(error)


def _proposal(item: Any, rules: tuple[Rule, ...]) -> Proposal:
    parameters = tuple((entry.name, entry.value) for entry in item.assignments)
    return Proposal(item.trial_name, parameters, tuple(sorted(item.labels.items())), rules)
