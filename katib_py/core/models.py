"""What every API model shares: frozen, camelCase outside, unknown fields kept, null read as absent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel


def rfc3339(time: datetime) -> str:
    """Seconds precision and a literal Z, as Kubernetes writes times; `time` is in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


# YAML and JSON carry these types natively, so text in their place is a mistake of the user's and not read as a number.
Int32 = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Labels = dict[str, str]
Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]


class Model(BaseModel):
    """A part of an API object."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            return {key: item for key, item in value.items() if item is not None}
        return value

    def dump(self) -> dict[str, Any]:
        """The object as JSON types: camelCase, fields at their empty value left out (Katib's omitempty)."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
