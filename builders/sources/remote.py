"""Remote files at any address that fsspec supports, copied to this machine before they are read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec
from fsspec.callbacks import Callback
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from builders.sources.database import is_database
from builders.sources.local_copy import LocalCopy, mask_secrets
from graphrec.errors import GraphrecError, InputError, MissingPackage
from graphrec.progress import NoProgress, Progress

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""Scheme of an address, of at least two letters: C:// is a path."""
WEB = ("http", "https")
"""Schemes where a question mark begins the options, and is no wildcard."""
HOSTS = (*WEB, "ftp", "sftp", "ssh", "smb", "webdav")
"""Schemes of addresses with a host and an optional port."""
CONNECT_SECONDS, READ_SECONDS = 15, 120
"""Timeouts of a web server, to connect and between reads."""
MAX_NAME_LENGTH = 120
"""Characters of a file name that a copy keeps, the last ones."""


def is_remote(source: str) -> bool:
    """Whether a source is an address such as ``s3://bucket/log.csv`` and neither a local path nor a database."""
    return ADDRESS.match(source) is not None and not is_database(source)


def fetch_files(address: str, workspace: Path, progress: Progress | None = None) -> list[LocalCopy]:
    """Copy a file, or the matches of a pattern, to ``workspace``, in pieces.

    Parameters
    ----------
    address
        ``s3://bucket/logs/*.csv.gz``, ``https://host/log.csv`` or any other address of fsspec. Keys and tokens
        are best left to the file system's own configuration (environment, profile, role).
    workspace
        Folder of the copies; each is in a folder of its own, so that equal names do not collide.
    progress
        Receives the number of bytes read.

    Raises
    ------
    InputError
        No such file, no match, no permission, or no connection. The message is one line without secrets.
    MissingPackage
        The package for this scheme is not installed.
    """
    progress = progress or NoProgress()
    with _wrap_errors(address):
        system, pattern = _open(address)
        sizes = _find(system, pattern, address)
        if isinstance(system, LocalFileSystem):
            return [LocalCopy(Path(path), Path(path).name) for path in sizes]
        known = [size for size in sizes.values() if size is not None]
        progress.start("fetching", sum(known) if len(known) == len(sizes) else None)
        copies = [_copy(system, path, workspace, progress) for path in sizes]
        progress.finish()
    return copies


def _open(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    scheme = _scheme(address)
    try:
        system, path = fsspec.url_to_fs(address, **_options(scheme))
    except ImportError as error:
        if scheme == "s3" and address.startswith("s3://"):
            return _arrow_s3(address)
        package = str(known_implementations[scheme]["class"]).partition(".")[0]
        hint = f"pip install {package}" if package != "fsspec" else str(error).splitlines()[0]
        name = _public_address(address)
        raise MissingPackage(f"{name}: the package for {scheme}:// is not installed; {hint}") from None
    system.invalidate_cache()  # in a long session there may be new files by now
    return system, path


def _scheme(address: str) -> str:
    """The scheme of an address; of the innermost one, where an archive lies in a store."""
    return next((scheme.lower() for scheme in reversed(re.findall(r"(?:^|::)([\w+.-]+)://", address))), "")


def _options(scheme: str) -> dict[str, Any]:
    """Settings of the web: proxies as the environment says, and a large file may take longer than five minutes."""
    if scheme not in WEB:
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _arrow_s3(address: str) -> tuple[Any, str]:
    """S3 by the client that is part of pyarrow, where s3fs is not installed."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    path = address.partition("://")[2]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        system = S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme or "https")
    elif {"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys():
        system = S3FileSystem()
    else:
        system = S3FileSystem(region=resolve_s3_region(path.partition("/")[0]))
    return ArrowFSWrapper(system), path


def _find(system: Any, path: str, address: str) -> dict[str, int | None]:
    """Existing paths in the order of their names, each with its size or None."""
    if _is_pattern(system, path, address):
        entries = system.glob(path, detail=True)
        sizes = {name: entry.get("size") for name, entry in sorted(entries.items()) if entry["type"] != "directory"}
        if not sizes:
            raise InputError(f"{_public_address(address)}: no file matches this pattern")
        return sizes
    entry = system.info(path)
    if entry["type"] == "directory":
        name = _public_address(address)
        raise InputError(f"{name}: a file expected, got a folder; give its files, such as '/*.csv' after it")
    return {path: entry.get("size")}


def _is_pattern(system: Any, path: str, address: str) -> bool:
    if _scheme(address) in WEB:
        return re.search(r"[*[]", path.partition("?")[0]) is not None
    return re.search(r"[*?[]", path) is not None and not system.exists(path)


def _copy(system: Any, path: str, workspace: Path, progress: Progress) -> LocalCopy:
    address = system.unstrip_protocol(path)
    folder = workspace / f"remote-{hashlib.sha256(address.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / _file_name(path)
    system.get_file(path, str(target), callback=_ProgressCallback(progress, target.name))
    return LocalCopy(target, _public_address(address))


def _file_name(path: str) -> str:
    """The last part of a path as a valid file name."""
    name = PurePosixPath(unquote(path.partition("?")[0] if "://" in path else path)).name
    return name.replace("\0", "_")[-MAX_NAME_LENGTH:] or "file"


class _ProgressCallback(Callback):  # type: ignore[misc]
    """Reports the bytes received to a progress."""

    def __init__(self, progress: Progress, note: str) -> None:
        super().__init__()
        self._progress, self._note = progress, note

    def relative_update(self, inc: int = 1) -> None:
        self._progress.advance(inc, self._note)


@contextmanager
def _wrap_errors(address: str) -> Iterator[None]:
    """Raise errors of a file system as an InputError of one line, without secrets."""
    try:
        if _scheme(address) in HOSTS:
            urlsplit(address).port  # noqa: B018 - raises ValueError where part of a password is taken for the port
    except ValueError:
        raise InputError(
            f"{_scheme(address)}://: an address such as {_scheme(address)}://host/log.csv expected; "
            "write special characters of a password as their codes, such as %40 for @ and %2F for /"
        ) from None
    try:
        yield
    except GraphrecError:
        raise
    except Exception as error:  # file systems have no common error
        raise InputError(f"{_public_address(address)}: {_reason(error, address)}") from None


def _reason(error: Exception, address: str) -> str:
    """The reason of an error in one line, without the secrets of the address."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    if isinstance(cause, PermissionError) or getattr(cause, "status", None) in (401, 403):
        return "access is refused; check the keys, the role or the token that this machine uses"
    if isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) == 404:
        return "there is no such file"
    lines = str(cause).strip().splitlines() or ["no reason given"]
    reason = lines[0].replace(address, _public_address(address))
    return f"cannot be fetched ({type(cause).__name__}: {mask_secrets(reason, _secrets(address))})"


def _public_address(address: str) -> str:
    """The address without user, password and options."""
    address = re.sub(r"//[^/]*@", "//", address)
    return re.split(r"[?#]" if _scheme(address) in WEB else r"[?#](?=.*=)", address)[0]


def _secrets(address: str) -> list[str]:
    users = re.findall(r"//([^/]*)@", address)
    options = re.split(r"[?#]", address, maxsplit=1)[1:]
    values = [value for option in options for value in re.findall(r"=([^&]{4,})", option)]
    return [*users, *(user.partition(":")[2] for user in users), *options, *values]
