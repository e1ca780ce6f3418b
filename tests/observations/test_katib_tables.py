"""A database of Katib's: taken over with every row, answered as Katib does, adopted by trials, and handed back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import pytest
from sqlalchemy import inspect, text

from katib_py.backends.local.database import Database
from katib_py.core.errors import InvalidInput, StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.observations.adoption import adopt
from katib_py.observations.database import connect, logs, writing
from katib_py.observations.log import Run, SqlLog
from katib_py.observations.reports import begin_run
from katib_py.observations.schema import give_back, prepare
from katib_py.observations.server import serve
from katib_py.wire import api, rpc

# As Katib 0.19 makes it, in each of its two languages.
TABLES = {
    "mariadb": "CREATE TABLE IF NOT EXISTS observation_logs (trial_name VARCHAR(255) NOT NULL,"
    " id INT AUTO_INCREMENT PRIMARY KEY, time DATETIME(6), metric_name VARCHAR(255) NOT NULL, value TEXT NOT NULL)",
    "postgresql": "CREATE TABLE IF NOT EXISTS observation_logs (trial_name VARCHAR(255) NOT NULL,"
    " id serial PRIMARY KEY, time TIMESTAMP(6), metric_name VARCHAR(255) NOT NULL, value TEXT NOT NULL)",
}
ROWS = [
    ("random-b", "2026-01-01 00:00:01.5", "loss", "0.50"),
    ("random-a", "2026-01-01 00:00:02", "loss", "0.2"),
    ("random-a", "2026-01-01 00:00:01", "loss", "0.1"),
    ("random-a", "2026-01-01 00:00:01", "loss", "0.1"),  # Katib keeps what it is told twice
    ("random-a", "2026-01-01 00:00:01.000001", "loss", "0.3"),
    ("random-a", "2026-01-01 00:00:01", "Loss", "7"),
    ("random-c", "0001-01-01 00:00:00", "loss", "unavailable"),
    ("random-c", "1969-12-31 23:59:59.999999", "loss", ""),
]
GOT = {
    "random-a": [
        ("2026-01-01T00:00:01Z", "Loss", "7"),
        ("2026-01-01T00:00:01Z", "loss", "0.1"),
        ("2026-01-01T00:00:01Z", "loss", "0.1"),
        ("2026-01-01T00:00:01.000001Z", "loss", "0.3"),
        ("2026-01-01T00:00:02Z", "loss", "0.2"),
    ],
    "random-b": [("2026-01-01T00:00:01.5Z", "loss", "0.50")],
    "random-c": [("0001-01-01T00:00:00Z", "loss", "unavailable"), ("1969-12-31T23:59:59.999999Z", "loss", "")],
}
INSERT = "INSERT INTO observation_logs (trial_name, time, metric_name, value) VALUES (:trial, :time, :metric, :value)"
START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(engine, kind, rows=ROWS):
    with engine.begin() as connection:
        connection.execute(text(TABLES[kind]))
        names = ("trial", "time", "metric", "value")
        for row in rows:
            connection.execute(text(INSERT), dict(zip(names, row, strict=True)))


def start(url):
    engine = connect(url)
    prepare(engine, takes_over=True)
    engine.dispose()


@pytest.fixture(params=["postgresql", "mariadb"])
def kind(request):
    return request.param


@pytest.fixture
def url(new_database, kind):
    return new_database(kind)


@pytest.fixture
def engine(url, kind):
    """A database as Katib leaves it."""
    engine = connect(url)
    fill(engine, kind)
    yield engine
    engine.dispose()


@pytest.fixture
def get(engine):
    prepare(engine, takes_over=True)
    server, address = serve(engine, "127.0.0.1:0")
    with grpc.insecure_channel(address) as channel:
        call = rpc.call(channel, "DBManager", "GetObservationLog")

        def get(trial, **query):
            reply = call(api.GetObservationLogRequest(trial_name=trial, **query))
            return [(log.time_stamp, log.metric.name, log.metric.value) for log in reply.observation_log.metric_logs]

        yield get
    server.stop(None).wait()


def test_every_row_is_answered_by_the_trials_name_as_before(get):
    assert {trial: sorted(get(trial)) for trial in GOT} == {trial: sorted(rows) for trial, rows in GOT.items()}
    assert [value for _, _, value in get("random-a", metric_name="loss")] == ["0.1", "0.1", "0.3", "0.2"]
    assert get("random-d") == []


def test_katibs_table_is_kept_aside_as_it_was(engine):
    prepare(engine, takes_over=True)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM katib_observation_logs")) == len(ROWS)


def test_an_empty_table_is_taken_over_too(new_database, kind):
    engine = connect(new_database(kind))
    fill(engine, kind, [])
    prepare(engine, takes_over=True)
    assert SqlLog(engine).since(0, {"uid-a"}) == (0, [])
    engine.dispose()


def test_of_several_that_start_at_once_one_takes_the_rows_over(engine, url):
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: start(url), range(3)))
    with engine.connect() as connection:
        assert len(connection.execute(logs.select()).all()) == len(ROWS)


@pytest.mark.parametrize("kind", ["mariadb"])
def test_a_takeover_that_broke_off_is_gone_on_with(engine, get):
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM observation_logs"))
        connection.execute(text("DELETE FROM observation_version"))
        connection.execute(text("DROP TABLE observation_stops"))
    prepare(engine, takes_over=True)
    assert sorted(get("random-a")) == sorted(GOT["random-a"])


def test_only_a_db_manager_takes_a_database_of_katibs(engine):
    with pytest.raises(StoreUnavailable, match="holds Katib's own table observation_logs: katib-py db-manager"):
        prepare(engine)
    assert inspect(engine).get_table_names() == ["observation_logs"]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_local_platform_leaves_a_database_of_katibs_alone(url, engine):
    database = Database(url)
    with pytest.raises(StoreUnavailable, match="holds Katib's own table observation_logs: katib-py db-manager"):
        database.look_now(lambda _: None)
    database.close()
    assert inspect(engine).get_table_names() == ["observation_logs"]


def test_an_older_table_that_was_kept_is_never_written_over(engine, kind):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE katib_observation_logs (id INT)"))
    with pytest.raises(StoreUnavailable, match="drop katib_observation_logs, or give it another name"):
        prepare(engine, takes_over=True)


RUN = Run("team-a", "random-a", "uid-a", "1")


def test_a_trial_that_is_known_adopts_its_rows_in_their_order(engine, get):
    with writing(engine).begin() as connection:
        begin_run(connection, RUN, START)
        assert adopt(connection, RUN) == 5
        assert adopt(connection, RUN) == 0
    assert [item.value for item in SqlLog(engine).read("uid-a", "1") if item.metric == "loss"] == [
        "0.1",
        "0.1",
        "0.3",
        "0.2",
    ]
    assert sorted(get("random-a", namespace="team-a")) == sorted(GOT["random-a"])
    assert SqlLog(engine).held() == {"uid-a"}


def test_adopted_rows_stay_beside_those_that_the_run_has(engine):
    prepare(engine, takes_over=True)
    taken = int(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC).timestamp() * 1_000_000)
    own = Measurement("loss", "9", START, taken)
    SqlLog(engine).append([(RUN, [own])])
    with writing(engine).begin() as connection:
        assert adopt(connection, RUN) == 5
    values = [item.value for item in SqlLog(engine).read("uid-a", "1")]
    assert sorted(values) == sorted(["9", "0.1", "0.1", "0.3", "0.2", "7"])


def katibs_rows(engine):
    with engine.connect() as connection:
        query = "SELECT trial_name, time, metric_name, value FROM observation_logs"
        return sorted(
            (row.trial_name, str(row.time)[:26], row.metric_name, row.value) for row in connection.execute(text(query))
        )


def test_katib_finds_its_table_again_with_what_came_since(engine, kind):
    before = katibs_rows(engine)
    prepare(engine, takes_over=True)
    since = [Measurement("loss", "0.4", datetime(2026, 1, 1, 0, 1, tzinfo=UTC), number) for number in (1, 2)]
    SqlLog(engine).append([(Run("team-a", "new", "uid-n", str(attempt)), since[:attempt]) for attempt in (2, 1)])
    count = give_back(engine)
    assert count == len(ROWS) + 1  # the last attempt alone
    assert katibs_rows(engine) == sorted([*before, ("new", "2026-01-01 00:01:00", "loss", "0.4")])
    assert inspect(engine).get_table_names() == ["observation_logs"]
    fill(engine, kind, [("random-a", "2026-01-02 00:00:00", "loss", "0")])  # Katib goes on


def test_there_and_back_again_as_often_as_one_likes(engine, kind):
    before = katibs_rows(engine)
    for _ in range(2):
        prepare(engine, takes_over=True)
        assert give_back(engine) == len(ROWS)
    assert katibs_rows(engine) == before


def test_what_katibs_columns_cannot_hold_is_cut(engine):
    prepare(engine, takes_over=True)
    long = Measurement("m" * 600, "9" * 70_000, START, 1)
    SqlLog(engine).append([(RUN, [long])])
    assert give_back(engine) == len(ROWS) + 1
    assert max(len(row[2]) for row in katibs_rows(engine)) == 255


def test_katib_cannot_use_a_file(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'katib.db'}")
    with pytest.raises(InvalidInput, match="--export-katib: is given for sqlite"):
        give_back(engine)
    engine.dispose()
