"""What this machine can do, found out by trying, and written once to site.toml."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import tomli_w

from provision.errors import HubwrightError, SettingsError
from provision.hypervisors import GET, docker_answers, last_words, libvirt_answers, virtualbox_answers
from provision.images import base_image
from provision.kvm import try_kvm
from provision.package_sources import (
    Archive,
    Source,
    conda_settings,
    find_archive,
    first_mirror,
    mirror_list,
    npm_registry,
    parse_sources,
    pip_index,
    registry_mirrors,
    unusable,
)
from provision.process import docker, run
from provision.proxies import Proxies, of_apt, of_environment, proxies
from provision.report import Reporter
from provision.settings import Builder, Mirrors, Python, Settings, read_toml
from roles.miniconda import installers

CERTIFICATES = Path("/usr/local/share/ca-certificates")
APT = Path("/etc/apt")
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
NPM_FILES = ("/etc/npmrc", "~/.npmrc")
CATALOGUE = "https://vagrantcloud.com/cloud-image/ubuntu-24.04"
CONDA_FILES = ("/etc/conda/.condarc", "~/.conda/.condarc", "~/.condarc")
CONDA = "https://conda.anaconda.org"
INDEX = "noarch/repodata.json.zst"
CREDENTIALS = 'in secrets.toml (mode 600), [mirrors], proxy_credentials = "user:password"'
PULL_TIMEOUT = 90.0  # seconds for the base image, about 30 MB
PROBE_TIMEOUT = 20.0
# An emulated machine runs programs about 12 times slower than this computer.
EMULATED_BOOT = "15m"
EMULATED_START = "3m"

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
    conda_alias: str | None = None
    channels: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    proxies: Proxies | None = None
    kvm: Finding | None = None
    """Whether KVM runs guests; None without libvirt."""
    catalogue: Finding | None = None
    """Whether Vagrant's boxes can be had; None where nothing would take one."""

    @property
    def provider(self) -> str | None:
        """The first provider that works, in the order of preference."""
        return next((name for name, finding in self.providers.items() if finding.works), None)

    @property
    def makes_boxes(self) -> bool:
        """Whether boxes are made here, which only libvirt takes."""
        missing = self.catalogue is not None and not self.catalogue.works
        source = not self.registry.works and self.archive is not None
        return missing and source and self.providers["libvirt"].works


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
    decided = _decides_on_python(config)  # first: a hub.toml that cannot be read ends this at once
    certificates, archive = _certificates(), own_archive()
    engine = _probe(reporter, "Docker", docker_answers)
    registries = _registries() if engine.works else ()
    registry = Finding(False, "Docker does not answer")
    if engine.works:
        registry = _probe(reporter, "the container registry", _registry_answers)
        engine = _containers(reporter, registry.works, archive)
    providers = {
        "docker": engine,
        "libvirt": _probe(reporter, "libvirt", _libvirt),
        "virtualbox": _probe(reporter, "VirtualBox", virtualbox_answers),
    }
    kvm = _probe(reporter, "KVM", try_kvm) if providers["libvirt"].works else None
    machines = any(providers[name].works for name in ("libvirt", "virtualbox"))
    catalogue = _probe(reporter, "Vagrant's catalogue of boxes", _catalogue_answers) if machines else None
    pypi = (
        os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or pip_index(_texts(PIP_FILES))
    )
    npm = os.environ.get("NPM_CONFIG_REGISTRY") or npm_registry(_texts(NPM_FILES))
    alias, channels = conda_settings(_texts(CONDA_FILES))
    conda = None
    if decided:
        channels = ()
    else:
        conda = _probe(reporter, "Miniconda", partial(_conda_answers, alias, channels))
    return Survey(
        providers,
        registry,
        archive,
        certificates,
        _mirror(reporter, "pip", pypi),
        _mirror(reporter, "npm", npm),
        conda,
        alias,
        channels,
        registries,
        _proxies(reporter),
        kvm,
        catalogue,
    )


