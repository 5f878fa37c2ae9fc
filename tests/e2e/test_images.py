"""A new image is tried before the hub starts servers of it. One that cannot serve changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.hosts.containers import Host
from tests.support.operators import Operator
from tests.support.visitor import visit

WITHOUT = "USER root\nRUN rm /opt/notebook/bin/jupyterhub-singleuser\nUSER jovyan"
UNITS = ("jupyterhub", "jupyterhub-proxy", "docker")


@contextmanager
def built_from(operator: Operator, folder: Path, text: str, timeout: str = "60s") -> Iterator[None]:
    """Settings by which the host builds the visitors' image from this Dockerfile, during the block."""
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(text)
    with (
        operator.on_site(image={"build_on": "host"}),
        operator.changed(image={"build": str(folder)}, server={"start_timeout": timeout}),
    ):
        yield


def current(machine: Host) -> str:
    """The image of visitors' servers."""
    return str(json.loads(machine.run("cat /etc/jupyterhub/hub.json"))["image"])


def started(machine: Host) -> dict[str, int]:
    return {unit: machine.start_time(unit) for unit in UNITS}


@pytest.fixture(scope="module", autouse=True)
def image_at_the_end(operator: Operator, machine: Host) -> Iterator[str]:
    yield current(machine)
    operator.hubwright("apply")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("USER root", ("starts as root", "USER in its Dockerfile")),
        # A name without a meaning.
        ("USER root\nRUN echo admin:x:0:0::/:/bin/sh >>/etc/passwd\nUSER admin", ("starts as root",)),
        ('ENTRYPOINT ["sleep", "infinity"]', ("ends while it starts, with exit code 1", "invalid time")),
        (
            WITHOUT,
            ("the command that the image names is not in it", "install the package jupyterhub"),
        ),
        (
            f'{WITHOUT}\nENTRYPOINT ["/usr/bin/env"]',
            ("cannot start its command", "jupyterhub-singleuser"),
        ),
        ('CMD ["python3", "-m", "http.server", "8888"]', ("not one of JupyterHub's",)),
        ('CMD ["sleep", "infinity"]', ("does not answer at port 8888 within 20 s", "start_timeout")),
    ],
    ids=["root", "root by another name", "entrypoint", "no program", "nothing", "another server", "silent"],
)
def test_image_that_cannot_serve_is_refused(
    operator: Operator, machine: Host, tmp_path: Path, lines: str, words: tuple[str, ...]
) -> None:
    before, image = started(machine), current(machine)
    timeout = "10s" if "sleep" in lines else "60s"
    with built_from(operator, tmp_path / "faulty", f"FROM {image}\n{lines}\n", timeout):
        operator.hubwright("apply", code=1).says(*words)
    assert (started(machine), current(machine)) == (before, image)
    assert machine.run("docker ps --all --quiet --filter name=hubwright.trial") == ""


def test_image_of_another_processor_is_refused(operator: Operator, machine: Host, tmp_path: Path) -> None:
    before, image = started(machine), current(machine)
    (tmp_path / "foreign.tar").write_bytes(archive("riscv64"))
    sections = {**operator.hub, "image": {"archive": str(tmp_path / "foreign.tar")}}
    operator.write(sections)
    try:
        operator.hubwright("apply", code=1).says("made for riscv64 processors", "this host's processor")
    finally:
        operator.write(operator.hub)
    assert (started(machine), current(machine)) == (before, image)


def test_hub_serves_on_after_all_that(operator: Operator, machine: Host) -> None:
    asyncio.run(visit(machine.url, "print(1)"))
    operator.hubwright("apply")
    assert operator.hubwright("apply").unchanged
    machine.run("! docker image ls --format '{{.Repository}}' | sort | uniq --repeated | grep notebook")


def test_image_that_names_no_command_gets_one(operator: Operator, machine: Host, tmp_path: Path) -> None:
    image = current(machine)
    lines = f'FROM {image}\nENTRYPOINT ["/usr/bin/env", "TRIED=yes"]\n'
    with built_from(operator, tmp_path / "good", lines):
        operator.hubwright("apply")
        new = current(machine)
        assert new != image
        assert (
            machine.run(f"docker image inspect --format '{{{{json .Config.Cmd}}}}' {new}").strip() == "null"
        )
        seen = asyncio.run(visit(machine.url, "import os; print(os.environ['TRIED'])"))
        assert seen["printed"] == "yes\n"
        assert operator.hubwright("apply").unchanged, "it is tried once"


def archive(architecture: str) -> bytes:
    """The archive that `docker save` would write of an image with one empty file."""
    layer = _tar({"file": b""})
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"User": "1000", "Cmd": ["jupyterhub-singleuser"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    listed = [{"Config": "config.json", "RepoTags": ["foreign:1"], "Layers": ["layer.tar"]}]
    return _tar({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(listed).encode()})


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
