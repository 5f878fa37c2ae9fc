"""Settings from several files and the environment; secrets among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.settings import (
    SECRET_PATHS,
    Settings,
    load,
    shown,
)
from tests.support.refusals import refusal

IMAGE = f'reference = "quay.io/a/b@sha256:{"0a" * 32}"'
HIDDEN = "correct-horse-battery"


# --- layers --------------------------------------------------------------------------------------


def test_later_layers_win_key_by_key(hub: Callable[..., Settings]) -> None:
    settings = hub(
        "[hub]\nport = 1\nannouncement = 'a'\n[vm]\ncpus = 3\n",
        site="[hub]\nport = 2\n[vm]\nname = 'mine'",
        secrets="[hub]\nport = 3",
    )
    assert (settings.hub.port, settings.hub.announcement) == (3, "a")
    assert (settings.vm.cpus, settings.vm.name) == (3, "mine")


@pytest.mark.parametrize("source", ["build = 'x'", "archive = 'x'", IMAGE])
def test_an_image_source_of_site_replaces_the_one_of_hub(hub: Callable[..., Settings], source: str) -> None:
    settings = hub("[image]\nbuild = 'images/notebook'\nbuild_on = 'builder'", site=f"[image]\n{source}")
    given = [key for key in ("reference", "build", "archive") if getattr(settings.image, key) is not None]
    assert given == [source.split()[0]]
    assert settings.image.build_on == "builder"


def test_a_variable_that_is_called_like_an_image_source_is_only_a_variable(
    hub: Callable[..., Settings],
) -> None:
    settings = hub("[server.environment]\nbuild = '1'", site="[server.environment]\narchive = '2'")
    assert settings.server.environment == {"build": "1", "archive": "2"}


def test_relative_paths_start_at_the_file(hub: Callable[..., Settings]) -> None:
    settings = hub("[image]\nbuild = 'images/x'")
    assert settings.path(Path("images/x")) == settings.root / "images/x"
    assert settings.path(Path("/x")) == Path("/x")
    assert settings.root.is_absolute()


# --- secrets -------------------------------------------------------------------------------------


def secret_values(settings: Settings) -> dict[str, str]:
    return {key: value.get_secret_value() for key, value in settings.server.secrets.items()}


def test_secrets_come_from_their_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f"[image]\n{IMAGE}")
    (tmp_path / "secrets.toml").write_text("[server.secrets]\nA = 'file'\nB = 'file'")
    (tmp_path / "secrets.toml").chmod(0o600)
    environ = {
        "HUBWRIGHT__SERVER__SECRETS__B": "env",
        "HUBWRIGHT__SERVER__SECRETS__api_Key": "env",
        "HOME": "/",
    }
    settings = load(tmp_path / "hub.toml", environ)
    assert secret_values(settings) == {"A": "file", "B": "env", "api_Key": "env"}


@pytest.mark.parametrize("name", ["hub", "site"])
def test_a_secret_in_an_open_file_is_refused(tmp_path: Path, name: str) -> None:
    secret = f"[server.secrets]\nKEY = '{HIDDEN}'\n"
    message = refusal(tmp_path, secret if name == "hub" else "", **({} if name == "hub" else {name: secret}))
    assert message == f"{tmp_path}/{name}.toml: server.secrets: is a secret and may not stand in this file"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_secrets_that_others_may_read_are_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "hub.toml").write_text(f"[image]\n{IMAGE}")
    (tmp_path / "secrets.toml").write_text("")
    (tmp_path / "secrets.toml").chmod(mode)
    with pytest.raises(SettingsError, match="others on this computer may read it") as caught:
        load(tmp_path / "hub.toml", {})
    assert caught.value.hint == f"chmod 600 {tmp_path}/secrets.toml"


@pytest.mark.parametrize(
    "name",
    ["HUB__PORT", "SERVER__SECRETS", "SERVER", "", "NO__SUCH__KEY", "DOWNLOADS__PROXY_CREDENTIALS__NAME"],
)
def test_the_environment_gives_secrets_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "hub.toml").write_text(f"[image]\n{IMAGE}")
    with pytest.raises(SettingsError, match=f"HUBWRIGHT__{name} names no secret") as caught:
        load(tmp_path / "hub.toml", {f"HUBWRIGHT__{name}": HIDDEN})
    assert HIDDEN not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "secrets",
    [
        f"[server]\nsecrets = '{HIDDEN}'",
        f"[server.secrets]\nKEY = ['{HIDDEN}']",
        f"[server.secrets.KEY]\nx = '{HIDDEN}'",
        f"[server.secrts]\nKEY = '{HIDDEN}'",
        f"[server]\nmemory = '{HIDDEN}'",
    ],
)
def test_a_refusal_never_shows_a_value_of_secrets(tmp_path: Path, secrets: str) -> None:
    assert HIDDEN not in refusal(tmp_path, "", secrets=secrets)


def test_shown_masks_secrets(hub: Callable[..., Settings]) -> None:
    settings = hub("[server]\ncpu = 2.5", secrets=f"[server.secrets]\nKEY = '{HIDDEN}'")
    text = json.dumps(shown(settings))
    assert HIDDEN not in text + repr(settings) + str(settings.server)
    assert '"KEY": "*' in text
    assert '"cpu": 2.5' in text
    assert "root" not in shown(settings)


def test_secret_paths_are_found_in_the_schema() -> None:
    assert SECRET_PATHS == (
        ("auth", "user_password"),
        ("auth", "admin_password"),
        ("server", "secrets"),
        ("downloads", "proxy_credentials"),
    )
