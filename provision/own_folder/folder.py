"""The content of a new folder: all files of a hub, to edit and to keep in a git repository of its own."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from pathlib import Path

from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import read_toml
from provision.tools.project import PROJECT, program

# Links to the commands of the Hubwright that serves this folder. Git does not keep them: on another computer,
# or after this project has moved, `hubwright init` makes them again; until then the one on PATH is used.
LINKS = Path(".hubwright") / "bin"
PROGRAMS = ("hubwright", "fab")

VAGRANTFILE = """\
# The machine of this hub, as hub.toml and site.toml say. Hubwright's own Vagrantfile does the work.
HUBWRIGHT_FOLDER = __dir__
PLACES = [".hubwright/bin", *ENV["PATH"].split(":")].map { |it| File.expand_path("#{it}/hubwright", __dir__) }
ENV["HUBWRIGHT_PROGRAM"] ||= PLACES.find { |place| File.executable?(place) }
ENV["HUBWRIGHT_PROGRAM"] || abort("No hubwright is on PATH. Run `init` of the one you have in #{__dir__}.")
load IO.popen([ENV["HUBWRIGHT_PROGRAM"], "config", "vagrantfile"], &:read).chomp
"""
FABFILE = '''\
"""Fabric's tasks for this hub: Hubwright's own, for the `fab` that came with it (.hubwright/bin/fab)."""

import os
from pathlib import Path

from provision.tools.project import fabric_tasks

os.environ.setdefault("HUBWRIGHT_CONFIG", str(Path(__file__).with_name("hub.toml")))
globals().update(fabric_tasks())
'''
GITIGNORE = """\
# This computer's
/site.toml
/.hubwright/
/.vagrant/
__pycache__/
# Passwords and keys
/secrets.toml
"""
MACHINE = """
[vm]                        # the machine that `hubwright up` and `vagrant up` raise on this computer
name = "{name}"
# port = 8000               # of 127.0.0.1, where it shows the hub; each machine needs one of its own
"""
IMAGE = Path("images/notebook")


def create(folder: Path, reporter: Reporter) -> None:
    """Write a hub into `folder`, a new or an empty one, and print the next steps.

    Raises SettingsError when it has content, or cannot be written.
    """
    target = folder.absolute()
    _refuse_unfit(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".hubwright-", dir=target) as unfinished:
            names = _write(Path(unfinished), hub_toml(target.name))
            for name in names:
                (Path(unfinished) / name).rename(target / name)
        link_programs(target)
    except OSError as error:
        raise SettingsError(
            f"cannot be written: {error.strerror}",
            where=error.filename or str(target),
            hint="name a folder where you may write",
        ) from None
    reporter.line(f"✓ wrote {', '.join(sorted(names))} in {target}")
    on_path = shutil.which("hubwright")
    called = "hubwright" if on_path and Path(on_path).resolve() == program().resolve() else str(program())
    # After a dash `cd` would look for options.
    place = shlex.quote(f"./{folder}" if str(folder).startswith("-") else str(folder))
    reporter.line(f"  next: cd {place}; edit hub.toml; `{called} up` raises a machine with this hub,")
    reporter.line(f"  and `{called} apply -H user@host` makes it of a host that you have")


def hub_toml(name: str) -> str:
    """The text of this project's hub.toml, with a machine's name of this folder's own."""
    source = PROJECT / "hub.toml"
    text = source.read_text(encoding="utf-8")
    return text if "vm" in read_toml(source) else text + MACHINE.format(name=machine_name(name))


def machine_name(folder: str) -> str:
    """The name of a folder, reduced to the characters of a host's name."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:40].strip("-") or "hub"


def is_own_folder(folder: Path) -> bool:
    """True for a folder that `hubwright new` made."""
    try:
        return "HUBWRIGHT_FOLDER =" in (folder / "Vagrantfile").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def link_programs(folder: Path) -> None:
    """Link the commands of this project in the folder."""
    links = folder / LINKS
    links.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        link = links / name
        link.unlink(missing_ok=True)
        link.symlink_to(program(name))


def _refuse_unfit(target: Path) -> None:
    if PROJECT in (target.resolve(), *target.resolve().parents):
        raise SettingsError(
            "is inside Hubwright's own folder",
            where=str(target),
            hint=f"name a folder outside {PROJECT}",
        )
    if target.is_symlink() and not target.exists():
        raise SettingsError(
            f"is a link to {target.readlink()}, which does not exist",
            where=str(target),
            hint="make that folder first, or name another one",
        )
    if target.exists() and not target.is_dir():
        raise SettingsError("is not a folder", where=str(target), hint="name another one")
    found = sorted(path.name for path in target.iterdir()) if target.exists() else []
    if content := [name for name in found if name != ".git"]:
        shown = ", ".join(content[:4]) + (" …" if len(content) > 4 else "")
        raise SettingsError(
            f"is not empty: it has {shown}",
            where=str(target),
            hint="name a new folder, or an empty one; nothing was written",
        )


def _write(folder: Path, hub: str) -> tuple[str, ...]:
    """Write the files, and return the names at the top."""
    files = {"hub.toml": hub, "Vagrantfile": VAGRANTFILE, "fabfile.py": FABFILE, ".gitignore": GITIGNORE}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copytree(PROJECT / IMAGE, folder / IMAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return (*files, IMAGE.parts[0])
