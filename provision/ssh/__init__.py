"""Hosts over SSH, through Fabric: one connection and one exec a run. Only fabfile.py knows Fabric beside it.

targets.py      the hosts, and the operator's choices for connecting
known_hosts.py  host keys: known, refused, noted
openssh.py      the way to a host, in ssh's own word
connections.py  connections, through jump hosts and as ssh's configuration says
sessions.py     sessions over a connection: a run of the agent, or a command
"""

from .connections import require_key
from .known_hosts import UnknownHostKey, fingerprint, note_host_key
from .sessions import Blob, command, run
from .targets import Access, OpenConnections, Target

__all__ = [
    "Access",
    "Blob",
    "OpenConnections",
    "Target",
    "UnknownHostKey",
    "command",
    "fingerprint",
    "note_host_key",
    "require_key",
    "run",
]
