"""User-data for cloud-init: an instance that becomes the hub by itself."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision import first_boot
from provision.agent.first_boot import FOLDER
from provision.deploy.apply import check, image_sources, steps
from provision.deploy.bundle import PlacedFile
from provision.errors import HubwrightError, SettingsError
from provision.first_boot import host_keys
from provision.first_boot.host_keys import HostKey
from provision.report.reporter import Reporter
from provision.settings import Settings, parse_size, secrets_in
from provision.settings.download_environment import certificates
from provision.ssh import Access, Blob, Target, note_host_key
from provision.tools.atomic import atomic

LIMIT = "16K"  # of EC2, the smallest of the known platforms


@dataclass(frozen=True)
class Parts:
    """Files too large for user-data: written to `folder`, and published at `url` for the instance."""

    folder: Path
    url: str
    placed: set[str] = field(default_factory=set)
    """Names of the files."""

    @classmethod
    def named(cls, folder: Path | None, url: str | None) -> Parts | None:
        """The parts that the command line names. Raises SettingsError when one is missing or no URL."""
        if folder is None and url is None:
            return None
        if folder is None or url is None:
            raise SettingsError(
                "--parts and --part-url belong together",
                hint="--parts FOLDER is where the files are written to, --part-url URL where you publish it",
            )
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise SettingsError(
                f"--part-url {url!r} is not an address that names can be added to",
                hint="write https://host/path, without a user, a password or a query",
            )
        return cls(folder, url.rstrip("/"))

    def place(self, name: str, content: Blob) -> str:
        """Write a file to the folder, and return its URL."""
        self.placed.add(name)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        path = self.folder / name
        if path.exists() and path.stat().st_size == size:  # its name has the digest of its content
            return f"{self.url}/{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic(path) as unfinished:
                if isinstance(content, bytes):
                    unfinished.write_bytes(content)
                else:
                    shutil.copyfile(content, unfinished)
        except OSError as error:
            raise HubwrightError(
                f"cannot be written: {error.strerror}",
                where=str(path),
                hint="name another folder with --parts",
            ) from None
        return f"{self.url}/{name}"


@dataclass(frozen=True)
class Options:
    """The command line. `parts` and `part_url`: see Parts. `limit`: a size as the settings write it."""

    parts: Path | None = None
    part_url: str | None = None
    host_key: Path | None = None
    known_as: tuple[str, ...] = ()
    authorized_keys: tuple[Path, ...] = ()
    with_secrets: bool = False
    limit: str = LIMIT


def user_data(settings: Settings, reporter: Reporter, options: Options, access: Access) -> bytes:
    """User-data as text, or compressed if that is needed to stay below the limit.

    Writes the parts, makes the host key, and notes it in known_hosts. Raises SettingsError when the settings
    hold secrets and --with-secrets was not given, and HubwrightError when it does not fit.
    """
    limit = _limit(options.limit)
    parts = Parts.named(options.parts, options.part_url)
    names = _names(options)
    keys = [_authorized(path) for path in options.authorized_keys]
    _refuse_secrets(settings, options.with_secrets)

    check(settings)
    sources, blobs = image_sources(settings, reporter)
    places, files = _placed(blobs, parts, limit)
    made = first_boot.bundle(settings, steps(settings, sources), places)
    url = parts.place(f"hub-{made.digest[:16]}.xz", made.content) if parts else ""
    trusted = certificates(settings).values()
    files += [*first_boot.files(made, url=url, trusted=trusted), first_boot.per_boot()]
    host_key, is_new = host_keys.read_or_make(options.host_key) if options.host_key else (None, False)
    content = fitting(cloud_config(files, host_key, keys), limit)

    if is_new:
        reporter.line(f"✓ made the host key {options.host_key}")
    for target in names:
        assert host_key is not None
        note_host_key(target, host_key.public, access)
        reporter.line(f"✓ {target.name} is known by its host key, in {access.known_hosts}")
    if parts:
        reporter.line(f"✓ publish what is new in {parts.folder} at {parts.url}")
        for name in sorted(parts.placed):
            reporter.line(f"    {name} ({(parts.folder / name).stat().st_size / 1e6:.1f} MB)")
    if host_key or secrets_in(settings):
        reporter.line("! this user-data holds secrets: keep it where only you can read it")
    reporter.line(f"✓ user-data: {len(content) / 1024:.1f} of {limit / 1024:.0f} KiB")
    return content


def cloud_config(files: list[PlacedFile], key: HostKey | None, authorized_keys: list[str]) -> str:
    """The cloud-config, as JSON, which is valid YAML too."""
    config: dict[str, Any] = {"write_files": [_written(file) for file in files]}
    if key is not None:
        config["ssh_keys"] = {f"{key.kind}_private": key.private, f"{key.kind}_public": f"{key.public}\n"}
    if authorized_keys:
        config["ssh_authorized_keys"] = authorized_keys
    return f"#cloud-config\n{json.dumps(config, indent=1)}\n"


def fitting(text: str, limit: int) -> bytes:
    """The text as bytes, compressed if needed. Raises HubwrightError when even that is too large."""
    content = text.encode()
    if len(content) <= limit:
        return content
    content = gzip.compress(content, 9, mtime=0)
    if len(content) > limit:
        enough = f"where your platform takes that much, --limit {-(-len(content) // 1024)}K"
        raise _too_large(f"takes {len(content) / 1024:.1f} KiB, compressed", limit, enough)
    return content


def _too_large(what: str, limit: int, instead: str) -> HubwrightError:
    return HubwrightError(
        f"{what}; user-data may have {limit / 1024:.0f} KiB",
        where="user-data",
        hint=f"publish what is large: --parts FOLDER --part-url URL; or {instead}",
    )


def _placed(
    blobs: Mapping[str, Blob], parts: Parts | None, limit: int
) -> tuple[dict[str, str], list[PlacedFile]]:
    """The place of each large input on the instance, and the files for those in the user-data itself."""
    places, files = {}, []
    for digest, blob in blobs.items():
        if parts is not None:
            places[digest] = parts.place(f"image-{digest[:16]}.tar", blob)
            continue
        if isinstance(blob, Path):
            what = f"{blob.name} has {blob.stat().st_size / 1e6:.0f} MB"
            raise _too_large(what, limit, "name an image in a registry: [image] reference")
        places[digest] = f"{FOLDER}/{digest}"
        files.append(PlacedFile(places[digest], blob))
    return places, files


def _written(file: PlacedFile) -> dict[str, str]:
    """An entry of write_files. Text stays text, so that people can read it."""
    entry = {"path": file.path, "permissions": f"{file.mode:04o}"}
    if file.content.isascii() and b"\0" not in file.content:
        return {**entry, "content": file.content.decode("ascii")}
    if file.path.endswith(".xz"):
        return {**entry, "encoding": "b64", "content": base64.b64encode(file.content).decode()}
    packed = gzip.compress(file.content, 9, mtime=0)
    return {**entry, "encoding": "gz+b64", "content": base64.b64encode(packed).decode()}


def _limit(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise SettingsError(f"--limit {error}", hint="for example 16K, 64K or 256K") from None


def _names(options: Options) -> list[Target]:
    if options.known_as and options.host_key is None:
        raise SettingsError(
            "--known-as needs --host-key FILE",
            hint="a key can be known before its host only if it is made here",
        )
    return [Target.parse(name) for name in options.known_as]


def _authorized(path: Path) -> str:
    """A line for authorized_keys. Refuses anything else, above all a private key."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    if len(lines) != 1 or not re.match(r"(ssh|ecdsa|sk)-\S+ AAAA\S+", lines[0]):
        raise SettingsError("holds no public key", where=str(path), hint="name the file that ends in .pub")
    return lines[0]


def _refuse_secrets(settings: Settings, with_secrets: bool) -> None:
    secrets = secrets_in(settings)
    if secrets and not with_secrets:
        raise SettingsError(
            f"the settings hold secrets: {', '.join(secrets)}",
            where=str(settings.root / settings.file),
            hint="all who manage the instance can read user-data, and often programs on it can, too; "
            "add --with-secrets if that is acceptable",
        )
