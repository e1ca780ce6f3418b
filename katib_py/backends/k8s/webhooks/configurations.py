"""The objects that tell the API server what to ask, and where."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from katib_py.backends.k8s.certificates import CONFIGURATION
from katib_py.core.names import LABEL_TRIAL

INJECTION_LABEL: Final = "katib.kubeflow.org/metrics-collector-injection"
MUTATE_EXPERIMENT: Final = "/mutate-experiment"
VALIDATE_EXPERIMENT: Final = "/validate-experiment"
MUTATE_POD: Final = "/mutate-pod"
EXPERIMENT_SECONDS: Final = 10
POD_SECONDS: Final = 3

Json = dict[str, Any]


class Service(NamedTuple):
    """The Service by which the API server reaches the webhooks."""

    namespace: str
    name: str = "katib-controller"
    port: int = 443


# A Service in the cluster; the beginning of a URL for a controller outside, such as https://127.0.0.1:8443.
Reference = Service | str


def webhook_configurations(reference: Reference, namespace: str = "", bundle: str = "") -> list[Json]:
    """The ValidatingWebhookConfiguration and the MutatingWebhookConfiguration.

    Of one namespace only where it is given. `bundle` is the caBundle, which the controller keeps up to date.
    """
    called = _Called(reference, namespace, bundle)
    experiments = [called.experiments("validator", VALIDATE_EXPERIMENT)]
    mutators = [called.experiments("defaulter", MUTATE_EXPERIMENT), *called.pods()]
    return [
        _configuration("ValidatingWebhookConfiguration", experiments),
        _configuration("MutatingWebhookConfiguration", mutators),
    ]


class _Called(NamedTuple):
    reference: Reference
    namespace: str
    bundle: str

    def experiments(self, role: str, path: str) -> Json:
        """Experiments, new or edited. While nobody answers, they are stored as they came: their definition's schema
        refuses what is grossly wrong, and the controller says the rest in a condition.
        """
        rule = {"apiGroups": ["kubeflow.org"], "apiVersions": ["v1beta1"], "resources": ["experiments"]}
        rule["operations"] = ["CREATE", "UPDATE"]
        return self._webhook(f"{role}.experiment.{CONFIGURATION}", path, rule, EXPERIMENT_SECONDS)

    def pods(self) -> list[Json]:
        """Trials' pods, known by their label; and pods that belong to kinds whose pods cannot be labelled beforehand,
        in the namespaces that Katib's label names. No pod ever waits longer than this, or is refused.
        """
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
        labelled = self._webhook(f"mutator.pod.{CONFIGURATION}", MUTATE_POD, rule, POD_SECONDS)
        labelled["objectSelector"] = {"matchExpressions": [{"key": LABEL_TRIAL, "operator": "Exists"}]}
        owned = self._webhook(f"owned.mutator.pod.{CONFIGURATION}", MUTATE_POD, rule, POD_SECONDS)
        owned["objectSelector"] = {"matchExpressions": [{"key": LABEL_TRIAL, "operator": "DoesNotExist"}]}
        owned["namespaceSelector"] = {"matchLabels": {**self._namespaces(), INJECTION_LABEL: "enabled"}}
        return [labelled, owned]

    def _namespaces(self) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace} if self.namespace else {}

    def _webhook(self, name: str, path: str, rule: Json, seconds: int) -> Json:
        webhook: Json = {
            "name": name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": self._client_config(path),
            "rules": [{**rule, "scope": "Namespaced"}],
            "sideEffects": "None",
            "failurePolicy": "Ignore",
            "timeoutSeconds": seconds,
        }
        if self.namespace:
            webhook["namespaceSelector"] = {"matchLabels": self._namespaces()}
        return webhook

    def _client_config(self, path: str) -> Json:
        where: Json
        if isinstance(self.reference, Service):
            where = {"service": {**self.reference._asdict(), "path": path}}
        else:
            where = {"url": f"{self.reference}{path}"}
        return {**where, "caBundle": self.bundle} if self.bundle else where


def _configuration(kind: str, webhooks: list[Json]) -> Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": CONFIGURATION},
        "webhooks": webhooks,
    }
