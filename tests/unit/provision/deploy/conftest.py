"""Images that are made and hosts that are worked on, with nothing behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision import images
from provision.deploy import apply as deploy
from provision.deploy import front, inspect
from provision.images import Recipe
from provision.report.outcomes import HostStatus
from provision.ssh import Access, Target
from tests.support.fakes.fleet import Folder


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """images.py without Docker: a tag, a context, and an archive that was built."""
    archive = tmp_path / "cache" / "built.tar"
    archive.parent.mkdir()
    archive.write_bytes(b"built")
    monkeypatch.setattr(images, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        images, "notebook", lambda _: Recipe("notebook", tmp_path, {"PYPI": "https://mirror"})
    )
    monkeypatch.setattr(images, "recipe_tag", lambda *_: "some/name:0123456789abcdef")
    monkeypatch.setattr(images, "recipe_context", lambda *_: Folder())
    monkeypatch.setattr(images, "ensure_archive", lambda *_: archive)
    return archive


Runs = dict[str, Any]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Hosts by name: what each does with a run. `bundles` are what they were sent."""
    does: Runs = {"bundles": {}}

    def run(target: Target, bundle: bytes, blobs: Any, access: Access, handle: Any) -> None:
        does["bundles"][target.name] = (bundle, blobs, access)
        does[target.name](handle)

    monkeypatch.setattr(deploy, "run_on_host", run)
    monkeypatch.setattr(inspect, "status", lambda _, targets, *__: [does["look"](t) for t in targets])
    monkeypatch.setattr(front, "fault", lambda url, trusted: does["front"](url, trusted))
    does.update(look=lambda target: HostStatus(target.name, deployed=True), front=lambda *_: "")
    return does
