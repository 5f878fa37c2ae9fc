"""site.toml: the findings about this computer, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from provision.errors import SettingsError
from provision.machines import KINDS
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.survey.computer import Survey, builder_of, survey

DEFAULT_PROVIDER = Settings.model_fields["vm"].default.provider
CREDENTIALS = 'in secrets.toml (mode 600), [downloads], proxy_credentials = "user:password"'
# An emulated machine runs programs about 12 times slower than this computer.
EMULATED_BOOT = "15m"
EMULATED_START = "3m"

HEADER = """\
# Found on this computer by `hubwright init`. These keys override hub.toml; do not commit them.
# Edit them as you like: only `hubwright init --force` writes this file again.
"""


def init(config: Path, reporter: Reporter, *, force: bool = False) -> Path:
    """Write site.toml beside the hub.toml `config`, unless it exists."""
    target = config.absolute().with_name("site.toml")
    if target.exists() and not force:
        reporter.line(
            f"✓ {target} is there; `hubwright init --force` would try everything again and replace it"
        )
        return target
    if not target.parent.is_dir():
        raise SettingsError("no such folder", where=str(target.parent), hint="name a hub.toml with --config")
    found = survey(reporter, config)
    target.write_text(site_toml(found), encoding="utf-8")
    for line in decisions(found):
        reporter.line(f"  {line}")
    reporter.line(f"✓ wrote {target}")
    return target


def site_toml(found: Survey) -> str:
    """The text of site.toml: only keys that differ from the defaults."""
    tables: dict[str, dict[str, Any]] = {
        "vm": {},
        "server": {},
        "image": {},
        "python": {},
        "builder": {},
        "downloads": {},
    }
    if found.provider not in (None, DEFAULT_PROVIDER):
        tables["vm"]["provider"] = found.provider
    if found.kvm and not found.kvm.works:
        tables["vm"] |= {"accelerator": "emulation", "boot_timeout": EMULATED_BOOT}
        if found.is_slow:
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
    tables["downloads"] = _downloads(found)
    return HEADER + "".join(f"\n{tomli_w.dumps({name: table})}" for name, table in tables.items() if table)


def _downloads(found: Survey) -> dict[str, Any]:
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
    """The conclusions from the survey with their reasons, for people."""
    said = []
    if found.provider:
        said.append(f"machines are raised with Vagrant's provider {found.provider}")
    else:
        said.append("no provider works: no machine can be raised here, but existing hosts can become hubs")
        said += [f"to get one: {kind.how_to_get}" for kind in KINDS]
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
            f"hosts and images trust {len(found.certificates)} further CA certificates of this computer"
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
