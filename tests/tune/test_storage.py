"""URLs of databases, their passwords, and what their errors mean."""

import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from darts.core.errors import SweepError
from darts.tune import storage
from darts.tune.storage import database_url, has_password, is_outage, open_storage, persistently, shown_url
from darts.tune.sweep import open_database

SECRET = "canary-7f3a"


def url_of(text):
    return database_url(text, {}, Path("unused"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_words_for_postgresql_mean_psycopg2(scheme):
    assert url_of(f"{scheme}://me@host:5432/sweeps").drivername == "postgresql+psycopg2"
    assert url_of("postgresql+psycopg://me@host/sweeps").drivername == "postgresql+psycopg"


def test_flag_before_environment_before_a_file_in_the_artifact_directory(tmp_path):
    environment = {"DARTS_SWEEP_DB": "postgresql://a/b"}
    assert database_url("sqlite:////x.db", environment, tmp_path).database == "/x.db"
    assert database_url(None, environment, tmp_path).host == "a"
    assert database_url(None, {}, tmp_path).database == str(tmp_path / "sweeps.db")


@pytest.mark.parametrize(
    "text", [f"postgresql://me:{SECRET}@host/db", f"postgresql://me@host/db?password={SECRET}&sslmode=require"]
)
def test_a_password_is_never_shown(text):
    url = url_of(text)
    assert has_password(url)
    assert SECRET not in shown_url(url)
    assert not has_password(url_of("postgresql://me@host/db"))


def test_what_is_no_url_is_refused_without_showing_it():
    with pytest.raises(SweepError) as caught:
        url_of(f"my database {SECRET}")
    assert SECRET not in str(caught.value)
    with pytest.raises(SweepError, match="a sweep in memory would be lost"):
        url_of("sqlite://")


def test_braces_and_signs_in_a_password_reach_the_server(postgres):
    password = "a{b}%@:/c"
    postgres.demand_password("braces", password)
    plain = sa.make_url(postgres.new_database())
    url = plain.set(drivername="postgresql+psycopg2", username="braces", password=password)
    open_storage(url).engine.dispose()


def test_a_wrong_password_is_one_clear_line_without_it(postgres):
    postgres.demand_password("careful", "right")
    wrong = sa.make_url(postgres.new_database()).set(username="careful", password=SECRET)
    with pytest.raises(SweepError, match="the database refuses the password") as caught:
        open_database(url_of(wrong.render_as_string(hide_password=False)))
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_database_driver_and_server_are_one_clear_line_each(postgres, tmp_path, monkeypatch):
    missing = sa.make_url(postgres.new_database()).set(database="nowhere")
    with pytest.raises(SweepError, match="the server has no such database"):
        open_database(url_of(missing.render_as_string()))
    with pytest.raises(SweepError, match="no server answers there"):
        open_database(url_of(f"postgresql://me:{SECRET}@127.0.0.1:1/db"))
    with pytest.raises(SweepError, match="no server answers there"):
        open_database(url_of(f"postgresql://me@/db?host={tmp_path}"))
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SweepError, match=r"there is no driver for postgresql\+psycopg"):
        open_database(url_of("postgresql+psycopg://me@host/db"))
    with pytest.raises(SweepError, match="kept in PostgreSQL, MySQL or SQLite"):
        open_database(url_of("oracle://me@host/db"))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("not a database at all, whatever its name says\n" * 100)
    with pytest.raises(SweepError, match="no SQLite database"):
        open_database(url_of(f"sqlite:///{tmp_path}/text.db"))


# --- while the database is away


def away(times):
    """Fails so many times as a database does that is away, then gives 7."""
    left = [None] * times

    def action():
        if left:
            left.pop()
            raise sa.exc.OperationalError("select", {}, Exception("server closed the connection"))
        return 7

    return action


def test_a_database_that_is_away_is_waited_for(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert persistently(away(5)) == 7


def test_one_that_stays_away_ends_the_waiting_with_a_clear_line(monkeypatch):
    monkeypatch.setattr(storage, "PATIENCE", -1.0)
    with pytest.raises(SweepError, match="what is finished is kept on disk"):
        persistently(away(5))


def test_an_error_of_another_kind_is_not_waited_for():
    with pytest.raises(ZeroDivisionError):
        persistently(lambda: 1 / 0)
    assert not is_outage(sa.exc.ProgrammingError("select", {}, Exception("syntax")))
    wrapped = RuntimeError()
    wrapped.__cause__ = sa.exc.InterfaceError("select", {}, Exception("closed"))
    assert is_outage(wrapped)
