"""YAML text to JSON types: what kubectl reads, and nothing that hurts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.documents import MAX_BYTES, plain_scalar, read_documents
from katib_py.core.errors import InvalidInput

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("0x10", 16),
        ("010", 8),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("-3", -3),
        ("08", 8.0),
        (".5", 0.5),
        ("-.Inf", float("-inf")),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("=", "="),
        ("0x", "0x"),
        ("y", "y"),
    ],
)
def test_unquoted_scalars_mean_what_kubectl_makes_of_them(text, value):
    assert read_documents(f"a: {text}") == [{"a": value}]


texts = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF))  # YAML has no surrogate pairs as JSON does
keys = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=20)  # YAML ends a key after 1024 characters
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=10
    )
)
def test_json_is_read_as_it_is(value):
    assert read_documents(json.dumps([value])) == [[value]]


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_written_in_decimal_are_read_back(value):
    assert plain_scalar(repr(value)) == value


def test_a_file_may_hold_several_documents_and_empty_ones_do_not_count():
    assert read_documents("---\na: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]


def test_merge_keys_and_aliases_are_resolved_and_own_keys_win():
    text = "base: &base {a: 1, b: 1}\nuse: {b: 2, <<: *base}\n"
    assert read_documents(text)[0]["use"] == {"a": 1, "b": 2}


def test_keys_are_text_as_in_json():
    assert read_documents("on: 1\n2: 3\n'yes': 4\n") == [{"true": 1, "2": 3, "yes": 4}]


def test_a_byte_order_mark_is_no_character():
    assert read_documents("\ufeffa: 1".encode()) == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: [", "line 2, column 1"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' stands here a second time"),
        ("!!python/object/apply:os.system [x]", "line 1, column 1: the tag"),
        ("a: !!binary AAAA", "line 1, column 4: the tag"),
        ("[" * 100_000, "nested more than 64 levels"),
        ("- " * 30_000, "nested more than 64 levels"),
        ("{" * 20_000, "a key must be text"),
        ("a: &a [*a]", "line 1, column 8: *a refers to itself"),
        ("a: *b", "refers to itself or to nothing above it"),
        (BOMB, "holds more than 100,000 values"),
        ("a: b\0", "line 1, column 5: the character U+0000"),
        (b"a: 1\nb: \xff", "line 2: is not UTF-8"),
        ("\ud800", "the character U+D800"),
        ('"\\ud800"', "line 1"),
        ("a: " + "9" * 5000, "line 1, column 4: a number of 5000 digits"),
        ("? [a]\n: 1", "a key must be text"),
        ("~: 1", "a key must not be null"),
        ("<<: 5", "<< merges mappings"),
        ("- a\nb: 1", "line 2, column 1"),
        ("\ta: 1", "line 1, column 1"),
        ("%YAML 9.9\n---\na", "is not YAML"),
        ("x" * (MAX_BYTES + 1), "at most 2,097,152 bytes"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(text, where):
    with pytest.raises(InvalidInput) as caught:
        read_documents(text)
    assert where in str(caught.value)
    assert len(caught.value.problems) == 1


@given(st.text("ab:-[]{}&*!|>%@`'\"#,?~<\n\t 019.\\", max_size=60) | st.text(max_size=40) | st.binary(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        documents = read_documents(text)
    except InvalidInput as error:
        assert error.problems  # noqa: PT017 - either outcome is right
    else:
        json.dumps(documents)
