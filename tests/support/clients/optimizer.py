"""Serves kubeflow.optimizer's OptimizerClient: optimizer.py KUBECONFIG NAMESPACE."""

import sys

import objectives
from kubeflow import optimizer
from kubeflow.optimizer import KubernetesBackendConfig, OptimizerClient, Search, TrainJobTemplate
from kubeflow.trainer import CustomTrainer, TrainerClient
from serve import serve


def optimize(objective, search_space, trial_config, objectives_wanted=None, algorithm=None, **trainer):
    """optimize() of a function of `objectives`; what is searched is a call of Search each."""
    template = TrainJobTemplate(trainer=CustomTrainer(func=getattr(objectives, objective), **trainer))
    space = {key: _called(Search, value) for key, value in search_space.items()}
    return CLIENT.optimize(
        template,
        search_space=space,
        trial_config=optimizer.TrialConfig(**trial_config),
        objectives=[optimizer.Objective(**wanted) for wanted in objectives_wanted] if objectives_wanted else None,
        algorithm=_called(optimizer, algorithm) if algorithm else None,
    )


def _called(where, call):
    ((name, arguments),) = call.items()
    return getattr(where, name)(**arguments)


def wait(name, status=("Complete",), **options):
    """wait_for_job_status(), and what its callback was told."""
    seen = []
    job = CLIENT.wait_for_job_status(name, set(status), callbacks=[lambda job: seen.append(job.status)], **options)
    return {"job": job, "seen": seen}


def logs_of_trainjob(name):
    """What TrainerClient reads of the TrainJob of this name."""
    return TrainerClient(backend()).get_job_logs(name)


def backend():
    return KubernetesBackendConfig(config_file=sys.argv[1], namespace=sys.argv[2])


CLIENT = OptimizerClient(backend())

if __name__ == "__main__":
    serve(CLIENT, {"optimize": optimize, "wait": wait, "logs_of_trainjob": logs_of_trainjob}, str)
