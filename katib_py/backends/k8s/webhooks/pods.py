"""Trials' pods: marked, and given their collector. Nobody's pod is ever refused."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, ApiError
from katib_py.backends.k8s.resources import TRIALS, Resource
from katib_py.backends.k8s.webhooks.reviews import ALLOWED, Answer, Question
from katib_py.core.injection import Setup, TrialFacts, inject
from katib_py.core.json_patch import difference
from katib_py.core.katib_config import KatibConfig
from katib_py.core.names import API_VERSION, ENV_TRIAL_NAME, ENV_TRIAL_NAMESPACE, ENV_TRIAL_UID, LABEL_TRIAL

SECONDS: Final = 2.0  # less than the API server waits
DEEPEST: Final = 6  # TrainJob, JobSet, Job, Pod are four

log = logging.getLogger(__name__)


def trial_env(trial: TrialFacts, db_manager: Mapping[str, str]) -> dict[str, str]:
    """The variables of a trial's containers; `db_manager` are those that lead there."""
    own = {ENV_TRIAL_NAME: trial.name, ENV_TRIAL_UID: trial.uid, ENV_TRIAL_NAMESPACE: trial.namespace}
    return {**own, **db_manager}


@dataclass(frozen=True, slots=True)
class PodWebhook:
    """Answers about pods.

    `config` is the configuration at the moment, `image` the one that has our collector, `env` gives the variables of a
    trial's containers, `resource` finds the resource of an apiVersion and kind.
    """

    api: Api
    config: Callable[[], KatibConfig]
    image: str
    env: Callable[[TrialFacts], Mapping[str, str]]
    resource: Callable[[Mapping[str, Any]], Awaitable[Resource]]

    async def mutate(self, question: Question) -> Answer:
        """Yes, always; with what the pod lacks, if it is a trial's."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._answer(question)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with us is no reason to refuse a pod
            log.warning("a pod of %s was left as it is: %r", question.namespace, error)
            return Answer((), (f"katib: the pod gets no metrics collector: {str(error) or type(error).__name__}",))

    async def _answer(self, question: Question) -> Answer:
        pod, namespace = question.new, question.namespace
        name = ((pod.get("metadata") or {}).get("labels") or {}).get(LABEL_TRIAL)
        if name is None:
            name = await self._owner(pod, namespace, 0)
        if name is None:
            return ALLOWED
        try:
            trial = TrialFacts.of(await self.api.get(TRIALS, namespace, name))
        except Absent:
            return Answer((), (f"katib: there is no Trial {name} in {namespace}; the pod is left as it is",))
        injected = inject(pod, trial, Setup(self.config(), self.image, self.env(trial)), time.time())
        return Answer(tuple(difference(pod, injected.pod)), tuple(f"katib: {note}" for note in injected.notes))

    async def _owner(self, document: Json, namespace: str, depth: int) -> str | None:
        """The name of the Trial that the object belongs to, through whatever lies between."""
        for owner in (document.get("metadata") or {}).get("ownerReferences") or ():
            if (owner["apiVersion"], owner["kind"]) == (API_VERSION, "Trial"):
                return str(owner["name"])
            if depth < DEEPEST and (found := await self._read(owner, namespace)) is not None:
                name = await self._owner(found, namespace, depth + 1)
                if name is not None:
                    return name
        return None

    async def _read(self, owner: Mapping[str, Any], namespace: str) -> Json | None:
        """The owner; None where it cannot be read. Most pods are nobody's trial, so nobody is warned."""
        try:
            return await self.api.get(await self.resource(owner), namespace, owner["name"])
        except ApiError as error:
            log.debug("%s %s/%s cannot be read: %s", owner["kind"], namespace, owner["name"], error)
            return None
