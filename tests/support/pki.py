"""Certificates for tests: an authority, and those that it issues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Issued:
    """A certificate with its key; `number` is its serial number."""

    certificate: x509.Certificate
    private_key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    @property
    def number(self) -> int:
        return self.certificate.serial_number

    def key(self, passphrase: bytes = b"") -> str:
        locked = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        return self.private_key.private_bytes(  # type: ignore[no-any-return]
            PEM, serialization.PrivateFormat.PKCS8, locked
        ).decode()

    def issue(
        self, *names: str, begins: float = -1, ends: float = 90, bits: int = 0, ca: bool = False
    ) -> Issued:
        """A certificate for names and addresses. `begins`, `ends`: days from now. `bits`: of RSA, else EC."""
        return _issue(names, begins, ends, bits, ca, self)


def authority(name: str = "Test authority") -> Issued:
    return _issue((name,), -365, 365, 0, True, None)


def _issue(
    names: tuple[str, ...], begins: float, ends: float, bits: int, ca: bool, issuer: Issued | None
) -> Issued:
    key: Any = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=ends))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_name, names))), critical=False)
    return Issued(builder.sign(issuer.private_key if issuer else key, hashes.SHA256()), key)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
