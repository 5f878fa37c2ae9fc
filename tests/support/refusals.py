"""Settings that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import Exit, SettingsError
from provision.settings import (
    load,
)

IMAGE = f'reference = "quay.io/a/b@sha256:{"0a" * 32}"'


def refusal(folder: Path, text: str, **layers: str) -> str:
    """The message when hub.toml has `text`; `layers` are site and secrets."""
    if "[image]" not in text:
        text += f"\n[image]\n{IMAGE}\n"
    (folder / "hub.toml").write_text(text, encoding="utf-8")
    for name, content in layers.items():
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
        (folder / f"{name}.toml").chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load(folder / "hub.toml", {})
    assert caught.value.code is Exit.USAGE
    assert caught.value.hint
    return str(caught.value)
