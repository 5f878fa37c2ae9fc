"""The hub takes all options that it is given. It names an option that it ignores in its log alone."""

from __future__ import annotations

import shlex

import pytest
from testinfra.host import Host

# The words of traitlets, JupyterHub and DockerSpawner.
WORDS = (
    "Config option .* not recognized by",
    "[Uu]nrecognized",
    "is deprecated (in|since|as of|and ignored)",
    "Ignoring (`|deprecated|DockerSpawner|oauth_roles)",
    "will be ignored",
    "Bad config encountered",
)


@pytest.mark.usefixtures("visitor")
def test_hub_takes_every_option(host: Host) -> None:
    """The log begins with the hub's start. A spawner reads its options for a server: hence the visitor."""
    start = host.check_output("systemctl show jupyterhub --property=InvocationID --value")
    log = f"journalctl --no-pager --output=cat _SYSTEMD_INVOCATION_ID={start}"
    assert host.check_output(f"{log} --lines=1")
    pattern = shlex.quote("|".join(WORDS))
    assert host.run(f"{log} | grep --extended-regexp --max-count=20 -- {pattern}").stdout == ""
