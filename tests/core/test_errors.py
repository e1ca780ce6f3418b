from __future__ import annotations

from katib_py.core.errors import InvalidInput, Problem, problems_told


def test_what_a_service_says_is_taken_apart_as_it_was_put_together():
    problems = (
        Problem("spec.algorithm.algorithmSettings[0]", "unknown setting gama; did you mean gamma?"),
        Problem("spec.parameterConstraints", "are satisfied by none; widen them"),
    )
    assert tuple(problems_told(str(InvalidInput(problems)), "spec.algorithm")) == problems


def test_words_without_a_field_stay_together_where_the_service_was_asked():
    words = "bad is no setting of mine; spec: none either"
    assert tuple(problems_told(words, "spec.algorithm")) == (Problem("spec.algorithm", words),)
