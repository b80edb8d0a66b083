"""Tables and queries of real databases as Parquet: PostgreSQL started here, SQLite and DuckDB files."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from builders.sources import database
from builders.sources.database import fetch_table, is_database
from graphrec.errors import GraphrecError, InputError, MissingPackage

PASSWORD = "s3cr3t p@ss/word?%"
CODED = "s3cr3t%20p%40ss%2Fword%3F%25"


def find_server() -> Path | None:
    """Folder of PostgreSQL's programs; Debian keeps them off the PATH."""
    places = [Path(found).resolve().parent for name in ("postgres", "initdb") if (found := shutil.which(name))]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def install_server() -> Path | None:
    """Install Debian's package, where that is possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "timeout": 200}
    try:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *words], check=True, **quiet)  # type: ignore[call-overload]
    except (subprocess.SubprocessError, OSError):
        return None
    return find_server()


def as_somebody() -> list[str]:
    """What to write before a command that refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``127.0.0.1:port`` of a PostgreSQL of its own, whose user ``boss`` has the password PASSWORD."""
    programs = find_server() or install_server()
    if programs is None:
        pytest.skip("no PostgreSQL server here, and Debian's package cannot be installed")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("PostgreSQL refuses to be run by root, and there is no setpriv")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    somebody = as_somebody()
    (folder / "password").write_text(PASSWORD)
    if somebody:
        user = int(somebody[1].partition("=")[2])
        for path in (folder, folder / "password"):
            os.chown(path, user, -1)
    data = folder / "data"
    initdb = [*somebody, programs / "initdb", "-D", data, "-U", "boss", "--auth=scram-sha-256", "--no-sync"]
    locale = ["--encoding=UTF8", "--locale=C", f"--pwfile={folder / 'password'}"]
    subprocess.run([*initdb, *locale], check=True, capture_output=True, cwd=folder)
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    zone = ["-c", "timezone=Asia/Kolkata", "-c", "datestyle=SQL, DMY"]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [*somebody, programs / "postgres", "-D", data, "-p", str(port), *settings, *zone],
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        wait_for(port, started, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(port: int, started: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if started.poll() is not None:
            break
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


TABLES = """
CREATE TABLE types (
    id int8, small int2, real float4, double float8, numeric numeric(40, 10), free numeric, yes bool, words text,
    fixed char(4), day date, plain timestamp, zoned timestamptz, clock time, gap interval, uuid uuid, js json,
    jb jsonb, numbers int[], nested text[][], bytes bytea, address inet, "Odd ""Name" text
);
INSERT INTO types VALUES (
    9007199254740993, 7, 0.1, 0.1, 12345678901234567890.0123456789, 1e30, true, E'a\\n"b"', 'ab', '2024-02-29',
    '2024-01-01 12:00:00', '2024-01-01 12:00:00.5+05:30', '13:00', '1 day', '6f1b6e8a-9c55-4c3f-8c4d-000000000001',
    '{"a": 1}', '{"b": [1]}', '{1,2}', '{{a,b},{c,d}}', '\\xdeadbeef', '10.0.0.1', 'odd'
);
INSERT INTO types (id) VALUES (NULL);
CREATE TABLE ends (at timestamptz, number float8, day date);
INSERT INTO ends VALUES ('infinity', 'NaN', '-infinity'), ('0044-03-15 12:00+00 BC', 'Infinity', '4000-01-01');
CREATE SCHEMA archive;
CREATE TABLE archive.visits AS SELECT 'old' AS who;
CREATE TABLE visits AS SELECT 'new' AS who;
CREATE TABLE archive.old_log AS SELECT 'log' AS who;
CREATE TABLE "it's a ""Table"".x; DROP TABLE visits; --" AS SELECT 1 AS a;
CREATE TABLE nothing (a int);
CREATE SEQUENCE counter;
CREATE VIEW seen AS SELECT who FROM visits;
CREATE TABLE big AS SELECT n AS id, 'user ' || n % 1000 AS who, to_timestamp(1700000000 + n) AS at
    FROM generate_series(1, 200000) AS n;
