"""kubeflow 0.5.0, unmodified: each call of its OptimizerClient that a server can answer."""

from support.cluster import operators


def test_optimize_runs_a_function_as_trainjobs(api_server, optimizer, controller, playing):
    api_server.client.post(f"{operators.TRAINER}/clustertrainingruntimes", operators.runtime("torch-distributed"))
    name = optimizer.optimize(
        "minimises",
        {"x": {"uniform": {"min": 0.1, "max": 1.0}}, "kind": {"choice": {"values": ["a", "bb"]}}},
        {"num_trials": 4, "parallel_trials": 2},
        objectives_wanted=[{"metric": "loss"}, {"metric": "size"}],
        func_args={"scale": "2"},
        resources_per_node={"cpu": "100m", "gpu": 1},
        env={"UNIT": "s"},
    )
    done = optimizer.wait(name, timeout=90)
    print(done)
    for call in ("get_job", "get_best_results", "get_job_events"):
        print(call, getattr(optimizer, call)(name))
    print(optimizer.list_jobs())
    print(controller.said())
