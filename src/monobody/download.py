"""Fetch a file from a plain address, on the user's word: checked by its SHA-256, whole or not at all, resumable.

What has arrived stays beside the target as ``NAME.part`` and is gone on with. Only what has the right SHA-256 gets
the target's name.
"""

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from monobody.errors import UserError
from monobody.files import sha256_of

OFFLINE = "MONOBODY_OFFLINE"
TIMEOUT_S = 30.0
ATTEMPTS = 4
"""So many connections may break before it is given up."""
LARGEST_BYTES = 8_000_000_000
_AT_ONCE = 1 << 18


def is_offline() -> bool:
    """Tell whether the user's environment forbids the network."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


def download(
    url: str,
    target: Path,
    sha256: str,
    *,
    offline: bool = False,
    report: Callable[[int, int | None], None] = lambda done, total: None,
) -> Path:
    """Return the target after fetching it, where it is not there already.

    Args:
        url: http or https.
        target: where to. Its folder is made.
        sha256: what the file must have, 64 hexadecimal digits.
        offline: refuse to; so does the environment variable MONOBODY_OFFLINE=1.
        report: told how many bytes have arrived, and of how many, where the server says so.

    Raises:
        UserError: the address, the server, the file or the disk is at fault.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f'"{sha256}" is no SHA-256: give the 64 hexadecimal digits that are published with the file.')
    if target.is_file() and sha256_of(target) == sha256.lower():
        return target
    if offline or is_offline():
        raise UserError(
            f"{target.name} is not in the cache, and this is offline: fetch it first, or copy it to {target}."
        )
    if not re.match(r"https?://[^/\s]+", url):
        raise UserError(f"{url} is no address of a file on the web: it must begin with https:// or http://.")
    part = target.with_name(f"{target.name}.{sha256[:12].lower()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _lock(file, target)
            for fresh in (False, True):
                resumed = _fetch(url, file, fresh=fresh, report=report)
                if sha256_of(part) == sha256.lower():
                    part.replace(target)
                    return target
                if not resumed:
                    break  # Else what was there before may have been another file: once more from the beginning.
            part.unlink()
    except OSError as error:
        raise UserError(
            f"Cannot write {target}: {error.strerror or error}. Free space, or set XDG_CACHE_HOME to another folder."
        ) from error
    raise UserError(
        f"What {url} gave has another SHA-256 than {sha256[:12]}...: it is not the file that was published."
    )


def _fetch(url: str, file: BinaryIO, *, fresh: bool, report: Callable[[int, int | None], None]) -> bool:
    """Append to a file what it lacks; return whether it had something to begin with."""
    if fresh:
        file.truncate(0)
    resumed, failures = file.seek(0, os.SEEK_END) > 0, 0
    while True:
        have = file.seek(0, os.SEEK_END)
        request = urllib.request.Request(url, headers={"User-Agent": "monobody", "Accept-Encoding": "identity"})
        if have:
            request.add_header("Range", f"bytes={have}-")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                if have and answer.status != 206:  # The server sends all of it again.
                    file.truncate(0)
                    have = 0
                length = answer.headers.get("Content-Length")
                total = have + int(length) if length and length.isdigit() else None
                _copy(answer, file, have, total, report)
            return resumed
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:  # There is no more of it: whole, or another file.
                return resumed
            raise UserError(f"{url} answers {error.code} ({error.reason}): check the address.") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            if file.seek(0, os.SEEK_END) > have:
                failures = 0  # It goes on, if slowly.
            failures += 1
            if failures >= ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise UserError(
                    f"{url} cannot be fetched ({reason}): check the connection; what has arrived is kept."
                ) from error
        except ValueError as error:
            raise UserError(f"{url} is no address of a file on the web ({error}).") from error


def _copy(
    answer: http.client.HTTPResponse,
    file: BinaryIO,
    have: int,
    total: int | None,
    report: Callable[[int, int | None], None],
) -> None:
    while chunk := _read(answer):
        file.write(chunk)
        file.flush()
        have += len(chunk)
        if have > LARGEST_BYTES:
            raise UserError(f"What is sent is larger than {LARGEST_BYTES / 1e9:.0f} GB: it is no file of weights.")
        report(have, total)
    if total is not None and have < total:
        raise ConnectionError("the connection was cut")


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(_AT_ONCE)
    except OSError as error:  # Of the connection, not of the disk.
        raise ConnectionError(error) from error


def _lock(file: BinaryIO, target: Path) -> None:
    """Keep another process from writing into the same file; the lock goes with the process."""
    try:
        import fcntl
    except ImportError:  # Windows: there is no such lock.
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"Another process is fetching {target.name}: wait for it.") from error
