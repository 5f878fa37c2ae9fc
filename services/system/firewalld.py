"""firewalld, which refuses what enters by a device that is in none of its zones.

Docker puts its bridges into a zone `docker`, if firewalld runs when Docker starts, and when it makes a
network: docs.docker.com/engine/network/packet-filtering-firewalls/. Where it was too early for that, the
fence puts the notebooks' bridge into that zone, or into `trusted`, which is open as well: what is closed to
notebooks, the fence's own rules close. firewalld's files are not changed. Standard library only.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import rules

PROGRAM = "firewall-cmd"
TABLE = "firewalld"
ZONES = ("docker", "trusted")
RECORD = Path("/run/hubwright-fence/zone")


def names_device(ruleset: str, device: str) -> bool | None:
    """True if firewalld's table of nftables leads this device to a zone; None without such a table."""
    found = json.loads(ruleset or '{"nftables": []}')["nftables"]
    if not any(entry.get("table", {}).get("name") == TABLE for entry in found):
        return None
    theirs = [entry["rule"] for entry in found if entry.get("rule", {}).get("table") == TABLE]
    return any(_names(rule.get("expr", []), device) for rule in theirs)


def _names(expression: Any, device: str) -> bool:
    if isinstance(expression, dict):
        return any(_names(value, device) for value in expression.values())
    if isinstance(expression, list):
        return any(_names(value, device) for value in expression)
    return bool(expression == device)


def is_closed(device: str) -> bool:
    """True if firewalld runs and has the device in no zone. Reads its rules: asking it takes long."""
    return rules.has(PROGRAM) and names_device(rules.nft_ruleset(), device) is False


def open_for(device: str) -> None:
    """Put the device into an open zone until firewalld is told otherwise, if it is in none."""
    if not is_closed(device):
        return
    known = _ask("--get-zones").split()
    if zone := next((zone for zone in ZONES if zone in known), ""):
        RECORD.write_text(zone, encoding="utf-8")
        _ask(f"--zone={zone}", f"--add-interface={device}")


def close_for(device: str) -> None:
    """Take the device out of the zone that we have put it into."""
    if RECORD.exists() and rules.has(PROGRAM):
        _ask(f"--zone={RECORD.read_text(encoding='utf-8')}", f"--remove-interface={device}")
        RECORD.unlink()


def _ask(*words: str) -> str:
    """The answer of firewalld; nothing when it has none, and then check() goes on to say so."""
    done = subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
