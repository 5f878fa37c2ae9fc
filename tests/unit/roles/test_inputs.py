"""Files that roles are made from, and their templates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

import roles
from provision.errors import SettingsError
from provision.settings import Settings
from roles.shared import render
from tests.support.fakes.host import inputs


def test_the_project_s_own_files_are_read_once(
    hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on many hosts makes roles of several settings."""
    first, settings = inputs(hub()), hub("[hub]\nport = 444")
    monkeypatch.setattr(Path, "read_text", lambda path, **_: pytest.fail(f"{path} is read again"))
    assert inputs(settings).files == first.files


def test_certificates_are_read_and_named_after_their_content(
    hub: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = tmp_path / "project" / "ca"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"Our CA {number}.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{number}\n")
    settings = hub("[downloads]\nca_certificates = ['ca/Our CA 1.pem', 'ca/Our CA 2.pem']")
    found = inputs(settings).certificates
    assert len(found) == 2
    assert all(name.startswith("hubwright-our-ca-") for name in found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"no certificate", "holds no PEM certificate"),
        (b"\xff", "holds no PEM certificate"),
    ],
)
def test_no_certificate(
    hub: Callable[..., Settings], tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    settings = hub(f"[downloads]\nca_certificates = ['{tmp_path}/ca.pem']")
    with pytest.raises(
        SettingsError, match=rf"downloads\.ca_certificates: {tmp_path}/ca\.pem: {reason}"
    ) as caught:
        inputs(settings)
    assert caught.value.hint


def test_a_certificate_may_have_comments_in_any_language(
    hub: Callable[..., Settings], tmp_path: Path
) -> None:
    begin = "-----BEGIN CERTIFICATE-----\n"
    for name, encoding in (("utf8", "utf-8"), ("latin", "latin-1")):
        (tmp_path / f"{name}.pem").write_text(f"# Büro\n{begin}", encoding=encoding)
    settings = hub(f"[downloads]\nca_certificates = ['{tmp_path}/utf8.pem', '{tmp_path}/latin.pem']")
    assert set(inputs(settings).certificates.values()) == {f"# B??ro\n{begin}", f"# B?ro\n{begin}"}


# --- templates ------------------------------------------------------------------------------------


FOLDER = Path(roles.__file__).parent
TEMPLATES = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in FOLDER.rglob("*.j2")
    if "{{" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_fails_on_a_name_that_is_not_given(template: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="is undefined"):
        render.render(template)


def test_a_template_fails_on_a_path_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(render._ENVIRONMENT.globals, "paths", {})
    with pytest.raises(jinja2.UndefinedError):
        render.render("hub/jupyterhub.service.j2", token_file="/x")
