"""The Suggestion service: Katib's full requests and our deltas, answered by the same function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from katib_py.core.errors import InvalidInput, Problem
from katib_py.core.extensions import CONDITIONS, CONSTRAINTS, INITIAL, OBJECTIVES, OUTCOMES
from katib_py.wire import api
from suggestion_services.cache import Cache
from suggestion_services.contract import Algorithm, Bookkeeping, Proposal, Request, SearchEnded, understood
from suggestion_services.distinct import Distinct, draws
from suggestion_services.edge import answers
from suggestion_services.history import DeltaView, FullView
from suggestion_services.penalty import Penalised
from suggestion_services.registry import Served
from suggestion_services.search import Search, check, search_of
from suggestion_services.split import parse_trials, split

FEATURES: Final = ("delta-history", "short-replies", CONDITIONS, CONSTRAINTS, INITIAL)
JUDGED: Final = (OBJECTIVES, OUTCOMES)
MOST_AT_ONCE: Final = 10_000
# Experiments whose parsed form is kept; one is a few kilobytes.
PARSED: Final = 256


class SuggestionService:
    """Every algorithm of `served` for any number of experiments at once."""

    def __init__(self, served: Served, cache: Cache | None = None) -> None:
        self._cache = cache or Cache()
        self._served = served
        self._parsed = lru_cache(PARSED)(lambda raw: search_of(api.Experiment.FromString(raw), served))

    @answers
    def GetSuggestions(self, raw: bytes) -> api.GetSuggestionsReply:  # noqa: N802 - the rpc's name
        """New assignments; see the proto for the two forms of the request."""
        message, trials = split(raw)
        count = message.current_request_number
        if not 0 <= count <= MOST_AT_ONCE:
            complaint = f"is {count}; must be between 0 and {MOST_AT_ONCE}"
            raise InvalidInput([Problem("current_request_number", complaint)])
        search = self._parsed(message.experiment.SerializeToString(deterministic=True))
        memory = self._cache.of(search)
        with memory.lock:
            if message.HasField("history"):
                delta = memory.delta.accept(search, message.history, parse_trials(trials))
                request = _request(search, message, delta)
                return _reply(search, _suggest(search, request), _written(search, request))
            request = _request(search, message, memory.full.accept(search, trials))
            return _reply(search, _suggest_exactly(search, request), _written(search, request))

    @answers
    def ValidateAlgorithmSettings(  # noqa: N802 - the rpc's name
        self, message: api.ValidateAlgorithmSettingsRequest
    ) -> api.ValidateAlgorithmSettingsReply:
        """Whether the algorithm knows its settings and suits the space; what it understands beyond Katib's protocol."""
        search = check(message.experiment, self._served)
        return api.ValidateAlgorithmSettingsReply(features=[*FEATURES, *_own_features(search.algorithm)])


def _own_features(algorithm: Algorithm) -> Iterable[str]:
    """What depends on the algorithm: one that does not learn need not know how trials are judged.

    Outcome constraints are known to all, if by losses alone.
    """
    if not algorithm.learns:
        return (*JUDGED, "ask-ahead")
    return sorted({OUTCOMES, *understood(algorithm)})


def _request(search: Search, message: api.GetSuggestionsRequest, view: DeltaView | FullView) -> Request:
    current, total = message.current_request_number, message.total_request_number
    asked = max(0, total - current) if total else view.count
    knows = not search.constraints or OUTCOMES in understood(search.algorithm)
    history = view if knows else Penalised(view)
    initial = search.initial_points
    return Request(search.space, search.seed, asked, current, history, view.active, search.max_trials, initial)


def _suggest(search: Search, request: Request) -> list[Proposal]:
    """A short or empty list is an answer."""
    if not request.count:
        return []
    try:
        return _honoured(request, search.algorithm.suggest(request))
    except SearchEnded:
        return []


def _suggest_exactly(search: Search, request: Request) -> list[Proposal]:
    """As many as asked for, which Katib's controller insists on; raises SearchEnded."""
    if not request.count:
        return []
    proposals = _honoured(request, search.algorithm.suggest(request))
    return [*proposals, *_padding(request, proposals)]


def _honoured(request: Request, proposals: list[Proposal]) -> list[Proposal]:
    """The proposals, in place of those that break conditions or constraints ones near them that do not."""
    space = request.space
    if space.plain or not proposals:
        return proposals
    points = space.coordinates([space.read(dict(item.parameters)) for item in proposals])
    active, feasible, distinct = space.active(points), space.feasible(points), Distinct(request)
    found = []
    for index, proposal in enumerate(proposals):
        values = dict(proposal.parameters)
        if feasible[index]:
            names = [name for name, takes_part in zip(space.names, active[index], strict=True) if takes_part]
            parameters = tuple((name, values[name]) for name in names)
        else:
            point = distinct.first_new((points[index],), request.generator(request.asked + index))
            parameters = space.texts(point)
        found.append(replace(proposal, parameters=parameters))
    return found


def _padding(request: Request, proposals: Sequence[Proposal]) -> Iterable[Proposal]:
    """New configurations in place of those that the algorithm holds back."""
    if len(proposals) == request.count:
        return
    distinct = Distinct(request)
    for point in request.space.coordinates([request.space.read(dict(item.parameters)) for item in proposals]):
        distinct.take(point)
    for index in range(request.asked + len(proposals), request.asked + request.count):
        generator = request.generator(index)
        yield Proposal(request.space.texts(distinct.first_new(draws(request.space, generator), generator)))


def _written(search: Search, request: Request) -> Iterable[tuple[str, str]]:
    """What the algorithm tells the readers of the Suggestion."""
    return search.algorithm.bookkeeping(request) if isinstance(search.algorithm, Bookkeeping) else ()


def _reply(
    search: Search, proposals: Iterable[Proposal], written: Iterable[tuple[str, str]]
) -> api.GetSuggestionsReply:
    reply = api.GetSuggestionsReply()
    for proposal in proposals:
        entry = reply.parameter_assignments.add(trial_name=proposal.trial_name)
        # What the user wants tried is tried as it was written, so that it is recognised when its trial comes back.
        for name, value in search.initial.get(proposal.parameters, proposal.parameters):
            entry.assignments.add(name=name, value=value)
        entry.labels.update(proposal.labels)
    for name, value in written:
        reply.algorithm.algorithm_settings.add(name=name, value=value)
    return reply
