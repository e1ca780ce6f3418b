"""What a kubelet would write into a Pod's status: each is a function of the Pod, or makes one."""

from datetime import UTC, datetime


def running(pod):
    """All its containers run and are ready."""
    return _status(pod, "Running", {"running": {"startedAt": _now()}}, ready="True")


def waiting(reason, message=""):
    """It is held up by something such as ImagePullBackOff."""
    return lambda pod: _status(pod, "Pending", {"waiting": {"reason": reason, "message": message}}, ready="False")


def unschedulable(message="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."):
    """No node takes it."""
    condition = _condition("PodScheduled", "False", "Unschedulable", message)
    return lambda pod: {"phase": "Pending", "conditions": [condition]}


def ended(exit_code=0, reason="", message=""):
    """All its containers ended with this code."""
    phase = "Failed" if exit_code else "Succeeded"
    reason = reason or ("Error" if exit_code else "Completed")

    def status(pod):
        end = {"exitCode": exit_code, "reason": reason, "message": message, "finishedAt": _now()}
        return _status(pod, phase, {"terminated": end}, ready="False")

    return status


def disrupted(reason="EvictionByEvictionAPI", message="Eviction API: evicting"):
    """It was taken away, as by a drained node; its containers got SIGTERM."""

    def status(pod):
        found = ended(143)(pod)
        return found | {"conditions": [*found["conditions"], _condition("DisruptionTarget", "True", reason, message)]}

    return status


def _status(pod, phase, state, ready):
    conditions = [_condition("PodScheduled", "True"), _condition("Initialized", "True")]
    conditions += [_condition(kind, ready) for kind in ("ContainersReady", "Ready")]
    sidecars = [one for one in pod["spec"].get("initContainers", []) if one.get("restartPolicy") == "Always"]
    return {
        "phase": phase,
        "startTime": pod.get("status", {}).get("startTime") or _now(),
        "conditions": conditions,
        "initContainerStatuses": [_container(one, state, ready) for one in sidecars],
        "containerStatuses": [_container(one, state, ready) for one in pod["spec"]["containers"]],
    }


def _container(container, state, ready):
    found = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
    return found | {"state": state, "ready": ready == "True", "started": "running" in state}


def _condition(kind, status, reason=None, message=None):
    found = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": _now()}
    return found | ({"reason": reason, "message": message} if reason else {})


def _now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
