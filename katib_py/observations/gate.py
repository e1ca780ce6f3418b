"""Who may do what: a trial reports its own metrics, the controller does everything; without a key everybody may."""

from __future__ import annotations

from typing import Any

import grpc

from katib_py.core.names import ENV_TOKEN_KEY, ENV_TRIAL_TOKEN
from katib_py.core.tokens import METADATA_KEY, controller_token, is_same, trial_token
from katib_py.observations.log import Run


class Gate:
    """Lets calls pass that show the right token, and ends others with PERMISSION_DENIED."""

    def __init__(self, key: str = "") -> None:
        self._key = key

    def controller(self, context: Any) -> None:
        """Pass only the controller."""
        if not self._is_controller(context):
            told = f"this call needs the controller's token, which is made of the db-manager's {ENV_TOKEN_KEY}"
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{told}; {_found(context)}")

    def trial(self, context: Any, run: Run) -> None:
        """Pass only the trial that the run is of, and the controller."""
        if self._is_controller(context):
            return
        trial = f"{run.namespace}/{run.trial_name}"
        if not is_same(_shown(context), trial_token(self._key, run.namespace, run.trial_name, run.trial_uid)):
            told = f"a report needs the token of its trial, which the trial's environment has as {ENV_TRIAL_TOKEN}"
            denied = f"{told}; {_found(context)} for {trial} with the uid {run.trial_uid}"
            context.abort(grpc.StatusCode.PERMISSION_DENIED, denied)

    def _is_controller(self, context: Any) -> bool:
        return not self._key or is_same(_shown(context), controller_token(self._key))


def _shown(context: Any) -> str:
    return next((value for name, value in context.invocation_metadata() if name == METADATA_KEY), "")


def _found(context: Any) -> str:
    return "another token was shown" if _shown(context) else "none was shown"
