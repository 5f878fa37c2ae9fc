"""Where hosts take their images from, and the digests of large files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.deploy.apply import image_sources
from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.tools.digests import file_digest
from roles.shared.inputs import ImageSource

REPORTER = Reporter(quiet=True)


# --- where the image comes from -------------------------------------------------------------------


SHA = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("saved", "built", "context")}


@pytest.mark.parametrize(
    ("image", "source", "blobs"),
    [
        (
            f"reference = 'quay.io/a@sha256:{'ab' * 32}'",
            ImageSource("ab" * 32, reference=f"quay.io/a@sha256:{'ab' * 32}"),
            {},
        ),
        (
            "archive = 'saved.tar'",
            ImageSource(SHA["saved"], archive=SHA["saved"]),
            {SHA["saved"]: "saved.tar"},
        ),
        (
            "build = 'x'\nbuild_on = 'builder'",
            ImageSource("0123456789abcdef", archive=SHA["built"]),
            {SHA["built"]: "built.tar"},
        ),
        (
            "build = 'x'",
            ImageSource(
                "0123456789abcdef",
                context=SHA["context"],
                arguments=(("BASE", "debian:12@sha256:" + "0c" * 32), ("PYPI", "https://mirror")),
            ),
            {SHA["context"]: b"context"},
        ),
    ],
    ids=["reference", "archive", "built here", "built there"],
)
@pytest.mark.usefixtures("made")
def test_where_hosts_take_the_image_from(
    hub: Callable[..., Settings], image: str, source: ImageSource, blobs: dict[str, Any]
) -> None:
    text = (
        f"[image]\n{image}\n[builder]\nimage = 'debian:12@sha256:{'0c' * 32}'\n[monitoring]\ngraphite = false"
    )
    settings = hub(text)
    (settings.root / "saved.tar").write_bytes(b"saved")
    found, sent = image_sources(settings, REPORTER)
    assert found == {"notebook": source}
    assert {key: blob.name if isinstance(blob, Path) else blob for key, blob in sent.items()} == blobs


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("monitoring", "source"),
    [
        ("graphite = false", None),
        (
            f"image = 'reg.example/graphite@sha256:{'ef' * 32}'",
            ImageSource("ef" * 32, reference=f"reg.example/graphite@sha256:{'ef' * 32}"),
        ),
        ("graphite = true", ImageSource("0123456789abcdef", archive=SHA["built"])),
    ],
    ids=["off", "reference", "built"],
)
def test_where_hosts_take_graphite_from(
    hub: Callable[..., Settings], monitoring: str, source: ImageSource | None
) -> None:
    settings = hub(f"[monitoring]\n{monitoring}\n[image]\nbuild = 'x'\nbuild_on = 'builder'")
    found, _ = image_sources(settings, REPORTER)
    assert found.get("graphite") == source


@pytest.mark.usefixtures("made")
def test_an_archive_that_is_not_there_is_refused_before_anything_is_sent(
    hub: Callable[..., Settings],
) -> None:
    with pytest.raises(SettingsError, match=r"gone\.tar: cannot be read: No such file") as caught:
        image_sources(hub("[image]\narchive = 'gone.tar'"), REPORTER)
    assert "docker save" in caught.value.hint


# --- digests of large files -----------------------------------------------------------------------


def test_a_digest_is_made_once_for_each_state_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, notes = tmp_path / "large", tmp_path / "notes"
    large.write_bytes(b"saved")
    assert file_digest(large, notes) == SHA["saved"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: pytest.fail("it is read again"))
        patch.setattr(Path, "read_text", lambda path, **_: os.fsdecode(_read(path)))
        assert file_digest(large, notes) == SHA["saved"]
    large.write_bytes(b"built")
    os.utime(large, ns=(1, 1))
    assert file_digest(large, notes) == SHA["built"]


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 1 << 16)
    finally:
        os.close(handle)
