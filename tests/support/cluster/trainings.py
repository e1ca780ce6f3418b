"""Experiments of small shell programs for a real node, which find their trial's number in the grid as $X."""

import base64
import json
import tempfile
from pathlib import Path

from support.cluster import images
from support.cluster.experiments import experiment
from support.cluster.installation import IMAGE
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from katib_py.core.kinds import KINDS

SAYS = "echo acc=0.$X"
NEVER_ENDS = "sleep 1000"
# An algorithm of katib-py's, by an image that katib-config names.
THEIRS = "sobol"
GATES = "/gates"


def training(name, program=SAYS, collector="StdOut", run=None, **spec):
    """An Experiment whose trials run a shell program, two of them side by side."""
    template = {"trialParameters": [{"name": "x", "reference": "x"}], **spec.pop("trialTemplate", {})}
    points = {"min": "1", "max": str(max(2, spec.get("maxTrialCount", 2)))}
    given = {
        "maxTrialCount": 2,
        "algorithm": {"algorithmName": "grid"},
        "parameters": [{"name": "x", "parameterType": "int", "feasibleSpace": points}],
        **spec,
    }
    given["parallelTrialCount"] = min(given.get("parallelTrialCount", 2), given["maxTrialCount"])
    return experiment(name, collector, run or job(program), trialTemplate=template, **given)


def job(program, image=images.BASE, backoff=0, **pod):
    """A Job of one container that runs a shell program; `pod` are fields of its pod's spec."""
    container = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", program],
        "env": [{"name": "X", "value": "${trialParameters.x}"}],
        **pod.pop("container", {}),
    }
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"backoffLimit": backoff, "template": {"spec": spec}},
    }


def at_gate(gate, program, folder):
    """A Job whose program runs once there is a file of this name in the folder."""
    wait = f"until [ -e {GATES}/{gate} ]; do sleep 0.2; done; {program}"
    mounts = [{"name": "gates", "mountPath": GATES}]
    volumes = [{"name": "gates", "hostPath": {"path": str(folder)}}]
    return {"program": wait, "container": {"volumeMounts": mounts}, "volumes": volumes}


# Collectors

SERVES = """
import http.server

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"acc 0.5\\n")

server = http.server.HTTPServer(("", 8080), Page)
server.handle_request()
server.handle_request()
"""
REPORTS = "from katib_py import report_metrics; report_metrics({'acc': %s})"
PUSHES = f'python -c "{REPORTS % 0.5}"'
COLLECTS = 'until [ -s /results/acc ]; do sleep 0.2; done; python -c "' + REPORTS % "open('/results/acc').read()" + '"'
FILE = {"fileSystemPath": {"path": "/logs/metrics.txt", "kind": "File"}}


def collecting():
    """An experiment for each kind of collector, named by it; every one measures 0.5."""
    folder = {"fileSystemPath": {"path": "/events", "kind": "Directory"}}
    results = {"fileSystemPath": {"path": "/results/acc", "kind": "File"}}
    events = f"echo {base64.b64encode(_events()).decode()} | base64 -d > /events/events.out.tfevents.1.training"
    container = {"name": "collects", "image": IMAGE, "command": ["sh", "-c", COLLECTS]}
    return [
        training("stdout", "echo acc=0.5"),
        _collected("File", FILE, job("echo acc=0.5 > /logs/metrics.txt")),
        _collected("TensorFlowEvent", folder, job(events)),
        _collected("PrometheusMetric", None, job(f"python3 -c '{SERVES}'")),
        _collected("Push", None, job(PUSHES, IMAGE)),
        _collected("Custom", results, job("echo 0.5 > /results/acc"), customCollector=container),
    ]


def _collected(kind, source, run, **collector):
    spec = {"collector": {"kind": kind, **collector}, **({"source": source} if source else {})}
    return training(kind.lower(), run=run, metricsCollectorSpec=spec)


def _events():
    """An event file as TensorBoard writes it."""
    with tempfile.TemporaryDirectory() as folder:
        writer = EventFileWriter(folder)
        writer.add_event(Event(wall_time=1e9, summary=Summary(value=[Summary.Value(tag="acc", simple_value=0.5)])))
        writer.close()
        (file,) = Path(folder).iterdir()
        return file.read_bytes()


# What becomes of trials

