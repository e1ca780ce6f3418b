"""Services that somebody else wrote to Katib's protocol, without any of our additions."""

from concurrent import futures
from contextlib import contextmanager

import grpc

from katib_py.wire import api, rpc


class Suggestion:
    """Proposes values from a list, in order; refuses an experiment with a setting named `bad`."""

    def __init__(self, values):
        self.values = list(values)
        self.requests = []

    def ValidateAlgorithmSettings(self, request, context):
        if any(setting.name == "bad" for setting in request.experiment.spec.algorithm.algorithm_settings):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad is no setting of mine")
        return api.ValidateAlgorithmSettingsReply()

    def GetSuggestions(self, request, context):
        self.requests.append(request)
        first = request.total_request_number - request.current_request_number
        reply = api.GetSuggestionsReply()
        for value in self.values[first : request.total_request_number]:
            reply.parameter_assignments.add().assignments.add(name="lr", value=value)
        return reply


class EarlyStopping:
    """Gives every trial one rule: stop when `acc` is below a value, from a step on."""

    def __init__(self, value, start_step):
        self._rule = {"name": "acc", "value": value, "comparison": api.LESS, "start_step": start_step}

    def ValidateEarlyStoppingSettings(self, request, context):
        return api.ValidateEarlyStoppingSettingsReply()

    def GetEarlyStoppingRules(self, request, context):
        reply = api.GetEarlyStoppingRulesReply()
        reply.early_stopping_rules.add(**self._rule)
        return reply

    def SetTrialStatus(self, request, context):
        return api.SetTrialStatusReply()


@contextmanager
def serving(**services):
    """Serve these (by the service's name in the protocol) at the address that is given."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for name, servicer in services.items():
        server.add_generic_rpc_handlers((rpc.handler(name, servicer),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
