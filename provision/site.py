"""What this machine can do, found out by trying, and written once to site.toml."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import tomli_w

from provision.errors import HubwrightError, SettingsError
from provision.images import base_image
from provision.kvm import try_kvm
from provision.package_sources import (
    Archive,
    Source,
    find_archive,
    first_mirror,
    mirror_list,
    npm_registry,
    parse_sources,
    pip_index,
    unusable,
)
from provision.process import docker, run
from provision.report import Reporter
from provision.settings import Builder, Python, Settings, read_toml
from roles.miniconda import installers

CERTIFICATES = Path("/usr/local/share/ca-certificates")
APT = Path("/etc/apt")
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
NPM_FILES = ("/etc/npmrc", "~/.npmrc")
CHANNEL = "https://conda.anaconda.org/conda-forge/noarch/repodata.json.zst"
PULL_TIMEOUT = 90.0  # seconds for the base image, about 30 MB
PROBE_TIMEOUT = 20.0

HEADER = """\
# What `hubwright init` found on this machine. It is laid over hub.toml and not committed.
# Edit it as you like: only `hubwright init --force` writes it again.
"""


@dataclass(frozen=True)
class Finding:
    """Whether something works here, and in a few words how that showed."""

    works: bool
    words: str


@dataclass(frozen=True)
class Survey:
    """All that site.toml is made from. `archive` is None where apt's sources name none that can be used."""

    providers: Mapping[str, Finding]
    registry: Finding
    archive: Archive | None = None
    certificates: tuple[str, ...] = ()
    pypi: str | None = None
    npm: str | None = None
    conda: Finding | None = None
    """Whether its installer and channel can be reached; None where hub.toml has decided."""

    @property
    def provider(self) -> str | None:
        """The first provider that works, in the order of preference."""
        return next((name for name, finding in self.providers.items() if finding.works), None)


def init(config: Path, reporter: Reporter, *, force: bool = False) -> Path:
    """Writes site.toml beside the hub.toml `config`, unless it is there."""
    target = config.absolute().with_name("site.toml")
    if target.exists() and not force:
        reporter.line(f"✓ {target} is there; `hubwright init --force` would look again and replace it")
        return target
    if not target.parent.is_dir():
        raise SettingsError("no such folder", where=str(target.parent), hint="name a hub.toml with --config")
    found = survey(reporter, config)
    target.write_text(site_toml(found), encoding="utf-8")
    for line in decisions(found):
        reporter.line(f"  {line}")
    reporter.line(f"✓ wrote {target}")
    return target


def survey(reporter: Reporter, config: Path | None = None) -> Survey:
    """Tries everything that the hub.toml `config` leaves open.

    Takes seconds, and half a minute more where a first base image must be made.
    """
    certificates, archive = _certificates(), _archive()
    engine = _probe(reporter, "Docker", _docker_answers)
    registry = Finding(False, "Docker does not answer")
    if engine.works:
        registry = _probe(reporter, "the container registry", _registry_answers)
        engine = _containers(reporter, registry.works, archive)
    providers = {
        "docker": engine,
        "libvirt": _probe(reporter, "libvirt", _libvirt),
        "virtualbox": _probe(reporter, "VirtualBox", _virtualbox),
    }
    pypi = (
        os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or pip_index(_texts(PIP_FILES))
    )
    npm = os.environ.get("NPM_CONFIG_REGISTRY") or npm_registry(_texts(NPM_FILES))
    return Survey(
        providers,
        registry,
        archive,
        certificates,
        _mirror(reporter, "pip", pypi),
        _mirror(reporter, "npm", npm),
        None if _decides_on_python(config) else _probe(reporter, "Miniconda", _conda_answers),
    )


def site_toml(found: Survey) -> str:
    """The text of site.toml: only keys that differ from the defaults."""
    tables: dict[str, dict[str, Any]] = {"vm": {}, "image": {}, "python": {}, "builder": {}, "mirrors": {}}
    if found.provider not in (None, "docker"):
        tables["vm"]["provider"] = found.provider
    if not found.registry.works and found.archive is not None:
        tables["image"]["build_on"] = "builder"
        tables["builder"] = _builder(found.archive)
    if found.conda and not found.conda.works:
        tables["python"]["provider"] = "system"
    if found.certificates:
        tables["mirrors"]["ca_certificates"] = list(found.certificates)
    for key, url in (("pypi", found.pypi), ("npm", found.npm)):
        if url:
            tables["mirrors"][key] = url
    return HEADER + "".join(f"\n{tomli_w.dumps({name: table})}" for name, table in tables.items() if table)


