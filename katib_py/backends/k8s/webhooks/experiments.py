"""Experiments: defaulted and repaired, and refused with every reason at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.config_maps import read_config_map, template_source
from katib_py.backends.k8s.errors import Absent, ApiError
from katib_py.backends.k8s.webhooks.reviews import Answer, Question
from katib_py.core.admission import Verdict, review
from katib_py.core.defaults import default
from katib_py.core.errors import Problem, show
from katib_py.core.experiment import Experiment
from katib_py.core.parse import parse_experiment
from katib_py.core.repair import repaired
from katib_py.core.validate import Checks

LATER: Final = "is not there; trials begin once it is"


@dataclass(frozen=True, slots=True)
class ExperimentWebhook:
    """Answers about Experiments.

    `checks` says what is known of the platform at the moment; `ask` has a new experiment's algorithm look at it.
    """

    api: Api
    checks: Callable[[], Checks]
    ask: Callable[[Experiment], Awaitable[list[Problem]]]

    async def mutate(self, question: Question) -> Answer:
        """The defaults as a patch. What cannot be stored is refused here already: before the API server compares the
        object with its definition's schema, which would hide the other problems.
        """
        verdict, _ = await self._review(question)
        return Answer(tuple(verdict.patch), (), verdict.message if verdict.errors else "")

    async def validate(self, question: Question) -> Answer:
        """Yes, or every problem; and what its author should know."""
        verdict, known = await self._review(question)
        if question.old is None and not verdict.errors and not question.subresource:
            verdict = replace(verdict, errors=tuple(await self.ask(default(_read(question.new)))))
        warnings = tuple(str(problem) for problem in (*verdict.warnings, *known))
        return Answer((), warnings, verdict.message if verdict.errors else "")

    async def _review(self, question: Question) -> tuple[Verdict, list[Problem]]:
        if question.subresource:
            return Verdict(), []
        checks, known = await self._with_config_map(question.new, self.checks())
        # A large document takes a while, and experiments are driven on this loop.
        return await asyncio.to_thread(review, question.new, question.old, checks), known

    async def _with_config_map(self, document: Any, checks: Checks) -> tuple[Checks, list[Problem]]:
        """The checks with the ConfigMap that the template comes from: one that is not there yet may come later."""
        where = template_source(document)
        if where is None:
            return checks, []
        try:
            return replace(checks, config_maps=await read_config_map(self.api, where)), []
        except Absent:
            namespace, name = where
            words = f"the ConfigMap {show(name)} of the namespace {show(namespace)} {LATER}"
            return checks, [Problem("spec.trialTemplate.configMap", words, "warning")]
        except ApiError:
            return checks, []  # the controller will say what keeps it from reading


def _read(document: Any) -> Experiment:
    return parse_experiment(repaired(document)).experiment
