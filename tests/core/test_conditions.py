"""When a condition holds and what it says (api.md §14.1); the paths themselves are compared with gjson beside this."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.conditions import Condition, Match, check, evaluate
from katib_py.core.errors import InvalidInput

COMPLETE = 'status.conditions.#(type=="Complete")#|#(status=="True")#'


def conditions(*entries):
    return {"status": {"conditions": list(entries)}}


def test_a_condition_that_holds_gives_its_reason_and_message():
    entry = {"type": "Complete", "status": "True", "reason": "Done", "message": "all pods ended"}
    assert evaluate(COMPLETE, conditions(entry)) == Match("Done", "all pods ended")


def test_of_several_the_first_counts():
    entries = [{"type": "Complete", "status": "True", "reason": reason} for reason in ("First", "Second")]
    assert evaluate(COMPLETE, conditions(*entries)) == Match("First", "")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"status": None},
        {"status": {"conditions": []}},
        conditions({"type": "Complete", "status": "False"}),
        conditions({"type": "Failed", "status": "True"}),
        conditions({"type": "Complete", "status": True}),
    ],
)
def test_a_condition_that_finds_nothing_does_not_hold(document):
    assert evaluate(COMPLETE, document) is None


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("status.succeeded", False),
        ("status.phase", False),
        ("status.flag", False),
        ("status", True),
        ("status.conditions", True),
        ("status.conditions.0", True),
        ("status.conditions.1", False),
        ("status.empty", False),
        ("status.[@this].#(succeeded==1)", True),
        ('status.[@this].#(phase=="Succeeded")#', True),
        ('status.[@this].#(phase=="Failed")#', False),
        ('status.conditions.#(type=="Succeeded").status', False),
    ],
)
def test_only_mappings_and_lists_of_them_hold(expression, holds):
    status = {"succeeded": 1, "phase": "Succeeded", "flag": True, "empty": [], "conditions": [{"type": "Succeeded"}]}
    assert (evaluate(expression, {"status": status}) is not None) is holds


@pytest.mark.parametrize("field", ["reason", "message", "condition"])
def test_a_match_whose_texts_are_no_text_is_none(field):
    assert evaluate("status", {"status": {field: 5}}) is None
    assert evaluate("status", {"status": {field: None}}) == Match("", "")


def test_the_empty_condition_never_holds():
    assert Condition.parse("").match({"status": {}}) is None


@pytest.mark.parametrize(
    "expression",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "status.conditions.#",
        "status.conditions.#.type",
        "status.cond*",
        "status.?",
        "@this",
        "status.@reverse",
        "{a,b}",
        "[a,b]",
        "status.[@this",
        '#(type%"Co*")',
        '#(type=="a\\"b")',
        "#(type==~true)",
        '#(=="x")',
        "#()",
        "#(a.#(b==1).c==2)",
        "#(n==0x10)",
        "status.conditions.#(a==1)#.[@this]",
        '#(type=="X"',
        'status.conditions[?(@.type=="Complete")]',
        "!true",
        "a\nb",
    ],
)
def test_what_is_not_supported_is_said_and_never_taken_for_not_holding(expression):
    complaint = check(expression)
    assert complaint is not None
    assert "supported are keys joined by" in complaint
    if expression:
        with pytest.raises(InvalidInput):
            Condition.parse(expression)


@given(st.text('.|#*?@[]{}()!\\"~<>=%,ab1 \n', max_size=20) | st.text(max_size=10))
def test_any_text_is_a_condition_or_refused(expression):
    if check(expression) is None:
        evaluate(expression, {"a": [{"b": 1}], "ab": "x"})