def site_toml(found: Survey) -> str:
    """The text of site.toml: only keys that differ from the defaults."""
    tables: dict[str, dict[str, Any]] = {
        "vm": {},
        "server": {},
        "image": {},
        "python": {},
        "builder": {},
        "mirrors": {},
    }
    if found.provider not in (None, "docker"):
        tables["vm"]["provider"] = found.provider
    if found.kvm and not found.kvm.works:
        tables["vm"] |= {"accelerator": "emulation", "boot_timeout": EMULATED_BOOT}
        if found.provider == "libvirt":
            tables["server"]["start_timeout"] = EMULATED_START
    if not found.registry.works and found.archive is not None:
        tables["image"]["build_on"] = "builder"
        tables["builder"] = builder_of(found.archive)
        if found.makes_boxes:
            tables["vm"]["box"] = "archive"
    if found.conda and not found.conda.works:
        tables["python"]["provider"] = "system"
    elif found.channels:
        tables["python"]["channels"] = list(found.channels)
    tables["mirrors"] = _mirrors(found)
    return HEADER + "".join(f"\n{tomli_w.dumps({name: table})}" for name, table in tables.items() if table)


def _mirrors(found: Survey) -> dict[str, Any]:
    way = found.proxies
    keys: dict[str, Any] = {
        "ca_certificates": list(found.certificates),
        "pypi": found.pypi,
        "npm": found.npm,
        "conda": found.conda_alias,
        "registries": list(found.registries),
        "http_proxy": way.http if way else None,
        "https_proxy": way.https if way and way.https != way.http else None,
        "no_proxy": list(way.exceptions) if way else None,
    }
    return {key: value for key, value in keys.items() if value}


def decisions(found: Survey) -> list[str]:
    """What follows from the survey, and why, for a person."""
    said = []
    if found.provider:
        said.append(f"machines are raised with Vagrant's provider {found.provider}")
    else:
        said.append("no provider works: no machine can be raised here, but existing hosts can be deployed")
        said += [f"to get one: {how}" for how in GET.values()]
    if found.kvm and not found.kvm.works:
        said.append(f"no KVM ({found.kvm.words}): libvirt's machines are emulated, many times slower")
    elif found.kvm:
        said.append("KVM runs guests: libvirt's machines use it")
    if found.registry.works:
        said.append("the container registry answers: base images come from there")
    elif found.archive:
        said.append(f"no registry: base images are made of {found.archive.uri} ({found.archive.suite})")
        said.append("no registry: the notebook image is built here and sent to hosts")
    else:
        said.append(
            "no registry, and no archive of this release in apt's sources: no image can be built here"
        )
    if found.catalogue and found.catalogue.works:
        said.append("Vagrant's catalogue answers: boxes come from there")
    elif found.makes_boxes:
        said.append("Vagrant's catalogue cannot be reached: boxes are made here, of the same archive")
    elif found.catalogue:
        said.append("Vagrant's catalogue cannot be reached: [vm] box has to name a .box file")
    if found.conda and found.conda.works:
        said.append("Miniconda can be reached: the hub's Python comes from there")
    elif found.conda:
        said.append("Miniconda cannot be reached: the hub's Python is the distribution's")
    if found.certificates:
        said.append(
            f"hosts and images trust {len(found.certificates)} further CA certificates of this machine"
        )
    channels = found.channels if found.conda and found.conda.works else ()
    packages = (found.pypi, found.npm, found.conda_alias, *channels)
    said += [f"packages come from {url}" for url in packages if url]
    said += [f"images of Docker Hub come from {url}" for url in found.registries]
    if found.proxies:
        said.append(f"downloads go through the proxy {found.proxies.http}")
        if found.proxies.password:
            said.append(f"the proxy wants a password, which you have to give: {CREDENTIALS}")
    return said


# --- trying -------------------------------------------------------------------------------------


