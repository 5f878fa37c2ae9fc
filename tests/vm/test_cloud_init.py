"""A virtual machine of the other distribution that gets user-data and nothing else becomes a hub."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from provision.settings import load
from tests.support.hosts.containers import free_port
from tests.support.operators import Operator
from tests.support.visitor import visit
from tests.vm.instances import disk_of, instance, published
from tests.vm.times import note


def test_user_data_alone_makes_a_virtual_machine_the_hub(
    operator: Operator, cloud_box: tuple[Path, str], tmp_path: Path
) -> None:
    seed, port = tmp_path / "seed", free_port()
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    seed.mkdir()
    with operator.changed(monitoring={"graphite": False}), published(seed) as url:
        said = operator.hubwright(
            *("cloud-init", "--parts", str(seed), "--part-url", url.rstrip("/")),
            *("--host-key", str(tmp_path / "host_key"), "--known-as", f"127.0.0.1:{port}"),
            *("--authorized-key", f"{key}.pub"),
        )
        (seed / "user-data").write_text(said.out, encoding="utf-8")
        (seed / "meta-data").write_text("instance-id: first\nlocal-hostname: cloud\n", encoding="utf-8")
        (seed / "vendor-data").write_text("", encoding="utf-8")
        box, user = cloud_box
        kind = (
            "nocloud" if user == "ubuntu" else "nocloud-net"
        )  # its old name, the only one that Debian 12's knows
        source = ["-smbios", f"type=1,serial=ds={kind};s={url}"]
        disk = disk_of(box, tmp_path)
        began = time.monotonic()
        with instance(operator, disk, user, key, options=source, ssh_port=port) as machine:
            machine.wait_for_hub()
            note(f"user-data alone ({user}), from power on to a hub that answers", time.monotonic() - began)
            timeout = 30.0 + load(operator.config).server.start_timeout
            seen = asyncio.run(visit(machine.url, "print(6 * 7)", timeout=timeout))
            assert seen["printed"] == "42\n"
            note("its first visitor's JupyterLab, from the first request", seen["ready"])
            assert "status: done" in machine.run("cloud-init status --wait")
            assert not machine.run("ls -d /var/lib/hubwright-first-boot 2>/dev/null || true")
            there = ("-H", f"{user}@127.0.0.1:{port}", "-i", str(key))
            assert operator.hubwright("plan", *there).unchanged, "and its host key is known"
