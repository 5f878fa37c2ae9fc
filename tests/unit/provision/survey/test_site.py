"""The site.toml that `hubwright init` writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import Settings, read_toml
from provision.survey import site
from provision.survey.computer import Finding, Survey
from provision.survey.package_sources import Archive
from provision.survey.proxies import Proxies
from provision.survey.site import decisions, init, site_toml

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)
YES, NO = Finding(True, "it runs"), Finding(False, "not installed")
DEBIAN = Archive("http://deb.example/debian", "bookworm", "main", "http://sec.example/debian")
UBUNTU = Archive("http://u.example", "noble", "main universe")
BUILDER = {
    "image": {"build_on": "builder"},
    "builder": {
        "base": "archive",
        "apt": "http://deb.example/debian",
        "suite": "bookworm",
        "security": "http://sec.example/debian",
    },
}
UBUNTU_BUILDER = {
    "image": {"build_on": "builder"},
    "builder": {
        "base": "archive",
        "apt": "http://u.example",
        "suite": "noble",
        "components": "main universe",
    },
}
EMULATED = {"accelerator": "emulation", "boot_timeout": "15m"}


DOCKER = {"docker": YES, "libvirt": NO, "virtualbox": NO}


PROXY = Proxies("http://p:1", "http://p:1")
NOTHING = {"docker": NO, "libvirt": NO, "virtualbox": NO}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Survey(DOCKER, YES, DEBIAN), {}),
        (Survey(DOCKER, NO, DEBIAN), BUILDER),
        (Survey(DOCKER, NO, UBUNTU), UBUNTU_BUILDER),
        (Survey(DOCKER, NO), {}),
        (Survey({**DOCKER, "libvirt": YES}, YES), {}),
        (Survey({**NOTHING, "libvirt": YES, "virtualbox": YES}, NO), {"vm": {"provider": "libvirt"}}),
        (Survey({**NOTHING, "virtualbox": YES}, NO), {"vm": {"provider": "virtualbox"}}),
        (Survey(NOTHING, NO), {}),
        (
            Survey({**NOTHING, "libvirt": YES}, NO, DEBIAN, kvm=NO, catalogue=NO),
            {
                "vm": {"provider": "libvirt", **EMULATED, "box": "archive"},
                "server": {"start_timeout": "3m"},
                **BUILDER,
            },
        ),
        (Survey({**DOCKER, "libvirt": YES}, YES, DEBIAN, kvm=NO, catalogue=NO), {"vm": EMULATED}),
        (
            Survey({**DOCKER, "libvirt": YES}, NO, UBUNTU, kvm=YES, catalogue=NO),
            {"vm": {"box": "archive"}, **UBUNTU_BUILDER},
        ),
        (
            Survey({**NOTHING, "virtualbox": YES}, NO, DEBIAN, catalogue=NO),
            {"vm": {"provider": "virtualbox"}, **BUILDER},
        ),
        (Survey(DOCKER, YES, conda=YES), {}),
        (Survey(DOCKER, YES, conda=NO), {"python": {"provider": "system"}}),
        (
            Survey(
                DOCKER, YES, certificates=("/ca/a.crt",), pypi="https://p.example", npm="https://n.example"
            ),
            {
                "downloads": {
                    "ca_certificates": ["/ca/a.crt"],
                    "pypi": "https://p.example",
                    "npm": "https://n.example",
                }
            },
        ),
        (
            Survey(
                DOCKER, YES, conda=YES, conda_alias="https://c.example", channels=("https://c.example/x",)
            ),
            {"downloads": {"conda": "https://c.example"}, "python": {"channels": ["https://c.example/x"]}},
        ),
        (Survey(DOCKER, YES, conda=NO, channels=("https://c",)), {"python": {"provider": "system"}}),
        (Survey(DOCKER, YES, registries=("https://r",)), {"downloads": {"registries": ["https://r"]}}),
        (Survey(DOCKER, YES, proxies=PROXY), {"downloads": {"http_proxy": "http://p:1"}}),
        (
            Survey(DOCKER, YES, proxies=Proxies("http://p:1", "http://q:2", (".org",), password=True)),
            {"downloads": {"http_proxy": "http://p:1", "https_proxy": "http://q:2", "no_proxy": [".org"]}},
        ),
    ],
)
def test_site_toml_says_what_differs_from_the_defaults(
    tmp_path: Path, hub: Hub, found: Survey, expected: dict[str, Any]
) -> None:
    text = site_toml(found)
    (tmp_path / "site.toml").write_text(text)
    assert read_toml(tmp_path / "site.toml") == expected
    assert text.startswith("# Found on this computer by `hubwright init`")
    assert hub(site=text).builder.base == expected.get("builder", {}).get("base", "registry")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Survey(DOCKER, YES), "raised with Vagrant's provider docker"),
        (Survey(NOTHING, YES), "`provision/setup.sh --vm` installs libvirt"),
        (Survey(DOCKER, YES, kvm=NO), "no KVM (not installed): libvirt's machines are emulated"),
        (Survey(DOCKER, YES, catalogue=YES), "boxes come from there"),
        (Survey({**DOCKER, "libvirt": YES}, NO, DEBIAN, catalogue=NO), "boxes are made here"),
        (Survey({**NOTHING, "virtualbox": YES}, NO, DEBIAN, catalogue=NO), "[vm] box has to name a .box"),
        (Survey(DOCKER, NO, catalogue=NO), "[vm] box has to name a .box file"),
        (Survey(DOCKER, YES, kvm=YES), "libvirt's machines use it"),
        (Survey(NOTHING, YES), "no machine can be raised here, but existing hosts can become hubs"),
        (Survey(DOCKER, YES), "base images come from there"),
        (Survey(DOCKER, NO, DEBIAN), "base images are made of http://deb.example/debian (bookworm)"),
        (Survey(DOCKER, NO), "no image can be built here"),
        (Survey(DOCKER, YES, certificates=("a", "b")), "trust 2 further CA certificates"),
        (Survey(DOCKER, YES, conda=YES), "Miniconda can be reached: the hub's Python comes from there"),
        (
            Survey(DOCKER, YES, conda=NO),
            "Miniconda cannot be reached: the hub's Python is the distribution's",
        ),
        (Survey(DOCKER, YES, pypi="https://p.example"), "packages come from https://p.example"),
        (Survey(DOCKER, YES, conda=YES, channels=("https://c/x",)), "packages come from https://c/x"),
        (Survey(DOCKER, YES, registries=("https://r",)), "images of Docker Hub come from https://r"),
        (Survey(DOCKER, YES, proxies=PROXY), "downloads go through the proxy http://p:1"),
        (
            Survey(DOCKER, YES, proxies=Proxies("http://p:1", "http://p:1", password=True)),
            "proxy_credentials =",
        ),
    ],
)
def test_decisions_are_told(found: Survey, said: str) -> None:
    assert said in "\n".join(decisions(found))


def test_it_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "survey", lambda *_: Survey({**NOTHING, "libvirt": YES}, NO))
    written = init(tmp_path / "hub.toml", QUIET)
    assert written == tmp_path / "site.toml"
    assert 'provider = "libvirt"' in written.read_text()

    written.write_text("# mine\n")
    assert init(tmp_path / "hub.toml", QUIET) == written
    assert written.read_text() == "# mine\n"
    init(tmp_path / "hub.toml", QUIET, force=True)
    assert 'provider = "libvirt"' in written.read_text()

    with pytest.raises(SettingsError, match="no such folder"):
        init(tmp_path / "nowhere" / "hub.toml", QUIET)
