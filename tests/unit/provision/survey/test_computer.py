"""The findings about this computer."""

from __future__ import annotations

import io
import platform
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provision.errors import HubwrightError, SettingsError
from provision.images import base
from provision.machines import docker, kvm, libvirt, virsh, virtualbox
from provision.report.reporter import Reporter
from provision.settings import Builder
from provision.survey import computer
from provision.survey.computer import Finding, survey
from provision.survey.package_sources import Archive
from provision.survey.proxies import Proxies
from provision.survey.site import init
from tests.support.fakes.programs import Programs, failed, not_installed

QUIET = Reporter(quiet=True)


YES_LIBVIRT = Finding(True, "libvirt answers")


PROXY_VARIABLES = [
    name for key in ("http", "https", "no") for name in (f"{key}_proxy", f"{key.upper()}_PROXY")
]
PROXY = Proxies("http://p:1", "http://p:1")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    """Debian with Docker and nothing else; no registry answers."""
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt" / "sources.list").write_text("deb http://deb.example/debian bookworm main\n")
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "office.crt").touch()
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://pypi.example/simple\n")
    (tmp_path / "npmrc").write_text("fund=false\n")
    monkeypatch.setattr(computer, "APT", tmp_path / "apt")
    monkeypatch.setattr(computer, "CERTIFICATES", tmp_path / "ca")
    monkeypatch.setattr(computer, "PIP_FILES", (str(tmp_path / "pip.conf"),))
    monkeypatch.setattr(computer, "NPM_FILES", (str(tmp_path / "npmrc"),))
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(computer, "CONDA_FILES", (str(tmp_path / "condarc"),))
    for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY", *PROXY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(computer, "urlopen", lambda *_, **__: io.BytesIO())
    programs = Programs.install(monkeypatch, docker, libvirt, virsh, virtualbox, computer, base, kvm)
    programs.answers = {
        "docker info": "27.5.1\n",
        "docker info --format {{json": "[]\n",
        "docker pull": failed("Error response from daemon: no such host"),
        "virsh": not_installed("virsh"),
        "VBoxManage": not_installed("VBoxManage"),
    }
    return programs


def test_a_machine_without_a_registry(machine: Programs, tmp_path: Path) -> None:
    found = survey(QUIET)
    assert found.provider == "docker"
    assert found.registry == Finding(False, "no such host")
    assert found.archive == Archive("http://deb.example/debian", "bookworm", "main")
    assert found.certificates == (str(tmp_path / "ca" / "office.crt"),)
    assert (found.pypi, found.npm) == ("https://pypi.example/simple", None)
    (container,) = machine.called("docker run")
    assert "hubwright/base:" in container  # the image that hosts will be made of


@pytest.mark.parametrize(("text", "words"), [("python = 1", "python: should be a table"), ("[", "not valid")])
def test_a_hub_that_cannot_be_read_ends_it_before_anything_is_tried(
    machine: Programs, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "hub.toml").write_text(text)
    with pytest.raises(SettingsError, match=words) as refused:
        init(tmp_path / "hub.toml", QUIET)
    assert refused.value.hint
    assert machine.calls == []
    assert not (tmp_path / "site.toml").exists()


def test_a_list_of_mirrors_stands_for_its_first(machine: Programs, tmp_path: Path) -> None:  # noqa: ARG001
    (tmp_path / "mirrors").write_text("https://near.example/debian/\nhttps://far.example\n")
    (tmp_path / "apt" / "sources.list").write_text(f"deb mirror+file:{tmp_path}/mirrors bookworm main\n")
    assert survey(QUIET).archive == Archive("https://near.example/debian", "bookworm", "main")


def test_a_machine_with_a_registry(machine: Programs) -> None:
    machine.answers["docker pull"] = "ubuntu"
    found = survey(QUIET)
    assert found.registry.works
    assert found.provider == "docker"
    (container,) = machine.called("docker run")
    assert Builder().image in container
    assert not machine.called("mmdebstrap")


def test_a_docker_that_does_not_answer_is_asked_nothing_more(machine: Programs) -> None:
    machine.answers["docker info"] = failed("Cannot connect to the Docker daemon")
    found = survey(QUIET)
    assert found.provider is None
    assert found.providers["docker"] == Finding(False, "Docker does not answer")
    assert machine.called("docker") == ["docker info --format {{.ServerVersion}}"]


@pytest.mark.parametrize("program", ["docker run", "docker import", "mmdebstrap"])
def test_a_docker_that_runs_nothing_is_no_provider(machine: Programs, program: str) -> None:
    machine.answers[program] = failed("it was not to be\noperation not permitted")
    assert survey(QUIET).providers["docker"] == Finding(False, "operation not permitted")


