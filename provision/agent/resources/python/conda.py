"""conda, as an installer brings it, and interpreters made of conda's packages."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from ..base import Change, CommandFailed, Machine, Problem, Resource
from ..certificates.trusted import BUNDLE
from ..fs import free_space, lstat, read_text, unlink, write_atomically
from ..network.download import download
from .environment import INTERPRETERS, uses_interpreter_in

MARKER = ".hubwright"
NEEDED_FREE = 3 << 29  # 1.5 GiB: the installer, what it unpacks, and the hub's interpreter


@dataclass(frozen=True)
class CondaPrefix(Resource):
    """conda at `prefix`, installed by one of the installers that Miniconda and Miniforge publish.

    `installers`: machine (as `uname -m` says it; "any" for all), URL and SHA-256.
    An installation has the digest of its installer as a mark. No running program uses the prefix, so another
    installer replaces all of it.
    """

    prefix: str
    installers: tuple[tuple[str, str, str], ...]

    preparatory = True

    @property
    def id(self) -> str:
        return f"conda:{self.prefix}"

    @property
    def folders(self) -> tuple[str, ...]:
        return (os.path.dirname(self._marker),)

    @property
    def _marker(self) -> str:
        return f"{self.prefix}/{MARKER}"

    def check(self, machine: Machine) -> Change | None:
        url, digest = self._installer()
        name = _file_name(url)
        if lstat(self.prefix) is None:
            return Change(f"install {name} to {self.prefix}")
        if not self._is_ours(machine):
            raise Problem(
                f"{self.prefix} is there, and hubwright has not made it",
                'move it away, or take the distribution\'s Python: [python] provider = "system"',
            )
        made_by = read_text(self._marker)
        if not made_by:
            return Change(f"install {name} to {self.prefix} again: an earlier run was cut short")
        if made_by != f"{digest}\n":
            if others := self._environments():
                raise Problem(
                    f"{self.prefix} must be replaced, but holds environments not made by hubwright: {others}",
                    "move them out of it first (conda create --clone … --prefix …, then conda env remove)",
                )
            return Change(f"replace {self.prefix} by {name}")
        if not os.access(f"{self.prefix}/bin/conda", os.X_OK):
            return Change(f"install {name} to {self.prefix} again: its conda is gone")
        return None

    def apply(self, machine: Machine) -> None:
        url, digest = self._installer()
        _require_space(self.prefix)
        with _workshop(machine) as folder:
            installer = f"{folder}/installer.sh"  # the installers refuse any other ending
            machine.say(f"downloading {_file_name(url)}")
            download(machine, url, digest, installer)
            machine.claim(self, installing=True)
            _clear(self.prefix)
            machine.say(f"installing conda to {self.prefix}")
            variables, install = _variables(folder), ["bash", installer, "-b", "-p", self.prefix]
            try:
                with _complete_or_gone(self.prefix):
                    machine.run(install, env=variables, watch=True, interruptible=True)
                    machine.run([f"{self.prefix}/bin/conda", "--version"], env=variables)
                    os.sync()  # after a power cut, the mark must not exist without the files
                    write_atomically(self._marker, f"{digest}\n", 0o644)
            finally:  # from now on, an installation without a mark belongs to others
                half = lstat(self.prefix) is not None and not read_text(self._marker)
                machine.claim(self, installing=half)

    def remove(self, machine: Machine) -> str | None:
        if not self._is_ours(machine):
            return None
        if others := self._environments():
            return f"it holds environments not made by hubwright: {others}"
        _clear(self.prefix)
        return None

    def _installer(self) -> tuple[str, str]:
        here = platform.machine()
        for machine, url, digest in self.installers:
            if machine in (here, "any"):
                return url, digest
        raise Problem(
            f"no installer of conda is known for {here}",
            'name one in [python] installer and sha256, or set [python] provider = "system"',
        )

    def _is_ours(self, machine: Machine) -> bool:
        """True for a prefix with our mark, or with the claim of a run that was cut short before the mark."""
        return bool(read_text(self._marker) or machine.claims(self).get("installing"))

    def _environments(self) -> str:
        return ", ".join(sorted(os.path.basename(path[:-1]) for path in glob.glob(f"{self.prefix}/envs/*/")))


@dataclass(frozen=True)
class CondaPython(Resource):
    """An interpreter and Node of conda's packages, in `<root>/interpreters/<digest>`; see PythonEnv.

    `conda`: the prefix whose conda makes it. `channels`: the only sources of its packages.
    `edition`: the installer's: with a newer installer, newer packages of the channels are taken.
    A complete one is never changed. PythonEnv deletes superseded ones.
    """

    root: str
    conda: str
    channels: tuple[str, ...]
    python: str
    node: int
    edition: str

    preparatory = True

    @property
    def id(self) -> str:
        return f"conda-python:{self.root}"

    @property
    def path(self) -> str:
        parts = [self.channels, self.python, self.node, self.edition]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return f"{self.root}/{INTERPRETERS}/{digest}"

    @property
    def folders(self) -> tuple[str, ...]:
        return (self.path,)

    @property
    def _contents(self) -> str:
        return f"Python {self.python} and Node {self.node} from {', '.join(self.channels)}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        parts = (f"{self.path}/{MARKER}", f"{self.path}/bin/python", f"{self.path}/bin/node")
        if all(os.path.exists(part) for part in parts):
            return None
        return Change(f"make an interpreter of conda's packages: {self._contents}")

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        _clear(self.path)
        command = [f"{self.conda}/bin/conda", "create", "--yes", "--quiet", "--override-channels"]
        for channel in self.channels:
            command += ["--channel", channel]
        command += ["--prefix", self.path, f"python={self.python}", f"nodejs={self.node}"]
        machine.say(f"fetching {self._contents}")
        with _workshop(machine) as folder, _complete_or_gone(self.path):
            try:
                machine.run(command, env=_variables(folder), watch=True, interruptible=True)
            except CommandFailed as failure:
                raise Problem(
                    f"conda cannot make {self._contents}\n{failure.tail}",
                    "check channels, version and node in [python], and that this host reaches the channels",
                ) from None
            for program in ("python", "node"):
                machine.run([f"{self.path}/bin/{program}", "--version"])
            os.sync()  # after a power cut, the mark must not exist without the files
            write_atomically(f"{self.path}/{MARKER}", "", 0o644)

    def remove(self, machine: Machine) -> str | None:
        """Remove the interpreters, and the environments that use them."""
        if machine.claims(self).get("created"):
            folder = f"{self.root}/{INTERPRETERS}"
            for environment in glob.glob(f"{self.root}/envs/*"):
                if uses_interpreter_in(environment, folder):
                    _clear(environment)
            _clear(folder)
        return None


@contextlib.contextmanager
def _workshop(machine: Machine) -> Iterator[str]:
    """A folder for temporary files, emptied first: a killed run may have left some."""
    folder = machine.state("conda")
    _clear(folder)
    os.makedirs(f"{folder}/home", mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _variables(folder: str) -> dict[str, str]:
    """Variables that keep the files of conda and its installers (home, cache) in our folder."""
    return {
        "HOME": f"{folder}/home",
        "CONDA_PKGS_DIRS": f"{folder}/packages",
        "CONDA_SSL_VERIFY": BUNDLE,
        "REQUESTS_CA_BUNDLE": BUNDLE,
        "SSL_CERT_FILE": BUNDLE,
    }


@contextlib.contextmanager
def _complete_or_gone(path: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _clear(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        unlink(path)


def _require_space(path: str) -> None:
    path, free = free_space(path)
    if free < NEEDED_FREE:
        raise Problem(
            f"only {free / 1024**3:.1f} GiB free at {path}, and conda needs {NEEDED_FREE / 1024**3:.1f} GiB",
            "free some space on the host, then repeat the command",
        )


def _file_name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
