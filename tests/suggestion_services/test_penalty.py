"""Losses that tell of outcome constraints."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from suggestion_services.penalty import penalised

losses = st.floats(-1e6, 1e6)
excesses = st.one_of(st.just(0.0), st.floats(1e-3, 1e3), st.just(np.inf))


@given(st.lists(st.tuples(losses, excesses), min_size=1, max_size=30))
def test_the_order_is_by_constraints_first(trials):
    loss, beyond = np.array(trials).T
    found = penalised(loss, beyond)
    allowed = beyond == 0
    assert np.array_equal(found[allowed], loss[allowed])
    assert not allowed.any() or (found[~allowed] > loss[allowed].max()).all()
    order = np.argsort(beyond[~allowed], kind="stable")
    assert (np.diff(found[~allowed][order]) >= 0).all()
    assert np.isfinite(found).all()


def test_what_has_no_loss_gets_none():
    found = penalised(np.array([np.nan, np.inf, 1.0]), np.array([2.0, 0.0, 0.0]))
    assert np.isnan(found[0])
    assert found[1:].tolist() == [np.inf, 1.0]
