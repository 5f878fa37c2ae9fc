"""Keep one file up to date: a key and its certificate, made on this host or issued by an ACME server.

    keep_certificate.py check SOURCE …    print why the file has to be made again, or nothing
    keep_certificate.py renew SOURCE …    make it again if it has to be; a timer calls this, too

`SOURCE` is self-signed or acme; see `main` for the options. Needs openssl and, for acme, certbot. The file
is replaced atomically: the proxy reads it as soon as it changes.
"""

from __future__ import annotations

import argparse
import grp
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

LIFETIME = timedelta(days=365)  # of a self-signed certificate
RENEW_BEFORE = timedelta(days=30)  # or the last third of a shorter life
PRIVATE_BRIDGES = ("docker", "br-", "veth", "hubwright", "lo")


class Failed(Exception):
    """The words of a program that failed."""


def run(argv: Sequence[str], *, text: str | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    if done.returncode != 0:
        raise Failed(f"{argv[0]}: {(done.stdout + done.stderr).strip()}")
    return done.stdout


# --- the present file ---------------------------------------------------------------------------


def wrong(path: Path, names: Sequence[str]) -> str:
    """The reason to make the certificate in `path` again, or nothing. `names`: those it must be valid for."""
    if not path.exists():
        return "there is none"
    try:
        questions = ["-noout", "-dates", "-pubkey", "-ext", "subjectAltName"]
        said = run(["openssl", "x509", "-in", str(path), *questions])
        public_key = run(["openssl", "pkey", "-in", str(path), "-pubout"])
    except Failed:
        return "it is damaged"
    if public_key not in said:
        return "its key belongs to another certificate"
    begin, end, found = parse_certificate(said)
    if missing := sorted(set(names) - found):
        return f"it does not name {', '.join(missing)}"
    return due(begin, end, datetime.now(timezone.utc))


def parse_certificate(text: str) -> tuple[datetime, datetime, set[str]]:
    """Begin, end and names, from `openssl x509 -noout -dates -ext subjectAltName`."""
    begin, end = (
        datetime.strptime(match, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
        for match in re.findall(r"^not(?:Before|After)=(.+)$", text, re.MULTILINE)
    )
    names = set(re.findall(r"DNS:([^,\s]+)", text))
    addresses = re.findall(r"IP Address:([^,\s]+)", text)
    return begin, end, names | {str(ip_address(address)) for address in addresses}


def due(begin: datetime, end: datetime, now: datetime) -> str:
    """The reason to renew a certificate with these dates, or nothing."""
    left = end - now
    if left < min(RENEW_BEFORE, (end - begin) / 3):
        return "it has expired" if left < timedelta(0) else f"it expires on {end:%Y-%m-%d}"
    return ""


def store(pem: str, path: Path, group: str) -> None:
    """Write a file beside `path`, then rename it. Root may write it, `group` may read it."""
    handle, temporary = tempfile.mkstemp(prefix=".hubwright-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(pem)
        os.fchown(file.fileno(), 0, grp.getgrnam(group).gr_gid)
        os.fchmod(file.fileno(), 0o640)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


# --- self-signed --------------------------------------------------------------------------------


def own_names(domain: str) -> list[str]:
    """The names of this host that do not depend on its addresses of the moment."""
    return sorted({*([domain] if domain else []), "localhost", "127.0.0.1", socket.gethostname()})


def own_addresses() -> list[str]:
    return sorted(
        parse_addresses(json.loads(run(["ip", "-json", "address", "show", "scope", "global"]) or "[]"))
    )


def parse_addresses(links: list[dict[str, Any]]) -> set[str]:
    """Lasting addresses from `ip -json address`, without containers' networks and temporary ones of IPv6."""
    return {"127.0.0.1", "::1"} | {
        str(ip_address(address["local"]))
        for link in links
        if not link.get("ifname", "lo").startswith(PRIVATE_BRIDGES)
        for address in link["addr_info"]
        if not address.get("temporary") and not address.get("deprecated") and "local" in address
    }


def self_sign(names: Sequence[str], domain: str) -> str:
    """A new key and a certificate for `names`."""
    alternatives = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
    config = f"""\
[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
CN = {(domain or socket.gethostname())[:64]}
[extensions]
subjectAltName = {alternatives}
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
"""
    command = ["openssl", "req", "-x509", "-nodes", "-days", str(LIFETIME.days), "-config", "/dev/stdin"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "-", "-out", "-"]
    return run(command, text=config)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


# --- from an ACME server ------------------------------------------------------------------------


def issue(given: argparse.Namespace) -> str:
    """The key, the certificate and its chain, from certbot, which keeps its own files in `given.state`."""
    folders = [f"--{name}-dir={given.state}/{name}" for name in ("config", "work", "logs")]
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", *folders]
    command += ["--webroot", f"--webroot-path={given.webroot}", f"--domain={given.domain}"]
    command += [f"--email={given.email}", f"--server={given.directory}"]
    command += ["--cert-name=hub", "--force-renewal", "--preferred-challenges=http", "--key-type=ecdsa"]
    environment = {"REQUESTS_CA_BUNDLE": given.ca} if given.ca else {}
    try:
        run(command, env=environment)
    except Failed as failure:
        what = f"no certificate for {given.domain} from {given.directory}"
        raise Failed(f"{what}:\n{gist(str(failure))}") from None
    live = Path(given.state, "config", "live", "hub")
    return (live / "privkey.pem").read_text() + (live / "fullchain.pem").read_text()


def gist(text: str) -> str:
    """The lines of certbot's output about the failure, without those about itself."""
    chatter = (
        "Saving debug log",
        "Requesting a cert",
        "Account registered",
        "Ask for help",
        "certbot:",
        "- - -",
    )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith(chatter)) or text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["check", "renew"])
    parser.add_argument("source", choices=["self-signed", "acme"])
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--group", default="root", help="may read the file")
    parser.add_argument("--domain", default="")
    parser.add_argument("--email")
    parser.add_argument("--directory", help="URL of the ACME server's directory")
    parser.add_argument("--ca", help="certificates that the ACME server's own is checked with")
    parser.add_argument("--webroot", help="shown on port 80 by redirect.py")
    parser.add_argument("--state", help="certbot's folder")
    given = parser.parse_args()
    names = [given.domain] if given.source == "acme" else own_names(given.domain)
    if given.source == "self-signed" and given.verb == "renew":
        # Addresses may change with every boot: the timer follows them, an apply does not look at them.
        names = sorted({*names, *own_addresses()})
    reason = wrong(given.path, names)
    if given.verb == "check":
        sys.stdout.write(reason)
    elif reason:
        pem = issue(given) if given.source == "acme" else self_sign(names, given.domain)
        store(pem, given.path, given.group)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(str(failure))
