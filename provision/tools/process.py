"""Programs of this computer, run in one way: argv lists, and one kind of failure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from provision.errors import HubwrightError
from provision.tools.project import SETUP, how_to_install

HERE = "this computer"
LAST_LINES = 20
# Programs and Debian's packages of them, where these have other names.
_PAIRS = "docker=docker.io;qemu-img=qemu-utils;ssh-keygen=openssh-client;virsh=libvirt-clients"
PACKAGES = dict(pair.split("=") for pair in _PAIRS.split(";"))
Input = bytes | Callable[[IO[bytes]], None]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ProgramError(HubwrightError):
    """A program ended with another exit code than 0, or not in time: then `exit_code` is None.

    `output`: its last lines.
    """

    def __init__(self, argv: Sequence[str], exit_code: int | None, output: str) -> None:
        reason = "did not end in time" if exit_code is None else f"exit code {exit_code}"
        command = " ".join(argv[:3])
        what = "\n".join([f"`{command} …`: {reason}", *output.splitlines()])
        cause = "what it waits for" if exit_code is None else "what its last lines name"
        super().__init__(what, where=HERE, hint=f"correct {cause}, then repeat the command")
        self.exit_code = exit_code
        self.output = output


def run(
    argv: Sequence[str],
    *,
    stdin: Input = b"",
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """The standard output of a program.

    With `on_line`, each line of output and errors is handed over at once, and the last lines are returned;
    `timeout` does not count then, and `stdin` may be a function that writes an input which is too large for
    memory. `env` is added to this process's own environment.
    Raises ProgramError with the last lines.
    """
    if shutil.which(argv[0]) is None:
        raise HubwrightError(
            f"{argv[0]} is not installed", where=HERE, hint=how_to_install(argv[0], PACKAGES.get(argv[0], ""))
        )
    if on_line is not None:
        return _follow(argv, stdin, on_line, env)
    assert isinstance(stdin, bytes)
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **(env or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramError(argv, None, _tail(error.stderr or b"")) from None
    if done.returncode != 0:
        raise ProgramError(argv, done.returncode, _tail(done.stdout + done.stderr))
    return done.stdout.decode(errors="replace")


def docker(
    *arguments: str,
    stdin: Input = b"",
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """`run` for Docker's command, with errors in plain words for the usual mistakes."""
    try:
        return run(["docker", *arguments], stdin=stdin, on_line=on_line, timeout=timeout, env=env)
    except ProgramError as error:
        raise explain_docker(error.output) or error from None


def explain_docker(output: str) -> HubwrightError | None:
    """The error in plain words, when Docker's output names one of the usual obstacles."""
    if "permission denied" in output and "docker.sock" in output:
        return HubwrightError(
            "this user may not use Docker",
            where=HERE,
            hint="`sudo usermod -aG docker $USER`, then log in again",
        )
    if "Cannot connect to the Docker daemon" in output or "docker daemon running" in output:
        return HubwrightError(
            "Docker does not answer",
            where=HERE,
            hint=f"{SETUP} starts it and names its log" if SETUP else "start it: sudo systemctl start docker",
        )
    if "no space left on device" in output:
        return HubwrightError(
            "the disk is full", where=HERE, hint="`docker system df` shows what takes the space"
        )
    return None


def _follow(
    argv: Sequence[str], stdin: Input, on_line: Callable[[str], None], env: Mapping[str, str] | None
) -> str:
    last: deque[str] = deque(maxlen=LAST_LINES)
    with tempfile.TemporaryFile() as source:  # a file, because a pipe that is not read would block us
        if isinstance(stdin, bytes):
            source.write(stdin)
            source.seek(0)
        with subprocess.Popen(
            argv,
            stdin=source if isinstance(stdin, bytes) else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        ) as process:
            try:
                with _fed(process, stdin):
                    for raw in process.stdout or ():
                        line = _COLOUR.sub("", raw.decode(errors="replace")).rstrip()
                        if line:
                            last.append(line)
                            on_line(line)
            except BaseException:
                process.kill()
                raise
    if process.returncode != 0:
        raise ProgramError(argv, process.returncode, "\n".join(last))
    return "\n".join(last)


@contextmanager
def _fed(process: subprocess.Popen[bytes], stdin: Input) -> Iterator[None]:
    """Write a function's input while the block reads the output. Raises what the function raised."""
    if isinstance(stdin, bytes):
        yield
        return
    failures: list[BaseException] = []
    pipe = process.stdin
    assert pipe is not None

    def feed() -> None:
        try:
            with suppress(BrokenPipeError), pipe:  # the program has ended; its output says why
                stdin(pipe)
        except BaseException as failure:
            failures.append(failure)
            process.kill()

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    yield
    writer.join()
    if failures:
        raise failures[0]


def _tail(output: bytes) -> str:
    return "\n".join(output.decode(errors="replace").splitlines()[-LAST_LINES:])
