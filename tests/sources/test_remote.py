"""Files at addresses: from memory, over HTTP and from an S3 store, each a real server on this machine."""

from __future__ import annotations

import gzip
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import fsspec
import pytest

from builders.sources import remote
from builders.sources.remote import fetch_files, is_remote
from graphrec.errors import GraphrecError, MissingPackage

LOG = b"user,item,time\nanna,bar,2024-01-01\n" * 1000


class Heard:
    """A progress that remembers what it heard."""

    def __init__(self) -> None:
        self.total: list[int | None] = []
        self.steps = 0

    def start(self, title: str, total: int | None = None) -> None:
        self.total.append(total)

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps

    def finish(self) -> None:
        self.total.append(-1)


class Web(SimpleHTTPRequestHandler):
    """The files of a folder, its listing, and some pages that go wrong."""

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/private.csv" and self.headers.get("Authorization") is None:
            self.send_error(403)
        elif path == "/broken.csv":
            self.send_error(500)
        elif path == "/cut.csv":
            self.send_response(200)
            self.send_header("Content-Length", str(len(LOG)))
            self.end_headers()
            self.wfile.write(LOG[:100])
        elif path == "/download":
            self.send_response(200)  # without its length
            self.end_headers()
            self.wfile.write(LOG)
        else:
            super().do_GET()


STORE = {"logs/2024/a.csv": LOG, "logs/2024/b.csv.gz": gzip.compress(LOG), "logs/2025/a.csv": LOG, "odd [1]?.csv": LOG}


