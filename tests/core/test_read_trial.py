from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric
from katib_py.core.objects import trial_object
from katib_py.core.read_trial import UNNUMBERED, read_trial
from katib_py.core.trial import Assignment, Rule, StopIntent, StopKind, TrialRecord, TrialState, Waiting

EXPERIMENT = Experiment.model_validate({"metadata": {"name": "demo", "namespace": "team-a", "uid": "0b8f"}})
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.text("abc-", min_size=1, max_size=8)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=4, unique_by=lambda pair: pair[0]).map(tuple)
LABELS = PAIRS.map(lambda pairs: tuple(sorted(pairs)))
TIME = st.integers(1, 4 * 10**9).map(float)
RULES = st.lists(st.builds(Rule, TEXT, TEXT, TEXT, st.integers(0, 99)), max_size=2).map(tuple)
RUNNING = st.builds(
    TrialRecord,
    st.builds(Assignment, NAMES, st.integers(0, 10**6), PAIRS, LABELS, RULES),
    TIME,
    st.just(TrialState.RUNNING),
    attempt=st.integers(1, 9),
    retries=st.integers(0, 9),
    disruptions=st.integers(0, 9),
    started=TIME,
    stop=st.none() | st.builds(StopIntent, st.sampled_from(StopKind), TEXT, st.booleans()),
    waiting=st.none() | st.builds(Waiting, TEXT, TEXT, TIME),
    uid=TEXT,
)
ENDS = st.builds(
    lambda trial, state, completed, observation, texts: replace(
        trial,
        state=state,
        completed=completed,
        observation=observation,
        reason=texts[0],
        message=texts[1],
        waiting=None,
    ),
    RUNNING,
    st.sampled_from([state for state in TrialState if state.finished]),
    TIME,
    st.lists(st.builds(Metric, TEXT, TEXT, TEXT, TEXT), max_size=3).map(tuple),
    st.tuples(TEXT, TEXT),
)


def written(trial: TrialRecord) -> dict:
    document = trial_object(EXPERIMENT, trial)
    created = "1970-01-01T00:00:01Z"
    return {**document, "metadata": {**document["metadata"], "creationTimestamp": created}}


@given(RUNNING | ENDS)
def test_a_trial_is_read_as_it_was_written(trial):
    assert read_trial(written(trial)) == replace(trial, created=1.0)


def test_a_trial_that_waits_for_its_start_is_created():
    trial = TrialRecord(Assignment("demo-a", 3, (("lr", "0.1"),)), 1.0, uid="u")
    assert read_trial(written(trial)) == trial


def test_an_early_stopped_trial_without_an_end_is_to_be_stopped():
    """Katib's early stopping services write the condition while the run goes on."""
    trial = TrialRecord(Assignment("demo-a", 3, ()), 1.0, TrialState.RUNNING, started=2.0, uid="u")
    document = written(trial)
    document["status"]["conditions"].append({"type": "EarlyStopped", "status": "True"})
    read = read_trial(document)
    assert read.state is TrialState.RUNNING
    assert read.stop is not None
    assert (read.stop.kind, read.stop.told) == (StopKind.EARLY_STOPPED, True)


def test_a_trial_of_katibs_is_read_without_a_number():
    assert read_trial({"metadata": {"name": "demo-x"}, "status": {"conditions": None}}).assignment.index == UNNUMBERED
