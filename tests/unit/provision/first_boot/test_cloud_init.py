"""User-data: its contents, the things kept out of it, and the refusals."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provision.errors import HubwrightError, SettingsError
from provision.first_boot import cloud_init, host_keys
from provision.first_boot.cloud_init import Options, user_data
from provision.report.reporter import Reporter
from provision.settings import Settings, read_toml
from provision.ssh import Access

HIDDEN = "correct-horse-battery"
SECRETS = f'[server.secrets]\nAPI_KEY = "{HIDDEN}"\n'
REFERENCE = f'[monitoring]\ngraphite = false\n[image]\nreference = "quay.io/a/b@sha256:{"0a" * 32}"\n'
URL = "https://files.example.org/hub"
PROJECT = Path(__file__).parents[4]

Make = Callable[..., tuple[dict[str, Any], bytes]]


@pytest.fixture
def make(tmp_path: Path, hub: Callable[..., Settings]) -> Make:
    """The cloud-config, and the user-data as it is sent. The parts lie in tmp_path/parts."""

    def run(text: str = REFERENCE, *, secrets: str = "", **options: Any) -> tuple[dict[str, Any], bytes]:
        settings = hub(text, secrets=secrets)
        access = Access(known_hosts=tmp_path / "ssh" / "known_hosts")
        sent = user_data(settings, Reporter(), Options(**options), access)
        plain = gzip.decompress(sent) if sent.startswith(b"\x1f\x8b") else sent
        head, _, rest = plain.decode().partition("\n")
        assert head == "#cloud-config"
        return json.loads(rest), sent

    return run


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    return {"parts": tmp_path / "parts", "part_url": f"{URL}/"}


def files(config: dict[str, Any]) -> dict[str, bytes]:
    """Path → content, as write_files makes them."""
    found = {}
    for entry in config["write_files"]:
        content = entry["content"].encode()
        if "b64" in entry.get("encoding", ""):
            content = base64.b64decode(content)
        if "gz" in entry.get("encoding", ""):
            content = gzip.decompress(content)
        found[entry["path"]] = content
    return found


FOLDER = "/var/lib/hubwright-first-boot"


def test_with_parts_user_data_is_small_text(make: Make, parts: dict[str, Any], tmp_path: Path) -> None:
    config, sent = make(**parts)
    assert sent.startswith(b"#cloud-config\n")
    assert len(sent) < 10 * 1024
    (bundle,) = (tmp_path / "parts").iterdir()
    told = json.loads(files(config)[f"{FOLDER}/first-boot.json"])
    assert told["url"] == f"{URL}/{bundle.name}"
    assert told["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert told["size"] == bundle.stat().st_size
    assert f"{FOLDER}/bundle.xz" not in files(config)
    modes = {entry["path"]: entry["permissions"] for entry in config["write_files"]}
    assert modes[f"{FOLDER}/secrets.json"] == "0600"
    assert modes["/var/lib/cloud/scripts/per-boot/hubwright"] == "0755"


def test_the_same_settings_give_the_same_user_data(make: Make, parts: dict[str, Any]) -> None:
    assert make(**parts) == make(**parts)


def test_without_parts_everything_is_in_it(make: Make, tmp_path: Path) -> None:
    text = f'{REFERENCE.replace("false", "true")}[hub]\ntitle = "Ünïcode"\n'
    config, sent = make(text, limit="256K")
    told = json.loads(files(config)[f"{FOLDER}/first-boot.json"])
    bundle = files(config)[f"{FOLDER}/bundle.xz"]
    assert told["sha256"] == hashlib.sha256(bundle).hexdigest()
    (context,) = {name for name in files(config) if re.fullmatch(rf"{FOLDER}/[0-9a-f]{{64}}", name)}
    assert hashlib.sha256(files(config)[context]).hexdigest() == context.rpartition("/")[2]
    assert context.encode() in lzma.decompress(bundle)
    assert not (tmp_path / "parts").exists()
    assert len(sent) < 256 * 1024


def test_a_machine_needs_little_memory_to_unpack_the_bundle(make: Make) -> None:
    config, _ = make(limit="1M")
    bundle = files(config)[f"{FOLDER}/bundle.xz"]
    assert len(lzma.decompress(bundle, memlimit=4 << 20)) > 100_000


@pytest.mark.parametrize("place", ["docs/howto/cloud-init.md", "provision/cli/cloud.py"])
def test_the_example_of_a_single_file_works_with_the_hub_that_is_shipped(tmp_path: Path, place: str) -> None:
    (limit,) = re.findall(
        r"^ +hubwright cloud-init --limit (\S+) > ", (PROJECT / place).read_text(), re.MULTILINE
    )
    settings = Settings.model_validate({**read_toml(PROJECT / "hub.toml"), "root": PROJECT})
    access = Access(known_hosts=tmp_path / "known_hosts")
    assert user_data(settings, Reporter(), Options(limit=limit), access)


def test_the_limit_that_a_refusal_names_is_enough(make: Make) -> None:
    with pytest.raises(HubwrightError, match="user-data may have 16 KiB") as refused:
        make()
    (limit,) = re.findall(r"--limit (\d+K)", refused.value.hint)
    assert len(make(limit=limit)[1]) <= int(limit[:-1]) * 1024 < len(make(limit=limit)[1]) + 1024


def test_it_is_compressed_where_that_is_what_it_takes(make: Make, parts: dict[str, Any]) -> None:
    config, sent = make(**parts)
    _, small = make(**parts, limit="5K")
    assert small.startswith(b"\x1f\x8b")
    assert len(small) <= 5 * 1024 < len(sent)
    assert make(**parts, limit="5K")[0] == config


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (REFERENCE, {}, r"takes 2\d\d\.\d KiB, compressed; user-data may have 16 KiB"),
        (
            '[image]\narchive = "image.tar"\n',
            {"limit": "256K"},
            r"image.tar has 2 MB; user-data may have 256",
        ),
        (REFERENCE, {"parts": Path("parts")}, "--parts and --part-url belong together"),
        (REFERENCE, {"part_url": URL}, "--parts and --part-url belong together"),
        (REFERENCE, {"parts": Path("p"), "part_url": "files.example.org"}, "is not an address"),
        (REFERENCE, {"parts": Path("p"), "part_url": "https://u:p@files.example.org"}, "is not an address"),
        (REFERENCE, {"parts": Path("p"), "part_url": f"{URL}?signature=x"}, "is not an address"),
        (REFERENCE, {"limit": "much"}, "--limit should be a size"),
        (REFERENCE, {"known_as": ("hub",)}, "--known-as needs --host-key"),
    ],
)
def test_what_is_refused_says_what_to_do(
    make: Make, hub: Callable[..., Settings], text: str, options: dict[str, Any], words: str
) -> None:
    (hub().root / "image.tar").write_bytes(bytes(2_000_000))
    with pytest.raises(HubwrightError, match=words) as refused:
        make(text, **options)
    assert refused.value.hint


def test_what_does_not_fit_leaves_no_key(make: Make, tmp_path: Path) -> None:
    with pytest.raises(HubwrightError):
        make(host_key=tmp_path / "key", known_as=("hub.example.org",))
    assert not (tmp_path / "ssh").exists()


# --- parts ----------------------------------------------------------------------------------------


def test_an_image_archive_is_published(
    make: Make, parts: dict[str, Any], hub: Callable[..., Settings]
) -> None:
    archive = hub().root / "image.tar"
    archive.write_bytes(b"layers")
    text = '[monitoring]\ngraphite = false\n[image]\narchive = "image.tar"\n'
    make(text, **parts)
    digest = hashlib.sha256(b"layers").hexdigest()
    published = parts["parts"] / f"image-{digest[:16]}.tar"
    assert published.read_bytes() == b"layers"
    made = {path.name: path.stat().st_mtime_ns for path in parts["parts"].iterdir()}
    (bundle,) = (name for name in made if name.startswith("hub-"))
    told = lzma.decompress((parts["parts"] / bundle).read_bytes())
    assert f'"{digest}": "{URL}/{published.name}"'.encode() in told
    make(text, **parts)
    assert {path.name: path.stat().st_mtime_ns for path in parts["parts"].iterdir()} == made
    published.write_bytes(b"cut")
    make(text, **parts)
    assert published.read_bytes() == b"layers"


def test_the_parts_own_server_may_be_certified_with_a_comment(
    make: Make, parts: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("# Büro\n-----BEGIN CERTIFICATE-----\n", encoding="utf-8")
    config, _ = make(f"{REFERENCE}[downloads]\nca_certificates = ['{tmp_path}/ca.pem']\n", **parts)
    assert b"BEGIN CERTIFICATE" in files(config)[f"{FOLDER}/first-boot.json"]


def test_parts_that_cannot_be_written_are_an_error(make: Make, tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("a file")
    with pytest.raises(HubwrightError, match="cannot be written"):
        make(parts=tmp_path / "parts", part_url=URL)


# --- secrets --------------------------------------------------------------------------------------


def test_secrets_are_refused_unless_asked_for(make: Make, parts: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"hold secrets: server\.secrets\.API_KEY") as refused:
        make(secrets=SECRETS, **parts)
    assert "--with-secrets" in refused.value.hint
    assert HIDDEN not in f"{refused.value}{refused.value.hint}"
    assert not parts["parts"].exists()


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (REFERENCE, SECRETS),
        (
            f'[downloads]\nhttp_proxy = "http://proxy.example:3128"\n{REFERENCE}',
            f'[downloads]\nproxy_credentials = "somebody:{HIDDEN}"\n',
        ),
    ],
)
def test_secrets_stand_in_the_user_data_and_never_in_what_is_published(
    make: Make, parts: dict[str, Any], capsys: pytest.CaptureFixture[str], text: str, secrets: str
) -> None:
    config, _ = make(text, secrets=secrets, with_secrets=True, **parts)
    assert HIDDEN.encode() in files(config)[f"{FOLDER}/secrets.json"]
    for part in parts["parts"].iterdir():
        assert HIDDEN.encode() not in lzma.decompress(part.read_bytes())
    assert "this user-data holds secrets" in capsys.readouterr().err


def test_the_key_of_a_certificate_is_a_secret(make: Make, parts: dict[str, Any]) -> None:
    text = '[hub]\ndomain = "hub.example.org"\n[tls]\nmode = "files"\ncertificate = "c.pem"\nkey = "k.pem"\n'
    with pytest.raises(SettingsError, match=r"hold secrets: tls\.key"):
        make(text + REFERENCE, **parts)


# --- SSH ------------------------------------------------------------------------------------------


def test_the_host_key_is_known_before_its_host(make: Make, parts: dict[str, Any], tmp_path: Path) -> None:
    options = {**parts, "host_key": tmp_path / "key", "known_as": ("10.0.0.7", "hub.example.org:2222")}
    config, _ = make(**options)
    private = serialization.load_ssh_private_key(config["ssh_keys"]["ed25519_private"].encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert config["ssh_keys"]["ed25519_public"].encode() == public + b"\n"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    known = tmp_path / "ssh" / "known_hosts"
    lines = f"10.0.0.7 {public.decode()}\n[hub.example.org]:2222 {public.decode()}\n"
    assert known.read_text() == lines
    assert make(**options)[0]["ssh_keys"] == config["ssh_keys"], "a key that is there is taken"
    assert known.read_text() == lines


def test_another_known_key_of_the_host_is_not_overruled(
    make: Make, parts: dict[str, Any], tmp_path: Path
) -> None:
    make(**parts, host_key=tmp_path / "old", known_as=("10.0.0.7",))
    with pytest.raises(
        HubwrightError, match=r"another key of 10\.0\.0\.7 is known: ssh-ed25519 SHA256:"
    ) as refused:
        make(**parts, host_key=tmp_path / "new", known_as=("10.0.0.7",))
    assert "ssh-keygen -f" in refused.value.hint
    assert len((tmp_path / "ssh" / "known_hosts").read_text().splitlines()) == 1


def private(key: Any, password: bytes = b"") -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    written: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock)
    return written


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nothing of the kind", "holds no private key of OpenSSH's"),
        (private(ed25519.Ed25519PrivateKey.generate(), b"x"), "has a passphrase"),
    ],
    ids=["text", "passphrase"],
)
def test_a_file_that_is_no_host_key_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        host_keys.read_or_make(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == content


@pytest.mark.parametrize("name", ["hub.toml/key", "folder"])
def test_a_place_where_no_host_key_can_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "hub.toml").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match="can be neither read nor made") as refused:
        host_keys.read_or_make(tmp_path / name)
    assert refused.value.hint


def test_an_ecdsa_key_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(private(ec.generate_private_key(ec.SECP256R1())))
    key, is_new = host_keys.read_or_make(tmp_path / "key")
    assert (key.kind, is_new) == ("ecdsa", False)
    assert key.public.startswith("ecdsa-sha2-nistp256 AAAA")
    assert "PRIVATE" not in repr(key)


def test_only_public_keys_may_log_in(make: Make, parts: dict[str, Any], tmp_path: Path) -> None:
    key, _ = host_keys.read_or_make(tmp_path / "login")
    config, _ = make(**parts, authorized_keys=(tmp_path / "login.pub",))
    assert config["ssh_authorized_keys"] == [key.public]
    with pytest.raises(SettingsError, match="holds no public key"):
        make(**parts, authorized_keys=(tmp_path / "login",))


def test_compressed_user_data_is_not_shown_on_a_screen(
    make: Make, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, small = make(**parts, limit="5K")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(HubwrightError, match="not for a screen"):
        Reporter().raw(small)


def test_the_default_limit_is_the_smallest_of_the_platforms() -> None:
    assert cloud_init.LIMIT == "16K"
