"""Rules of iptables, read and changed: one transaction for each table. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys

# How iptables-save prints the comment that tells our rules from others' in chains that are not ours.
MARK = "-m comment --comment hubwright"
LOCK_TIMEOUT = 30  # seconds for another program that changes rules
PLACES = "/usr/local/sbin:/usr/sbin:/sbin"


def saved(table: str) -> str:
    """A table as iptables-save prints it."""
    return run("iptables-save", "--table", table)


def restore(text: str) -> None:
    run("iptables-restore", "--noflush", f"--wait={LOCK_TIMEOUT}", text=text)


def transaction(table: str, *lines: str) -> str:
    """Input for iptables-restore --noflush."""
    return "\n".join([f"*{table}", *lines, "COMMIT", ""])


def deletions(rules: list[str]) -> list[str]:
    return [f"-D {rule.removeprefix('-A ')}" for rule in rules]


def of_chain(text: str, chain: str) -> list[str]:
    """The rules of a chain, in their order, from what iptables-save prints."""
    return [line for line in text.splitlines() if line.startswith(f"-A {chain} ")]


def marked(text: str, chain: str) -> list[str]:
    """Our rules of a chain that is not ours."""
    return [line for line in of_chain(text, chain) if f" {MARK} " in line]


def run(*argv: str, text: str = "") -> str:
    """Standard output of a program. Ends this one when that fails."""
    around = {**os.environ, "PATH": f"{PLACES}:{os.environ.get('PATH', '/usr/bin:/bin')}"}
    done = subprocess.run(argv, input=text, env=around, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit code {done.returncode}\n{text}")
    return done.stdout
