"""Images of visitors' servers, tried before the hub starts servers from them."""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..base import Change, CommandFailed, Machine, Problem, Resource
from .engine import unless_unknown
from .image import images

COMMAND = "jupyterhub-singleuser"  # services/hub/ready_spawner.py gives it to images without a command, too
CONTAINER = "hubwright.trial"  # with a dot: no visitor's server has one in its name
PYTHON = "/usr/bin/python3"
PORT, HUB_PORT = 8888, 8081
HUB = f"http://127.0.0.1:{HUB_PORT}/hub/api"
PREFIX = "/user/trial/"
ENVIRONMENT = {
    "JUPYTERHUB_ACTIVITY_URL": f"{HUB}/users/trial/activity",
    "JUPYTERHUB_API_TOKEN": "trial",  # the stand-in for the hub does not check it
    "JUPYTERHUB_API_URL": HUB,
    "JUPYTERHUB_BASE_URL": "/",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-trial",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": "[]",
    "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
    "JUPYTERHUB_OAUTH_SCOPES": "[]",
    "JUPYTERHUB_SERVER_NAME": "",
    "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
    "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{PREFIX}",
    "JUPYTERHUB_USER": "trial",
}
ROOT = ("", "0", "root")
NO_PROGRAM = ("executable file not found", "no such file or directory")
AS_COMMAND = f'let the image end with CMD ["{COMMAND}"], and install the package jupyterhub in it'
LIKE_A_SERVER = "it was tried as a server is run: without any capability, and with the limits of [server]"


@dataclass(frozen=True)
class ServableImage(Resource):
    """An image from which servers can be started: one was, with the limits of servers, and it answered.

    An image that was tried is not tried again. `memory`, `disk`: bytes, the latter 0 for no limit.
    `answer_timeout`: seconds until a server has to answer.
    """

    image: str
    memory: int
    cpu: float
    pids: int
    disk: int = 0
    answer_timeout: int = 60

    preparatory = True

    @property
    def id(self) -> str:
        return f"docker-trial:{self.image}"

    def check(self, machine: Machine) -> Change | None:
        found = unless_unknown(lambda: images(machine))
        change = Change(f"try a server of the image {self.image}", unknown=found is None)
        if not found or self.image not in found:
            return change
        return None if machine.claims(self).get("served") == found[self.image] else change

    def apply(self, machine: Machine) -> None:
        found: dict[str, Any] = json.loads(machine.run(["docker", "image", "inspect", self.image]))[0]
        refuse_unfit(found, machine.run(["docker", "version", "--format", "{{.Server.Arch}}"]).strip())
        command = [] if found["Config"].get("Cmd") else [COMMAND]
        with self._started(machine, command) as process:
            answer = self._visit(machine, process) if process else {}
            if not answer:
                raise self._silent(machine)
        if not answer["version"]:
            raise Problem("the server in the image is not one of JupyterHub's", AS_COMMAND)
        machine.claim(self, served=images(machine)[self.image])

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self).get("trying") and shutil.which("docker"):
            _clear(machine)  # a run was cut short
        machine.claim(self, served="", trying=False)
        return None

    @contextmanager
    def _started(self, machine: Machine, command: list[str]) -> Iterator[int]:
        """The process id of a server, or 0 when it has ended already. The block's end removes it."""
        machine.claim(self, trying=True)
        _clear(machine)
        try:
            try:
                machine.run(["docker", "run", "--detach", *self._options(), self.image, *command])
            except CommandFailed as failure:
                raise _cannot_start(failure, bool(command)) from None
            process = int(_state(machine)["Pid"])
            if process and _is_root(process):
                raise _as_root()
            yield process
        finally:
            _clear(machine)
            machine.claim(self, trying=False)

    def _options(self) -> list[str]:
        """The options that DockerSpawner uses, see jupyterhub_config.py, except for the network."""
        return [
            *("--name", CONTAINER, "--network", "none"),
            *("--memory", str(self.memory), "--memory-swap", str(self.memory)),
            *("--cpus", str(self.cpu), "--pids-limit", str(self.pids)),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--log-driver", "json-file", "--log-opt", "max-size=10m"),  # for its last words
            *(("--ulimit", f"fsize={self.disk}") if self.disk else ()),
            *(f"--env={name}={value}" for name, value in ENVIRONMENT.items()),
        ]

    def _visit(self, machine: Machine, process: int) -> dict[str, Any]:
        program = pkgutil.get_data(__package__, "first_visit.py") or b""
        arguments = [str(process), str(PORT), f"{PREFIX}api", str(HUB_PORT), str(self.answer_timeout)]
        command = ["nsenter", "--target", str(process), "--net", PYTHON, "-", *arguments]
        try:
            answer: dict[str, Any] = json.loads(
                machine.run(command, input=program.decode(), interruptible=True)
            )
        except CommandFailed:
            if _state(machine)["Running"]:
                raise
            return {}  # it ended before its network could be entered
        return answer

    def _silent(self, machine: Machine) -> Problem:
        """The reason why a server did not answer."""
        state, words = _state(machine), _last_words(machine) or "it printed nothing"
        if state["OOMKilled"]:
            return Problem(
                f"a server of the image needs more memory than {self.memory >> 20} MiB\n{words}",
                "give it more with [server] memory",
            )
        if state["Running"]:
            return Problem(
                f"a server of the image does not answer at port {PORT} "
                f"within {self.answer_timeout} s\n{words}",
                f"{AS_COMMAND}; a slow one gets more time with [server] start_timeout",
            )
        if state["ExitCode"] in (126, 127):
            return Problem(f"the image cannot start its command\n{words}", AS_COMMAND)
        code = state["ExitCode"]
        return Problem(
            f"a server of the image ends while it starts, with exit code {code}\n{words}",
            f"{AS_COMMAND}; {LIKE_A_SERVER}",
        )


def refuse_unfit(image: dict[str, Any], architecture: str) -> None:
    """Raise Problem when an image, described by `docker image inspect`, can never serve on this host."""
    made_for = image["Architecture"]
    if made_for != architecture:
        raise Problem(
            f"the image is made for {made_for} processors, and this host has {architecture}",
            "name the digest of the image for this host's processor, or build it on such a computer",
        )
    if str(image["Config"].get("User") or "").partition(":")[0] in ROOT:
        raise _as_root()


def _as_root() -> Problem:
    return Problem(
        "the image starts as root, and servers do not",
        "let it name a user without privileges: USER in its Dockerfile. A program that begins as root to "
        "become a user fails as well, because servers have no capabilities",
    )


def _is_root(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.stat(f"/proc/{process}").st_uid == 0
    return False


def _cannot_start(failure: CommandFailed, named_none: bool) -> Problem:
    lines = failure.output.strip().splitlines()
    said = next((line for line in lines if any(sign in line for sign in NO_PROGRAM)), "")
    if not said:
        return failure
    if named_none:
        return Problem(f"the image names no command, and {COMMAND} is not in it\n{said}", AS_COMMAND)
    return Problem(f"the command that the image names is not in it\n{said}", AS_COMMAND)


def _clear(machine: Machine) -> None:
    with contextlib.suppress(CommandFailed):  # older engines fail for one that is not there
        machine.run(["docker", "rm", "--force", "--volumes", CONTAINER])


def _state(machine: Machine) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(
        machine.run(["docker", "inspect", "--format", "{{json .State}}", CONTAINER])
    )
    return state


def _last_words(machine: Machine) -> str:
    # Both streams, in their order: servers speak on standard error.
    return machine.run(["docker", "logs", "--tail", "8", CONTAINER], watch=True).strip()
