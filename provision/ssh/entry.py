"""The way to root on a host: one line that every login shell understands, and words for where it ends.

A login shell may be any program, and its start-up files may print, exit or start another shell. So it is
given a line that sh, csh, fish and the others read alike: /bin/sh, with a script in letters that mean nothing
to any of them.
"""

from __future__ import annotations

import base64
import re
import shlex

from provision.agent.environment import PATH
from provision.agent.events import Entered, Error, Left, Reached
from provision.errors import HubwrightError
from provision.ssh.loader import LOADER

PYTHON = "/usr/bin/python3"
EXIT_OF_GUARD = 93
GUARD = f"exit {EXIT_OF_GUARD}\n".encode()
"""The first line of the input. A shell that a start-up file started in place of ours would take all of the
input for commands: this one ends it."""
LONGEST_WORD = 800  # letters: csh takes no words of more than 1024
WORDS = 8  # lines of a program's own words that a message shows

_WRONG = re.compile(
    r"try again|incorrect password|no password was provided|authentication fail", re.IGNORECASE
)
_NO_SUDO = "log in as root (-H root@HOST), or install sudo"
# sudo's words (also those of sudo-rs and doas), what they mean, and what to do. The first that fits counts.
_REFUSALS = (
    (
        r"must have a (tty|terminal)",
        "sudo wants a terminal there (requiretty), and a run has none",
        "with visudo on the host: `Defaults:USER !requiretty`; or log in as root",
    ),
    (
        r"parse error|syntax error|no valid sudoers|owned by uid|world writable|is mode 0",
        "sudo cannot use its own configuration",
        "as root on the host: `visudo -c` names the file and the line; or log in as root",
    ),
    (
        r"not in the sudoers|may not run sudo|afraid I can't do that|doas: Operation not permitted",
        "the login user may not use sudo",
        "log in as root, or add the user to the group sudo",
    ),
    (
        r"not allowed to (execute|run)",
        f"the login user may use sudo for some commands only, and {PYTHON} is none of them",
        f"allow {PYTHON} in sudoers, which is to allow everything; or log in as root",
    ),
    (
        r"password is required|authentication (is )?required|no askpass|password is needed",
        "sudo wants a password for the login user",
        "repeat the command with --ask-sudo-password, or allow it in sudoers",
    ),
    (
        r"no new privileges|nosuid|effective uid is not 0|must be owned by uid 0|must be setuid",
        "sudo cannot become root there",
        "correct what it names (often a container or a file system without setuid), or log in as root",
    ),
)


def shell_command(with_password: bool, line: str | None = None) -> str:
    """The line for the host's login shell. Events say that it was understood, and what is missing.

    Root runs `line` with sh, or the loader when there is none; the event `entered` says that root is there.

    The password is a line of standard input: the shell's own `read` takes just that line, and its
    own `printf` hands it on, so it is in no argument list. It is tried once before the run itself.
    The bundle has to wait for the event `entered`: a sudo may read more than its line (sudo-rs does).
    """
    text = base64.b64encode(script(with_password, line).encode()).decode()
    words = [f"'{text[start : start + LONGEST_WORD]}'" for start in range(0, len(text), LONGEST_WORD)]
    start = f"""'PATH="${{PATH:+$PATH:}}{PATH}"; eval "$(printf %s "$@" | base64 -d)"'"""
    return " ".join(["/bin/sh -c", start, "sh", *words])


def script(with_password: bool, line: str | None = None) -> str:
    """The script that /bin/sh runs on the host."""

    def say(what: str, hint: str) -> str:
        return f"{{ echo {shlex.quote(Error(what, hint).line())}; exit 0; }}"

    entered = f"echo {shlex.quote(Entered().line())}"
    if line is None:
        told = [shlex.quote(Entered().line())] * with_password
        program = " ".join(['"$python" -I -c', shlex.quote(LOADER), *told])
    else:
        program = f"/bin/sh -c {shlex.quote(f'PATH={PATH}:$PATH; export PATH; {entered}; {line}')}"
    # `cat` does not see that sudo has ended: the driver has to end the input.
    left = "code=$?; " + (f"echo {shlex.quote(Left().line())}; " if line is None else "") + "exit $code"
    read = "IFS= read -r word"
    no_python = say("python3 is not installed there", "on the host: apt-get install python3")
    no_sudo = say("the login user is not root and there is no sudo", _NO_SUDO)
    no_terminal = say(
        "the login user would become root with doas, which reads a password from terminals only",
        "allow it in /etc/doas.conf: `permit nopass USER`; or log in as root",
    )
    lines = [
        *(["export LC_ALL=C"] if line is None else []),
        "export PATH",
        "echo",  # a greeting may have left its line without an end
        f"echo {shlex.quote(Reached().line())}",
        *([read, f'[ "$word" != "{GUARD.decode().strip()}" ] || {read}'] * with_password),
        # The system's own first: one of a user's (pyenv, conda) may be gone tomorrow.
        f"python={PYTHON}; [ -x $python ] || python=$(command -v python3) || {no_python}",
        f'[ "$(id -u)" != 0 ] || exec {program}',
        'if command -v sudo >/dev/null; then become="sudo -n --"',
        f'elif command -v doas >/dev/null; then become="doas -n"; {no_terminal if with_password else ""}',
        f"else {no_sudo}; fi",
    ]
    if with_password:
        tried = "said=$(printf '%s\\n' \"$word\" | LC_ALL=C sudo -S -p '' -v 2>&1)"
        lines += [
            f"{tried} || {{ printf '%s\\n' \"$said\" >&2; exit 1; }}",
            f"{{ printf '%s\\n' \"$word\"; cat; }} | {{ LC_ALL=C sudo -S -p '' -- {program}; {left}; }}",
        ]
    else:
        lines += [f"LC_ALL=C exec $become {program}"]
    return "\n".join(lines)


def explain(said: str, where: str, *, with_password: bool) -> HubwrightError | None:
    """sudo's refusal in plain words, from what it said; None when these are no words of it that are known."""
    said = re.sub(r" -I -c .*?(?=' as )", " -I -c …", said, flags=re.DOTALL)  # sudo repeats our program
    words = tail(said)
    if with_password and _WRONG.search(said):
        return HubwrightError(
            f"sudo refused the password\n{words}",
            where=where,
            hint="type it again, or log in as another user",
        )
    for pattern, what, hint in _REFUSALS:
        if re.search(pattern, said, re.IGNORECASE):
            return HubwrightError(f"{what}\n{words}", where=where, hint=hint)
    return None


def not_reached(said: str, code: int, where: str) -> HubwrightError:
    """The error for a login shell that has ended without a word of our script."""
    if code == EXIT_OF_GUARD:
        return HubwrightError(
            "a start-up file of the login user starts another shell, which takes what is sent for commands",
            where=where,
            hint="let it do so in terminals only: `[ -t 0 ] && exec …` in ~/.bashrc, ~/.profile or the like",
        )
    words = tail(said) or f"it ended with exit code {code}, without a word"
    return HubwrightError(
        f"the login user's shell did not run the command:\n{words}",
        where=where,
        hint="give the user a shell such as /bin/bash, and a key without a forced command; or let its "
        "start-up files go on where there is no terminal",
    )


def tail(said: str) -> str:
    """The last lines of a program's own words."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    return "\n".join(lines[-WORDS:])
