"""YAML text to JSON values, as Kubernetes' own tools read it: YAML 1.1 scalars, JSON types, nothing executed.

Times stay text and numbers are decimal, hexadecimal, octal or binary: what kubectl does (goyaml), not all of YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.reader import ReaderError

from katib_py.core.errors import InvalidInput, Problem, show

MAX_BYTES: Final = 2 * 1024 * 1024  # etcd refuses objects above 1.5 MiB
MAX_NODES: Final = 100_000  # aliases counted as often as they are used
MAX_DEPTH: Final = 64
MAX_DIGITS: Final = 400

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAGS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")} | {"!"}

BOOLEANS: Final = {
    form: value
    for word, value in (("true", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("off", False))
    for form in (word, word.capitalize(), word.upper())
}
NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)")
FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?")
SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

Scalar = Callable[[str, bool], Any]


def read_documents(source: str | bytes) -> list[Any]:
    """Every document of YAML (or JSON) text as JSON types; empty documents are left out.

    Raises InvalidInput with the line and column of what is wrong: syntax, a key given twice, a tag that is no JSON
    type, too much text, depth, or aliases that multiply.
    """
    return [document for document in _build(source, plain_scalar_or_text) if document is not None]


def read_with(source: str | bytes, scalar: Scalar) -> Any:
    """The first document, each scalar value made by `scalar(text, plain)`; raises InvalidInput as `read_documents`."""
    return next(iter(_build(source, scalar)), None)


def plain_scalar_or_text(text: str, plain: bool) -> Any:
    """What a scalar stands for: quoted ones are text."""
    return plain_scalar(text) if plain else text


def plain_scalar(text: str) -> Any:
    """What an unquoted scalar stands for: null, a boolean, a number or text; raises ValueError for absurd numbers."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text[0] not in "-+.0123456789":
        return text
    if INTEGER.fullmatch(text):
        return _integer(text)
    if FLOAT.fullmatch(text) or SPECIAL.fullmatch(text):
        return float(re.sub(r"_|\.(?=[in])", "", text.lower()))
    return text


def _integer(text: str) -> int | str:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits; quote it if it is text")
    sign, digits = (-1 if text[0] == "-" else 1), text.lstrip("-+").replace("_", "")
    if digits[:2] in {"0b", "0x", "0o"}:
        return sign * int(digits, 0) if digits[2:] else text
    return sign * int(digits, 8 if digits[0] == "0" and len(digits) > 1 else 10)


def _build(source: str | bytes, scalar: Scalar) -> Iterator[Any]:
    text = _decode(source)
    builder = _Builder(scalar)
    try:
        for event in yaml.parse(text, Loader=LOADER):
            builder.feed(event)
            if isinstance(event, yaml.DocumentEndEvent):
                yield builder.document
    except yaml.MarkedYAMLError as error:
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise _refused(f"is not YAML: {words or 'unreadable'}", error.problem_mark or error.context_mark) from None
    except ReaderError as error:
        raise _refused(f"is not YAML: {error.reason}") from None
    except RecursionError:
        raise _refused("is nested too deeply") from None


def _decode(source: str | bytes) -> str:
    size = len(source)
    if size > MAX_BYTES:
        raise _refused(f"is {size:,} long; at most {MAX_BYTES:,} bytes are read")
    try:
        text = source if isinstance(source, str) else source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1  # type: ignore[arg-type]
        raise _refused(f"line {line}: is not UTF-8 text") from None
    if (match := UNPRINTABLE.search(text)) is not None:
        line, column = text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start())
        character = f"U+{ord(match.group()):04X}"
        raise _refused(f"line {line}, column {column}: the character {character} is not allowed in YAML")
    return text.removeprefix("\ufeff")


def _refused(message: str, mark: Any = None) -> InvalidInput:
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return InvalidInput([Problem("", f"{where}{message}")])


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence under construction. `size` counts the nodes in it, aliases expanded."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    size: int = 1
    key: str | None = None
    keyed: bool = False
    merged: list[dict[str, Any]] = field(default_factory=list)


class _Builder:
    def __init__(self, scalar: Scalar) -> None:
        self._scalar = scalar
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self.document: Any = None

    def feed(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._anchors, self.document = {}, None
            case yaml.ScalarEvent():
                self._add_scalar(event)
            case yaml.MappingStartEvent():
                self._open(_Frame({}, event.anchor), event)
            case yaml.SequenceStartEvent():
                self._open(_Frame([], event.anchor), event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close(event)
            case yaml.AliasEvent():
                self._alias(event)

    def _open(self, frame: _Frame, event: Any) -> None:
        self._check_tag(event)
        self._count(1, event)
        if len(self._stack) >= MAX_DEPTH:
            raise _refused(f"is nested more than {MAX_DEPTH} levels deep", event.start_mark)
        if self._awaits_key():
            raise _refused("a key must be text, not a list or mapping", event.start_mark)
        self._stack.append(frame)

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        if frame.merged and isinstance(frame.value, dict):
            own = frame.value
            frame.value = {}
            for part in reversed(frame.merged):
                frame.value.update(part)
            frame.value.update(own)
        self._put(frame.value, frame.size, frame.anchor, event)

    def _add_scalar(self, event: Any) -> None:
        self._check_tag(event)
        self._count(1, event)
        plain = event.implicit[0] or event.tag in TAGS - {"!", "tag:yaml.org,2002:str"}
        if self._awaits_key():
            self._take_key(event, plain)
            return
        try:
            value = self._scalar(event.value, plain)
        except ValueError as error:
            raise _refused(str(error), event.start_mark) from None
        self._put(value, 1, event.anchor, event)

    def _take_key(self, event: Any, plain: bool) -> None:
        frame = self._stack[-1]
        key = _key(event, plain)
        if key in frame.value:
            raise _refused(f"the key {show(key)} stands here a second time", event.start_mark)
        frame.key, frame.keyed = key, True
        if event.anchor:
            self._anchors[event.anchor] = (key, 1)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise _refused(f"*{event.anchor} refers to itself or to nothing above it", event.start_mark)
        value, size = self._anchors[event.anchor]
        self._count(size, event)
        if self._awaits_key():
            raise _refused("an alias cannot be a key", event.start_mark)
        self._put(value, size, None, event)

    def _put(self, value: Any, size: int, anchor: str | None, event: Any) -> None:
        if anchor:
            self._anchors[anchor] = (value, size)
        if not self._stack:
            self.document = value
            return
        frame = self._stack[-1]
        frame.size += size
        if isinstance(frame.value, list):
            frame.value.append(value)
            return
        key, frame.key, frame.keyed = frame.key, None, False
        if key is None:
            frame.merged.extend(_mergeable(value, event))
        else:
            frame.value[key] = value

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and not self._stack[-1].keyed

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _refused(f"holds more than {MAX_NODES:,} values, aliases expanded", event.start_mark)

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag not in TAGS:
            raise _refused(f"the tag {show(event.tag)} is not allowed: only JSON types are", event.start_mark)


def _key(event: Any, plain: bool) -> str | None:
    """A mapping's key as JSON has it: text; None for the merge key `<<`."""
    text: str = event.value
    if not plain:
        return text
    if text == "<<":
        return None
    if text in NULLS:
        raise _refused("a key must not be null", event.start_mark)
    return str(BOOLEANS[text]).lower() if text in BOOLEANS else text


def _mergeable(value: Any, event: Any) -> list[dict[str, Any]]:
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, dict) for part in parts):
        raise _refused("<< merges mappings, and this is none", event.start_mark)
    return parts
