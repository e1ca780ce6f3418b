"""What a suggestion service is asked, one check after another."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import grpc

from katib_py.cli.conformance.played import Pairs, Player, pairs, renewed
from katib_py.cli.conformance.subject import Refused, Subject
from katib_py.core.errors import listed
from katib_py.wire import api, history

DELTA: Final = "delta-history"
NO_SUCH_NAME: Final = "conformance-unheard-of"
TRIAL_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
ROUNDS: Final = 6
TOGETHER: Final = 4
MANY_STATES: Final = (
    (api.TrialStatus.SUCCEEDED, "1.5"),
    (api.TrialStatus.FAILED, None),
    (api.TrialStatus.KILLED, None),
    (api.TrialStatus.EARLYSTOPPED, "2.5"),
    (api.TrialStatus.METRICSUNAVAILABLE, None),
    (api.TrialStatus.CREATED, None),
    (api.TrialStatus.UNKNOWN, None),
)
ODD_VALUES: Final = ("nan", "inf", "-inf", "unavailable", "", None)


class Broken(Exception):  # noqa: N818 - reads as what it says
    """The service does not keep what the check is about."""


class NotAsked(Exception):  # noqa: N818 - reads as what it says
    """The check does not apply."""


@dataclass(slots=True)
class Trying:
    """A service under trial: what it has announced, and the controller that asks it first and longest."""

    subject: Subject
    message: api.Experiment
    large: int
    features: frozenset[str] = frozenset()
    first: Player = field(init=False)

    def __post_init__(self) -> None:
        self.first = Player(self.subject, self.message)


@dataclass(frozen=True, slots=True)
class Check:
    """A name, what is done, and whether a service must pass: others are advice."""

    name: str
    run: Callable[[Trying], str]
    must: bool = True


def exactly(player: Player, count: int) -> list[Pairs]:
    """So many assignments, which all lie in the space; raises Broken, Refused."""
    found = player.ask(count)
    if len(found) != count:
        raise Broken(f"{count} asked for, {len(found)} came; Katib's controller takes none of them")
    for entry in found:
        for words in player.space.complaints(entry):
            raise Broken(words)
    return found


def _health(trying: Trying) -> str:
    try:
        if not trying.subject.healthy():
            raise Broken("does not say SERVING for manager.v1beta1.Suggestion, so Katib's probes restart it")
    except Refused as error:
        raise Broken(f"grpc.health.v1 answers {error}; Katib's probes ask for it and restart what lacks it") from error
    return "SERVING for manager.v1beta1.Suggestion"


def _unknown_setting(trying: Trying) -> str:
    message = renewed(trying.message)
    message.spec.algorithm.algorithm_settings.add(name=NO_SUCH_NAME, value="1")
    return _refusal(trying, message, "a setting that does not exist")


def _unknown_algorithm(trying: Trying) -> str:
    message = renewed(trying.message)
    message.spec.algorithm.algorithm_name = NO_SUCH_NAME
    return _refusal(trying, message, "an algorithm that does not exist")


def _refusal(trying: Trying, message: api.Experiment, what: str) -> str:
    try:
        trying.subject.validate(message)
    except Refused as error:
        if error.code is grpc.StatusCode.INVALID_ARGUMENT:
            return f"{what} is refused: {error.details}"
        raise Broken(f"{what} is answered with {error.code.name} instead of INVALID_ARGUMENT") from error
    raise Broken(f"{what} is taken; a slip of the pen would go unnoticed")


def _count(trying: Trying) -> str:
    for count in (1, 3, 8):
        exactly(trying.first, count)
        trying.first.finish()
    return "1, 3 and 8 asked for, as many came, all in the space"


def _rounds(trying: Trying) -> str:
    for _ in range(ROUNDS):
        exactly(trying.first, 3)
        trying.first.finish()
    return f"{ROUNDS} rounds of 3 with the results of those before"


def _running(trying: Trying) -> str:
    exactly(trying.first, 2)
    exactly(trying.first, 1)
    trying.first.finish()
    return "1 more while 2 run"


def _trial_names(trying: Trying) -> str:
    names = [name for name in trying.first.names if name]
    if not names:
        return "none given; the controller makes them"
    if wrong := [name for name in names if not TRIAL_NAME.fullmatch(name)]:
        raise Broken(f"cannot be names of Kubernetes objects: {listed(wrong, 3)}")
    if len(set(names)) != len(names):
        raise Broken(f"are not unique: {listed(sorted(name for name in names if names.count(name) > 1), 3)}")
    return f"{len(names)} names, all different"


def _nothing(trying: Trying) -> str:
    reply = trying.subject.suggest(trying.first.request(0))
    if reply.parameter_assignments:
        raise Broken(f"0 asked for, {len(reply.parameter_assignments)} came")
    return "0 asked for, none came"


def _repeated(trying: Trying) -> str:
    request = trying.first.request(2)
    answers = [[pairs(entry) for entry in trying.subject.suggest(request).parameter_assignments] for _ in range(2)]
    if [len(answer) for answer in answers] != [2, 2]:
        raise Broken(f"the same request for 2 gets {len(answers[0])} and then {len(answers[1])}")
    return "the same answer" if answers[0] == answers[1] else "as many, but other ones: it remembers calls"


def _states(trying: Trying) -> str:
    exactly(trying.first, len(MANY_STATES))
    running = [trial for trial in trying.first.trials if trial.status.condition == api.TrialStatus.RUNNING]
    for trial, (condition, value) in zip(running, MANY_STATES, strict=True):
        trying.first.conclude(trial, condition, value)
    exactly(trying.first, 1)
    return "failed, killed, early stopped, without metrics, not begun, unknown"


def _odd_values(trying: Trying) -> str:
    exactly(trying.first, len(ODD_VALUES))
    running = [trial for trial in trying.first.trials if trial.status.condition == api.TrialStatus.RUNNING]
    for trial, value in zip(running, ODD_VALUES, strict=False):
        trying.first.conclude(trial, api.TrialStatus.SUCCEEDED, value)
    exactly(trying.first, 1)
    return "NaN, infinities, text and no metric at all are taken"


def _restart(trying: Trying) -> str:
    player = Player(trying.subject, renewed(trying.message))
    player.invent(5)
    exactly(player, 2)
    return "trials that it has not proposed itself are taken, as after a restart"


def _two(trying: Trying) -> str:
    players = [Player(trying.subject, renewed(trying.message)) for _ in range(2)]
    for _ in range(3):
        for player in players:
            exactly(player, 1)
            player.finish()
    return "two experiments take turns"


def _together(trying: Trying) -> str:
    def search(_: int) -> None:
        player = Player(trying.subject, renewed(trying.message))
        for _ in range(3):
            exactly(player, 2)
            player.finish()

    with ThreadPoolExecutor(TOGETHER) as pool:
        list(pool.map(search, range(TOGETHER)))
    return f"{TOGETHER} experiments at the same time"


def _large(trying: Trying) -> str:
    player = Player(trying.subject, renewed(trying.message))
    size = player.space.size
    count = trying.large if size is None else min(trying.large, size // 2)
    player.invent(count)
    exactly(player, 2)
    return f"{count} trials: {trying.subject.latencies[-1]:.2f} s"


def _delta(trying: Trying) -> str:
    if DELTA not in trying.features:
        raise NotAsked("not announced")
    player = Player(trying.subject, renewed(trying.message))
    player.invent(6)
    whole, digest = _with_history(player, 0, b""), history.EMPTY
    for trial in player.trials[:4]:
        digest = history.extend(digest, trial)
    expected = trying.subject.suggest(whole)
    if trying.subject.suggest(_with_history(player, 4, digest)) != expected:
        raise Broken("the rest of a history that it has gets another answer than all of it")
    try:
        trying.subject.suggest(_with_history(player, 4, b"nobody's digest"))
    except Refused as error:
        if error.code is grpc.StatusCode.FAILED_PRECONDITION:
            return "the rest of a history is enough, and one that it lacks is FAILED_PRECONDITION"
        raise Broken(f"a history that it lacks is {error.code.name} instead of FAILED_PRECONDITION") from error
    raise Broken("a history that it lacks is taken all the same")


def _with_history(player: Player, known: int, digest: bytes) -> api.GetSuggestionsRequest:
    request = player.request(2)
    del request.trials[:known]
    request.history.count, request.history.digest = known, digest
    return request


def _duplicates(trying: Trying) -> str:
    entries, size = trying.first.entries, trying.first.space.size
    distinct = len(set(entries))
    repeats = len(entries) - distinct
    if repeats and distinct == size:
        return f"every one of the {size} points was proposed before any was repeated"
    if repeats:
        raise Broken(f"{repeats} of {len(entries)} assignments repeat an earlier one")
    return f"{len(entries)} assignments, all different"


def _latency(trying: Trying) -> str:
    times = sorted(trying.subject.latencies)
    middle, late = times[len(times) // 2], times[int(0.95 * (len(times) - 1))]
    words = (
        f"{len(times)} calls: median {1e3 * middle:.0f} ms, 95 % within {1e3 * late:.0f} ms, longest {times[-1]:.2f} s"
    )
    if times[-1] > trying.subject.deadline / 2:
        raise Broken(f"{words}; the caller gives up after {trying.subject.deadline:g} s")
    return words


CHECKS: Final = (
    Check("health service", _health, must=False),
    Check("unknown setting", _unknown_setting, must=False),
    Check("unknown algorithm", _unknown_algorithm, must=False),
    Check("count and values", _count),
    Check("results", _rounds),
    Check("running trials", _running),
    Check("request for none", _nothing, must=False),
    Check("repeated request", _repeated),
    Check("trials in every state", _states),
    Check("odd results", _odd_values, must=False),
    Check("trial names", _trial_names),
    Check("duplicates", _duplicates, must=False),
    Check("restart", _restart),
    Check("two experiments", _two, must=False),
    Check("calls at once", _together, must=False),
    Check("large history", _large),
    Check("history as a delta", _delta),
    Check("latency", _latency, must=False),
)
