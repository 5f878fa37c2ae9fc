"""What is wrong with a settings file is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision.errors import SettingsError
from provision.settings import (
    load,
)
from tests.support.refusals import refusal

IMAGE = f'reference = "quay.io/a/b@sha256:{"0a" * 32}"'


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
        ("[tls]\ntrusted_proxies = ['x']", 'tls.trusted_proxies: "x" should be an address or a range'),
        ("[tls]\ntrusted_proxies = ['10.0.0.0/33']", '"10.0.0.0/33" should be an address or a range'),
        ("[tls]\ntrusted_proxies = ['::/0']", "should not be all addresses"),
        ("[hub]\nframe_ancestors = ['lms.example.org']", "the address of a site without a path"),
        ("[hub]\nframe_ancestors = ['https://a.example/x']", "the address of a site without a path"),
        ("[hub]\nframe_ancestors = ['https://a.example; x']", "the address of a site without a path"),
        ("[hub]\nframe_ancestors = ['https://a.b']\n[tls]\nmode = 'off'", "without https browsers send no"),
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
        ("[hub]\nport = 8001", "hub.port and network.proxy_api_port should differ; both are 8001"),
        ("[monitoring]\nstatus_port = 8081", "network.hub_port and monitoring.status_port should"),
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
