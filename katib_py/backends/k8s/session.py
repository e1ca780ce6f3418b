"""One experiment on Kubernetes: what its engine is given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.config_maps import read_config_map, template_source
from katib_py.backends.k8s.errors import Absent
from katib_py.backends.k8s.event_writer import EventWriter
from katib_py.backends.k8s.informer import Informer
from katib_py.backends.k8s.metrics import Metrics
from katib_py.backends.k8s.observations import RemoteLogs, RemoteObservations
from katib_py.backends.k8s.run_object import Announce
from katib_py.backends.k8s.runner import KubeRunner
from katib_py.backends.k8s.services import Services
from katib_py.backends.k8s.site import READ_HERE, REPORTED, Site
from katib_py.backends.k8s.store import KubeStore
from katib_py.backends.k8s.takeover import Takeover
from katib_py.backends.k8s.trial_writer import Manual
from katib_py.controller.board import Board
from katib_py.controller.engine import Engine
from katib_py.controller.platform import Platform, Render, WallClock
from katib_py.controller.ports import Key, RunOrder
from katib_py.core import names
from katib_py.core.addresses import default_address
from katib_py.core.checkpoints import Checkpoints, checkpoint_path, on_one_node
from katib_py.core.confirm import seed_env
from katib_py.core.disruption import forgiving
from katib_py.core.experiment import Experiment, ResumePolicy, TrialTemplate
from katib_py.core.katib_config import KatibConfig
from katib_py.core.load import load_experiment
from katib_py.core.own_service import service_name
from katib_py.core.pods import mark
from katib_py.core.repair import repaired
from katib_py.core.template import ConfigMaps, Template, compile_template
from katib_py.core.tokens import trial_token
from katib_py.core.trial import TrialRecord

COMPANY_SECONDS: Final = 0.005
# Then the runs are let go of, as their output would fill the memory, and looked for again.
PATIENCE_SECONDS: Final = 60.0
NEW_AT_ONCE: Final = 8  # trials that one experiment creates in a turn


@dataclass(frozen=True, slots=True)
class DbManagerAddress:
    """Where trials reach the db-manager, and its key, if they need tokens there."""

    host: str
    namespace: str
    port: str
    key: str = ""

    @property
    def text(self) -> str:
        """HOST:PORT, as others than trials are told."""
        return default_address(self.env())

    def env(self) -> dict[str, str]:
        """The variables that tell a trial so."""
        return {
            names.ENV_DB_MANAGER_IP: self.host,
            names.ENV_DB_MANAGER_NAMESPACE: self.namespace,
            names.ENV_DB_MANAGER_PORT: self.port,
        }

    def token(self, namespace: str, name: str, uid: str) -> dict[str, str]:
        """The variable that lets the trial with this uid report, and no other."""
        return {names.ENV_TRIAL_TOKEN: trial_token(self.key, namespace, name, uid)} if self.key else {}


@dataclass(frozen=True, slots=True)
class Plant:
    """What all experiments of a controller share."""

    api: Api
    cluster: Cluster
    seen: Informer[Json]
    events: EventWriter
    services: Services
    logs: RemoteLogs
    db_manager: DbManagerAddress
    metrics: Metrics
    takeover: Takeover
    closing: bool = False

    async def engine(self, document: Json, wake: asyncio.Event) -> Engine:
        """The engine of the experiment in this object; raises InvalidInput where it cannot be driven."""
        key = Key(document["metadata"]["namespace"], document["metadata"]["name"])
        config_maps = await self._config_maps(document)
        checks = self.services.checks(config_maps)
        experiment = load_experiment(repaired(document), checks).experiment
        template = compile_template(experiment, config_maps)
        metadata = document["metadata"]
        manual = Manual(metadata["uid"], metadata["generation"], checks, template, self.metrics)
        services, log = self.services.of(experiment), self.logs.of(key.namespace)
        await self.takeover.take(document, self.cluster.kinds)
        if not services.own:
            self.takeover.end_service(document, service_name(experiment))
        platform = Platform(
            KubeStore(self.api, self.seen, key, manual, self.events),
            KubeRunner(self.cluster, Site.of(experiment), _announcer(experiment, log), wake.set),
            services,
            log,
            WallClock(COMPANY_SECONDS, self.metrics.turns.observe),
            lambda board: self._render(board, template),
            REPORTED,
            True,
            NEW_AT_ONCE,
            PATIENCE_SECONDS,
            self.closing,
        )
        return Engine(platform, key, wake)

    async def finished(self, document: Json) -> None:
        """The experiment has ended: a service of its own goes, unless the experiment may go on with it."""
        experiment = Experiment.model_validate(repaired(document))
        if experiment.spec.algorithm is None:
            return
        services = self.services.of(experiment)
        if not services.own:
            self.takeover.end_service(document, service_name(experiment), finished=True)
        elif experiment.spec.resume_policy != ResumePolicy.LONG_RUNNING:
            await services.end()

    async def _config_maps(self, document: Json) -> ConfigMaps:
        """The ConfigMap that the template comes from; without it validation says what is missing."""
        where = template_source(document)
        if where is None:
            return {}
        try:
            return await read_config_map(self.api, where)
        except Absent:
            return {}

    def _render(self, board: Board, template: Template) -> Render:
        namespace = board.key.namespace
        labels = {**board.experiment.metadata.labels, names.LABEL_EXPERIMENT: board.key.name}
        env = {**self.db_manager.env(), names.ENV_TRIAL_NAMESPACE: namespace}
        checkpoints = _checkpoints(board.experiment, self.services.config())
        primary = board.experiment.spec.trial_template or TrialTemplate()

        def render(trial: TrialRecord) -> Mapping[str, Any]:
            run = template.render(trial.name, namespace, trial.assignment.parameters)
            own = {**labels, **dict(trial.assignment.labels), names.LABEL_TRIAL: trial.name}
            uid = board.trial_uid(trial)
            token = self.db_manager.token(namespace, trial.name, uid)
            told = {names.ENV_TRIAL_NAME: trial.name, names.ENV_TRIAL_UID: uid, **token, **env}
            told |= seed_env(trial.assignment)
            if checkpoints is not None:
                run = checkpoints.given_to(run, primary, trial.name, trial.assignment.parent)
            return forgiving(mark(run, own, told))

        return render


def _checkpoints(experiment: Experiment, config: KatibConfig) -> Checkpoints | None:
    path = checkpoint_path(experiment)
    if not path or experiment.spec.algorithm is None:
        return None
    together = on_one_node(config.claim(experiment.spec.algorithm.algorithm_name))
    return Checkpoints(experiment.name, service_name(experiment), path, together)


def _announcer(experiment: Experiment, log: RemoteObservations) -> Announce:
    """The log need not know of attempts whose output the controller reads itself."""
    collector = experiment.spec.metrics_collector_spec
    if collector is not None and collector.kind is READ_HERE:
        return _nothing
    return log.begin


async def _nothing(order: RunOrder) -> None:
    """Announce nothing."""
