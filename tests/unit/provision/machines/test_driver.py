"""Calls of Vagrant, and the meaning of its output, with that of a console."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.errors import HubwrightError
from provision.machines import console, driver
from provision.machines.console import Console
from provision.machines.driver import Driver
from provision.machines.paths import Paths
from provision.settings import Settings
from provision.tools.project import PROJECT

Hub = Callable[..., Settings]


def driver_of(settings: Settings) -> Driver:
    return Driver(settings, Paths(settings))


def console_of(settings: Settings) -> Console:
    return Console(Paths(settings).console)


NO_BOX = """
The box 'nobody/nothing' could not be found or
could not be accessed in the remote catalog. If this is a private
box on HashiCorp's Vagrant Cloud, please verify you're logged in via
"""
NO_ANSWER = """
Timed out while waiting for the machine to boot. This means that
Vagrant was unable to communicate with the guest machine within
"""
LOCKED = """
Vagrant can't use the requested machine because it is locked! This
means that another Vagrant process is currently reading or modifying
the machine. Please wait for that Vagrant process to end and try
"""


def test_what_vagrant_says_last_is_in_the_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub()
    given: dict[str, str] = {}

    class Failing:
        def __init__(self, root: str, env: dict[str, str], out_cm: Any, err_cm: Any) -> None:
            assert root == str(PROJECT)
            given.update(env)
            with err_cm() as file:
                file.write(b"The provider 'docker' could not be found.\n")
            with out_cm() as file:  # still open, and the same
                file.write(b"Stopped.\n")

        def halt(self) -> None:
            raise subprocess.CalledProcessError(1, ["/usr/bin/vagrant", "halt"])

    monkeypatch.setitem(sys.modules, "vagrant", SimpleNamespace(Vagrant=Failing))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(HubwrightError) as caught, driver_of(settings).vagrant() as vagrant:
        vagrant.halt()
    assert str(caught.value).splitlines() == [
        "the machine hubwright: `vagrant halt` failed with exit code 1",
        "The provider 'docker' could not be found.",
        "Stopped.",
    ]
    assert given["HUBWRIGHT_CONFIG"] == str(settings.root / "hub.toml")
    assert given["HUBWRIGHT_DRIVER"] == "1"
    assert given["VAGRANT_DOTFILE_PATH"] == str(Paths(settings).dotfile)


def test_a_missing_vagrant_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with (
        pytest.raises(HubwrightError, match="vagrant is not installed") as caught,
        driver_of(hub()).vagrant(),
    ):
        pass
    assert "make setup" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("==> default: Creating the container...\n", "Creating the container..."),
        ("    default:   Name: hubwright\n", "Name: hubwright"),
        ("Bringing machine 'default' up\n", "Bringing machine 'default' up"),
        ("\rProgress: 99%\x1b[K\rProgress: 100%\x1b[K==> default: Creating image.\n", "Creating image."),
    ],
)
def test_lines_of_vagrant(line: str, plain: str) -> None:
    assert driver.plain(line) == plain


@pytest.mark.parametrize(
    ("said", "what", "hint"),
    [
        (NO_BOX, "there is no box cloud-image/ubuntu-24.04", "[vm] box"),
        ("The provider 'libvirt' could not be found, but was requested", "vagrant-libvirt", "setup.sh --vm"),
        (NO_ANSWER, "it was started, but never answered SSH", "[vm] boot_timeout (now 300 s)"),
        ("Fog::Errors::TimeoutError: The specified wait_for timeout", "never answered SSH", "boot_timeout"),
        (LOCKED, "another Vagrant is at work", "wait for it to end"),
        (
            "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
            "4.0 GiB",
            "memory",
        ),
    ],
)
def test_words_of_vagrant(hub: Hub, said: str, what: str, hint: str) -> None:
    error = driver_of(hub()).explain(said)
    assert error is not None
    assert what in error.what
    assert hint in error.hint


def test_other_words_are_left_as_they_are(hub: Hub) -> None:
    assert driver_of(hub()).explain("The machine is locked by another process") is None


def test_the_console_has_the_last_word(hub: Hub) -> None:
    settings = hub()
    file = Paths(settings).console
    console_of(settings).clear()
    assert console_of(settings).last_words() == []
    file.touch()
    assert console_of(settings).last_words() == ["its console is empty"]
    output = b"".join(b"\x1b[0;32m  OK  \x1b[0m line %d\r\n" % number for number in range(50))
    file.write_bytes(output + b"\x1b[2JKernel panic \xe2\x80\xa6\x07\r\n\r\n")
    error = driver_of(settings).explain(NO_ANSWER)
    assert error is not None
    lines = error.what.splitlines()
    assert lines[1] == "the end of its console:"
    assert lines[-2:] == ["  OK   line 49", "  Kernel panic"]
    assert len(lines) == 2 + console.LINES
    console_of(settings).clear()
    assert console_of(settings).last_words() == []


def test_what_a_shutdown_says_is_left_out(hub: Hub) -> None:
    settings = hub()
    file = Paths(settings).console
    console_of(settings).clear()
    console_of(settings).close()
    assert console_of(settings).last_words() == []
    file.write_bytes(b"no root device\n")
    console_of(settings).close()
    with file.open("ab") as more:
        more.write(b"Powering off.\n")
    assert console_of(settings).last_words() == ["the end of its console:", "  no root device"]
    console_of(settings).clear()
    file.write_bytes(b"no root device\nPowering off.\n")
    assert console_of(settings).last_words()[-1] == "  Powering off."


def test_a_console_that_only_root_may_read_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub()
    console_of(settings).clear()
    file = Paths(settings).console
    file.touch()

    def refuse(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert console_of(settings).last_words() == [f"the end of its console is in {file}, which root can read"]