def _probe(reporter: Reporter, what: str, attempt: Callable[[], str]) -> Finding:
    """`attempt` returns how it showed that something works, and raises HubwrightError when it does not."""
    with reporter.step(f"try {what}") as step:
        try:
            finding = Finding(True, attempt())
        except HubwrightError as error:
            finding = Finding(False, last_words(error))
        step.note = f"{what}: {'yes' if finding.works else 'no'}, {finding.words}"
    return finding


def _registry_answers() -> str:
    image = Builder().image
    docker("pull", "--quiet", image, timeout=PULL_TIMEOUT)
    return f"gave {image.partition('@')[0]}"


def _conda_answers(alias: str | None, channels: tuple[str, ...]) -> str:
    _, installer, _ = installers(Python(), Mirrors())[0]
    for url in (installer, *(f"{each}/{INDEX}" for each in channels or (f"{alias or CONDA}/conda-forge",))):
        _head(url)
    return f"its installer and {' and '.join(channels) or 'conda-forge'} answer"


def _head(url: str) -> None:
    try:
        with urlopen(Request(url, method="HEAD"), timeout=PROBE_TIMEOUT):  # noqa: S310 - https, see above
            pass
    except OSError as error:
        raise HubwrightError(f"{urlsplit(url).hostname}: {getattr(error, 'reason', error)}") from None


def _containers(reporter: Reporter, registry: bool, archive: Archive | None) -> Finding:
    """Runs one, of the base image that hosts will have."""
    if not registry and archive is None:
        return Finding(False, "there is no base image to try it with")
    builder = {} if registry or archive is None else builder_of(archive)
    trial = Settings.model_validate({"root": Path("/"), "image": {"build": "."}, "builder": builder})
    try:
        base = base_image(trial, reporter)
    except HubwrightError as error:
        return Finding(False, last_words(error))

    def attempt() -> str:
        docker("run", "--rm", "--network=none", base, "true", timeout=PROBE_TIMEOUT)
        return "it runs"

    return _probe(reporter, "a container", attempt)


def _libvirt() -> str:
    answer = libvirt_answers()
    if "vagrant-libvirt" not in run(["vagrant", "plugin", "list"], timeout=60):
        raise HubwrightError("Vagrant has no plugin vagrant-libvirt")
    return answer


def _catalogue_answers() -> str:
    """Of Vagrant's boxes."""
    _head(CATALOGUE)
    return "answers"


# --- reading ------------------------------------------------------------------------------------


def _decides_on_python(config: Path | None) -> bool:
    python = read_toml(config).get("python", {}) if config and config.exists() else {}
    if not isinstance(python, dict):
        raise SettingsError(
            "should be a table",
            where=f"{config}: python",
            hint="`hubwright config explain python` lists its keys",
        )
    return not {"provider", "installer", "channels"}.isdisjoint(python)


def _certificates() -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(CERTIFICATES.rglob("*.crt")) if path.is_file())


def own_archive() -> Archive | None:
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


def builder_of(archive: Archive) -> dict[str, str]:
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


def _registries() -> tuple[str, ...]:
    return registry_mirrors(
        docker("info", "--format", "{{json .RegistryConfig.Mirrors}}", timeout=PROBE_TIMEOUT)
    )


def _proxies(reporter: Reporter) -> Proxies | None:
    """Of the environment; where it names none, apt's."""
    found = of_environment(os.environ)
    if not {"http", "https"} & found.keys():
        try:
            found |= of_apt(run(["apt-config", "dump"], timeout=PROBE_TIMEOUT))
        except HubwrightError:
            return None
    try:
        return proxies(found)
    except ValueError as error:
        reporter.line(f"  this machine's proxy is left out of site.toml: it {error}")
        return None


def _mirror(reporter: Reporter, program: str, url: str | None) -> str | None:
    """The URL when it is a mirror that hosts could use too."""
    if url is None:
        return None
    if reason := unusable(url):
        reporter.line(f"  {program}'s own index is left out of site.toml: {reason}")
        return None
    return url
