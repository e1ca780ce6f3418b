"""The far end of a pipe: one JSON message a line comes in, one answer a line goes out.

Run by the Python of a peer's own environment, in which nothing of katib-py is installed. The messages:

{"do": "start", "what": "hyperopt-tpe", "seed": 3, "space": [...]}  -> {"version": "hyperopt 0.3.0"}
{"do": "start", "what": "bbob", "function": 3, ...}                 -> {"version": ..., "least": 17.2}
{"do": "ask", "count": 8}                                           -> {"points": [[0.3, 2, "rbf"], ...]}
{"do": "tell", "losses": [1.2, ...]}                                -> {}
{"do": "losses", "points": [[0.3, 0.1], ...]}                       -> {"losses": [[seen, true], ...]}

What goes wrong is answered with {"error": "..."}; the end of the input ends the program.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

Handler = Callable[[dict[str, Any]], dict[str, Any]]


def optimiser(message: dict[str, Any]) -> tuple[dict[str, Any], Handler]:
    """A sampler that is asked and told."""
    from samplers import SAMPLERS, version

    sampler = SAMPLERS[message["what"]](message["space"], message["seed"])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "ask":
            return {"points": sampler.ask(request["count"])}
        sampler.tell(request["losses"])
        return {}

    return {"version": version(message["what"])}, answer


def function(message: dict[str, Any]) -> tuple[dict[str, Any], Handler]:
    """A function of COCO's suites."""
    from coco import Evaluator, version

    evaluator = Evaluator(message["function"], message["dimension"], message["instance"])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "draw":
            return {"losses": evaluator.draw(request["count"], request["seed"])}
        return {"losses": evaluator.losses(request["points"])}

    return {"version": version(), "least": evaluator.least}, answer


def serve(handlers: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], Handler]]]) -> None:
    """Answer until the input ends; what libraries print goes to the standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer: Handler | None = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if message["do"] == "start":
                reply, answer = handlers.get(message["what"], handlers["*"])(message)
            elif answer is None:
                reply = {"error": "nothing was started"}
            else:
                reply = answer(message)
        except Exception as error:  # noqa: BLE001 - the edge: whatever a library raises is told
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    serve({"bbob": function, "*": optimiser})
