from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.errors import Exit, SettingsError
from provision.settings import (
    SECRET_PATHS,
    Settings,
    explain,
    load,
    markdown,
    parse_duration,
    parse_size,
    read_toml,
    shown,
)
from provision.settings.settings import FIXED_PORTS
from roles.shared import paths

PROJECT = Path(__file__).parents[4]
IMAGE = f'reference = "quay.io/a/b@sha256:{"0a" * 32}"'
HIDDEN = "correct-horse-battery"


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


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[hub]\nport 8000", "line 2, column 6"),
        ("[hub]\nport = 8000\n[hub", "line 3, column 5"),
        ("[hub]\nport = 1\nport = 2\n", "line 3, column 9"),
        ("[hub]\nannouncement = 'a", "line 2, column 18"),
        ("= 1", "line 1, column 1"),
        (f"[server]\npids = {'9' * 5000}", "limit (4300 digits)"),
    ],
)
def test_a_syntax_error_is_at_its_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "hub.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "hub.toml", {})
    assert str(caught.value).startswith(f"{tmp_path}/hub.toml: not valid TOML")
    assert place in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_bytes(b"[hub]\ntitle = '\xfcber'")
    with pytest.raises(SettingsError, match="is not text in UTF-8, at line 2") as refused:
        load(tmp_path / "hub.toml", {})
    assert "save it as UTF-8" in refused.value.hint


@pytest.mark.parametrize("name", ["hub.toml", "site.toml", "secrets.toml"])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "hub.toml").write_text(f"[image]\n{IMAGE}") if name != "hub.toml" else None
    (tmp_path / name).mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory") as refused:
        load(tmp_path / "hub.toml", {})
    assert (refused.value.where, bool(refused.value.hint)) == (str(tmp_path / name), True)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, **_: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(SettingsError, match=r"hub\.toml: cannot be read: Permission denied") as refused:
        load(tmp_path / "hub.toml", {})
    assert "let this user read it" in refused.value.hint


