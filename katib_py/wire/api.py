"""The messages of proto/api.proto, as classes: `api.Trial`, `api.SUCCEEDED`, …

They live in a descriptor pool of their own, because generated stubs refuse older protobuf runtimes and a file named
api.proto in the default pool collides with kubeflow-katib's. Types come from api.pyi; `proto/build.py` makes both.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

POOL = descriptor_pool.DescriptorPool()


def _load() -> dict[str, Any]:
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(resources.files(__package__).joinpath("api.binpb").read_bytes())
    names: dict[str, Any] = {}
    for file in files.file:
        POOL.AddSerializedFile(file.SerializeToString())
        for message in file.message_type:
            descriptor = POOL.FindMessageTypeByName(f"{file.package}.{message.name}")
            names[message.name] = message_factory.GetMessageClass(descriptor)
        for enum in file.enum_type:
            names[enum.name] = enum_type_wrapper.EnumTypeWrapper(POOL.FindEnumTypeByName(f"{file.package}.{enum.name}"))
            names.update((value.name, value.number) for value in enum.value)
    return names


globals().update(_load())
