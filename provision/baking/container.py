"""A machine of Vagrant's docker provider as an archive of an image, for `[vm] box`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from provision.machines import Machine
from provision.report.reporter import Reporter
from provision.settings.image_names import IMAGES
from provision.tools.atomic import atomic
from provision.tools.process import ProgramError, docker

BAKED = "/var/lib/hubwright-baked.tar"  # images/machine/start unpacks it
# The inner Docker keeps its images on volumes, which are no part of the container's own image.
PACK = f"""\
systemctl stop docker.socket docker.service containerd.service
tar --create --numeric-owner --xattrs --xattrs-include='*' --directory / --file {BAKED} \
    var/lib/docker var/lib/containerd
"""
# Overrides the container's command, and the key that could log in.
CHANGES = ('ENTRYPOINT ["/usr/local/sbin/start-host"]', "CMD []", "ENV HUBWRIGHT_AUTHORIZED_KEY=")


def export(machine: Machine, output: Path, reporter: Reporter) -> None:
    """Write the generalized machine to `output`. It is stopped afterwards."""
    name = machine.name
    tag = f"{IMAGES}/baked:{name}"
    with reporter.step("pack the machine's images"):
        docker("exec", name, "bash", "-euc", PACK)
    machine.halt(reporter)
    try:
        with reporter.step(f"write {output}"), atomic(output) as unfinished:
            changes = [word for change in CHANGES for word in ("--change", change)]
            docker("commit", *changes, name, tag)
            docker("save", "--output", str(unfinished), tag)
    finally:
        with contextlib.suppress(ProgramError):
            docker("image", "rm", tag)
