import string

from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.objective import Metric
from katib_py.core.record import pack, pack_assignment, unpack, unpack_assignment
from katib_py.core.trial import Assignment, Rule, StopIntent, StopKind, TrialRecord, TrialState, Waiting

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple)
TIME = st.floats(0, 4e9)
COUNT = st.integers(0, 10**6)
ASSIGNMENTS = st.builds(
    Assignment, TEXT, COUNT, PAIRS, PAIRS, st.lists(st.builds(Rule, TEXT, TEXT, TEXT, COUNT), max_size=2).map(tuple)
)
TRIALS = st.builds(
    TrialRecord,
    ASSIGNMENTS,
    TIME,
    st.sampled_from(TrialState),
    COUNT,
    COUNT,
    COUNT,
    st.none() | TIME,
    st.none() | TIME,
    TEXT,
    TEXT,
    st.lists(st.builds(Metric, TEXT, TEXT, TEXT, TEXT), max_size=3).map(tuple),
    st.none() | st.builds(StopIntent, st.sampled_from(StopKind), TEXT),
    st.none() | st.builds(Waiting, TEXT, TEXT, TIME),
)


@given(TRIALS)
def test_a_trial_reads_back_as_it_was_written(trial):
    assert unpack(pack(trial)) == trial
    assert isinstance(unpack(pack(trial)).observation, tuple)


@given(ASSIGNMENTS)
def test_an_assignment_reads_back_as_it_was_written(assignment):
    assert unpack_assignment(pack_assignment(assignment)) == assignment


@given(TRIALS)
def test_an_assignment_can_be_read_from_its_trial(trial):
    assert unpack_assignment(pack(trial)) == trial.assignment


def test_a_finished_trial_of_twenty_parameters_takes_less_than_a_kibibyte():
    parameters = tuple((f"parameter_{name}", "0.12345678901234567") for name in string.ascii_lowercase[:20])
    metrics = (Metric("accuracy", "0.90123", "0.98765", "0.98765"), Metric("loss", "0.01", "2.3", "0.01"))
    trial = TrialRecord(
        Assignment("experiment-b2c3d4f5", 12345, parameters),
        1.7e9 + 0.123456,
        TrialState.SUCCEEDED,
        started=1.7e9 + 1.123456,
        completed=1.7e9 + 99.123456,
        observation=metrics,
    )
    assert len(pack(trial).encode()) < 1024
