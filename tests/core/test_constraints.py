"""What parameter constraints say, and what of them cannot be read."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.constraints import parse_constraint
from katib_py.core.space import ParameterSpec, parse_parameter


def parameter(name, kind, **space):
    return parse_parameter(ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space}))


PARAMETERS = [
    parameter("x", "double", min="-10", max="10"),
    parameter("y", "double", min="-10", max="10"),
    parameter("units", "int", min="0", max="512"),
    parameter("num-layers", "int", min="1", max="8"),
    parameter("batch", "discrete", list=["16", "32", "64"]),
    parameter("optimizer", "categorical", list=["sgd", "adam"]),
    parameter("other", "categorical", list=["sgd", "none"]),
    parameter("in", "int", min="0", max="9"),
]
VALUES = {"x": 1.5, "y": -2.0, "units": 96.0, "num-layers": 3.0, "batch": 32.0, "optimizer": "adam", "other": "none"}
VALUES["in"] = 4.0


def holds(text, **values):
    return parse_constraint(text, PARAMETERS).holds({**VALUES, **values})


@pytest.mark.parametrize(
    "text",
    [
        "x >= y",
        "x + y < 0",
        "batch * 2 <= 512 or optimizer == 'sgd'",
        "not x < y",
        "units % num-layers == 0",
        "num-layers - 1 == 2",
        "2 * num-layers - 1 == 5",
        "-3 < x - y <= 3.5",
        "x ** 2 == 2.25",
        "-x ** 2 < 0",
        "units // 10 == 9",
        "batch in [16, 32]",
        "batch not in (16, 64,)",
        "optimizer in ('adam')",
        'optimizer != "sgd" and x > 0',
        "optimizer != other",
        "`in` == 4",
        "(x > 0 or y > 0) and not (x > 0 and y > 0)",
        "x > 5 and y > 5 or units > 1",
        "1e2 >units",
    ],
)
def test_a_constraint_that_holds(text):
    assert holds(text) is True
    assert holds(f"not ({text})") is False


def test_decimal_fractions_add_up():
    assert holds("x + y <= 0.3", x=0.1, y=0.2)
    assert holds("x + y == 0.3", x=0.1, y=0.2)
    assert not holds("x + y < 0.3", x=0.1, y=0.2)


@pytest.mark.parametrize("text", ["units / x > 0", "units / x <= 0", "units % x != 1", "x ** 10 * 1e300 * 1e300 > 0"])
def test_what_does_not_exist_satisfies_nothing(text):
    assert not holds(text, x=0.0)
    assert not holds("1e300 * 1e300 * x > 0")


def test_a_comparison_with_an_inactive_parameter_decides_nothing():
    absent = math.nan
    assert holds("x > 5", x=absent)
    assert holds("not x > 5", x=absent)
    assert not holds("x > 5 and y > 5", x=absent)
    assert holds("x > 5 and y < 5", x=absent)
    assert holds("optimizer == 'sgd'", optimizer=absent)
    assert not holds("(optimizer == 'sgd' or optimizer == 'adam') and y > 0", optimizer=absent)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at character 1 it ends where a parameter, a number or quoted text should be"),
        ("x", "must compare"),
        ("1 < 2", "compares no parameter"),
        ("x > z", "'z' is no parameter (x, y, units"),
        ("`z` > 1", "'z' is no parameter"),
        ("x > sgd", "and text is quoted"),
        ("x >", "at character 4 it ends"),
        ("x > 1 y", "at character 7 'y' stands where an operator should be"),
        ("x = 1", "at character 3 '=' cannot be read"),
        ("x > 1 & y > 1", "'&' cannot be read"),
        ("(x > 1", "where ) should be"),
        ("x in 1", "where ( should be"),
        ("x in []", "where a parameter, a number or quoted text should be"),
        ("x > 1 and y", "and, or and not join comparisons, not a number"),
        ("(x > 1) == (y > 1)", "a comparison cannot be compared"),
        ("(x > 1) + 1 > 0", "a comparison is none"),
        ("x ** 0.5 > 1", "a whole number from 2 to 10"),
        ("x ** 99 > 1", "a whole number from 2 to 10"),
        ("optimizer > 'a'", "optimizer is categorical: compare it with == or != or in"),
        ("optimizer == 1", "optimizer is categorical"),
        ("optimizer + 1 > 2", "optimizer is categorical"),
        ("optimizer == 'sdg'", "'sdg' is none of its values: optimizer has sgd, adam"),
        ("optimizer in ['sgd', 'sdg']", "'sdg' is none of its values"),
        ("__import__('os') == 1", "'__import__' is no parameter"),
        ("x.real > 1", "'.' cannot be read"),
        ("-" * 40 + "x > 1", "nested too deeply"),
        ("(" * 40 + "x" + ")" * 40 + " > 1", "nested too deeply"),
        ("not " * 40 + "x > 1", "nested too deeply"),
        ("x > 1 or " * 200 + "x > 1", "must have at most 1000"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(text, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_constraint(text, PARAMETERS)


@given(st.text(alphabet="xy 0123.<>=!+-*/%()[],'`andornotin\n\t\0é", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        constraint = parse_constraint(text, PARAMETERS)
    except ValueError:
        return
    assert constraint.holds(VALUES) in {True, False}


numbers = st.integers(-9, 9).map(str)
terms = st.recursive(
    st.one_of(st.sampled_from(["x", "y", "units"]), numbers.map(lambda text: f"({text})")),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    max_leaves=6,
)
comparisons = st.tuples(terms, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(["x", "units"]))
truths = st.recursive(
    comparisons.map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=6,
)


@given(truths, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 99))
def test_it_means_what_python_means_by_it(text, x, y, units):
    if len(text) > 900:
        return
    values = {"x": float(x), "y": float(y), "units": float(units)}
    assert parse_constraint(text, PARAMETERS).holds(values) == eval(text, {}, values)