@pytest.mark.parametrize(
    ("answers", "finding"),
    [
        ({}, YES_LIBVIRT),
        ({"qemu-system-x86_64 --version": not_installed("qemu")}, Finding(False, "qemu is not installed")),
        ({"virsh": failed("error: failed to connect")}, Finding(False, "error: failed to connect")),
        ({"vagrant plugin list": "None"}, Finding(False, "Vagrant has no plugin vagrant-libvirt")),
    ],
)
def test_libvirt_works_when_all_of_it_is_there(
    machine: Programs, answers: dict[str, Any], finding: Finding
) -> None:
    machine.answers |= {"virsh": "", "vagrant plugin list": "vagrant-libvirt (0.11.2, system)", **answers}
    found = survey(QUIET)
    assert found.providers["libvirt"] == finding
    assert (found.kvm is not None, found.catalogue is not None) == (finding.works, finding.works)


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        ("", Finding(False, "KVM's guest ended without running its code")),
        (failed(exit_code=33), Finding(True, "KVM runs a guest")),
        (failed(exit_code=None), Finding(False, "/dev/kvm is there, but a guest hangs")),
        (failed("qemu: Could not access KVM"), Finding(False, "qemu: Could not access KVM")),
    ],
)
def test_kvm_is_believed_when_a_guest_ran(machine: Programs, answer: Any, finding: Finding) -> None:
    machine.answers |= {
        "virsh": "",
        "vagrant plugin list": "vagrant-libvirt (0.11.2, system)",
        "qemu-system-x86_64 -accel kvm": answer,
    }
    assert survey(QUIET).kvm == finding


def test_kvm_is_not_guessed_on_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(HubwrightError, match="x86_64 only"):
        kvm.try_kvm()


def test_the_guest_begins_where_the_processor_starts() -> None:
    assert len(kvm.BIOS) == 65536
    jump = int.from_bytes(kvm.BIOS[65521:65523], "little")
    assert kvm.BIOS[65520] == 0xE9
    assert (65523 + jump) % 65536 == 0


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PIP_INDEX_URL", "https://other.example/simple", "https://other.example/simple"),
        ("UV_DEFAULT_INDEX", "https://uv.example/simple", "https://uv.example/simple"),
        ("PIP_INDEX_URL", "file:///opt/wheels", None),
        ("PIP_INDEX_URL", "https://me:secret@pypi.example/simple", None),
    ],
)
@pytest.mark.usefixtures("machine")
def test_mirrors_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, found: str | None
) -> None:
    monkeypatch.setenv(name, value)
    assert survey(QUIET).pypi == found


@pytest.mark.parametrize(
    ("silent", "finding"),
    [
        ("", Finding(True, "its installer and conda-forge answer")),
        ("repo.anaconda.com", Finding(False, "repo.anaconda.com: no such host")),
        ("conda.anaconda.org", Finding(False, "conda.anaconda.org: no such host")),
    ],
)
@pytest.mark.usefixtures("machine")
def test_miniconda_is_asked_for_its_installer_and_its_packages(
    monkeypatch: pytest.MonkeyPatch, silent: str, finding: Finding
) -> None:
    def answer(request: urllib.request.Request, **_: Any) -> io.BytesIO:
        if request.host == silent:
            raise urllib.error.URLError("no such host")
        assert request.get_method() == "HEAD"
        return io.BytesIO()

    monkeypatch.setattr(computer, "urlopen", answer)
    assert survey(QUIET).conda == finding


@pytest.mark.parametrize(
    ("condarc", "silent", "finding"),
    [
        ("channel_alias: https://c.example/conda\n", "c.example", Finding(False, "c.example: no such host")),
        ("channels: [https://c.example/x]\n", "c.example", Finding(False, "c.example: no such host")),
        (
            "channels: [https://c.example/x]\n",
            "conda.anaconda.org",
            Finding(True, "its installer and https://c.example/x answer"),
        ),
    ],
)
@pytest.mark.usefixtures("machine")
def test_miniconda_is_looked_for_where_conda_itself_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, condarc: str, silent: str, finding: Finding
) -> None:
    def answer(request: urllib.request.Request, **_: Any) -> io.BytesIO:
        if request.host == silent:
            raise urllib.error.URLError("no such host")
        return io.BytesIO()

    (tmp_path / "condarc").write_text(condarc)
    monkeypatch.setattr(computer, "urlopen", answer)
    assert survey(QUIET).conda == finding


def test_the_engine_s_mirrors_are_found(machine: Programs) -> None:
    machine.answers["docker info --format {{json"] = '["https://r.example/","http://127.0.0.1:5000"]\n'
    assert survey(QUIET).registries == ("https://r.example",)


@pytest.mark.parametrize(
    ("environ", "apt", "found"),
    [
        ({}, "", None),
        ({"http_proxy": "http://p:1"}, 'Acquire::http::Proxy "http://apt:3142";', PROXY),
        ({"HTTPS_PROXY": "http://p:1"}, "", PROXY),
        ({"no_proxy": ".org"}, 'Acquire::http::Proxy "http://p:1";', replace(PROXY, exceptions=(".org",))),
        ({"http_proxy": "http://127.0.0.1:3128"}, "", None),
    ],
)  # fmt: skip
def test_the_proxy_is_found(
    machine: Programs,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    apt: str,
    found: Proxies | None,
) -> None:
    machine.answers["apt-config dump"] = apt
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert survey(QUIET).proxies == found


@pytest.mark.parametrize("line", ["provider = 'miniconda'", "installer = 'https://x'", "channels = ['x']"])
@pytest.mark.usefixtures("machine")
def test_what_hub_toml_says_of_python_is_left_alone(tmp_path: Path, line: str) -> None:
    config = tmp_path / "hub.toml"
    assert survey(QUIET, config).conda is not None
    config.write_text("[python]\nversion = '3.12'\n")
    assert survey(QUIET, config).conda is not None
    config.write_text(f"[python]\n{line}\n")
    (tmp_path / "condarc").write_text("channels: [https://c.example/x]\n")
    found = survey(QUIET, config)
    assert (found.conda, found.channels) == (None, ())