def decisions(found: Survey) -> list[str]:
    """What follows from the survey, and why, for a person."""
    said = []
    if found.provider:
        said.append(f"machines are raised with Vagrant's provider {found.provider}")
    else:
        said.append("no provider works: no machine can be raised here, but existing hosts can be deployed")
    if found.registry.works:
        said.append("the container registry answers: base images come from there")
    elif found.archive:
        said.append(f"no registry: base images are made of {found.archive.uri} ({found.archive.suite})")
        said.append("no registry: the notebook image is built here and sent to hosts")
    else:
        said.append(
            "no registry, and no archive of this release in apt's sources: no image can be built here"
        )
    if found.conda and found.conda.works:
        said.append("Miniconda can be reached: the hub's Python comes from there")
    elif found.conda:
        said.append("Miniconda cannot be reached: the hub's Python is the distribution's")
    if found.certificates:
        said.append(
            f"hosts and images trust {len(found.certificates)} further CA certificates of this machine"
        )
    said += [f"packages come from {url}" for url in (found.pypi, found.npm) if url]
    return said


# --- trying -------------------------------------------------------------------------------------


def _probe(reporter: Reporter, what: str, attempt: Callable[[], str]) -> Finding:
    """`attempt` returns how it showed that something works, and raises HubwrightError when it does not."""
    with reporter.step(f"try {what}") as step:
        try:
            finding = Finding(True, attempt())
        except HubwrightError as error:
            finding = Finding(False, _last_words(error))
        step.note = f"{what}: {'yes' if finding.works else 'no'}, {finding.words}"
    return finding


def _last_words(error: HubwrightError) -> str:
    return error.what.splitlines()[-1].removeprefix("Error response from daemon: ")


def _docker_answers() -> str:
    return f"Docker {docker('info', '--format', '{{.ServerVersion}}', timeout=PROBE_TIMEOUT).strip()} answers"


def _registry_answers() -> str:
    image = Builder().image
    docker("pull", "--quiet", image, timeout=PULL_TIMEOUT)
    return f"gave {image.partition('@')[0]}"


def _conda_answers() -> str:
    _, installer, _ = installers(Python())[0]
    for url in (installer, CHANNEL):
        try:
            with urlopen(Request(url, method="HEAD"), timeout=PROBE_TIMEOUT):  # noqa: S310 - https, see above
                pass
        except OSError as error:
            raise HubwrightError(f"{urlsplit(url).hostname}: {getattr(error, 'reason', error)}") from None
    return "its installer and conda-forge answer"


def _containers(reporter: Reporter, registry: bool, archive: Archive | None) -> Finding:
    """Runs one, of the base image that hosts will have."""
    if not registry and archive is None:
        return Finding(False, "there is no base image to try it with")
    builder = {} if registry or archive is None else _builder(archive)
    trial = Settings.model_validate({"root": Path("/"), "image": {"build": "."}, "builder": builder})
    try:
        base = base_image(trial, reporter)
    except HubwrightError as error:
        return Finding(False, _last_words(error))

    def attempt() -> str:
        docker("run", "--rm", "--network=none", base, "true", timeout=PROBE_TIMEOUT)
        return "it runs"

    return _probe(reporter, "a container", attempt)


def _libvirt() -> str:
    run(["virsh", "--connect", "qemu:///system", "list"], timeout=PROBE_TIMEOUT)
    if "vagrant-libvirt" not in run(["vagrant", "plugin", "list"], timeout=60):
        raise HubwrightError("Vagrant has no plugin vagrant-libvirt")
    return f"libvirt answers, and {try_kvm()}"


def _virtualbox() -> str:
    run(["VBoxManage", "list", "hostinfo"], timeout=PROBE_TIMEOUT)
    if not Path("/dev/vboxdrv").exists():
        raise HubwrightError("VirtualBox is installed, but its kernel module is not loaded")
    return "VirtualBox answers"


# --- reading ------------------------------------------------------------------------------------


def _decides_on_python(config: Path | None) -> bool:
    python = read_toml(config).get("python", {}) if config and config.exists() else {}
    return not {"provider", "installer", "channels"}.isdisjoint(python)


def _certificates() -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(CERTIFICATES.rglob("*.crt")) if path.is_file())


def _archive() -> Archive | None:
    paths = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    files = {
        str(path): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.suffix in (".list", ".sources") and path.is_file()
    }
    try:
        codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return None
    return find_archive([_resolved(source) for source in parse_sources(files)], codename)


def _resolved(source: Source) -> Source:
    """With the first mirror in place of a list of mirrors."""
    path = mirror_list(source.uri)
    return replace(source, uri=first_mirror("".join(_texts([path])))) if path else source


def _builder(archive: Archive) -> dict[str, str]:
    found = {
        "base": "archive",
        "apt": archive.uri,
        "suite": archive.suite,
        "components": archive.components,
        "security": archive.security,
    }
    defaults = Builder()
    return {key: value for key, value in found.items() if value != getattr(defaults, key)}


def _texts(names: Iterable[str]) -> list[str]:
    paths = [Path(name).expanduser() for name in names]
    return [path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()]


def _mirror(reporter: Reporter, program: str, url: str | None) -> str | None:
    """The URL when it is a mirror that hosts could use too."""
    if url is None:
        return None
    if reason := unusable(url):
        reporter.line(f"  {program}'s own index is left out of site.toml: {reason}")
        return None
    return url
