"""kubeflow-katib 0.19.0, unmodified: each call of its KatibClient that a server can answer."""

SEARCH = {
    "lr": {"double": {"min": 0.01, "max": 0.1}},
    "units": {"int": {"min": 8, "max": 64}},
    "optimizer": {"categorical": {"list": ["sgd", "adam"]}},
    "batch": 32,
}


def test_tune_runs_a_function_as_jobs(katib, controller, playing):
    katib.tune(
        "mnist",
        "prints",
        SEARCH,
        objective_metric_name="accuracy",
        additional_metric_names=["loss"],
        max_trial_count=4,
        parallel_trial_count=2,
        env={"UNIT": "s"},
        resources={"cpu": "100m", "GPU": 1},
    )
    ended = katib.wait_for_experiment_condition("mnist", polling_interval=1, timeout=90)
    print(ended)
    best = katib.get_optimal_hyperparameters("mnist")
    print(best)
    print(katib.get_success_trial_details("mnist"))
