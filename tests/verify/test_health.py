"""The host has no failed units and answers as it should."""

from __future__ import annotations

from testinfra.host import Host


def test_no_unit_has_failed(host: Host) -> None:
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    assert failed == ""


def test_system_is_running(host: Host) -> None:
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_disk_has_room(host: Host) -> None:
    free = int(host.check_output("df --output=avail -B1 /var/lib/docker | tail -n 1"))
    assert free > 1 << 30
