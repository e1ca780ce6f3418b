from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.errors import InvalidInput
from katib_py.wire import api
from suggestion_services.split import parse_trials, split

trials = st.builds(api.Trial, name=st.text(max_size=300))
requests = st.builds(
    api.GetSuggestionsRequest,
    experiment=st.builds(api.Experiment, name=st.text(max_size=9)),
    trials=st.lists(trials, max_size=5),
    current_request_number=st.integers(-(2**31), 2**31 - 1),
    total_request_number=st.integers(0, 2**31 - 1),
    history=st.none() | st.builds(api.HistoryPrefix, count=st.integers(0, 2**62), digest=st.binary(max_size=16)),
)


@given(requests)
def test_a_request_is_its_rest_and_its_trials(request):
    rest, found = split(request.SerializeToString())
    rest.trials.extend(api.Trial.FromString(raw) for raw in found)
    assert rest == request


@given(st.binary(max_size=40) | requests.map(lambda request: request.SerializeToString()[:-1]))
def test_any_bytes_are_a_request_or_refused_in_words(raw):
    try:
        api.GetSuggestionsRequest.FromString(raw)
    except DecodeError:
        with pytest.raises(InvalidInput, match="is no GetSuggestionsRequest"):
            parse_trials(split(raw)[1])
    else:
        parse_trials(split(raw)[1])
