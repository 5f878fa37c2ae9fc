"""The files of a folder that are sent to be built, and the memory that it takes."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from provision.errors import HubwrightError, SettingsError
from provision.images.context import Context, context, own_context
from provision.report.reporter import Reporter


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HUBWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path / "a", "x", "in/y")


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o644)
    return folder


def members(made: Context) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(made.tar())) as archive:
        return archive.getmembers()


def names(made: Context) -> list[str]:
    return [member.name for member in members(made)]


def test_the_same_content_is_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    other = filled(tmp_path / "b", "in/y", "x")
    os.utime(other / "x", (1, 1))
    assert context(folder).tar() == context(other).tar()
    assert context(folder).digest == context(other).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "x").write_text("X"),
        lambda folder: (folder / "x").chmod(0o755),
        lambda folder: (folder / "in").chmod(0o700),
        lambda folder: (folder / "x").rename(folder / "z"),
        lambda folder: (folder / "empty").mkdir(),
        lambda folder: (folder / "link").symlink_to("x"),
        lambda folder: (folder / "in" / "__init__.py").touch(),
        lambda folder: (folder / ".hidden").touch(),
    ],
)
def test_the_digest_changes_with_all_that_is_sent(folder: Path, change: object) -> None:
    digest, tar = context(folder).digest, context(folder).tar()
    change(folder)  # type: ignore[operator]
    assert context(folder).digest != digest
    assert context(folder).tar() != tar


def test_the_digest_of_a_link_is_that_of_its_target(folder: Path) -> None:
    (folder / "link").symlink_to("x")
    before = context(folder).digest
    (folder / "link").unlink()
    (folder / "link").symlink_to("./x")
    assert context(folder).digest != before


def test_what_is_left_out_does_not_change_the_digest(folder: Path) -> None:
    (folder / ".dockerignore").write_text("data\n")
    before = context(folder).digest
    filled(folder, "data/large")
    assert context(folder).digest == before


def test_all_kinds_are_sent_as_docker_sends_them(folder: Path) -> None:
    filled(folder, ".config/in", "pkg/__init__.py", "pkg/__main__.py")
    (folder / "empty").mkdir(mode=0o750)
    (folder / "link").symlink_to("../nowhere")
    (folder / "dir-link").symlink_to("in")
    (folder / "x").chmod(0o640)
    os.mkfifo(folder / "pipe")
    sent = {member.name: member for member in members(context(folder))}
    assert sorted(sent) == [
        ".config",
        ".config/in",
        "dir-link",
        "empty",
        "in",
        "in/y",
        "link",
        "pkg",
        "pkg/__init__.py",
        "pkg/__main__.py",
        "x",
    ]
    assert (sent["link"].type, sent["link"].linkname) == (tarfile.SYMTYPE, "../nowhere")
    assert sent["dir-link"].issym()
    assert sent["empty"].isdir()
    assert sent["empty"].mode == 0o750
    assert sent["x"].mode == 0o640
    assert {(member.uid, member.gid) for member in sent.values()} == {(0, 0)}
    assert {member.mtime for member in sent.values()} == {946684800}


def test_dockerfile_and_dockerignore_are_sent_though_they_are_left_out(folder: Path) -> None:
    filled(folder, "Dockerfile")
    (folder / ".dockerignore").write_text("*\n!in/y\n")
    assert names(context(folder)) == [".dockerignore", "Dockerfile", "in", "in/y"]


def test_the_dockerfile_s_own_ignore_file_comes_first(folder: Path) -> None:
    (folder / ".dockerignore").write_text("x\n")
    (folder / "Dockerfile.dockerignore").write_text("in\n")
    assert names(context(folder)) == [".dockerignore", "Dockerfile.dockerignore", "x"]


def test_files_beside_the_folder_s_are_never_left_out(folder: Path) -> None:
    (folder / ".dockerignore").write_text("*\n")
    made = context(folder, {"ca/z.crt": b"pem"})
    assert names(made) == [".dockerignore", "ca/z.crt"]
    assert made.digest != context(folder, {"ca/z.crt": b"PEM"}).digest


def test_own_folders_are_the_same_in_every_clone(tmp_path: Path, folder: Path) -> None:
    other = filled(tmp_path / "b", "x", "in/y", "__pycache__/z.pyc", ".swap")
    (other / "x").chmod(0o600)
    first, second = own_context(folder, {"ca/z.crt": b"pem"}), own_context(other, {"ca/z.crt": b"pem"})
    assert first.tar() == second.tar()
    assert names(first) == ["ca/z.crt", "in/y", "x"]
    (other / "x").chmod(0o700)
    assert own_context(other).digest != own_context(folder).digest


SIZE = 48 << 20  # bytes


def test_a_large_folder_is_never_held_in_memory(folder: Path, cache: Path) -> None:
    (folder / "data").touch()
    os.truncate(folder / "data", SIZE)
    tracemalloc.start()
    try:
        made = context(folder)
        digest = made.digest
        packed = made.packed("notebook", Reporter(quiet=True))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    assert isinstance(packed, Path)
    assert packed == cache / f"context-notebook-{digest[:16]}.tar"
    with packed.open("rb") as file, tarfile.open(fileobj=file) as archive:
        assert {member.name: member.size for member in archive}["data"] == SIZE

    status = packed.stat()
    assert context(folder).packed("notebook", Reporter(quiet=True)) == packed
    assert packed.stat().st_mtime_ns == status.st_mtime_ns, "it is written once"


def test_a_large_file_is_read_once_for_its_digest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data").write_bytes(bytes(3 << 20))
    before = context(folder).digest
    monkeypatch.setattr(
        "provision.tools.digests._computed", lambda _: pytest.fail("it is read a second time")
    )
    assert context(folder).digest == before


def test_a_small_folder_leaves_nothing_in_the_cache(folder: Path, cache: Path) -> None:
    made = context(folder)
    assert made.packed("notebook", Reporter(quiet=True)) == made.tar()
    assert not cache.exists()


def test_contexts_that_are_no_longer_used_go(folder: Path, cache: Path) -> None:
    for number in range(5):
        (folder / "data").write_bytes(bytes([number]) * (2 << 20))
        context(folder).packed("notebook", Reporter(quiet=True))
    assert len(list(cache.glob("context-notebook-*.tar"))) == 3


def test_a_file_that_shrinks_while_it_is_read_is_named(folder: Path) -> None:
    made = context(folder)
    (folder / "x").write_text("")
    with pytest.raises(SettingsError, match="x: cannot be read: unexpected end of data"):
        made.tar()


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    made = context(folder)
    (folder / "x").unlink()
    with pytest.raises(SettingsError, match="x: cannot be read: No such file") as caught:
        made.tar()
    assert ".dockerignore" in caught.value.hint


def test_a_full_disk_is_no_fault_of_the_folder(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data").write_bytes(bytes(2 << 20))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(HubwrightError, match=r"context-notebook-.*: cannot be written: No space") as caught:
        context(folder).packed("notebook", Reporter(quiet=True))
    assert "HUBWRIGHT_CACHE" in caught.value.hint
    assert not list(cache.glob("context-*"))


def test_a_context_can_be_written_to_a_pipe(folder: Path) -> None:
    class Pipe:
        written = b""

        def write(self, data: bytes) -> int:
            self.written += data
            return len(data)

    context(folder).write(pipe := Pipe())  # type: ignore[arg-type]
    assert pipe.written == context(folder).tar()