HOPELESS = """
if [ $X = 1 ]; then while true; do echo acc=0.1; sleep 0.5; done; fi
for step in $(seq 500); do echo acc=0.9; done
"""


def stopping_early():
    """Of three trials one is hopeless, and would never end; read here, and by a collector in the pod."""
    settings = [{"name": "min_trials_required", "value": "2"}, {"name": "start_step", "value": "2"}]
    stopping = {"algorithmName": "medianstop", "algorithmSettings": settings}
    given = {"maxTrialCount": 3, "parallelTrialCount": 3, "earlyStopping": stopping}
    written = f"( {HOPELESS} ) > {FILE['fileSystemPath']['path']}"
    file = {"collector": {"kind": "File"}, "source": FILE}
    return [
        training("stops-printing", HOPELESS, **given),
        training("stops-writing", written, metricsCollectorSpec=file, **given),
    ]


def failing():
    """Of three trials one fails, which is allowed; and one experiment whose every trial does."""
    program = f"if [ $X = 2 ]; then exit 3; fi; {SAYS}"
    return [
        training("one-fails", program, maxTrialCount=3, maxFailedTrialCount=2),
        training("all-fail", "exit 3", maxTrialCount=3, maxFailedTrialCount=1, parallelTrialCount=1),
    ]


def reaching_its_goal():
    """Of three trials one reaches the goal; the others would never end."""
    program = f"if [ $X = 1 ]; then echo acc=0.95; else {NEVER_ENDS}; fi"
    objective = {"type": "maximize", "objectiveMetricName": "acc", "goal": 0.9}
    return training("goal", program, maxTrialCount=3, parallelTrialCount=3, objective=objective)


def from_config_map(namespace):
    """An experiment whose template is in a ConfigMap."""
    place = {"configMapName": "templates", "configMapNamespace": namespace, "templatePath": "says.json"}
    conditions = {"successCondition": KINDS["Job"].success, "failureCondition": KINDS["Job"].failure}
    return training("config-map", trialTemplate={"configMap": place, "trialSpec": None, **conditions})


def templates(namespace):
    """The ConfigMap."""
    data = {"says.json": json.dumps(job(SAYS))}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "templates", "namespace": namespace},
        "data": data,
    }


def retained():
    return training("retained", trialTemplate={"retain": True})


def suspended(folder):
    """An experiment whose trials wait at the gate `suspended`."""
    return training("suspended", run=job(**at_gate("suspended", SAYS, folder)))


def rolled_out(folder):
    """An experiment whose trials push their metrics after they waited at the gate `rolled-out`."""
    run = job(**at_gate("rolled-out", PUSHES, folder), image=IMAGE)
    return training("rolled-out", run=run, collector="Push")


def evicted(name, folder, backoff):
    """An experiment of one trial that waits at the gate `evicted`."""
    return training(name, run=job(**at_gate(name, SAYS, folder), backoff=backoff), maxTrialCount=1)


def without_image(name):
    """An experiment whose trials have an image that nobody has."""
    return training("without-image", run=job(SAYS, name))


def endless():
    return training("endless", NEVER_ENDS)


def restricted():
    """An experiment whose pods pass the restricted level, the collector's too."""
    pod = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    program = "echo '{\"acc\": 0.'$X'}' > /logs/metrics.json"
    path = {"path": "/logs/metrics.json", "kind": "File", "format": "JSON"}
    spec = {"collector": {"kind": "File"}, "source": {"fileSystemPath": path}}
    return training("restricted", run=job(program, securityContext=pod, container=container), metricsCollectorSpec=spec)


# Services of their own


def resuming(policy):
    """An experiment of one trial, whose algorithm has a service of its own."""
    algorithm = {"algorithmName": THEIRS}
    return training(policy.lower(), maxTrialCount=1, algorithm=algorithm, resumePolicy=policy)


def their_service(folder):
    """The `runtime` of a katib-config in which an image of somebody's serves their algorithm."""
    entry = {
        "algorithmName": THEIRS,
        "image": IMAGE,
        "command": ["katib-py", "suggestion", "--listen=0.0.0.0:6789", f"--algorithms={THEIRS}"],
        "resources": {"requests": {"memory": "128Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}},
        "volumeMountPath": "/kept",
        "persistentVolumeSpec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": str(folder)},
        },
    }
    return {"suggestions": [entry]}
