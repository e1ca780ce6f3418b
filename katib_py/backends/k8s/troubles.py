"""What a run waits for, and when that is worth telling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.backends.k8s.errors import Absent, ApiError
from katib_py.backends.k8s.pods import Pod, Trouble
from katib_py.core.switches import is_held, queue_of

GRACE_SECONDS: Final = 3.0  # a trouble that is over by then is not worth telling
AGAIN_SECONDS: Final = 60.0  # how often other words about the same trouble are


@dataclass(slots=True)
class Troubles:
    """Tells of a trouble once it has lasted, of its end, and of nothing twice; times are of one monotonic clock."""

    tell: Callable[[Trouble | None], None]
    _now: Trouble | None = None
    _since: float = 0.0
    _told: Trouble | None = None
    _when: float = 0.0

    def note(self, trouble: Trouble | None, now: float) -> None:
        """This is what the run waits for now; None for nothing."""
        if _reason(trouble) != _reason(self._now):
            self._since = now
        self._now = trouble
        if trouble == self._told or now < self._due(trouble):
            return
        self._told, self._when = trouble, now
        self.tell(trouble)

    def was_told(self, trouble: Trouble | None) -> None:
        """This was told last, by whomever."""
        self._now = self._told = trouble

    @property
    def pending(self) -> bool:
        """Whether there is something to tell soon."""
        return _reason(self._now) != _reason(self._told)

    def _due(self, trouble: Trouble | None) -> float:
        if trouble is None:
            return 0.0
        same = _reason(trouble) == _reason(self._told)
        return self._when + AGAIN_SECONDS if same else self._since + GRACE_SECONDS


def of_refusal(error: ApiError) -> Trouble:
    """What keeps a run object from being created."""
    if isinstance(error, Absent):
        return Trouble(
            "NamespaceNotFound" if error.message.startswith("namespaces ") else "KindNotFound", error.message
        )
    if "exceeded quota" in error.message:
        return Trouble("QuotaExceeded", error.message)
    if by_admission(error):
        return Trouble("AdmissionDenied", error.message)
    if "failed calling webhook" in error.message:
        return Trouble("WebhookUnavailable", error.message)
    return Trouble(error.reason or "ApiServerUnreachable", error.message)


def by_admission(error: ApiError) -> bool:
    """Whether somebody's webhook or policy says no, who may say yes tomorrow."""
    return "admission webhook" in error.message or "ValidatingAdmissionPolicy" in error.message


def of_object(document: Mapping[str, Any]) -> Trouble | None:
    """What the run object itself waits for."""
    if not is_held(document):
        return None
    queue = queue_of(document)
    where = f"in Kueue's queue {queue}" if queue else "until somebody lets it go on"
    return Trouble("Suspended", f"{document['kind']} {document['metadata']['name']} is held back {where}")


def of_pods(pods: Iterable[Pod]) -> Trouble | None:
    """What the first pod waits for that waits."""
    return next((pod.trouble for pod in pods if pod.trouble is not None), None)


def _reason(trouble: Trouble | None) -> str:
    return trouble.reason if trouble is not None else ""
