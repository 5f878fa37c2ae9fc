"""This computer's abilities and its ways to the network, found out by trying them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from provision.errors import HubwrightError, SettingsError
from provision.images import base_image
from provision.machines import KINDS, Machine, last_words
from provision.machines.docker import DockerMachine
from provision.machines.kvm import try_kvm
from provision.report.reporter import Reporter
from provision.settings import Builder, Downloads, Python, Settings, read_toml
from provision.settings.installers import installers
from provision.survey.package_sources import (
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
from provision.survey.proxies import Proxies, of_apt, of_environment, proxies
from provision.tools.process import docker, run

CERTIFICATES = Path("/usr/local/share/ca-certificates")
APT = Path("/etc/apt")
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
NPM_FILES = ("/etc/npmrc", "~/.npmrc")
CATALOGUE = "https://vagrantcloud.com/cloud-image/ubuntu-24.04"
CONDA_FILES = ("/etc/conda/.condarc", "~/.conda/.condarc", "~/.condarc")
CONDA = "https://conda.anaconda.org"
INDEX = "noarch/repodata.json.zst"
PULL_TIMEOUT = 90.0  # seconds for the base image, about 30 MB
PROBE_TIMEOUT = 20.0


@dataclass(frozen=True)
class Finding:
    """The result of a trial: success or not, and a few words about it."""

    works: bool
    words: str


@dataclass(frozen=True)
class Survey:
    """All that site.toml is made from. `archive` is None when apt's sources name none that can be used."""

    providers: Mapping[str, Finding]
    registry: Finding
    archive: Archive | None = None
    certificates: tuple[str, ...] = ()
    pypi: str | None = None
    npm: str | None = None
    conda: Finding | None = None
    """The trial of its installer and channel; None when hub.toml has decided."""
    conda_alias: str | None = None
    channels: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    proxies: Proxies | None = None
    kvm: Finding | None = None
    """The trial of a guest; None without libvirt."""
    catalogue: Finding | None = None
    """The trial of Vagrant's catalogue of boxes; None when no provider takes boxes."""

    @property
    def provider(self) -> str | None:
        """The first provider that works, in the order of preference."""
        return next((name for name, finding in self.providers.items() if finding.works), None)

    @property
    def is_slow(self) -> bool:
        """True when the machines of that provider would be emulated."""
        slow = self.kvm is not None and not self.kvm.works
        return slow and self.provider in {kind.provider for kind in KINDS if kind.needs_kvm}

    @property
    def makes_boxes(self) -> bool:
        """True when boxes are made here, for a provider that takes such."""
        missing = self.catalogue is not None and not self.catalogue.works
        source = not self.registry.works and self.archive is not None
        return missing and source and _any_works(self.providers, lambda kind: kind.makes_boxes)


def survey(reporter: Reporter, config: Path | None = None) -> Survey:
    """Try everything that the hub.toml `config` leaves open.

    Takes seconds, and half a minute more when a first base image must be made.
    """
    decided = _decides_on_python(config)  # first: a hub.toml that cannot be read is an error at once
    certificates, archive = _certificates(), own_archive()
    engine = _probe(reporter, DockerMachine.title, DockerMachine.answers)
    registries = _registries() if engine.works else ()
    registry = Finding(False, "Docker does not answer")
    if engine.works:
        registry = _probe(reporter, "the container registry", _registry_answers)
        engine = _containers(reporter, registry.works, archive)
    providers = {
        kind.provider: engine if kind is DockerMachine else _probe(reporter, kind.title, kind.is_ready)
        for kind in KINDS
    }
    kvm = catalogue = None
    if _any_works(providers, lambda kind: kind.needs_kvm):
        kvm = _probe(reporter, "KVM", try_kvm)
    if _any_works(providers, lambda kind: kind.takes_boxes):
        catalogue = _probe(reporter, "Vagrant's catalogue of boxes", _catalogue_answers)
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


def _any_works(providers: Mapping[str, Finding], wanted: Callable[[type[Machine]], bool]) -> bool:
    return any(providers[kind.provider].works for kind in KINDS if wanted(kind))


# --- trying -------------------------------------------------------------------------------------


def _probe(reporter: Reporter, what: str, attempt: Callable[[], str]) -> Finding:
    """The result of `attempt`, which returns a few words, or raises HubwrightError when it does not work."""
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
    _, installer, _ = installers(Python(), Downloads())[0]
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
    """Run a container of the base image that machines will have."""
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


def _catalogue_answers() -> str:
    """A few words about Vagrant's catalogue. Raises HubwrightError when it cannot be reached."""
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
    """The archive of this computer's own packages, from apt's sources."""
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
    """The source, with the first mirror in place of a list of mirrors."""
    path = mirror_list(source.uri)
    return replace(source, uri=first_mirror("".join(_texts([path])))) if path else source


def builder_of(archive: Archive) -> dict[str, str]:
    """The keys of [builder] for an archive, without defaults."""
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
    """The proxies of the environment, else those of apt."""
    found = of_environment(os.environ)
    if not {"http", "https"} & found.keys():
        try:
            found |= of_apt(run(["apt-config", "dump"], timeout=PROBE_TIMEOUT))
        except HubwrightError:
            return None
    try:
        return proxies(found)
    except ValueError as error:
        reporter.line(f"  this computer's proxy is left out of site.toml: it {error}")
        return None


def _mirror(reporter: Reporter, program: str, url: str | None) -> str | None:
    """The URL when it is a mirror that hosts could use too."""
    if url is None:
        return None
    if reason := unusable(url):
        reporter.line(f"  {program}'s own index is left out of site.toml: {reason}")
        return None
    return url
