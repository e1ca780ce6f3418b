"""What the environment says of the database, as Katib's users write it."""

from __future__ import annotations

import pytest

from katib_py.core.errors import InvalidInput
from katib_py.observations.address import shown
from katib_py.observations.environment import database_url, seconds, skips_initialization, source, token_key

MYSQL = {
    "DB_NAME": "mysql",
    "DB_USER": "me",
    "DB_PASSWORD": "p@ss/w:rd",
    "KATIB_MYSQL_DB_HOST": "db.example",
    "KATIB_MYSQL_DB_PORT": "3307",
    "KATIB_MYSQL_DB_DATABASE": "trials",
}
POSTGRES = {
    "DB_NAME": "postgres",
    "DB_PASSWORD": "x",
    "KATIB_POSTGRESQL_DB_HOST": "db.example",
    "KATIB_POSTGRESQL_DB_PORT": "5433",
    "KATIB_POSTGRESQL_DB_DATABASE": "trials",
    "KATIB_POSTGRESQL_SSL_MODE": "require",
}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"DB_NAME": "mysql"}, "mysql+pymysql://root@katib-mysql:3306/katib"),
        (MYSQL, "mysql+pymysql://me:p%40ss%2Fw%3Ard@db.example:3307/trials"),
        ({"DB_NAME": "postgres"}, "postgresql+psycopg://katib@katib-postgres:5432/katib?sslmode=disable"),
        (POSTGRES, "postgresql+psycopg://katib:x@db.example:5433/trials?sslmode=require"),
        ({"DB_NAME": "mysql", "KATIB_MYSQL_DB_HOST": "", "DB_USER": ""}, "mysql+pymysql://:3306/katib"),
        ({**MYSQL, "KATIB_DB_URL": "sqlite:///x.db"}, "sqlite:///x.db"),
        ({"KATIB_DB_URL": ""}, None),
    ],
)
def test_katibs_variables_name_the_database(environ, url):
    assert database_url(environ) == url


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"DB_NAME": "oracle"}, "DB_NAME: is 'oracle'; must be mysql or postgres"),
        ({"DB_NAME": ""}, "DB_NAME: is ''; must be mysql or postgres"),
        ({"DB_NAME": "mysql", "KATIB_MYSQL_DB_PORT": "http"}, "KATIB_MYSQL_DB_PORT: is 'http'; must be a number"),
    ],
)
def test_what_names_no_database_is_said(environ, words):
    with pytest.raises(InvalidInput, match=words):
        database_url(environ)


def test_a_database_that_the_environment_names_is_shown_without_its_password():
    assert shown(database_url(MYSQL)) == "mysql+pymysql://me:***@db.example:3307/trials"
    assert source(MYSQL) == "DB_NAME, DB_USER, DB_PASSWORD and KATIB_MYSQL_DB_HOST, …_PORT, …_DATABASE"
    assert source({"KATIB_DB_URL": "sqlite:///x.db"}) == "KATIB_DB_URL"


def test_initialization_is_skipped_where_the_variable_says_anything_but_false():
    texts = [None, "false", "true", "", "False"]
    environs = [{} if text is None else {"SKIP_DB_INITIALIZATION": text} for text in texts]
    assert [skips_initialization(environ) for environ in environs] == [False, False, True, True, True]


def test_a_key_that_can_be_guessed_is_refused():
    assert token_key({}) == ""
    assert token_key({"KATIB_TOKEN_KEY": "k" * 16}) == "k" * 16
    with pytest.raises(InvalidInput, match="KATIB_TOKEN_KEY: has 5 characters; must have at least 16"):
        token_key({"KATIB_TOKEN_KEY": "guess"})


@pytest.mark.parametrize(("text", "value"), [("60s", 60), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), ("0", 0)])
def test_a_duration_is_written_as_in_go(text, value):
    assert seconds(text, "--connect-timeout") == value


@pytest.mark.parametrize("text", ["", "60 s", "s", "-1s", "1d"])
def test_what_is_no_duration_is_said(text):
    with pytest.raises(InvalidInput, match=r"--connect-timeout: is .*; must be a duration, such as 60s or 1m30s"):
        seconds(text, "--connect-timeout")