CREATE TABLE parted (a int) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
INSERT INTO parted VALUES (1), (2);
"""


@pytest.fixture(scope="session")
def postgres(server: str) -> str:
    """Address of a database with the tables above."""
    from adbc_driver_postgresql.dbapi import connect

    address = f"postgresql://boss:{CODED}@{server}/postgres"
    with connect(address, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in filter(str.strip, TABLES.split(";\n")):
            cursor.execute(statement)
        cursor.execute("CREATE DATABASE single")
        cursor.execute("CREATE DATABASE bare")
    with connect(address.replace("/postgres", "/single"), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE only_one AS SELECT 'here' AS who")
    return address


def rows(given: str, query: str | None, workspace: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(fetch_table(given, query, workspace).path)
    assert {str(kind) for kind in table.schema.types} == {"string"}
    return list(zip(*table.to_pydict().values(), strict=True))


def test_every_type_of_postgresql_comes_as_it_writes_it(postgres: str, tmp_path: Path) -> None:
    table = pq.read_table(fetch_table(postgres, "types", tmp_path).path)
    first, second = table.to_pylist()
    assert set(second.values()) == {None}
    assert first == {
        "id": "9007199254740993", "small": "7", "real": "0.1", "double": "0.1", "free": "1" + "0" * 30,
        "numeric": "12345678901234567890.0123456789", "yes": "true", "words": 'a\n"b"', "fixed": "ab",
        "day": "2024-02-29", "plain": "2024-01-01 12:00:00", "zoned": "2024-01-01 06:30:00.5+00", "clock": "13:00:00",
        "gap": "1 day", "uuid": "6f1b6e8a-9c55-4c3f-8c4d-000000000001", "js": '{"a": 1}', "jb": '{"b": [1]}',
        "numbers": "{1,2}", "nested": "{{a,b},{c,d}}", "bytes": "\\xdeadbeef", "address": "10.0.0.1/32",
        'Odd "Name': "odd",
    }  # fmt: skip


def test_a_time_with_a_zone_means_the_same_moment_to_the_engine(postgres: str, tmp_path: Path) -> None:
    path = fetch_table(postgres, "SELECT zoned FROM types WHERE id IS NOT NULL", tmp_path).path
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    (found,) = connection.execute(f"SELECT zoned::TIMESTAMPTZ::VARCHAR FROM '{path}'").fetchone() or ()
    assert found == "2024-01-01 06:30:00.5+00"


def test_values_at_the_ends_of_their_types_do_not_fail(postgres: str, tmp_path: Path) -> None:
    assert rows(postgres, "ends", tmp_path) == [
        ("infinity", "NaN", "-infinity"),
        ("0044-03-15 12:00:00+00 BC", "Infinity", "4000-01-01"),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("visits", "new"),
        (" visits ", "new"),
        ("VISITS", "new"),
        ("public.visits", "new"),
        ("archive.visits", "old"),
        ("old_log", "log"),
        ("seen", "new"),
        ('it\'s a "Table".x; DROP TABLE visits; --', "1"),
        ("SELECT who FROM visits;", "new"),
        ("-- which\nselect who from visits -- no more", "new"),
        ("/* a */ (SELECT who FROM archive.visits)", "old"),
        ("WITH old AS (SELECT who FROM archive.visits) SELECT * FROM old", "old"),
        ("SELECT 'a;b' AS x", "a;b"),
    ],
)
def test_a_name_or_a_statement_is_read(postgres: str, tmp_path: Path, query: str, expected: str) -> None:
    assert rows(postgres, query, tmp_path) == [(expected,)]


def test_names_to_show_hold_no_user(postgres: str, server: str, tmp_path: Path) -> None:
    names = [fetch_table(postgres, query, tmp_path).name for query in ("visits", "archive.visits", "SELECT 1 AS a")]
    where = f"postgresql://{server}/postgres"
    assert names == [f"{where}/visits", f"{where}/archive.visits", f"{where}/query"]


def test_the_only_table_need_not_be_named(postgres: str, tmp_path: Path) -> None:
    assert rows(postgres.replace("/postgres", "/single"), None, tmp_path) == [("here",)]
    assert rows(postgres, "parted", tmp_path) == [("1",), ("2",)]


def test_a_table_in_batches(postgres: str, tmp_path: Path) -> None:
    fetched = fetch_table(postgres, "big", tmp_path)
    assert pq.read_metadata(fetched.path).num_rows == 200_000
    file = pq.ParquetFile(fetched.path)
    assert file.metadata.num_rows == 200_000
    first = next(file.iter_batches(1)).to_pylist()
    assert first == [{"id": "1", "who": "user 1", "at": "2023-11-14 22:13:21+00"}]


def test_memory_stays_level_while_a_table_grows(server: str, postgres: str, tmp_path: Path) -> None:
    """Peak memory of a fresh process: a million rows of 200 letters are 200 MB, and may cost no such thing."""
    code = """
