"""The operator's own certificate, checked before anything is changed: one that would fail is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from provision.errors import SettingsError
from provision.settings import Settings

NOT_SHORTER = timedelta(hours=24)  # what is left of a certificate's life
SMALLEST_RSA = 2048  # bits; OpenSSL's default security level refuses less
WEAK_HASHES = ("md5", "sha1")


def read(settings: Settings, now: datetime | None = None) -> str:
    """Key, certificate and chain as one PEM text; nothing in other modes. Raises SettingsError."""
    tls = settings.tls
    if tls.mode != "files" or tls.certificate is None or tls.key is None:
        return ""
    certificate, key = settings.path(tls.certificate), settings.path(tls.key)
    chain = _chain(certificate)
    text = _key(key, chain[0], certificate)
    _check_dates(chain[0], certificate, now or datetime.now(timezone.utc))
    _check_strength(chain[0], certificate)
    _check_order(chain, certificate)
    _check_name(chain[0], certificate, settings.hub.domain)
    return text + "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in chain)


def _bytes(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}",
            where=f"{setting}: {path}",
            hint="a relative path starts at hub.toml's folder",
        ) from None


def _refusal(what: str, path: Path, hint: str) -> SettingsError:
    return SettingsError(what, where=f"tls.certificate: {path}", hint=f"{hint}; nothing was changed")


def _chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_bytes(path, "tls.certificate"))
    except ValueError:
        raise _refusal("holds no PEM certificate", path, "it should begin with BEGIN CERTIFICATE") from None


def _key(path: Path, leaf: x509.Certificate, certificate: Path) -> str:
    """The key as PEM without a passphrase."""
    try:
        key = serialization.load_pem_private_key(_bytes(path, "tls.key"), password=None)
    except TypeError:
        hint = "the hub starts without a passphrase: `openssl pkey -in … -out …` writes one without"
        raise SettingsError("has a passphrase", where=f"tls.key: {path}", hint=hint) from None
    except ValueError:
        raise SettingsError(
            "holds no private key in PEM form",
            where=f"tls.key: {path}",
            hint="it should begin with BEGIN PRIVATE KEY",
        ) from None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    encoding = serialization.Encoding.PEM
    if key.public_key().public_bytes(encoding, form) != leaf.public_key().public_bytes(encoding, form):
        raise SettingsError(
            f"is not the key of the first certificate in {certificate}",
            where=f"tls.key: {path}",
            hint="name the key that the certificate was made for, and put the server's own certificate first",
        )
    return key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _check_dates(leaf: x509.Certificate, path: Path, now: datetime) -> None:
    end, begin = leaf.not_valid_after_utc, leaf.not_valid_before_utc
    if end < now:
        raise _refusal(f"expired on {end:%Y-%m-%d %H:%M} UTC", path, "get a new one")
    if end - now < NOT_SHORTER:
        raise _refusal(f"expires within a day, on {end:%Y-%m-%d %H:%M} UTC", path, "get a new one")
    if begin > now:
        raise _refusal(f"is not valid before {begin:%Y-%m-%d %H:%M} UTC", path, "is this clock right?")


def _check_strength(leaf: x509.Certificate, path: Path) -> None:
    key = leaf.public_key()
    if isinstance(key, RSAPublicKey) and key.key_size < SMALLEST_RSA:
        raise _refusal(f"has an RSA key of {key.key_size} bits", path, f"{SMALLEST_RSA} is the least")
    weak = leaf.signature_hash_algorithm
    if weak is not None and weak.name in WEAK_HASHES:
        raise _refusal(f"is signed with {weak.name}", path, "browsers refuse it; get a new one")


def _check_order(chain: list[x509.Certificate], path: Path) -> None:
    for number, (below, above) in enumerate(pairwise(chain), start=2):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            raise _refusal(
                f"is out of order: certificate {number} of {len(chain)} did not issue the one before it",
                path,
                "the server's own comes first, then the one that issued it, and so on",
            ) from None


def _check_name(leaf: x509.Certificate, path: Path, domain: str) -> None:
    names = names_of(leaf)
    if not any(covers(name, domain) for name in names):
        raise _refusal(
            f"names {', '.join(sorted(names)) or 'nothing'}, not {domain}",
            path,
            "get one for that name, or correct [hub] domain",
        )


def names_of(leaf: x509.Certificate) -> set[str]:
    """DNS names and addresses of the subjectAltName: browsers look at nothing else."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    found = set(names.get_values_for_type(x509.DNSName))
    return found | {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def covers(name: str, domain: str) -> bool:
    """True if a name of a certificate fits; a `*` stands for the first label alone (RFC 6125)."""
    try:
        return str(ip_address(domain)) == name
    except ValueError:
        pass
    name, domain = name.lower().rstrip("."), domain.lower().rstrip(".")
    if name.startswith("*."):
        return "." in domain and domain.partition(".")[2] == name[2:]
    return name == domain
