"""A build folder gets into an image just as with `docker build`, and without its size in memory."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.images import context
from provision.tools.process import docker as docker_here
from tests.support.hosts.containers import docker
from tests.support.operators import PROJECT

Listing = dict[str, tuple[bytes, int, int, str]]
BOUND = 256 << 20  # bytes of memory for a process that sends a folder of twice as much
SENDS = """
import resource, sys
from pathlib import Path
from provision.images import context
from provision.tools.process import docker
made = context(Path(sys.argv[1]))
made.digest
docker("build", "--tag", sys.argv[2], "-", stdin=made.write, on_line=lambda _: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for name in (
        "Dockerfile",
        "README.md",
        "README-secret.md",
        "UPPER.MD",
        ".env",
        ".config/deep/er",
        "pkg/__init__.py",
        "pkg/__main__.py",
        "pkg/__pycache__/x.pyc",
        "pkg/notes.md",
        "data/one.csv",
        "data/two.csv",
        "data/keep/this",
        "a[1]/x+y (z)",
        "ends",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /x\n")
    (folder / "ends").chmod(0o4751)
    (folder / ".env").chmod(0o600)
    (folder / "empty").mkdir()
    (folder / "empty").chmod(0o710)
    (folder / "link").symlink_to("pkg/../README.md")
    (folder / "nowhere").symlink_to("/not/there")
    (folder / "dir-link").symlink_to("data")
    os.link(folder / "README.md", folder / "same.md")
    return folder


@contextmanager
def image() -> Iterator[str]:
    tag = f"hubwright-e2e-folder:{secrets.token_hex(4)}"
    try:
        yield tag
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)


def listed(tag: str, kept: Path) -> Listing:
    """All files below /x in an image: kind, mode, size and target of a link."""
    container = docker("create", tag, "none").strip()
    try:
        docker("export", "--output", str(kept), container)
    finally:
        docker("rm", container)
    with tarfile.open(kept) as archive:
        members = {member.name: member for member in archive if member.name.startswith("x/")}
        found: Listing = {}
        for name, member in members.items():
            real = members[member.linkname] if member.islnk() else member
            found[name] = (real.type, real.mode, real.size, real.linkname if real.issym() else "")
    return found


@pytest.mark.parametrize(
    "ignored",
    [
        None,
        "# nothing\n",
        "**/*.md\n!README*.md\nREADME-secret.md\n",
        "/data/\n!data/keep\n**/__pycache__\n.env\n",
        "*\n!pkg\npkg/*.md\n",
        "Dockerfile\n.dockerignore\n*/*.csv\n",
        "a\\[1]\n?nds\n",
        "**\n",
        ".*\n[!a-e]*\n",
        "./pkg/../data\nREADME.md/\n",
    ],
)
def test_an_image_holds_what_docker_build_would_put_in(
    folder: Path, tmp_path: Path, ignored: str | None
) -> None:
    if ignored is not None:
        (folder / ".dockerignore").write_text(ignored)
    with image() as theirs, image() as ours:
        docker("build", "--tag", theirs, str(folder))
        docker_here(
            "build", "--no-cache", "--tag", ours, "-", stdin=context(folder).write, on_line=lambda _: None
        )
        expected = listed(theirs, tmp_path / "theirs.tar")
        assert listed(ours, tmp_path / "ours.tar") == expected
    if ignored is None:
        assert {"x/pkg/__init__.py", "x/pkg/__main__.py", "x/.env", "x/empty/"} <= {
            f"{name}/" if kind == tarfile.DIRTYPE else name for name, (kind, *_) in expected.items()
        }


def test_a_large_folder_is_streamed(folder: Path, tmp_path: Path) -> None:
    large = folder / "data" / "large"
    large.touch()
    os.truncate(large, 2 * BOUND)
    environment = {**os.environ, "HUBWRIGHT_CACHE": str(tmp_path / "cache")}
    with image() as tag:
        done = subprocess.run(
            [sys.executable, "-c", SENDS, str(folder), tag],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) << 10 < BOUND
        assert listed(tag, tmp_path / "made.tar")["x/data/large"][2] == 2 * BOUND