class Store(BaseHTTPRequestHandler):
    """The part of S3 that reading takes: list, head and get; a bucket ``closed`` that nobody may read."""

    def log_message(self, *_: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket == "closed":
            self.answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        elif bucket != "bucket" or (key and key not in STORE):
            self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>Not there</Message></Error>")
        elif key:
            self.answer(200, STORE[key])
        else:
            self.answer(200, listing(parse_qs(url.query).get("prefix", [""])[0], "delimiter" in url.query))

    def answer(self, status: int, content: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted and status == 200:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            content, status = content[int(first) : int(last) + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("ETag", '"0"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def listing(prefix: str, folded: bool) -> bytes:
    """What S3 answers to ListObjectsV2."""
    found = {key: len(content) for key, content in STORE.items() if key.startswith(prefix)}
    folders = sorted({key[: key.index("/", len(prefix)) + 1] for key in found if folded and "/" in key[len(prefix) :]})
    files = {key: size for key, size in found.items() if not folded or "/" not in key[len(prefix) :]}
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
        for key, size in files.items()
    )
    contents += "".join(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in folders)
    count = len(files) + len(folders)
    head = f"<Name>bucket</Name><KeyCount>{count}</KeyCount><IsTruncated>false</IsTruncated>"
    return f"<?xml version='1.0'?><ListBucketResult>{head}{contents}</ListBucketResult>".encode()


def serve(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("web")
    for name in ("a.csv", "b.csv", "with space.csv", "private.csv"):
        (folder / name).write_bytes(LOG)
    yield from serve(partial(Web, directory=str(folder)))


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    yield from serve(Store)


@pytest.fixture
def s3(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3 store of this machine, in the way in which any client is told of one."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{store}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.pipe({"/logs/a.csv": LOG, "/logs/b.csv": LOG, "/logs/deep/a.csv": LOG, "/logs/odd[1].csv": LOG})
    yield system
    system.rm("/", recursive=True)


def contents(given: str, workspace: Path) -> dict[str, bytes]:
    copies = fetch_files(given, workspace)
    assert len({copy.path for copy in copies}) == len(copies)
    return {f"{copy.name} as {copy.path.name}": copy.path.read_bytes() for copy in copies}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("s3://bucket/a.csv", True),
        ("https://h/a.csv", True),
        ("memory://a", True),
        ("file:///a", True),
        ("zip://a.csv::s3://b/c.zip", True),
        ("postgresql://h/d", False),
        ("sqlite:///a.db", False),
        ("logs/a.csv", False),
        ("C://a.csv", False),
        ("/a/b://c", False),
        ("ab::cd", False),
    ],
)
def test_addresses_are_told_from_paths(given: str, expected: bool) -> None:
    assert is_remote(given) == expected


def test_memory_with_and_without_a_pattern(tmp_path: Path) -> None:
    assert contents("memory://logs/a.csv", tmp_path) == {"memory:///logs/a.csv as a.csv": LOG}
    names = [
        "memory:///logs/a.csv as a.csv",
        "memory:///logs/b.csv as b.csv",
        "memory:///logs/odd[1].csv as odd[1].csv",
    ]
    assert list(contents("memory://logs/*.csv", tmp_path)) == names
    assert list(contents("memory://logs/**/a.csv", tmp_path)) == [names[0], "memory:///logs/deep/a.csv as a.csv"]
    assert list(contents("memory://logs/odd[1].csv", tmp_path)) == ["memory:///logs/odd[1].csv as odd[1].csv"]


def test_new_files_are_seen_in_a_long_session(tmp_path: Path, memory: Any) -> None:
    assert len(fetch_files("memory://logs/*.csv", tmp_path)) == 3
    memory.pipe("/logs/c.csv", b"new")
    assert len(fetch_files("memory://logs/*.csv", tmp_path)) == 4
    memory.pipe("/logs/c.csv", b"newer")
    assert fetch_files("memory://logs/c.csv", tmp_path)[0].path.read_bytes() == b"newer"


def test_progress_hears_of_every_byte(tmp_path: Path, web: str) -> None:
    for given, total in (("memory://logs/*.csv", 3 * len(LOG)), (f"http://{web}/a.csv", len(LOG))):
        heard = Heard()
        fetch_files(given, tmp_path, heard)
        assert (heard.total, heard.steps) == ([total, -1], total)
    heard = Heard()
    fetch_files(f"http://{web}/download?id=5", tmp_path, heard)
    assert (heard.total, heard.steps) == ([None, -1], len(LOG))


def test_a_local_file_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(LOG)
    assert [(copy.path, copy.name) for copy in fetch_files(f"file://{path}", tmp_path)] == [(path, "log.csv")]
    assert [copy.path for copy in fetch_files(f"file://{tmp_path}/*.csv", tmp_path)] == [path]


def test_an_archive_in_a_store_is_read(tmp_path: Path, memory: Any) -> None:
    with memory.open("/logs.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", LOG)
    (content,) = contents("zip://*.csv::memory://logs.zip", tmp_path).values()
    assert content == LOG


def test_http_keeps_names_and_hides_options(tmp_path: Path, web: str) -> None:
    at = f"http://{web}"
    assert contents(f"{at}/a.csv?signature=s3cr3t&b=*", tmp_path) == {f"{at}/a.csv as a.csv": LOG}
    assert contents(f"{at}/with%20space.csv", tmp_path) == {f"{at}/with%20space.csv as with space.csv": LOG}
    assert list(contents(f"{at}/?.csv", tmp_path)) != []  # the listing itself: a question mark is no wildcard there
    assert list(contents(f"{at}/[ab].csv", tmp_path)) == [f"{at}/a.csv as a.csv", f"{at}/b.csv as b.csv"]
    assert list(contents(f"http://me:s3cr3t@{web}/private.csv", tmp_path)) == [f"{at}/private.csv as private.csv"]


@pytest.mark.usefixtures("s3")
def test_s3_is_read_by_name_and_by_pattern(tmp_path: Path) -> None:
    assert contents("s3://bucket/logs/2024/a.csv", tmp_path) == {"s3://bucket/logs/2024/a.csv as a.csv": LOG}
    found = contents("s3://bucket/logs/*/*.csv*", tmp_path)
    assert list(found) == [f"s3://bucket/{key} as {key.rpartition('/')[2]}" for key in list(STORE)[:3]]
    assert gzip.decompress(found["s3://bucket/logs/2024/b.csv.gz as b.csv.gz"]) == LOG
    assert list(contents("s3://bucket/odd [1]?.csv", tmp_path)) == ["s3://bucket/odd [1]?.csv as odd [1]?.csv"]


def refused(given: str, workspace: Path) -> str:
    with pytest.raises(GraphrecError) as caught:
        fetch_files(given, workspace)
    line = str(caught.value)
    assert "\n" not in line
    for secret in ("s3cr3t", "me:", "t%2Fz", "t/z", "ss@"):
        assert secret not in line
    return line


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("bucket/logs/none.csv", "there is no such file"),
        ("bucket/logs/*.csv", "no file matches this pattern"),
        ("bucket/logs", "got a folder"),
        ("closed/a.csv", "ACCESS_DENIED"),
        ("me:s3cr3t@bucket/a.csv", "cannot be fetched"),
    ],
)
def test_what_s3_refuses_is_one_line(path: str, words: str, tmp_path: Path) -> None:
    line = refused(f"s3://{path}", tmp_path)
    assert line.startswith("s3://")
    assert words in line


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.csv", "there is no such file"),
        ("none.csv?token=s3cr3t", "there is no such file"),
        ("*.json", "no file matches this pattern"),
        ("private.csv", "access is refused"),
        ("broken.csv?s3cr3t", "500"),
        ("cut.csv", "cannot be fetched"),
    ],
)
def test_what_http_refuses_is_one_line(web: str, path: str, words: str, tmp_path: Path) -> None:
    line = refused(f"http://{web}/{path}", tmp_path)
    assert line.startswith(f"http://{web}/{path.partition('?')[0]}: ")
    assert words in line


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("memory://logs/none.csv", "there is no such file"),
        ("memory://logs/*.json", "no file matches this pattern"),
        ("memory://logs", "got a folder"),
        ("file:///no/such/log.csv", "there is no such file"),
        ("http://127.0.0.1:1/log.csv", "cannot be fetched"),
        ("http://no.such.host.invalid/log.csv?key=s3cr3t", "cannot be fetched"),
        ("http://me:s3cr3t@127.0.0.1:1/log.csv", "cannot be fetched"),
        ("http://me:s3cr3t/ss@host/log.csv", "an address such as http://host/log.csv expected"),
        ("http://me:s3cr3t", "an address such as http://host/log.csv expected"),
        ("http://[::1/log.csv", "an address such as"),
        ("nothing://a/b.csv", "nothing"),
        ("a::b", ""),
        ("zip://a.csv::memory://logs/a.csv", "zip"),
        ("http://", ""),
        ("s3://", ""),
    ],
)
def test_any_address_that_leads_nowhere_is_one_line(
    given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert words in refused(given, tmp_path)


@pytest.mark.parametrize(
    ("given", "package"),
    [("gs://b/a.csv", "gcsfs"), ("az://b/a.csv?sig=s3cr3t", "adlfs"), ("sftp://h/a.csv", "paramiko")],
)
def test_a_missing_package_is_named(given: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=package):
        raise MissingPackage(refused(given, tmp_path))


def test_names_that_no_folder_can_hold() -> None:
    assert remote._file_name("bucket/" + "x" * 300 + ".csv.gz").endswith("xxx.csv.gz")
    assert len(remote._file_name("bucket/" + "x" * 300 + ".csv.gz")) == remote.MAX_NAME_LENGTH
    assert remote._file_name("https://h/") in ("h", "file")
    assert remote._file_name("https://h/a%2F..%2Fb.csv?x=1") == "b.csv"
