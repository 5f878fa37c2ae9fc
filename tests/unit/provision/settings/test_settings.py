"""Values of settings, and the settings as people read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.errors import SettingsError
from provision.settings import (
    Settings,
    explain,
    load,
    markdown,
    parse_duration,
    parse_size,
    read_toml,
)

PROJECT = Path(__file__).parents[4]
IMAGE = f'reference = "quay.io/a/b@sha256:{"0a" * 32}"'


def test_an_image_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("")
    with pytest.raises(SettingsError, match=r"hub\.toml: image: is missing"):
        load(tmp_path / "hub.toml", {})


@pytest.mark.parametrize(
    ("given", "opens"),
    [
        ("welcome.ipynb", "/lab/tree/welcome.ipynb"),
        ("course/week%201.ipynb", "/lab/tree/course/week%201.ipynb"),
        ("mesure à vide.ipynb".replace(" ", "%20"), "/lab/tree/mesure%20%C3%A0%20vide.ipynb"),
        ("{username}.ipynb", "/lab/tree/%7Busername%7D.ipynb"),
        ("/tree", "/tree"),
        ("/voila/render/demo.ipynb?theme=dark", "/voila/render/demo.ipynb?theme=dark"),
        ("/lab/tree/a..b.ipynb", "/lab/tree/a..b.ipynb"),
        (
            "/git-pull?repo=https://git.example.org/course&urlpath=lab/tree/course/a.ipynb",
            "/git-pull?repo=https://git.example.org/course&urlpath=lab/tree/course/a.ipynb",
        ),
    ],
)
def test_what_opens_first_is_a_path_on_the_visitor_s_server(tmp_path: Path, given: str, opens: str) -> None:
    text = f"[image]\n{IMAGE}\n[server]\nopen = '{given}'"
    (tmp_path / "hub.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "hub.toml", {}).server.open == opens


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (7, 7),
        ("7", 7),
        ("512M", 512 << 20),
        ("1.5 GiB", 3 << 29),
        ("2g", 2 << 30),
        ("1TB", 1 << 40),
        ("3 k", 3072),
    ],
)
def test_sizes(given: object, size: int) -> None:
    assert parse_size(given) == size


@pytest.mark.parametrize("given", ["", "M", "-1G", "1 PB", "1GG", "one", 1.5, True, None, [1]])
def test_no_sizes(given: object) -> None:
    with pytest.raises(ValueError, match="size such as"):
        parse_size(given)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(0, 0), ("90", 90), ("90s", 90), ("30m", 1800), (" 1 h ", 3600), ("2d", 172800)],
)
def test_durations(given: object, seconds: int) -> None:
    assert parse_duration(given) == seconds


@pytest.mark.parametrize("given", ["", "h", "1.5h", "-1m", "1w", 1.5, False, None])
def test_no_durations(given: object) -> None:
    with pytest.raises(ValueError, match="time such as"):
        parse_duration(given)


@pytest.mark.parametrize(
    ("subnet", "gateway"), [("172.30.0.0/20", "172.30.0.1"), ("10.9.8.0/24", "10.9.8.1")]
)
def test_the_host_has_the_first_address(hub: Callable[..., Settings], subnet: str, gateway: str) -> None:
    assert hub(f"[network]\nsubnet = '{subnet}'").network.gateway == gateway


@pytest.mark.parametrize("ranges", [(), ("10.0.0.0/8", "192.168.7.3/32"), ("0.0.0.0/0",)])
def test_ranges_can_be_closed(hub: Callable[..., Settings], ranges: tuple[str, ...]) -> None:
    assert hub(f"[network]\nblocked = {list(ranges)}").network.blocked == ranges


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("172.30.0.0/255.255.240.0", "172.30.0.0/20"),
        ("172.30.0.0/0.0.15.255", "172.30.0.0/20"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_a_subnet_is_kept_with_the_length_of_its_prefix(
    hub: Callable[..., Settings], given: str, kept: str
) -> None:
    assert hub(f"[network]\nsubnet = '{given}'").network.subnet == kept


@pytest.mark.parametrize(
    "text",
    [
        "[hub]\nport = 8085\n[monitoring]\ngraphite = false",
        "[tls]\nredirect_port = 0",
        "[tls]\nmode = 'behind-proxy'\nredirect_port = 8000",
        "[downloads]\npypi = 'https://[2001:db8::1]:8443/simple'",
    ],
)
def test_what_nothing_listens_on_is_free(hub: Callable[..., Settings], text: str) -> None:
    assert hub(text)


def test_a_url_begins_in_small_letters(hub: Callable[..., Settings]) -> None:
    assert hub("[downloads]\npypi = 'HTTPS://Host/Simple'").downloads.pypi == "https://Host/Simple"


def test_settings_do_not_change(hub: Callable[..., Settings]) -> None:
    settings: Any = hub()
    with pytest.raises(ValueError, match="frozen"):
        settings.hub.port = 1


# --- for people ----------------------------------------------------------------------------------


def test_explain_mentions_every_key_and_what_it_means() -> None:
    text = explain()
    for section, keys in Settings.model_json_schema()["$defs"].items():
        kind = keys["properties"].get("type", {}).get("const")
        title = f'[auth] type = "{kind}"' if kind else f"[{section.lower()}]"
        assert f"{title}  {' '.join(keys['description'].split())}" in text
        for key, about in keys["properties"].items():
            assert f"  {key} " in text
            assert about["description"] in text


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("vm", "Vagrant's. One of: docker, libvirt, virtualbox. Default: docker."),
        ("builder", "One of: registry, archive. Default: registry."),
        ("auth", "tmp: every visit gets an account of its own. Default: tmp."),
    ],
)
def test_every_choice_is_named(section: str, line: str) -> None:
    assert line in explain(section)


def test_explain_takes_one_section() -> None:
    assert explain("vm").startswith("[vm]")
    assert "[hub]" not in explain("vm")
    with pytest.raises(SettingsError, match=r"no section \[vmm\]"):
        explain("vmm")


def test_the_shipped_description_is_valid() -> None:
    settings = Settings.model_validate({**read_toml(PROJECT / "hub.toml"), "root": PROJECT})
    assert settings.image.build is not None
    assert (settings.path(settings.image.build) / "Dockerfile").is_file()


@pytest.mark.parametrize(
    ("text", "port", "redirect", "own", "public"),
    [
        ("", 443, 80, "https", "https"),
        ("[hub]\nport = 8443\n[tls]\nredirect_port = 0", 8443, 0, "https", "https"),
        ("[tls]\nmode = 'behind-proxy'", 8000, 0, "http", "https"),
        ("[hub]\nport = 9\n[tls]\nmode = 'behind-proxy'", 9, 0, "http", "https"),
        ("[tls]\nmode = 'off'", 80, 0, "http", "http"),
    ],
)
def test_ports_follow_the_mode_of_tls(
    tmp_path: Path, text: str, port: int, redirect: int, own: str, public: str
) -> None:
    (tmp_path / "hub.toml").write_text(f"{text}\n[image]\n{IMAGE}\n", encoding="utf-8")
    settings = load(tmp_path / "hub.toml", {})
    assert (settings.hub.port, settings.redirect_port) == (port, redirect)
    assert (settings.tls.own_scheme, settings.tls.scheme) == (own, public)


def test_the_page_about_settings_is_the_schema_s() -> None:
    """`make docs` writes it again."""
    assert (PROJECT / "docs/reference/settings.md").read_text(encoding="utf-8") == markdown()
