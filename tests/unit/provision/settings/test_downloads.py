"""[downloads]: valid and refused values, and the proxy's password, which is never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.settings import Settings, load, shown

Hub = Callable[..., Settings]
HIDDEN = "correct-horse-battery"
PROXY = "http_proxy = 'http://proxy.example:3128'"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("apt = 'http://x'", "downloads.apt: should be a table"),
        ("apt = {debain = 'http://x'}", "downloads.apt.debain: should be 'debian', 'debian-security'"),
        ("apt = {debian = 'x'}", "downloads.apt.debian: should be a URL that begins with https://"),
        ("pypi = 'ftp://x'", "downloads.pypi: should be a URL that begins with https://"),
        ("npm = 'https://me:secret@x'", "downloads.npm: should carry no user and no password"),
        ("conda = 'conda-forge'", "downloads.conda: should be a URL"),
        ("conda_installers = 'x.sh'", "downloads.conda_installers: should be a URL"),
        ("registries = 'https://x'", "downloads.registries: should be a list"),
        ("registries = ['x:5000']", "downloads.registries: should be a URL"),
        ("registries = ['https://x/v2/hub']", 'should be "https://host" or "https://host:port"'),
        ("http_proxy = 'proxy:3128'", 'downloads.http_proxy: should be "http://host:port"'),
        ("http_proxy = 'socks5://proxy:1080'", 'downloads.http_proxy: should be "http://host:port"'),
        ("http_proxy = 'http://proxy'", 'downloads.http_proxy: should be "http://host:port"'),
        ("http_proxy = 'http://proxy:99999'", 'downloads.http_proxy: should be "http://host:port"'),
        ("http_proxy = 'http://proxy:1/x'", "and nothing after it"),
        ("http_proxy = 'http://me:secret@proxy:1'", "they belong to proxy_credentials"),
        ("http_proxy = 'http://127.0.0.1:3128'", "an address that the hosts and their containers reach"),
        ("http_proxy = 'http://localhost:3128'", "an address that the hosts and their containers reach"),
        ("https_proxy = 'http://proxy:1'", "https_proxy needs http_proxy beside it"),
        ("no_proxy = ['x']", "no_proxy belongs to http_proxy"),
        (f"{PROXY}\nno_proxy = 'x'", "downloads.no_proxy: should be a list"),
        (f"{PROXY}\nno_proxy = ['http://x']", "downloads.no_proxy: should be a name, an address or a range"),
        (f"{PROXY}\nno_proxy = ['*']", "downloads.no_proxy: should be a name, an address or a range"),
        (f"{PROXY}\nproxy_credentials = 'a:b'", "is a secret and may not stand in this file"),
    ],
)
def test_what_is_refused(hub: Hub, text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        hub(f"[downloads]\n{text}")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "http", "https"),
    [
        ("", None, None),
        (PROXY, "http://proxy.example:3128", "http://proxy.example:3128"),
        (f"{PROXY}\nhttps_proxy = 'https://10.0.0.1:8443/'", "http://proxy.example:3128", "https://10.0.0.1:8443"),
    ],
)  # fmt: skip
def test_proxies_by_scheme(hub: Hub, text: str, http: str | None, https: str | None) -> None:
    proxies = hub(f"[downloads]\n{text}").downloads.proxies
    assert (proxies.get("http"), proxies.get("https")) == (http, https)


def test_trailing_slashes_go(hub: Hub) -> None:
    mirrors = hub(
        "[downloads]\napt = {ubuntu = 'http://m/ubuntu/'}\nregistries = ['http://m:5000/']"
    ).downloads
    assert mirrors.apt == {"ubuntu": "http://m/ubuntu"}
    assert mirrors.registries == ("http://m:5000",)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (f"me:{HIDDEN}", f"http://me:{HIDDEN}@proxy.example:3128"),
        ("me:p@ss:w/rd%", "http://me:p%40ss%3Aw%2Frd%25@proxy.example:3128"),
    ],
)
def test_credentials_join_the_proxy_s_address(hub: Hub, given: str, url: str) -> None:
    mirrors = hub(f"[downloads]\n{PROXY}", secrets=f"[downloads]\nproxy_credentials = '{given}'").downloads
    assert mirrors.proxies == {"http": url, "https": url}
    assert mirrors.credentials == tuple(given.split(":", 1))


def test_credentials_come_from_the_environment_too(hub: Hub) -> None:
    settings = hub(f"[downloads]\n{PROXY}")
    environ = {"HUBWRIGHT__DOWNLOADS__PROXY_CREDENTIALS": f"me:{HIDDEN}"}
    assert load(settings.root / "hub.toml", environ).downloads.credentials == ("me", HIDDEN)


def test_credentials_are_never_shown(hub: Hub) -> None:
    settings = hub(f"[downloads]\n{PROXY}", secrets=f"[downloads]\nproxy_credentials = 'me:{HIDDEN}'")
    assert HIDDEN not in json.dumps(shown(settings)) + repr(settings) + str(settings.downloads)


@pytest.mark.parametrize(
    ("credentials", "text", "reason"),
    [
        (HIDDEN, PROXY, 'should be "user:password"'),
        (f"me:{HIDDEN} x", PROXY, 'should be "user:password", without spaces'),
        (f":{HIDDEN}", PROXY, 'should be "user:password"'),
        (f"me:{HIDDEN}", "", "proxy_credentials belongs to http_proxy"),
        (f"me:{HIDDEN}", f"{PROXY}\nnotebooks = true", "would show proxy_credentials to every visitor"),
    ],
)
def test_credentials_of_no_use_are_refused_unseen(hub: Hub, credentials: str, text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        hub(f"[downloads]\n{text}", secrets=f"[downloads]\nproxy_credentials = '{credentials}'")
    assert reason in str(caught.value)
    assert HIDDEN not in f"{caught.value}{caught.value.hint}"


def test_the_hint_names_the_variable_of_a_secret(tmp_path: Path) -> None:
    text = f"[image]\nbuild = 'x'\n[downloads]\n{PROXY}\nproxy_credentials = 'a:b'\n"
    (tmp_path / "hub.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "hub.toml", {})
    assert caught.value.hint.endswith("to a variable HUBWRIGHT__DOWNLOADS__PROXY_CREDENTIALS")
