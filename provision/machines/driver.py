"""python-vagrant, for one machine. Only this file uses it."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from provision.errors import HubwrightError
from provision.machines.console import Console
from provision.machines.paths import MACHINE, Paths
from provision.settings import Settings
from provision.tools.process import HERE, LAST_LINES
from provision.tools.project import how_to_install, program


class Driver:
    """Vagrant, for the machine that one hub.toml describes."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self._vm = settings.vm
        self.paths = paths

    @contextmanager
    def vagrant(self) -> Iterator[Any]:
        """python-vagrant for this machine. Failures inside become a HubwrightError with Vagrant's words."""
        if shutil.which("vagrant") is None:  # python-vagrant would print a warning of its own
            raise HubwrightError("vagrant is not installed", where=HERE, hint=how_to_install("vagrant"))
        from vagrant import Vagrant

        make: Callable[..., Any] = Vagrant

        folder = str(self.paths.vagrantfile_folder)
        with tempfile.TemporaryFile() as errors:
            environment = {
                **os.environ,
                "HUBWRIGHT_CONFIG": str(self.paths.config),
                "HUBWRIGHT_DRIVER": "1",
                "HUBWRIGHT_PROGRAM": str(program()),
                "VAGRANT_CWD": folder,
                "VAGRANT_DOTFILE_PATH": str(self.paths.dotfile),
                "VAGRANT_CHECKPOINT_DISABLE": "1",
                "VAGRANT_NO_COLOR": "1",
            }
            to_errors = functools.partial(nullcontext, errors)
            try:
                yield make(root=folder, env=environment, out_cm=to_errors, err_cm=to_errors)
            except subprocess.CalledProcessError as error:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                known = self.explain(said)
                if known:
                    raise known from None
                last = said.splitlines()[-LAST_LINES:]
                what = "\n".join(
                    [f"`vagrant {error.cmd[1]}` failed with exit code {error.returncode}", *last]
                )
                raise HubwrightError(
                    what,
                    where=f"the machine {self._vm.name}",
                    hint="correct what Vagrant names, then repeat the command",
                ) from None

    def explain(self, said: str) -> HubwrightError | None:
        """The error in plain words, when Vagrant's output names one of the usual obstacles."""
        words, vm = " ".join(said.split()), self._vm
        where = f"the machine {vm.name}"
        if "could not be found or could not be accessed in the remote catalog" in words:
            return HubwrightError(
                f"there is no box {vm.box} on this computer, nor in Vagrant's catalogue "
                "as far as that answers",
                where=where,
                hint="`vagrant box list` shows those that are here; "
                "[vm] box names one, a .box file, or archive",
            )
        if re.search(r"The box '.*' .*provider.* (isn't|is not|doesn't)|doesn't support the provider", words):
            return HubwrightError(
                f"the box {vm.box} is not for this provider",
                where=where,
                hint="name another one with [vm] box",
            )
        if re.search(r"provider 'libvirt' could not be found", words):
            return HubwrightError(
                "Vagrant lacks the plugin vagrant-libvirt",
                where=HERE,
                hint="`provision/setup.sh --vm` installs it",
            )
        if "Timed out while waiting for the machine to boot" in words or "Fog::Errors::TimeoutError" in words:
            return HubwrightError(
                "\n".join(
                    ["it was started, but never answered SSH", *Console(self.paths.console).last_words()]
                ),
                where=where,
                hint="correct what its console names, or give it more time with [vm] boot_timeout"
                f" (now {vm.boot_timeout} s); `hubwright up` starts it once more",
            )
        if "machine because it is locked!" in words:
            return HubwrightError(
                "another Vagrant is at work, on this machine or on one of another hub.toml",
                where=where,
                hint="wait for it to end, then repeat the command: Vagrant does one thing at a time here",
            )
        if "Cannot allocate memory" in words or "cannot set up guest memory" in words:
            return HubwrightError(
                f"this computer could not give it {vm.memory / 1024**3:.1f} GiB of memory",
                where=where,
                hint="lower [vm] memory, or end something else",
            )
        return None


def plain(line: str) -> str:
    """A line of Vagrant's without the machine's name in front; of an overwritten line, the last version."""
    line = line.rstrip().rpartition("\r")[2].rpartition("\x1b[K")[2]
    return line.removeprefix("==>").strip().removeprefix(f"{MACHINE}:").strip()
