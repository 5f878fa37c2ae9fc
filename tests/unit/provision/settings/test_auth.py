"""[auth] is a union by `type`: each type has its own keys, and secrets in it stay secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.settings import Settings, explain, load, markdown, secrets_in, shown

IMAGE = f'\n[image]\nreference = "quay.io/a/b@sha256:{"0a" * 32}"\n'
HIDDEN = "correct-horse-battery"
SHARED = '[auth]\ntype = "shared-password"\n'
PASSWORD = f'[auth]\nuser_password = "{HIDDEN}"\n'
ADMIN = "x" * 32
GIVE_IT = "give it in secrets.toml (mode 600) or as HUBWRIGHT__"
BOTH = f'{PASSWORD}admin_password = "{ADMIN}"\n'


def refusal(folder: Path, hub: str = "", *, site: str = "", secrets: str = "", **variables: str) -> str:
    """The reason for which the settings are refused, without its folder."""
    for name, text in (("hub", hub + IMAGE), ("site", site), ("secrets", secrets)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        (folder / f"{name}.toml").chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load(folder / "hub.toml", {f"HUBWRIGHT__AUTH__{key}": value for key, value in variables.items()})
    assert HIDDEN not in f"{caught.value}{caught.value.hint}"
    return str(caught.value).replace(f"{folder}/", "")


# --- which type ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "[auth]", "[auth]\ntype = 'tmp'"])
def test_accounts_are_temporary_unless_the_settings_say_otherwise(
    hub: Callable[..., Settings], text: str
) -> None:
    assert hub(text).auth.type == "tmp"


@pytest.mark.parametrize("value", ["'ldap'", "3", "['tmp']", "{}", "''"])
def test_an_unknown_type_is_answered_with_those_there_are(tmp_path: Path, value: str) -> None:
    message = refusal(tmp_path, f"[auth]\ntype = {value}")
    assert message == "hub.toml: auth.type: should be 'tmp' or 'shared-password'"


def test_it_is_a_table(tmp_path: Path) -> None:
    assert refusal(tmp_path, "auth = 3") == "hub.toml: auth: should be a table"


@pytest.mark.parametrize(
    ("below", "above", "kind"),
    [
        ("", SHARED, "shared-password"),
        ("[auth]", SHARED, "shared-password"),
        (SHARED, SHARED, "shared-password"),
        (SHARED, "[auth]", "shared-password"),
    ],
)
def test_a_type_of_site_wins(hub: Callable[..., Settings], below: str, above: str, kind: str) -> None:
    settings = hub(below, site=above, secrets=PASSWORD)
    assert settings.auth.type == kind


def test_another_type_replaces_the_table_below(hub: Callable[..., Settings]) -> None:
    """Keys and all: those of the old type mean nothing to the new one."""
    assert hub(f"{SHARED}pass = 1", site="[auth]\ntype = 'tmp'").auth.type == "tmp"
    assert hub("[auth]\npass = 1", site=SHARED, secrets=PASSWORD).auth.type == "shared-password"


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hub", "layers", "reason"),
    [
        (
            "[auth]\nuser_passwort = 'x'",
            {},
            "hub.toml: auth.user_passwort: unknown key; known here: type",
        ),
        (
            f"{SHARED}user_passwort = 'x'",
            {"secrets": PASSWORD},
            "hub.toml: auth.user_passwort: unknown key, did you mean 'user_password'?",
        ),
        (
            f"{SHARED}zzz = 'x'",
            {"secrets": PASSWORD},
            "hub.toml: auth.zzz: unknown key; known here: type, user_password, admin_password",
        ),
        (
            "",
            {"secrets": PASSWORD},
            'secrets.toml: auth.user_password: belongs to type = "shared-password"; the type is "tmp"',
        ),
        (
            SHARED,
            {"site": "[auth]\ntype = 'tmp'", "secrets": PASSWORD},
            'secrets.toml: auth.user_password: belongs to type = "shared-password"; the type is "tmp"',
        ),
    ],
)
def test_a_key_is_looked_for_in_its_type(
    tmp_path: Path, hub: str, layers: dict[str, str], reason: str
) -> None:
    assert refusal(tmp_path, hub, **layers) == reason


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    assert refusal(tmp_path, SHARED) == (
        f"hub.toml: auth.user_password: is missing; {GIVE_IT}AUTH__USER_PASSWORD"
    )


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ("[auth]\nuser_password = 'short77'", "auth.user_password: should have at least 8 characters, not 7"),
        ("[auth]\nuser_password = 'pässword'", "auth.user_password: should have letters without accents"),
        ("[auth]\nuser_password = 'a\\tpassword'", None),
        ('[auth]\nuser_password = "a\\tpassword"', "auth.user_password: should have letters without"),
        ("[auth]\nuser_password = 12345678", "auth.user_password: should be text in quotes"),
        (f"{PASSWORD}admin_password = '{'x' * 31}'", "auth.admin_password: should have at least 32 char"),
        (
            f"[auth]\nuser_password = '{ADMIN}'\nadmin_password = '{ADMIN}'",
            "auth: admin_password should differ from user_password",
        ),
    ],
)
def test_a_password_is_one_that_the_hub_takes(
    tmp_path: Path, hub: Callable[..., Settings], secrets: str, reason: str | None
) -> None:
    if reason is None:
        assert hub(SHARED, secrets=secrets).auth.type == "shared-password"
    else:
        assert refusal(tmp_path, f"[users]\nadmins = ['ada']\n{SHARED}", secrets=secrets).startswith(
            f"secrets.toml: {reason}"
        )


# --- admins --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "hub", "secrets", "reason"),
    [
        (
            "['ada']",
            "",
            "",
            'users.admins should be empty with auth.type = "tmp": its visitors have no names',
        ),
        (
            "['ada']",
            SHARED,
            PASSWORD,
            f"auth.admin_password is missing: users.admins enter with it; {GIVE_IT}AUTH__ADMIN_PASSWORD",
        ),
        ("[]", SHARED, BOTH, "auth.admin_password belongs to users.admins, which is empty"),
        ("['Ada']", SHARED, BOTH, 'users.admins: "Ada" should be "ada": the hub writes names in lower case'),
        ("['ada', 'bob', 'ada']", SHARED, BOTH, 'users.admins: names "ada" twice'),
        ("['']", SHARED, BOTH, 'users.admins: "" should be a name such as "ada" or'),
        ("['..']", SHARED, BOTH, 'users.admins: ".." should be a name such as'),
        ("['a/b']", SHARED, BOTH, 'users.admins: "a/b" should be a name such as'),
        ('["ada\\n"]', SHARED, BOTH, "users.admins: "),
        ("'ada'", SHARED, BOTH, "users.admins: should be a list"),
        ("[3]", SHARED, BOTH, "users.admins: should be text in quotes"),
    ],
)
def test_admins_are_names_that_can_log_in(
    tmp_path: Path, names: str, hub: str, secrets: str, reason: str
) -> None:
    message = refusal(tmp_path, f"[users]\nadmins = {names}\n{hub}", secrets=secrets)
    assert message.startswith(f"hub.toml: {reason}")


def test_the_file_that_leaves_admins_without_a_login_is_named(tmp_path: Path) -> None:
    text = f"[users]\nadmins = ['ada']\n{SHARED}"
    assert refusal(tmp_path, text, site="[auth]\ntype = 'tmp'") == (
        'hub.toml: users.admins should be empty with auth.type = "tmp" (in site.toml): '
        "its visitors have no names"
    )


def test_admins_are_kept_in_their_order(hub: Callable[..., Settings]) -> None:
    settings = hub(f"[users]\nadmins = ['bob', 'ada@example.org']\n{SHARED}", secrets=BOTH)
    assert settings.users.admins == ("bob", "ada@example.org")


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hub", "site"])
def test_a_password_in_an_open_file_is_refused(tmp_path: Path, name: str) -> None:
    text = f'{SHARED}user_password = "{HIDDEN}"'
    message = refusal(tmp_path, text) if name == "hub" else refusal(tmp_path, site=text)
    assert message == f"{name}.toml: auth.user_password: is a secret and may not stand in this file"


@pytest.mark.parametrize(
    ("hub", "site", "hint"),
    [
        (
            "[auth]\ntype = 'tmp'\n",
            "",
            'it belongs to type = "shared-password", and the type is "tmp": take it',
        ),
        ("[auth]\n", "", 'it belongs to type = "shared-password", and the type is "tmp": take it'),
        (SHARED, "[auth]\ntype = 'tmp'\n", 'it belongs to type = "shared-password", and the type is "tmp"'),
        ("[auth]\n", SHARED, "move it to "),
        (SHARED, "", "move it to "),
        ("[auth]\ntype = 'ldap'\n", "", "move it to "),
        ("[auth]\ntype = ['tmp']\n", "", "move it to "),
    ],
)
def test_a_password_in_an_open_file_is_not_sent_where_it_is_refused(
    tmp_path: Path, hub: str, site: str, hint: str
) -> None:
    (tmp_path / "hub.toml").write_text(f'{hub}user_password = "{HIDDEN}"\n{IMAGE}', encoding="utf-8")
    (tmp_path / "site.toml").write_text(site, encoding="utf-8")
    with pytest.raises(SettingsError, match="is a secret") as caught:
        load(tmp_path / "hub.toml", {})
    assert caught.value.hint.startswith(hint)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(SHARED + IMAGE, encoding="utf-8")
    (tmp_path / "secrets.toml").write_text(PASSWORD, encoding="utf-8")
    (tmp_path / "secrets.toml").chmod(0o600)
    auth = load(tmp_path / "hub.toml", {"HUBWRIGHT__AUTH__USER_PASSWORD": "from-outside"}).auth
    assert auth.type == "shared-password"
    assert auth.user_password.get_secret_value() == "from-outside"


def test_a_bad_password_of_the_environment_is_not_shown(tmp_path: Path) -> None:
    message = refusal(tmp_path, SHARED, USER_PASSWORD=f"{HIDDEN}\n")
    assert message.startswith("the environment: auth.user_password: should have letters")


def test_passwords_are_masked_and_known_as_secrets(hub: Callable[..., Settings]) -> None:
    settings = hub(f"[users]\nadmins = ['ada']\n{SHARED}", secrets=BOTH)
    text = json.dumps(shown(settings)) + repr(settings) + str(settings.auth)
    assert HIDDEN not in text
    assert ADMIN not in text
    assert shown(settings)["auth"]["user_password"].strip("*") == ""
    assert secrets_in(settings) == ("auth.user_password", "auth.admin_password")
    assert secrets_in(hub(SHARED, secrets=PASSWORD)) == ("auth.user_password",)
    (settings.root / "secrets.toml").unlink()
    assert secrets_in(hub()) == ()


# --- for people ----------------------------------------------------------------------------------


def test_every_type_is_explained_with_its_keys() -> None:
    tmp, shared = explain("auth").split("\n\n")
    assert tmp.startswith('[auth] type = "tmp"  Every visit')
    assert shared.startswith('[auth] type = "shared-password"  For a workshop')
    assert "user_password" not in tmp
    assert all(f"\n  {key} " in shared for key in ("type", "user_password", "admin_password"))
    page = markdown()
    assert '## [auth] type = "tmp"' in page
    assert "| `user_password` |" in page.partition('## [auth] type = "shared-password"')[2]
