"""Files from the web, checked before they are used."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from dataclasses import dataclass
from typing import Protocol

from ..base import Abandoned, Problem
from ..certificates import trusted as certificates
from ..fs import unlink

CHUNK = 1 << 18
STALL_TIMEOUT = 60  # seconds without a byte
RETRY_PAUSES = (1, 5)  # seconds before another try
PROGRESS_EVERY = 2.0  # seconds


class Speaker(Protocol):
    """A receiver of lines of progress, the host or the channel, which knows when the driver has gone."""

    def say(self, text: str) -> None: ...

    def abandoned(self) -> bool: ...


@dataclass(frozen=True)
class Advice:
    """Hints for a file that is `wrong`, and for one that cannot be downloaded (`away`)."""

    wrong: str
    away: str


INSTALLER = Advice(
    "compare both with the publisher's, then correct [python] installer and sha256",
    "check that this host reaches it; [python] installer and sha256 can name a mirror, "
    'and provider = "system" needs none',
)


def download(speaker: Speaker, url: str, sha256: str, path: str, advice: Advice = INSTALLER) -> None:
    """Download `url` into the file `path`. Tries again when the connection breaks.

    Problem when it cannot be downloaded, or its digest is not `sha256`; then there is no file.
    """
    try:
        found = _fetch_with_retries(speaker, url, path, advice)
        if found != sha256:
            raise Problem(
                f"{url} is not what was expected, and was not run\n"
                f"its SHA-256 is  {found}\nand should be   {sha256}",
                advice.wrong,
            )
    except BaseException:
        unlink(path)
        raise


def _fetch_with_retries(speaker: Speaker, url: str, path: str, advice: Advice) -> str:
    import http.client  # here, as all that downloads need: most runs download nothing
    import urllib.error

    for pause in (*RETRY_PAUSES, None):
        try:
            return _fetch(speaker, url, path)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if pause is None or final:
                raise Problem(f"{url} cannot be downloaded: {_reason(error)}", advice.away) from None
            speaker.say(f"the download broke off ({_reason(error)}), trying again")
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _fetch(speaker: Speaker, url: str, path: str) -> str:
    """Download once, and return the SHA-256. OSError when less arrives than was announced."""
    import ssl
    import urllib.request

    bundle = certificates.BUNDLE if os.path.exists(certificates.BUNDLE) else None
    context = ssl.create_default_context(cafile=bundle)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    seen, size, told = hashlib.sha256(), 0, time.monotonic()
    with opener.open(url, timeout=STALL_TIMEOUT) as answer, open(path, "wb") as file:
        promised = int(answer.headers["Content-Length"] or 0)
        while chunk := answer.read(CHUNK):
            if speaker.abandoned():
                raise Abandoned
            file.write(chunk)
            seen.update(chunk)
            size += len(chunk)
            if time.monotonic() - told > PROGRESS_EVERY:
                told = time.monotonic()
                speaker.say(f"downloading: {size / 1e6:.0f} of {promised / 1e6:.0f} MB")
    if size < promised:
        raise ConnectionError(f"it ended after {size} of {promised} bytes")
    return seen.hexdigest()


def _reason(error: Exception) -> str:
    from urllib.error import URLError

    return str(error.reason if type(error) is URLError else error)
