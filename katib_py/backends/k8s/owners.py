"""Whose an object is: the controller among its owners, of which there is one at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def controller_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reference to the object's controller; empty where it has none."""
    owners = document["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), {})


def owned_by(document: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controller is the one with this uid."""
    return controller_of(document).get("uid") == uid
