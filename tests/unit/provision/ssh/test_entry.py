"""The line for a host's login shell, and the words of sudo."""

from __future__ import annotations

import base64
import json
import re

import pytest

from provision.ssh import Access, entry

HIDDEN = "correct-horse-battery"
# No shell of those that people log in with gives these letters a meaning, inside single quotes or outside.
HARMLESS = re.compile(r"[\w/+=. -]+")


@pytest.mark.parametrize("with_password", [False, True])
@pytest.mark.parametrize("line", [None, "journalctl 'a b' | tail -n 1; echo \"$HOME\" !!"])
def test_every_login_shell_reads_the_line_alike(with_password: bool, line: str | None) -> None:
    command = entry.shell_command(with_password, line)
    assert "\n" not in command, "csh takes it for the end of a quoted word"
    assert not re.search(r"[!\\]", command), "csh's history, fish's and xonsh's escapes"
    before, start, *words = command.split("'")
    assert HARMLESS.fullmatch(before)
    assert "eval" in start
    assert all(HARMLESS.fullmatch(word) and len(word) <= 1024 for word in words if word)
    text = "".join(word for word in words[1:] if word.strip())
    assert base64.b64decode(text).decode() == entry.script(with_password, line)


@pytest.mark.parametrize("with_password", [False, True])
def test_the_script_says_in_events_what_is_missing(with_password: bool) -> None:
    script = entry.script(with_password)
    echoed = [json.loads(text) for text in re.findall(r"echo '(\{.*?\})'", script)]
    assert echoed.pop(0) == {"event": "reached"}
    echoed = [event for event in echoed if event["event"] not in ("entered", "left")]
    assert {event["event"] for event in echoed} == {"error"}
    assert all(event["what"] and event["hint"] for event in echoed)
    whats = " ".join(event["what"] for event in echoed)
    assert "python3 is not installed" in whats
    assert "there is no sudo" in whats
    assert ("doas, which reads a password from terminals only" in whats) is with_password


def test_a_password_is_read_and_stands_in_no_argument() -> None:
    assert "read -r" in entry.script(True)
    assert "read -r" not in entry.script(False)
    assert "sudo -n" in entry.script(False)
    assert HIDDEN not in repr(Access(sudo_password=HIDDEN))


@pytest.mark.parametrize("with_password", [False, True])
def test_a_line_of_the_shell_s_own_is_announced_whoever_runs_it(with_password: bool) -> None:
    script = entry.script(with_password, "journalctl 'a b'")
    assert script.count('{"event": "entered"}') == 2, "as root, and through sudo"
    assert "python3 is not installed" in script


def test_the_system_s_own_python_goes_before_what_path_gives() -> None:
    script = entry.script(False)
    assert script.index("python=/usr/bin/python3") < script.index("command -v python3")
    assert '"$python" -I -c' in script, "isolated from the user's variables and the folder that it starts in"


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("sudo: sorry, you must have a tty to run sudo", "sudo wants a terminal there (requiretty)"),
        ("sudo: a password is required", "sudo wants a password"),
        ("sudo: interactive authentication is required", "sudo wants a password"),
        ("doas: Authentication required", "sudo wants a password"),
        ("Sorry, user ada may not run sudo on host.", "the login user may not use sudo"),
        ("ada is not in the sudoers file.", "the login user may not use sudo"),
        ("sudo: I'm sorry ada. I'm afraid I can't do that", "the login user may not use sudo"),
        ("doas: Operation not permitted", "the login user may not use sudo"),
        (
            "Sorry, user ada is not allowed to execute '/usr/bin/true' as root on host.",
            "the login user may use sudo for some commands only",
        ),
        (
            "/etc/sudoers.d/x:1:9: syntax error\nsudo: no valid sudoers sources found, quitting",
            "sudo cannot use its own configuration",
        ),
        (
            'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
            "sudo cannot become root there",
        ),
    ],
)
def test_sudo_s_refusals_are_told_in_its_words(said: str, what: str) -> None:
    error = entry.explain(f"sudo: unable to resolve host here\n{said}", "host", with_password=False)
    assert error is not None
    assert str(error).startswith(f"host: {what}")
    assert str(error).endswith(said)
    assert error.hint


def test_the_program_that_sudo_repeats_is_left_out() -> None:
    said = "Sorry, user ada is not allowed to execute '/usr/bin/python3 -I -c a\nb\nc' as root on host."
    error = entry.explain(said, "host", with_password=False)
    assert error is not None
    assert error.what.endswith("is not allowed to execute '/usr/bin/python3 -I -c …' as root on host.")


def test_a_wrong_password_is_no_missing_one() -> None:
    said = "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt"
    error = entry.explain(said, "host", with_password=True)
    assert error is not None
    assert error.what == f"sudo refused the password\n{said}"


def test_words_that_are_not_sudo_s_stay_what_they_are() -> None:
    assert entry.explain("Segmentation fault", "host", with_password=False) is None
    assert entry.tail("".join(f"{number}\n\n" for number in range(20))).split() == [
        str(n) for n in range(12, 20)
    ]
