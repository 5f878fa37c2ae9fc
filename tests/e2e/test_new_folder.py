"""A hub in a folder of its own, made by a Hubwright that was installed from its wheel, without a clone."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w

from provision.settings import read_toml
from tests.support.hosts.containers import docker, free_port
from tests.support.operators import COMMAND_TIMEOUT, PROGRAMS, PROJECT, Done, Operator

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Folder:
    """A hub's own folder, and the programs that serve it."""

    path: Path
    programs: Path

    @property
    def name(self) -> str:
        return self.path.name

    def hubwright(self, *arguments: str, code: int = 0) -> Done:
        return run(str(self.programs / "hubwright"), *arguments, cwd=self.path, code=code)

    def fab(self, *arguments: str, below: str = ".", code: int = 0) -> Done:
        return run(".hubwright/bin/fab", *arguments, cwd=self.path / below, code=code)

    def vagrant(self, *arguments: str, below: str = ".", code: int = 0) -> Done:
        return run("vagrant", *arguments, cwd=self.path / below, code=code)


def run(*argv: str, cwd: Path, code: int = 0) -> Done:
    """Run a program as an operator without a clone of this project: no PATH and no variable leads there."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HUBWRIGHT", "VAGRANT", "VIRTUAL_ENV", "PYTHON")) or name == "HUBWRIGHT_CACHE"
    }
    environment.pop("UV_REQUIRE_HASHES", None)  # there is none of a wheel that was made just now
    environment["PATH"] = ":".join(
        place for place in os.environ["PATH"].split(":") if not Path(place).is_relative_to(PROJECT)
    )
    if CERTIFICATES.exists():
        environment.setdefault("SSL_CERT_FILE", str(CERTIFICATES))
    argv = (str(cwd / argv[0]) if argv[0].startswith(".") else argv[0], *argv[1:])
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    outcome = Done(" ".join(argv), done.returncode, done.stdout, done.stderr)
    assert outcome.code == code, f"{code} was expected of {outcome}"
    return outcome


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel and its dependencies only."""
    uv, folder = str(PROGRAMS / "uv"), tmp_path_factory.mktemp("wheel")
    build = ("build", "--wheel", "--no-build-isolation", "--python", str(PROGRAMS.parent))
    run(uv, *build, "--out-dir", str(folder), str(PROJECT), cwd=folder)
    [wheel] = folder.glob("hubwright-*.whl")
    environment = folder / "environment"
    run(uv, "venv", "--python", str(PROGRAMS / "python"), str(environment), cwd=folder)
    install = (
        "pip",
        "install",
        "--python",
        str(environment),
        "--constraint",
        str(PROJECT / "requirements.txt"),
    )
    run(uv, *install, str(wheel), cwd=folder)
    return environment / "bin"


@pytest.fixture(scope="module")
def own_folder(installed: Path, operator: Operator) -> Iterator[Folder]:
    """A folder made by `hubwright new`. Its site.toml is that of other tests, with another port."""
    path = Path(f"/tmp/hubwright-e2e-{secrets.token_hex(3)}")
    folder = Folder(path, installed)
    try:
        run(str(installed / "hubwright"), "new", str(path), cwd=Path("/tmp"))
        site = read_toml(operator.folder / "site.toml")
        site["vm"] = {**site.get("vm", {}), "port": free_port()}
        (path / "site.toml").write_text(tomli_w.dumps(site), encoding="utf-8")
        yield folder
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", path.name], capture_output=True, check=False)
        shutil.rmtree(path, ignore_errors=True)


def test_the_wheel_makes_what_a_clone_makes(own_folder: Folder, operator: Operator) -> None:
    """The names of images are digests of all that goes into them."""
    theirs = json.loads(own_folder.hubwright("config", "vm", "--json").out)
    ours = json.loads(operator.hubwright("config", "vm", "--json").out)
    assert theirs["host_image"] == ours["host_image"]
    place = Path(own_folder.hubwright("config", "vagrantfile").out.strip())
    assert place.is_relative_to(own_folder.programs.parent)
    assert place.read_bytes() == (PROJECT / "Vagrantfile").read_bytes()


def test_nothing_runs_before_it_is_raised(own_folder: Folder) -> None:
    assert "not created" in own_folder.vagrant("status", below="images").out
    own_folder.hubwright("status", code=1).says("is not created", "hubwright up")
    own_folder.fab("status", code=1).says("is not created", "hubwright up")
    own_folder.hubwright("new", ".", code=2).says("is not empty", "nothing was written")


def test_a_hub_is_raised_looked_at_and_removed(own_folder: Folder) -> None:
    url = own_folder.hubwright("up").out.strip()
    assert url.startswith("https://127.0.0.1:")
    assert own_folder.name in own_folder.hubwright("ssh", "hostname").out
    own_folder.hubwright("status")
    own_folder.fab("status")
    assert own_folder.fab("plan").out == ""
    assert own_folder.fab("deploy").unchanged
    own_folder.hubwright("verify", "-k", "test_health")
    assert "running" in own_folder.vagrant("status", below="images/notebook").out

    own_folder.vagrant("halt")
    done = own_folder.vagrant("up")
    assert url in done.out
    assert "0 changed, everything holds" in done.out + done.err

    own_folder.hubwright("destroy", "--yes")
    assert docker("ps", "--all", "--quiet", "--filter", f"name=^/{own_folder.name}$") == ""
    assert not (own_folder.path / ".vagrant").exists()
    assert (own_folder.path / "hub.toml").exists()
