"""Files on other machines, by any address that fsspec knows: copied here before they are read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec
from fsspec.callbacks import Callback
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from builders.sources.database import is_database
from graphrec.errors import GraphrecError, InputError, MissingPackage
from graphrec.progress import NoProgress, Progress

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""How an address begins; two letters at least, so that C:// is a path."""
WEB = ("http", "https")
"""Where a question mark begins the options, and is not a wildcard."""
HOSTS = (*WEB, "ftp", "sftp", "ssh", "smb", "webdav")
"""Addresses that begin with a host and perhaps its port."""
CONNECT_SECONDS, READ_SECONDS = 15, 120
"""How long a web server may take to answer, and to go on."""
MAX_NAME_LENGTH = 120
"""Letters of a file's name that a copy keeps, the last ones."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that was copied from elsewhere."""

    path: Path
    """The copy, with the file's own name; the file itself where ``file://`` named a local one."""
    name: str
    """Where it came from, such as ``s3://logs/2024/may.csv.gz``; without user, password and options."""


def is_remote(given: str) -> bool:
    """Whether a source is an address such as ``s3://bucket/log.csv`` and neither a local path nor a database."""
    return ADDRESS.match(given) is not None and not is_database(given)


def fetch_files(given: str, workspace: Path, progress: Progress | None = None) -> list[RemoteFile]:
    """Copy a file, or those that a pattern matches, to ``workspace``, a piece at a time.

    Parameters
    ----------
    given
        ``s3://bucket/logs/*.csv.gz``, ``https://host/log.csv`` or any other address of fsspec's. Keys and tokens
        are best left to where the file system looks for them itself (environment, profile, role).
    workspace
        Folder for the copies; each lies in a folder of its own, so that equal names do not meet.
    progress
        Hears of the bytes that have come.

    Raises
    ------
    InputError
        There is no such file, no match, no permission, or no connection. The message is one line without secrets.
    MissingPackage
        The package that knows this kind of address is not installed.
    """
    progress = progress or NoProgress()
    with _refusals(given):
        system, pattern = _open(given)
        found = _find(system, pattern, given)
        if isinstance(system, LocalFileSystem):
            return [RemoteFile(Path(path), Path(path).name) for path in found]
        sizes = list(found.values())
        progress.start("fetching", None if None in sizes else sum(size or 0 for size in sizes))
        copies = [_copy(system, path, workspace, progress) for path in found]
        progress.finish()
    return copies


def _open(given: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    scheme = _scheme(given)
    try:
        system, path = fsspec.url_to_fs(given, **_options(scheme))
    except ImportError as error:
        if scheme == "s3" and given.startswith("s3://"):
            return _arrow_s3(given)
        package = str(known_implementations[scheme]["class"]).partition(".")[0]
        remedy = f"pip install {package}" if package != "fsspec" else str(error).splitlines()[0]
        raise MissingPackage(f"{_shown(given)}: what reads {scheme}:// is not installed; {remedy}") from None
    system.invalidate_cache()  # in a long session there may be new files by now
    return system, path


def _scheme(given: str) -> str:
    """The scheme of an address; of the innermost one, where an archive lies in a store."""
    return next((found.lower() for found in reversed(re.findall(r"(?:^|::)([\w+.-]+)://", given))), "")


def _options(scheme: str) -> dict[str, Any]:
    """Settings of the web: proxies as the environment says, and a large file may take longer than five minutes."""
    if scheme not in WEB:
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _arrow_s3(given: str) -> tuple[Any, str]:
    """S3 by the client that is part of pyarrow, where s3fs is not installed."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    path = given.partition("://")[2]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        system = S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme or "https")
    elif {"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys():
        system = S3FileSystem()
    else:
        system = S3FileSystem(region=resolve_s3_region(path.partition("/")[0]))
    return ArrowFSWrapper(system), path


def _find(system: Any, path: str, given: str) -> dict[str, int | None]:
    """Paths that are there, in the order of their names, each with its size if that is known."""
    if _is_pattern(system, path, given):
        entries = system.glob(path, detail=True)
        found = {name: entry.get("size") for name, entry in sorted(entries.items()) if entry["type"] != "directory"}
        if not found:
            raise InputError(f"{_shown(given)}: no file matches this pattern")
        return found
    entry = system.info(path)
    if entry["type"] == "directory":
        raise InputError(f"{_shown(given)}: a file expected, got a folder; give its files, such as '/*.csv' after it")
    return {path: entry.get("size")}


def _is_pattern(system: Any, path: str, given: str) -> bool:
    if _scheme(given) in WEB:
        return re.search(r"[*[]", path.partition("?")[0]) is not None
    return re.search(r"[*?[]", path) is not None and not system.exists(path)


def _copy(system: Any, path: str, workspace: Path, progress: Progress) -> RemoteFile:
    address = system.unstrip_protocol(path)
    folder = workspace / f"remote-{hashlib.sha256(address.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / _file_name(path)
    system.get_file(path, str(target), callback=_ProgressCallback(progress, target.name))
    return RemoteFile(target, _shown(address))


def _file_name(path: str) -> str:
    """The last part of a path, without what no file name can hold here."""
    name = PurePosixPath(unquote(path.partition("?")[0] if "://" in path else path)).name
    return name.replace("\0", "_")[-MAX_NAME_LENGTH:] or "file"


class _ProgressCallback(Callback):  # type: ignore[misc]
    """Hands the bytes that have come on to a progress."""

    def __init__(self, progress: Progress, note: str) -> None:
        super().__init__()
        self._progress, self._note = progress, note

    def relative_update(self, inc: int = 1) -> None:
        self._progress.advance(inc, self._note)


@contextmanager
def _refusals(given: str) -> Iterator[None]:
    """Turn whatever a file system raises into one line without secrets."""
    try:
        if _scheme(given) in HOSTS:
            urlsplit(given).port  # noqa: B018 - raises ValueError where part of a password is taken for the port
    except ValueError:
        raise InputError(
            f"{_scheme(given)}://: an address such as {_scheme(given)}://host/log.csv expected; "
            "write special characters of a password as their codes, such as %40 for @ and %2F for /"
        ) from None
    try:
        yield
    except GraphrecError:
        raise
    except Exception as error:  # each file system raises errors of its own
        raise InputError(f"{_shown(given)}: {_reason(error, given)}") from None


def _reason(error: Exception, given: str) -> str:
    """What went wrong: one line without the secrets that the address holds."""
    told = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    if isinstance(told, PermissionError) or getattr(told, "status", None) in (401, 403):
        return "access is refused; check the keys, the role or the token that this machine uses"
    if isinstance(told, FileNotFoundError) or getattr(told, "status", None) == 404:
        return "there is no such file"
    lines = str(told).strip().splitlines() or ["no reason given"]
    reason = lines[0].replace(given, _shown(given))
    for secret in sorted(_secrets(given), key=len, reverse=True):
        reason = reason.replace(secret, "***")
    return f"cannot be fetched ({type(told).__name__}: {reason})"


def _shown(address: str) -> str:
    """The address without user, password and options."""
    address = re.sub(r"//[^/]*@", "//", address)
    return re.split(r"[?#]" if _scheme(address) in WEB else r"[?#](?=.*=)", address)[0]


def _secrets(given: str) -> set[str]:
    users = re.findall(r"//([^/]*)@", given)
    options = re.split(r"[?#]", given, maxsplit=1)[1:]
    values = [value for option in options for value in re.findall(r"=([^&]{4,})", option)]
    passwords = [user.partition(":")[2] for user in users]
    return {form for text in [*users, *passwords, *options, *values] if text for form in (text, unquote(text))}
