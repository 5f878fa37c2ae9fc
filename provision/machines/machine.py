"""The machine that Vagrant raises, as the rest of the program sees it. Each provider has its own class."""
# ruff: noqa: B027 - a kind may leave these hooks as they are

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from provision.errors import HubwrightError
from provision.machines.driver import Driver, plain
from provision.machines.paths import Paths
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Target
from provision.tools.process import HERE

ANSWER_TIMEOUT = 20.0  # seconds for a provider's own program
SSH_TIMEOUT = 60.0  # seconds for sshd of a running machine
NOT_CREATED = "not created"


class Machine(ABC):
    """A machine that `hubwright up` raises, with its settings.

    `others`: the kinds to name when this one does not work on this computer.
    """

    provider: ClassVar[str]
    """Vagrant's name for it, as in [vm] provider."""
    title: ClassVar[str]
    """The name for people."""
    how_to_get: ClassVar[str]
    becomes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of the files that `hubwright bake` can turn it into."""
    takes_boxes: ClassVar[bool] = False
    """True when it starts from a box of Vagrant's."""
    makes_boxes: ClassVar[bool] = False
    """True when such a box can be made on this computer."""
    needs_kvm: ClassVar[bool] = False
    """True when it is emulated, and slow, without KVM."""

    def __init__(self, settings: Settings, others: Sequence[type[Machine]] = ()) -> None:
        self.settings = settings
        self.name = settings.vm.name
        self.where = f"the machine {self.name}"
        self.ports = ((settings.vm.port, settings.hub.port), *settings.vm.forwards)
        """Port of this computer and port in the machine; the hub's own first."""
        self.paths = Paths(settings)
        self.driver = Driver(settings, self.paths)
        self._others = others

    # --- each kind's own part --------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def answers(cls) -> str:
        """A few words that the provider works on this computer. Raises HubwrightError when it does not."""

    @classmethod
    def is_ready(cls) -> str:
        """The same, after a slower check of all that Vagrant needs for it."""
        return cls.answers()

    @property
    def kind(self) -> str:
        """The provider, for a person."""
        return self.provider

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """The part of the Vagrantfile's facts that this kind of machine needs; see facts.py."""

    @abstractmethod
    def target(self) -> Target:
        """The running machine as a host to deploy on. This computer made it, so its key needs no check."""

    @abstractmethod
    def _state(self) -> str:
        """The status of a machine that is in Vagrant's notes."""

    @abstractmethod
    def _provide(self, reporter: Reporter, now: str) -> None:
        """Make or check what this kind needs before it starts; `now` is its status."""

    def _check_running(self) -> None:
        """Refuse a running machine that does not match the settings."""

    def _hear(self, line: str) -> None:
        """Handle a line of `vagrant up`."""

    def _remove_orphans(self) -> None:
        """Remove our remains that Vagrant does not know, because it was killed while it made them."""

    def after_start(self, access: Mapping[str, str] | None = None) -> None:
        """Correct the clock after a start or a sleep, and forward this computer's ports.

        `access`: how to log in, in ssh_config's words; Vagrant is asked when it is missing.
        """

    def power_off(self) -> None:
        """Stop the machine without logging in to it."""
        raise self._no_disk()

    def disk(self) -> Path:
        """The file with the machine's disk."""
        raise self._no_disk()

    # --- the common part ------------------------------------------------------------------------

    def prepare(self, reporter: Reporter) -> None:
        """Make all that must exist before Vagrant starts the machine; quick when it does."""
        self._require()
        now = self.status()
        if now != "running":
            self.forget()
            for here, _ in self.ports:
                _refuse_taken_port(here)
        self._provide(reporter, now)

    def up(self, reporter: Reporter) -> None:
        """Raise the machine, unless it runs, and wait until it answers SSH. Applies nothing."""
        if self.status() == "running":
            self._check_running()
            self._wait_for_ssh()
            self._resume_ports()
            reporter.line(f"✓ {self.where} runs")
            return
        self.prepare(reporter)
        with reporter.step(f"raise {self.where} ({self.kind})") as step, self.driver.vagrant() as vagrant:
            for line in vagrant.up(provider=self.provider, stream_output=True):
                self._hear(line)
                step.say(plain(line))
        self.forget()
        self.after_start()

    def halt(self, reporter: Reporter) -> None:
        """Stop the machine; its data stays."""
        if self.status() != "running":
            reporter.line(f"✓ {self.where} does not run")
            return
        with reporter.step(f"stop {self.where}"), self.driver.vagrant() as vagrant:
            vagrant.halt()
        self.forget()

    def destroy(self, reporter: Reporter) -> None:
        """Remove the machine with its data, its key and Vagrant's notes. Cached images stay."""
        if not self.exists:
            self._remove_remains()
            reporter.line(f"✓ there is no machine {self.name}")
            return
        with reporter.step(f"remove {self.where}"):
            with self.driver.vagrant() as vagrant:
                vagrant.destroy()
            self._remove_remains()

    def _remove_remains(self) -> None:
        """Remove all of the machine that Vagrant does not remove, or does not know."""
        self._remove_orphans()
        self.forget()
        for folder in (self.paths.key.parent, self.paths.console.parent, self.paths.dotfile):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # other files are kept there too
            self.paths.state.rmdir()

    @property
    def exists(self) -> bool:
        """True when Vagrant has noted that it made the machine."""
        return self.paths.id_file(self.provider).exists()

    def status(self) -> str:
        """One of running, stopped, suspended and not created; else the provider's own word."""
        return self._state() if self.exists else NOT_CREATED

    def url(self) -> str:
        """The address at which a browser on this computer finds the hub."""
        return f"{self.settings.tls.own_scheme}://127.0.0.1:{self.settings.vm.port}/"

    def check_running(self) -> None:
        """Raise HubwrightError unless the machine runs."""
        if self.status() != "running":
            raise self._not_running()

    def ssh_argv(self, command: Sequence[str] = ()) -> list[str]:
        """The ssh command that logs in to the machine."""
        found = self.target()
        options = [
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "LogLevel=ERROR"),
        ]
        login = ["-i", str(found.identity), "-p", str(found.port), f"{found.user}@{found.host}"]
        return ["ssh", *options, *login, *command]

    def forget(self) -> None:
        """Forget the address: the next `target` asks again."""
        self.paths.target.unlink(missing_ok=True)

    def _resume_ports(self) -> None:
        """Forward this computer's ports to a running machine, if that has stopped."""

    def _require(self) -> None:
        """Raise HubwrightError unless this kind works, with the kinds that do."""
        try:
            self.answers()
        except HubwrightError as error:
            others = [kind.provider for kind in self._others if kind is not type(self) and _works(kind)]
            if others:
                instead = f"here {' and '.join(others)} would work: `hubwright up --provider {others[0]}`"
            else:
                instead = (
                    "no other provider works here; an existing host needs none: "
                    "`hubwright apply -H user@host`"
                )
            get = self.how_to_get if "not installed" in error.what else error.hint
            raise HubwrightError(
                f"no machine can be raised with {self.provider}: {last_words(error)}",
                where=HERE,
                hint="; ".join(filter(None, (get, instead))),
            ) from None

    def _wait_for_ssh(self) -> None:
        """Wait until sshd greets: a running machine may still be booting."""
        found = self.target()
        end = time.monotonic() + SSH_TIMEOUT
        while not _greets(found):
            if time.monotonic() > end:
                raise HubwrightError(
                    f"SSH on {found.name} does not answer in {SSH_TIMEOUT:.0f} s",
                    where=self.where,
                    hint="`vagrant reload` restarts it",
                )
            time.sleep(0.2)

    def _not_running(self) -> HubwrightError:
        return HubwrightError(f"is {self.status()}", where=self.where, hint="`hubwright up` starts it")

    def _no_disk(self) -> HubwrightError:
        return HubwrightError(
            f"machines of the provider {self.provider} have no disk of their own",
            where=self.where,
            hint=f"`hubwright bake` makes {' or '.join(self.becomes) or 'no file'} of it",
        )


def last_words(error: HubwrightError) -> str:
    """The line that says why a program failed."""
    return error.what.splitlines()[-1].removeprefix("Error response from daemon: ")


def _works(kind: type[Machine]) -> bool:
    try:
        kind.answers()
    except HubwrightError:
        return False
    return True


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise HubwrightError(
                f"port {port} of 127.0.0.1 cannot be had: {error.strerror}",
                where=HERE,
                hint=f"`ss -ltnp sport = :{port}` shows it; or choose another [vm] port in site.toml",
            ) from None


def _greets(machine: Target) -> bool:
    try:
        with socket.create_connection((machine.host, machine.port or 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