import resource, sys
from pathlib import Path
import pyarrow.parquet as pq
from builders.sources.database import fetch_table
query = "SELECT n AS id, md5(n::text) || repeat('x', 168) AS filler FROM generate_series(1, %s) AS n"
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
sizes = []
for rows in (200_000, 1_000_000):
    copy = fetch_table(sys.argv[1], query % rows, Path(sys.argv[2]))
    sizes.append(peak())
    assert pq.read_metadata(copy.path).num_rows == rows
print(sizes[1] - sizes[0])
"""
    run = [sys.executable, "-c", code, postgres, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 50


WRITING = [
    "CREATE TABLE x (a int)",
    "DELETE FROM visits",
    "WITH x AS (DELETE FROM visits RETURNING *) SELECT * FROM x",
    "SELECT 1 AS a); DROP TABLE visits; SELECT (1",
    "SELECT nextval('counter') AS a",
]


@pytest.mark.parametrize("statement", WRITING)
def test_nothing_is_written(postgres: str, tmp_path: Path, statement: str) -> None:
    with pytest.raises(InputError):
        fetch_table(postgres, statement, tmp_path)
    assert rows(postgres, "visits", tmp_path) == [("new",)]


REFUSED = {
    "no table": ("/postgres", "vists", "there is no table 'vists', did you mean 'visits'"),
    "several": ("/postgres", None, "name one table with 'query'.*there are archive.old_log, archive.visits, big"),
    "none": ("/bare", None, "a database with a table expected, got none"),
    "syntax": ("/postgres", "SELECT FRM visits WHERE", "cannot be read: syntax error at or near"),
    "column": ("/postgres", "SELECT nope FROM visits", 'column "nope" does not exist'),
    "on the way": ("/postgres", "SELECT 1 / (n - 150000) AS a FROM generate_series(1, 200000) n", "division by zero"),
    "no rows": ("/postgres", "nothing", "got no rows"),
    "twice": ("/postgres", "SELECT 1 AS a, 2 AS a", "'a' is there twice; rename one with AS"),
    "no columns": ("/postgres", "SELECT FROM visits", "there are none"),
    "no database": ("/elsewhere", "visits", 'no connection: database "elsewhere" does not exist'),
    "option": ("/postgres?colour=red", "visits", "invalid URI query parameter"),
}


def refused(given: str, query: str | None, workspace: Path) -> str:
    """The one line that a source is refused with; it never holds the password."""
    with pytest.raises(GraphrecError) as caught:
        fetch_table(given, query, workspace)
    line = str(caught.value)
    assert "\n" not in line
    for secret in (PASSWORD, CODED, "s3cr3t", "ss/word", "boss:"):
        assert secret not in line
    return line


@pytest.mark.parametrize("case", REFUSED)
def test_what_postgresql_refuses_is_one_line(postgres: str, tmp_path: Path, case: str) -> None:
    end, query, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        raise InputError(refused(postgres.replace("/postgres", end), query, tmp_path))


@pytest.mark.parametrize("wrong", ["s3cr3t", "boss", "s3cr3t%2Fmore", ""])
def test_a_wrong_password_is_not_told(postgres: str, server: str, tmp_path: Path, wrong: str) -> None:
    line = refused(f"postgresql://boss:{wrong}@{server}/postgres", "visits", tmp_path)
    assert line.startswith(f"postgresql://{server}/postgres: no connection: ")
    assert "password" in line


ADDRESSES = [
    f"postgresql://boss:{PASSWORD}@127.0.0.1:1/postgres",
    "postgresql://boss:s3cr3t@127.0.0.1:1/postgres",
    "postgresql://boss:s3cr3t@no.such.host.invalid/postgres",
    "postgresql://boss:s3cr3t",
    "postgresql://boss:s3cr3t%zz@127.0.0.1:1/postgres",
    "postgresql://boss:s3cr3t%00@127.0.0.1:1/postgres",
    "postgresql://127.0.0.1:1/postgres?user=boss&password=s3cr3t",
    "postgresql://127.0.0.1:1/postgres?passwort=s3cr3t",
    "postgres://boss:s3cr3t@127.0.0.1:port/postgres",
    "postgres://boss:s3cr3t@[::1]:1/postgres",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_leads_nowhere_is_one_line(address: str, tmp_path: Path) -> None:
    assert refused(address, "visits", tmp_path).startswith(("postgres", "postgresql"))


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    with pytest.raises(MissingPackage, match=r"pip install 'graphrec\[postgres\]'"):
        fetch_table("postgresql://127.0.0.1:1/postgres", "visits", tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    """A SQLite file with the looseness that SQLite allows."""
    path = tmp_path / "it's 100% a?log#.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mixed (a INTEGER, b)")
        values = [(1, 1.5), ("one", "text"), (None, None), (2**62, b"\xff\x00"), (0.1, 1e300), (-1.0, "é")]
        connection.executemany("INSERT INTO mixed VALUES (?, ?)", values)
        connection.execute("CREATE TABLE empty (a)")
        connection.execute('CREATE TABLE "odd ""name" ("a b" TEXT)')
        connection.execute('INSERT INTO "odd ""name" VALUES (\'x\')')
        connection.execute("CREATE TABLE latin (a)")
        connection.execute("INSERT INTO latin VALUES (CAST(x'636166e9' AS TEXT))")
        connection.execute("CREATE VIEW twice AS SELECT a FROM mixed WHERE b = 'text'")
        connection.commit()
    return path


def test_sqlite_columns_of_many_types_do_not_fail(sqlite: Path, tmp_path: Path) -> None:
    assert rows(str(sqlite), "mixed", tmp_path) == [
        ("1", "1.5"), ("one", "text"), (None, None), (str(2**62), "\\xff00"), ("0.1", "1.0e+300"), ("-1", "é"),
    ]  # fmt: skip


def test_sqlite_is_read_by_name_view_and_statement(sqlite: Path, tmp_path: Path) -> None:
    assert fetch_table(str(sqlite), "mixed", tmp_path).name == "it's 100% a?log#.db/mixed"
    assert rows(f"sqlite:///{sqlite}", 'odd "name', tmp_path) == [("x",)]
    assert rows(f"sqlite://{sqlite}", "main.twice", tmp_path) == [("one",)]
    assert rows(str(sqlite), "SELECT upper(a) AS a FROM mixed WHERE b = 'text' -- so", tmp_path) == [("ONE",)]


def test_sqlite_addresses_are_of_the_working_folder(
    sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sqlite.rename("log.db")
    assert rows("sqlite:///log.db", "twice", tmp_path) == [("one",)]
    assert rows("log.db", "twice", tmp_path) == [("one",)]


def test_sqlite_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.sources.database_session.BATCH_ROWS", 7)
    path = tmp_path / "log.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE log (n)")
        connection.executemany("INSERT INTO log VALUES (?)", [(n,) for n in range(50)])
        connection.commit()
    fetched = fetch_table(str(path), None, tmp_path)
    footer = pq.read_metadata(fetched.path)
    assert (footer.num_rows, footer.num_row_groups) == (50, 8)
    assert pq.read_table(fetched.path)["n"].to_pylist() == [str(n) for n in range(50)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (None, "name one table with 'query'.*there are empty, latin, mixed, odd"),
        ("mixt", "there is no table 'mixt', did you mean 'mixed'"),
        ("SELECT nope FROM mixed", "no such column: nope"),
        ("DELETE FROM mixed", "there is no table 'DELETE FROM mixed'"),
        ("WITH x AS (SELECT 1) DELETE FROM mixed", "cannot be read"),
        ("SELECT 1 AS a); DELETE FROM mixed; SELECT (1", "cannot be read"),
        ("latin", "text in UTF-8 expected"),
        ("empty", "got no rows"),
    ],
)
def test_what_sqlite_refuses_is_one_line(sqlite: Path, tmp_path: Path, query: str | None, words: str) -> None:
    before = sqlite.read_bytes()
    with pytest.raises(InputError, match=words) as caught:
        fetch_table(str(sqlite), query, tmp_path)
    assert "\n" not in str(caught.value)
    assert sqlite.read_bytes() == before


@pytest.fixture
def duck(tmp_path: Path) -> Path:
    path = tmp_path / "it's.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        connection.execute(
            "CREATE TABLE log AS SELECT 170141183460469231731687303715884105727::HUGEINT AS id, "
            "TIMESTAMPTZ '2024-01-01 12:00:00+09' AS at, {'a': [1, 2]} AS nested, NULL AS nothing, 'x' AS \"A b\""
        )
    return path


def test_duckdb_files_are_read(duck: Path, tmp_path: Path) -> None:
    expected = [("170141183460469231731687303715884105727", "2024-01-01 03:00:00+00", "{'a': [1, 2]}", None, "x")]
    for given, query in ((str(duck), None), (f"duckdb:///{duck}", "log"), (str(duck), "SELECT * FROM main.log")):
        assert rows(given, query, tmp_path) == expected
    assert fetch_table(str(duck), None, tmp_path).name == "it's.duckdb/log"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("logs", "did you mean 'log'"),
        ("SELECT nope FROM log", "nope"),
        ("SELECT 1 AS a); DROP TABLE log; SELECT (1", "cannot be read"),
        ("SELECT * FROM log WHERE false", "got no rows"),
    ],
)
def test_what_duckdb_refuses_is_one_line(duck: Path, tmp_path: Path, query: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        fetch_table(str(duck), query, tmp_path)
    assert "\n" not in str(caught.value)
    assert rows(str(duck), 'SELECT "A b" FROM log', tmp_path) == [("x",)]


def test_files_are_known_by_their_first_bytes(sqlite: Path, duck: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    log.write_text("user,item\n")
    assert [is_database(str(path)) for path in (sqlite, duck, log, tmp_path, tmp_path / "none.db")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert is_database("postgres://h/d")
    assert not is_database("https://example.org/log.csv")
    assert not is_database("a\0b")


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + bytes(100), bytes(8) + b"DUCK" + bytes(4000), b"a,b\n"]
)
@pytest.mark.parametrize("scheme", ["sqlite:///", "duckdb:///"])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes, scheme: str) -> None:
    path = tmp_path / "broken.db"
    for _ in range(2):  # there, and not there
        line = refused(f"{scheme}{path}", None, tmp_path)
        assert "broken.db" in line
        path.write_bytes(content)


def test_a_query_is_told_from_a_name() -> None:
    assert not database.QUERY.match("with_children ")
    assert not database.QUERY.match("selected items ")
