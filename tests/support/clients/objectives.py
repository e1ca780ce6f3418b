"""Objective functions as users write them: the clients send their source to the trials."""


def prints(parameters):
    import os

    lr = float(parameters["lr"])
    units = int(parameters["units"])
    bonus = {"sgd": 0.0, "True": 0.25, "3": 0.5}[parameters["choice"]]
    print("unit", os.environ.get("UNIT", "none"), "batch", parameters["batch"])
    for epoch in range(2):
        print(f"accuracy={bonus + lr / 10 + units / 1000 + epoch / 100}")
        print(f"loss={1 - lr}")


def reports(parameters):
    from kubeflow import katib

    for epoch in range(3):
        katib.report_metrics({"accuracy": float(parameters["lr"]) + epoch, "epoch": epoch})
    katib.report_metrics({"odd": float("nan"), "yes": True})
    katib.report_metrics({})
    print("reported")


def distributed(parameters):
    print(f"accuracy={float(parameters['lr'])}")


def waits(parameters):
    import os
    import time

    print(f"accuracy={parameters['lr']}")
    while not os.path.exists(parameters["gate"]):
        time.sleep(0.05)
    print("let go")


def fails(parameters):
    raise SystemExit(int(float(parameters["lr"])) + 3)


def minimises(x, kind="none", scale="1"):
    print(f"loss={float(x) * float(scale)}")
    print(f"size={len(kind)}")


def minimises_behind_a_gate(x, gate):
    import os
    import time

    print(f"loss={x}")
    while not os.path.exists(gate):
        time.sleep(0.05)


def breaks(x):
    raise SystemExit(f"{x} is too much")