def test_the_mark_of_an_encoding_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f"[hub]\nport = 9\n[image]\n{IMAGE}", encoding="utf-8-sig")
    assert load(tmp_path / "hub.toml", {}).hub.port == 9


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere/hub\.toml: not found") as caught:
        load(tmp_path / "nowhere" / "hub.toml", {})
    assert "--config" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # what visitors are met with
        ("[hub]\ndomain = 'https://a.org'", "hub.domain: should be a name"),
        ("[hub]\ndomain = 'a.org:443'", "hub.domain: should be a name"),
        ("[hub]\nport = 80", "hub.port and tls.redirect_port should differ; both are 80"),
        ("[tls]\nmode = 'lets-encrypt'", "tls.mode: should be 'self-signed', 'files'"),
        ("[tls]\nmode = 'files'", 'mode = "files" needs certificate'),
        ("[tls]\nmode = 'files'\ncertificate = 'a'\nkey = 'b'", "hub.domain is missing"),
        ("[tls]\nemail = 'a@b'", 'email belongs to mode = "letsencrypt"; the mode is "self-signed"'),
        ("[tls]\nmode = 'letsencrypt'", 'mode = "letsencrypt" needs email'),
        ("[tls]\nmode = 'letsencrypt'\nemail = 'a@b'", "hub.domain is missing"),
        ("[tls]\nmode = 'letsencrypt'\nemail = 'a@b'\nredirect_port = 0", "the ACME server comes back on"),
        ("[hub]\ndomain = '10.0.0.1'\n[tls]\nmode = 'letsencrypt'\nemail = 'a@b'", "should be a public name"),
        ("[hub]\ndomain = 'hub'\n[tls]\nmode = 'letsencrypt'\nemail = 'a@b'", "should be a public name"),
        ("[tls]\nmode = 'behind-proxy'\nlisten = 'eth0'", "tls.listen: should be an IP address"),
        ("[tls]\nmode = 'behind-proxy'\ntrusted_proxies = ['x']", "tls.trusted_proxies: should be an IP"),
        ("[tls]\nhsts = '1d'", 'hsts should be 0 with mode = "self-signed"'),
        # unknown keys
        ("[hub]\nprot = 1", "hub.prot: unknown key, did you mean 'port'?"),
        ("[hub]\nzzz = 1", "hub.zzz: unknown key; known here: domain, port, title, announcement"),
        ("[server]\nmemroy = '1G'", "server.memroy: unknown key, did you mean 'memory'?"),
        ("[sever]\ncpu = 1.0", "sever: unknown key, did you mean 'server'?"),
        ("[swarm]\nmode = 'off'", "swarm: unknown key; known here: hub, auth, users, image"),
        ("prot = 1", "prot: unknown key"),
        ("root = '/'", "root: unknown key; known here: hub"),
        ("file = 'x'", "file: unknown key"),
        # types
        ("[hub]\nport = '8000'", "hub.port: should be a whole number"),
        ("[hub]\nport = true", "hub.port: should be a whole number"),
        ("[hub]\nport = 0", "hub.port: should be greater than or equal to 1"),
        ("[hub]\nport = 65536", "hub.port: should be less than or equal to 65535"),
        ("[hub]\nannouncement = 3", "hub.announcement: should be text in quotes"),
        ("hub = 3", "hub: should be a table"),
        ("[server]\ncpu = 'two'", "server.cpu: should be a number"),
        ("[server]\ncpu = 0", "server.cpu: should be greater than 0"),
        ("[server]\npids = 8", "server.pids: should be greater than or equal to 32"),
        ("[server]\nmemory = 'lots'", 'server.memory: should be a size such as "512M"'),
        ("[server]\nmemory = 0", "server.memory: should be greater than 0"),
        ("[server]\nmax_servers = -1", "server.max_servers: should be greater than or equal to 0"),
        ("[server]\ndisk = -1", "server.disk: should be greater than or equal to 0"),
        ("[server]\ndisk = '10M'", 'server: disk should be 0 or at least "64M"'),
        ("[server]\nmax_age = 'soon'", 'server.max_age: should be a time such as "90s"'),
        ("[server]\nmax_age = -5", "server.max_age: should be greater than or equal to 0"),
        ("[server]\nopen = ''", 'server.open: should be a file such as "welcome.ipynb" or a path'),
        ("[server]\nopen = 'https://elsewhere/'", "server.open: should be a file such as"),
        ("[server]\nopen = 'javascript:alert(1)'", "server.open: should be a file such as"),
        ("[server]\nopen = '//elsewhere/lab'", "server.open: should be a file such as"),
        ("[server]\nopen = '/\\elsewhere'", "server.open: should be a file such as"),
        ("[server]\nopen = '/lab/../../hub'", "server.open: should be a file such as"),
        ("[server]\nopen = '/lab/%2E%2e/hub'", "server.open: should be a file such as"),
        ("[server]\nopen = '../b.ipynb'", "server.open: should be a file such as"),
        ("[server]\nopen = 'my notebook.ipynb'", "a space written as %20"),
        ('[server]\nopen = "/lab\\u0000"', "server.open: should be a file such as"),
        ("[server]\nopen = 3", "server.open: should be text in quotes"),
        ("[server.environment]\nDEBUG = 1", "server.environment.DEBUG: should be text in quotes"),
        ("[downloads]\nca_certificates = 'a.pem'", "downloads.ca_certificates: should be a list"),
        ("[vm]\nname = 'Two Words'", "vm.name: "),
        ("[vm]\nmemory = 4096", 'vm.memory: should be at least "256M"; a number without a unit means bytes'),
        ("[vm]\ndisk = 20", 'vm.disk: should be at least "1G"'),
        ("[vm]\nboot_timeout = 0", "vm.boot_timeout: should be greater than or equal to 1"),
        ("[server]\nmemory = 512", 'server.memory: should be at least "64M"'),
        ("[server]\nstart_timeout = 0", "server.start_timeout: should be greater than or equal to 1"),
        ("[server]\ncpu = inf", "server.cpu: should be a finite number"),
        ("[server]\ncpu = nan", "server.cpu: should be "),
        ("[server.environment]\n'' = '1'", "server.environment.: should be a name, without spaces and ="),
        (
            "[server.environment]\n'A=B' = '1'",
            "server.environment.A=B: should be a name, without spaces and =",
        ),
        ("[tls]\nmode = 'letsencrypt'\nemail = ''", "tls.email: should be an address such as"),
        ("[tls]\nmode = 'letsencrypt'\nemail = 'a@b'\ndirectory = ''", "tls.directory: should be a URL"),
        (
            "[downloads]\npypi = 'HTTPS://user:secret@host/simple'",
            "downloads.pypi: should carry no user and no pass",
        ),
        ("[downloads]\nnpm = 'https://host:abc/'", "downloads.npm: should be a URL such as"),
        ("[downloads]\nnpm = 'https://[host/'", "downloads.npm: should be a URL such as"),
        ("[vm]\nbox = '~no-such-user/x.box'", "vm.box: should begin with a folder"),
        ("[tls]\nmode = ['off']", "tls.mode: should be 'self-signed', 'files'"),
        ("[tls.mode]\noff = true", "tls.mode: should be 'self-signed', 'files'"),
        (f"[server]\nmemory = '{'9' * 400}'", 'server.memory: should be a size such as "512M"'),
        (f"[server]\nmax_age = '{'9' * 5000}'", 'server.max_age: should be a time such as "90s"'),
        ("[deploy]\nstatsd = 'graphite'", 'deploy.statsd: should be "host:port"'),
        ("[deploy]\nstatsd = 'graphite:65536'", 'deploy.statsd: should be "host:port"'),
        ("[builder]\nimage = 'ubuntu:24.04'", "builder.image: should end in @sha256:"),
        ("[monitoring]\nimage = 'graphite:1'", "monitoring.image: should end in @sha256:"),
        ("[monitoring]\nprefix = 'a b'", "monitoring.prefix: "),
        ("[monitoring]\nprefix = '.a'", "monitoring.prefix: "),
        ("[monitoring]\nretention = 'a year'", "monitoring.retention: should be pairs of step and span"),
        ("[monitoring]\nretention = '1m:1d'", "monitoring.retention: should begin with steps of 10s"),
        ("[monitoring]\nretention = '10s:6h,25s:1d'", "should have a step that the one before divides"),
        ("[monitoring]\nretention = '10s:6h,1m:6h'", "and a longer span"),
        ("[monitoring]\nretention = '10s:30s,1m:6h'", "and a longer span"),
        # what belongs together
        (
            "[monitoring]\nstatus_port = 8085",
            "monitoring.graphite_port and monitoring.status_port should differ",
        ),
        ("[hub]\nport = 8085", "hub.port and monitoring.graphite_port should differ; both are 8085"),
        ("[tls]\nredirect_port = 8086", "tls.redirect_port and monitoring.status_port should differ"),
        ("[hub]\nport = 8001", "hub.port and the proxy's own API should differ; both are 8001"),
        ("[monitoring]\nstatus_port = 8081", "the hub behind its proxy and monitoring.status_port should"),
        ("[server]\nidle_timeout = 0\nmax_age = '1d'", "max_age needs idle_timeout: the culler ends both"),
        ("[server]\nidle_timeout = '5m'", 'idle_timeout should be 0 or at least "6m"'),
        ("[server]\nidle_timeout = 359", 'idle_timeout should be 0 or at least "6m"'),
        ("[network]\nblocked = '10.0.0.0/8'", "network.blocked: should be a list"),
        (
            "[network]\nblocked = ['10.1.0.0/8']",
            'network.blocked: "10.1.0.0/8" should be "10.0.0.0/8", which begins',
        ),
        (
            "[network]\nblocked = ['10.0.0.0/8', '192.168.1.1/24']",
            '"192.168.1.1/24" should be "192.168.1.0/24"',
        ),
        ("[network]\nblocked = ['10.0.0.1']", 'network.blocked: "10.0.0.1" should be an IPv4 range'),
        (
            "[network]\nblocked = ['10.0.0.0/255.0.0.0']",
            'network.blocked: "10.0.0.0/255.0.0.0" should be an IPv4 range',
        ),
        ("[network]\nblocked = ['10.0.0.0/33']", 'network.blocked: "10.0.0.0/33" should be an IPv4 range'),
        ("[network]\nblocked = ['fd00::/8']", 'network.blocked: "fd00::/8" should be an IPv4 range'),
        ("[network]\nblocked = ['the office']", 'network.blocked: "the office" should be an IPv4 range'),
        ("[network]\nsubnet = '10.0.0.0/25'", "network.subnet: should be a /24 or larger"),
        ("[network]\nsubnet = '10.0.0.1'", "network.subnet: should be a /24 or larger"),
        ("[network]\nsubnet = '0.0.0.0/0'", "network.subnet: should be a /8 or smaller"),
        ("[network]\nsubnet = '10.0.0.1/20'", "network.subnet: 10.0.0.1/20 has host bits set"),
        ("[network]\nsubnet = 'fd00::/64'", "network.subnet: "),
        ("[network]\nsubnet = '127.0.0.0/8'", "network.subnet: should be a private range"),
        ("[network]\nsubnet = '169.254.16.0/24'", "169.254.0.0/16 has link-local addresses"),
        ("[network]\nsubnet = '224.0.0.0/8'", "(multicast)"),
        ("[network]\nsubnet = '250.0.0.0/8'", "240.0.0.0/4 has addresses that are reserved"),
        ("[network]\nsubnet = '0.0.0.0/8'", "0.0.0.0/8 has addresses that mean no host"),
        ("[image]\nreference = 'jupyter/base:latest'", "image.reference: should end in @sha256:"),
        (
            "[image]\nbuild = 'a'\narchive = 'b'",
            "needs exactly one of reference, build, archive; found build and archive",
        ),
        ("[image]\nbuild_on = 'host'", "needs exactly one of reference, build, archive; found none"),
    ],
)
def test_a_wrong_key_says_file_path_and_what_would_be_right(tmp_path: Path, text: str, reason: str) -> None:
    message = refusal(tmp_path, text)
    assert reason in message
    assert message.startswith(f"{tmp_path}/hub.toml: ")


def test_every_mistake_is_on_a_line_of_its_own(tmp_path: Path) -> None:
    lines = refusal(tmp_path, "[hub]\nprot = 1\nport = 'x'\n[sever]", site="[vm]\ncpus = 'x'").splitlines()
    assert len(lines) == 4
    assert f"{tmp_path}/site.toml: vm.cpus: should be a whole number" in lines


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


def test_ports_that_are_fixed_are_those_of_the_roles() -> None:
    assert sorted(FIXED_PORTS.values()) == sorted({paths.PROXY_API_PORT, paths.HUB_PORT})


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
