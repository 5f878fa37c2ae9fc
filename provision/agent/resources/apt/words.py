"""Messages of apt and dpkg: locks that others hold, sources that fail; and the advice that fits."""

from __future__ import annotations

import datetime
import re

LOCKED = re.compile(
    r"Could not get lock|Unable to (acquire|lock) the (dpkg frontend lock|administration directory)"
    r"|Unable to lock directory|frontend lock (is|was) locked by another process"
)
_ADVICE = (
    (r"not valid yet|is not yet valid", "the host's clock is slow: it says {now}; set it (`timedatectl`)"),
    (
        r"Release file .* is expired|certificate has expired|Certificate verification failed",
        "look at the host's clock, which says {now}, then at the source that apt names",
    ),
    (
        r"Malformed (entry|line|stanza)|list of sources could not be read|Conflicting values set",
        "correct or remove the file that apt names: it stops every use of apt on the host",
    ),
    (
        r"held broken packages|Held packages were changed",
        "`apt-mark showhold` on the host lists packages that are held; `apt-mark unhold` releases one",
    ),
    (
        r"fix-broken install|Unmet dependencies",
        "as root on the host: `apt-get --fix-broken install`, which shows first what it would remove",
    ),
    (
        r"error processing (package|archive)|Errors were encountered while processing",
        "as root on the host: `dpkg --configure -a` shows what the package's own script meets",
    ),
    (
        r"enough free space|No space left",
        "free some space on the host; `apt-get clean` deletes packages",
    ),
    (r"Read-only file system", "mount it writable on the host: packages cannot be installed"),
    (
        r"Unable to locate package|no installation candidate",
        "no source of apt there has it: look at /etc/apt/sources.list* (on Ubuntu, at universe)",
    ),
    (
        r"Could not (resolve|connect)|Temporary failure resolving|Connection (failed|timed)|Failed to fetch",
        "see that the host reaches the address; [downloads] names a proxy or mirrors",
    ),
)


def is_locked(output: str) -> bool:
    """True when apt or dpkg gave up because another process holds one of their locks."""
    return LOCKED.search(output) is not None


def advice(output: str) -> str:
    """The next step for the first known obstacle in apt's words, or nothing."""
    for pattern, text in _ADVICE:
        if re.search(pattern, output):
            return text.format(now=datetime.datetime.now(datetime.timezone.utc).strftime("%F %H:%M UTC"))
    return ""


def clock_advice(output: str) -> str:
    """`advice`, where the host's clock is the obstacle."""
    found = advice(output)
    return found if "clock" in found else ""


def trouble(output: str) -> list[str]:
    """The lines of `apt-get update` about sources that gave nothing, each once."""
    lines = re.findall(
        r"^(?:E: .*|W: (?:Failed to fetch|GPG error|An error occurred).*)", output, re.MULTILINE
    )
    return list(dict.fromkeys(lines))


def faulty(output: str) -> list[str]:
    """The packages that dpkg could not set up, from the end of its output."""
    _, found, names = output.partition("Errors were encountered while processing:\n")
    return re.findall(r"^ (\S+)$", names.partition("E:")[0], re.MULTILINE) if found else []
