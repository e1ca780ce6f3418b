"""Where the db-manager is, as Katib's environment variables say."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from katib_py.core.names import ENV_DB_MANAGER_IP, ENV_DB_MANAGER_NAMESPACE, ENV_DB_MANAGER_PORT


def default_address(environment: Mapping[str, str]) -> str:
    """The db-manager's address as the environment names it; Katib's own where it names none."""
    host = environment.get(ENV_DB_MANAGER_IP, "katib-db-manager")
    port = environment.get(ENV_DB_MANAGER_PORT, "6789")
    namespace = environment.get(ENV_DB_MANAGER_NAMESPACE, "" if _is_ip(host) else "kubeflow")
    return f"{host}.{namespace}:{port}" if namespace else f"{host}:{port}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
