"""Labels, annotations, environment variables and generated names: each written once."""

from __future__ import annotations

import re
from typing import Final

from katib_py.core.permutation import permuted

GROUP: Final = "kubeflow.org"
API_VERSION: Final = "kubeflow.org/v1beta1"

LABEL_EXPERIMENT: Final = "katib.kubeflow.org/experiment"
LABEL_TRIAL: Final = "katib.kubeflow.org/trial"
LABEL_SUGGESTION: Final = "katib.kubeflow.org/suggestion"
# What an algorithm notes on its trials: `pbt.suggestion.katib.kubeflow.org/generation` is Katib's.
LABELS_OF_ALGORITHMS: Final = "suggestion.katib.kubeflow.org"
LABEL_DEPLOYMENT: Final = "katib.kubeflow.org/deployment"
LABEL_CONFIRMS: Final = "katib.kubeflow.org/confirms"  # on a trial that repeats another: its name
LABEL_SEED: Final = "katib.kubeflow.org/seed"  # and which of its repeats it is
ANNOTATION_INDEX: Final = "katib.kubeflow.org/index"  # a trial's number among its experiment's assignments, from 0
ANNOTATION_ATTEMPT: Final = "katib.kubeflow.org/attempt"  # on a run object: the first attempt that it is of, if not 1
ANNOTATION_SUSPENDED: Final = "katib.kubeflow.org/suspended"  # on a run object that we hold back ourselves

ENV_TRIAL_NAME: Final = "KATIB_TRIAL_NAME"
ENV_TRIAL_UID: Final = "KATIB_TRIAL_UID"
ENV_TRIAL_ATTEMPT: Final = "KATIB_TRIAL_ATTEMPT"
ENV_TRIAL_NAMESPACE: Final = "KATIB_TRIAL_NAMESPACE"
SETTING_CHECKPOINT_PATH: Final = "suggestion_trial_dir"  # Katib's setting of pbt, read whatever the algorithm is
ENV_CHECKPOINT_DIR: Final = "KATIB_CHECKPOINT_DIR"
ENV_PARENT_CHECKPOINT_DIR: Final = "KATIB_PARENT_CHECKPOINT_DIR"
ENV_SEED: Final = "KATIB_SEED"  # of a repeat: what the program should take its randomness from
ENV_METRICS_PATH: Final = "KATIB_METRICS_PATH"
ENV_DB_MANAGER_IP: Final = "KATIB_DB_MANAGER_SERVICE_IP"
ENV_DB_MANAGER_NAMESPACE: Final = "KATIB_DB_MANAGER_SERVICE_NAMESPACE"
ENV_DB_MANAGER_PORT: Final = "KATIB_DB_MANAGER_SERVICE_PORT"
ENV_HOME: Final = "KATIB_HOME"
ENV_CORE_NAMESPACE: Final = "KATIB_CORE_NAMESPACE"  # where the control plane is installed
ENV_DB_URL: Final = "KATIB_DB_URL"
ENV_TOKEN_KEY: Final = "KATIB_TOKEN_KEY"
ENV_OPTUNAHUB: Final = "KATIB_OPTUNAHUB_REGISTRY"  # a checkout of OptunaHub's registry, in place of the network
ENV_TRIAL_TOKEN: Final = "KATIB_TRIAL_TOKEN"

HEALTH_SERVICE: Final = "manager.v1beta1.Suggestion"
DEFAULT_METRICS_FILE: Final = "/var/log/katib/metrics.log"
DEFAULT_EVENT_FOLDER: Final = "/var/log/katib/tfevent/"
DEFAULT_METRIC_FILTER: Final = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
UNAVAILABLE: Final = "unavailable"
ZERO_TIME: Final = "0001-01-01T00:00:00Z"

MAX_EXPERIMENT_NAME: Final = 40
MAX_OBJECT_NAME: Final = 63  # a trial's name is the value of a label

# Katib's alphabet for random suffixes; the first character is a letter so that the suffix is a DNS label of its own.
ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
LETTERS: Final = "bcdfghjklmnpqrstvwxz"
_SUFFIX_SPACE: Final = len(LETTERS) * len(ALPHABET) ** 7


def trial_name(experiment: str, uid: str, index: int) -> str:
    """The name of the experiment's trial number `index` (from 0): no two indices share one.

    A permutation of the index keyed by the uid, so the name is known before anything is written and two controllers
    that create the same trial agree on it.
    """
    value = permuted(index, _SUFFIX_SPACE, uid)
    first, rest = divmod(value, len(ALPHABET) ** 7)
    suffix = LETTERS[first]
    for power in range(6, -1, -1):
        digit, rest = divmod(rest, len(ALPHABET) ** power)
        suffix += ALPHABET[digit]
    return f"{experiment}-{suffix}"


def is_object_name(text: str) -> bool:
    """Whether a trial may have this name: a DNS label that begins with a letter."""
    return len(text) <= MAX_OBJECT_NAME and re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", text) is not None
