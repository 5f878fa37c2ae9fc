"""Begin a run without a driver: fetch the bundle, check it, and become the agent in it.

This file is beside first-boot.json and secrets.json on the machine that becomes a hub. Standard library only.
secrets.json has the environment of the run, with the proxy's variables. first-boot.json:
  loader    LOADER of provision/ssh/loader.py
  sha256    of the bundle, which is compressed with xz; size: its bytes
  url       its address, unless it is in this folder already
  trusted   certificates (PEM) that this machine does not know yet
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).parent
SECRETS = HERE / "secrets.json"
BUNDLE = HERE / "bundle.xz"
STALL_TIMEOUT = 60  # seconds without a byte
RETRY_PAUSES = (1, 2, 5, 10, 20, 30, 30, 30)  # seconds before another try: the network may be late


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def stop(what: str, hint: str) -> NoReturn:
    say(f"error: {what}\n next: {hint}, then `systemctl start hubwright-first-boot`, or restart the machine")
    sys.exit(1)


def bundle(told: dict[str, Any]) -> bytes:
    """The bundle, from this folder or from its URL. Ends the program when it cannot be had."""
    if BUNDLE.exists():
        content = BUNDLE.read_bytes()
        if hashlib.sha256(content).hexdigest() == told["sha256"]:
            return lzma.decompress(content)
        if not told["url"]:
            stop(f"{BUNDLE} is damaged", "put the file of that name there again")
    content = fetch(told["url"], told["size"], told["trusted"])
    found = hashlib.sha256(content).hexdigest()
    if found != told["sha256"]:
        stop(
            f"{told['url']} is not what was expected, and was not run\n"
            f"its SHA-256 is  {found}\nand should be   {told['sha256']}",
            "publish the file that was written together with this machine's user-data",
        )
    BUNDLE.write_bytes(content)
    return lzma.decompress(content)


def fetch(url: str, size: int, trusted: str) -> bytes:
    """The content of `url`, at most a byte more than `size`. Tries again after errors that may pass."""
    context = ssl.create_default_context()
    if trusted:
        context.load_verify_locations(cadata=trusted)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    say(f"fetching {url}")
    for pause in (*RETRY_PAUSES, None):
        try:
            with opener.open(url, timeout=STALL_TIMEOUT) as answer:
                content: bytes = answer.read(size + 1)
                if len(content) < int(answer.headers["Content-Length"] or 0) <= size:
                    raise ConnectionError(f"it ended after {len(content)} bytes")
                return content
        except OSError as error:
            reason = str(error.reason if type(error) is urllib.error.URLError else error)
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if pause is None or final:
                stop(f"{url} cannot be fetched: {reason}", "check that it is published and can be reached")
            say(f"not yet ({reason}), trying again")
            time.sleep(pause)
    raise AssertionError("the last try returns or stops")


def main() -> None:
    os.sync()  # cloud-init writes its files only once: from here on they must survive a power cut
    told = json.loads((HERE / "first-boot.json").read_text(encoding="utf-8"))
    os.environ.update(json.loads(json.loads(SECRETS.read_text(encoding="utf-8"))["environment"]))
    content = bundle(told)
    source = os.memfd_create("bundle")
    with open(source, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    os.execv(sys.executable, [sys.executable, "-c", told["loader"]])


if __name__ == "__main__":
    main()
