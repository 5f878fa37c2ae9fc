"""The command `hubwright` with an agent that ends at a boundary: `driver.py PLAN WORD…`.

The plan, a JSON file, goes into injected.py, and that into the bundle. No program of a real host knows of it.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

from provision import cli
from provision.agent import events
from provision.deploy import bundle
from provision.ssh import sessions

INJECTED = Path(__file__).with_name("injected.py")


def with_faults(code: bytes, plan: dict[str, Any]) -> bytes:
    """The agent's package with injected.py in it, which its first import loads."""
    buffer = io.BytesIO()
    text = INJECTED.read_text(encoding="utf-8").replace("PLAN: dict[str, Any] = {}", f"PLAN = {plan!r}")
    with zipfile.ZipFile(io.BytesIO(code)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "agent/__init__.py":
                content += b"\nfrom . import injected\n"
            target.writestr(name, content, zipfile.ZIP_DEFLATED)
        target.writestr("agent/injected.py", text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    code = with_faults(bundle.agent_code(), plan)

    def parse_or_end(line: str | bytes) -> Any:
        event = events.parse(line)
        if isinstance(event, events.Say) and event.role == "boundary":
            os.kill(os.getpid(), signal.SIGKILL)
        return event

    bundle.agent_code = lambda: code  # type: ignore[assignment]
    setattr(sessions, "parse", parse_or_end)  # noqa: B010 - it is no public name there
    sys.argv[1:] = sys.argv[2:]
    cli.main()


if __name__ == "__main__":
    main()
