"""The commands that need a cluster, and the packages of the extra `controlplane`."""

from __future__ import annotations

from katib_py.backends.k8s import controller


def control(kubeconfig: str | None, namespace: str, suggestion: str, db_manager: str, db: str | None) -> None:
    """Become the controller."""
    controller.main(controller.Options(kubeconfig, namespace, suggestion, db_manager, db))
