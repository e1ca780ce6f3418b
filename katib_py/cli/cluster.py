"""The commands that need a cluster, and the packages of the extra `controlplane`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from katib_py.backends.k8s import controller
from katib_py.backends.k8s.configuration import Configuration
from katib_py.core.names import ENV_CORE_NAMESPACE, ENV_TOKEN_KEY


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `katib-py controller`."""

    kubeconfig: str | None
    namespace: str
    suggestion: str
    db_manager: str
    db: str | None
    config: str | None
    hand_back: bool = False


def control(asked: Asked) -> None:
    """Become the controller; raises InvalidInput for a katib-config that cannot be read."""
    configuration = Configuration.of_file(asked.config)
    core = os.environ.get(ENV_CORE_NAMESPACE, "kubeflow")
    set_up = configuration.current.init.controller
    controller.main(
        controller.Options(
            asked.kubeconfig,
            asked.namespace,
            asked.suggestion,
            asked.db_manager,
            asked.db,
            configuration,
            core,
            lease=(core, set_up.leader_election_id) if set_up.enable_leader_election else None,
            serves=asked.config is not None,
            token_key=os.environ.get(ENV_TOKEN_KEY, ""),
            hand_back=asked.hand_back,
        )
    )
