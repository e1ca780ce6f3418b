"""TensorBoard's Event messages, as far as scalars need them: no tensorboard and no tensorflow is imported."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

# The fields that scalars need, with their numbers in event.proto, summary.proto, tensor.proto and tensor_shape.proto.
_MESSAGES: Final = {
    "Event": {"wall_time": (1, "double"), "summary": (5, "Summary")},
    "Summary": {"value": (1, "Value*")},
    "Value": {"tag": (1, "string"), "simple_value": (2, "float"), "tensor": (8, "Tensor")},
    "Tensor": {
        "dtype": (1, "int32"),
        "content": (4, "bytes"),
        "float_val": (5, "float*"),
        "double_val": (6, "double*"),
        "int_val": (7, "int32*"),
        "int64_val": (10, "int64*"),
        "half_val": (13, "int32*"),
    },
}


class _Type(NamedTuple):
    """A tensor's element type: how its content is packed, and the field that holds a value written singly."""

    packing: str
    field: str


# By DataType of types.proto; bfloat16 (14) is the upper half of a float.
_TYPES: Final = {
    1: _Type("<f", "float_val"),
    2: _Type("<d", "double_val"),
    3: _Type("<i", "int_val"),
    4: _Type("<B", "int_val"),
    5: _Type("<h", "int_val"),
    6: _Type("<b", "int_val"),
    9: _Type("<q", "int64_val"),
    14: _Type("<H", "half_val"),
    19: _Type("<e", "half_val"),
}


class Scalar(NamedTuple):
    """One number of an event. `wall_time` is seconds since the epoch, UTC."""

    tag: str
    value: str
    wall_time: float


def scalars(record: bytes) -> Iterator[Scalar]:
    """The scalars of one Event message, legacy or tensors of one element; nothing of a message that is none."""
    try:
        event = _event_class().FromString(record)
    except DecodeError:
        return
    for value in event.summary.value:
        number = short_float(value.simple_value) if value.HasField("simple_value") else _element(value.tensor)
        if number is not None:
            yield Scalar(value.tag, number, event.wall_time)


def short_float(value: float) -> str:
    """The shortest text that is this number in single precision: 0.1, not 0.10000000149011612."""
    for digits in (6, 7, 8):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", value) == _packed(text):
            return text
    return f"{value:.9g}"


def checksum(data: bytes) -> int:
    """The masked CRC-32C of TFRecord."""
    table, value = _crc_table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _element(tensor: Any) -> str | None:
    kind = _TYPES.get(tensor.dtype)
    if kind is None:
        return None
    if tensor.content:
        if len(tensor.content) != struct.calcsize(kind.packing):
            return None
        return _text(tensor.dtype, struct.unpack(kind.packing, tensor.content)[0])
    values = getattr(tensor, kind.field)
    if len(values) != 1:
        return None
    value = values[0]
    if tensor.dtype == 19:
        value = struct.unpack("<e", struct.pack("<H", value & 0xFFFF))[0]
    return _text(tensor.dtype, value)


def _text(dtype: int, value: float) -> str:
    if dtype == 14:
        value = struct.unpack("<f", struct.pack("<I", (int(value) & 0xFFFF) << 16))[0]
    return short_float(value) if dtype in {1, 14, 19} else str(value)


def _packed(text: str) -> bytes:
    try:
        return struct.pack("<f", float(text))
    except OverflowError:  # rounded up beyond the largest
        return b""


@lru_cache(maxsize=1)
def _event_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="katib_py/events.proto", package="katib_py.events", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("katib_py.events.Event"))


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    types = descriptor_pb2.FieldDescriptorProto
    word = kind.rstrip("*")
    field = message.field.add(name=name, number=number, label=types.LABEL_OPTIONAL)
    if kind.endswith("*"):
        field.label = types.LABEL_REPEATED
    if word in _MESSAGES:
        field.type, field.type_name = types.TYPE_MESSAGE, f".katib_py.events.{word}"
    else:
        field.type = types.Type.Value(f"TYPE_{word.upper()}")


@lru_cache(maxsize=1)
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)
