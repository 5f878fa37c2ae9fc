"""The ways: for each, the files that its author would write, and the command that makes the host true.

`changes_nothing` tells by the command's output that the host was true already.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.peers.wanted import PACKAGES, UNIT, UNIT_NAME, USER, Wanted

ANY_HOST_KEY = ("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR")
UNIT_PATH = f"/etc/systemd/system/{UNIT_NAME}.service"


@dataclass(frozen=True)
class Host:
    """A host by its SSH server on 127.0.0.1; `user` may use sudo."""

    port: int
    user: str
    key: Path
    known_hosts: Path


@dataclass(frozen=True)
class Command:
    argv: list[str]
    changes_nothing: Callable[[str], bool]
    stdin: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def shell(folder: Path, wanted: Wanted, host: Host, programs: Path) -> Command:  # noqa: ARG001
    """Plain shell over one ssh: each thing is looked at, and changed only if it differs."""
    script = folder / "bench.sh"
    lines = [Path(__file__).with_name("functions.sh").read_text(encoding="utf-8")]
    lines += [f"folder {path}" for path in wanted.folders]
    for path, content in {**wanted.files, UNIT_PATH: UNIT}.items():
        lines.append(f"file {path} <<'END'\n{content}END")
    lines += [
        f"user {USER}",
        f"packages {' '.join(PACKAGES)}",
        f"unit {UNIT_NAME}",
        'echo "changed $changed"',
    ]
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    login = ["-i", str(host.key), "-p", str(host.port), *ANY_HOST_KEY, f"{host.user}@127.0.0.1"]
    return Command(["ssh", *login, "sudo bash -s"], lambda said: said.endswith("changed 0\n"), script)


def hubwright(folder: Path, wanted: Wanted, host: Host, programs: Path) -> Command:
    """Hubwright itself, with the list as a role of the operator's own."""
    (folder / "bench_role.py").write_text(
        "from provision.agent.resources import AptPackages, Directory, File, Service, User\n"
        "from roles.role import Role\n\n"
        f"FOLDERS = {wanted.folders!r}\nFILES = {wanted.files!r}\nUNIT = {UNIT!r}\n\n\n"
        "def steps(inputs):\n"
        "    return [\n"
        "        *(Directory(path) for path in FOLDERS),\n"
        "        *(File(path, content) for path, content in FILES.items()),\n"
        f"        User({USER!r}, '/nonexistent'),\n"
        f"        AptPackages('bench', {PACKAGES!r}),\n"
        f"        Service({UNIT_NAME!r}, UNIT),\n"
        "    ]\n\n\n"
        f"ROLE = Role('bench', 'the list', steps, units=lambda settings: ({UNIT_NAME!r},))\n",
        encoding="utf-8",
    )
    config = folder / "hub.toml"
    config.write_text(
        f'[image]\nreference = "localhost/none@sha256:{"0" * 64}"\n'
        '[monitoring]\ngraphite = false\n[extend]\nroles = ["bench_role.py"]\n',
        encoding="utf-8",
    )
    there = ["-H", f"{host.user}@127.0.0.1:{host.port}", "-i", str(host.key), "--accept-new-host-key"]
    return Command(
        [str(programs / "hubwright"), "-c", str(config), "apply", *there, "--only", "bench"],
        lambda said: "0 changed, everything holds" in said,
        environment={"HUBWRIGHT_KNOWN_HOSTS": str(host.known_hosts)},
    )


def pyinfra(folder: Path, wanted: Wanted, host: Host, programs: Path) -> Command:
    """pyinfra's own operations; each file comes from memory."""
    data = {
        "ssh_port": host.port,
        "ssh_user": host.user,
        "ssh_key": str(host.key),
        "ssh_strict_host_key_checking": "off",
        "_sudo": True,
    }
    (folder / "inventory.py").write_text(f"bench = [('127.0.0.1', {data!r})]\n", encoding="utf-8")
    (folder / "deploy.py").write_text(
        "from io import StringIO\n"
        "from pyinfra.operations import apt, files, server, systemd\n\n"
        f"for path in {wanted.folders!r}:\n"
        "    files.directory(path=path, user='root', group='root', mode='755')\n"
        f"for path, content in { ({**wanted.files, UNIT_PATH: UNIT})!r}.items():\n"
        "    files.put(src=StringIO(content), dest=path, user='root', group='root', mode='644')\n"
        f"server.user(user={USER!r}, system=True, shell='/usr/sbin/nologin', home='/nonexistent', "
        "ensure_home=False)\n"
        f"apt.packages(packages={list(PACKAGES)!r})\n"
        f"systemd.service(service={UNIT_NAME!r}, running=True, enabled=True)\n",
        encoding="utf-8",
    )
    argv = [str(programs / "pyinfra"), str(folder / "inventory.py"), str(folder / "deploy.py"), "-y"]
    return Command(argv, _pyinfra_changed_nothing)


def _pyinfra_changed_nothing(said: str) -> bool:
    """True by the line of its summary with the sums: … operations, changed, no change, error."""
    sums = re.search(r"^.*Grand total.*$", said, re.MULTILINE)
    return sums is not None and re.findall(r"\d+|-", sums[0])[1:2] in (["0"], ["-"])


def ansible(folder: Path, wanted: Wanted, host: Host, programs: Path) -> Command:
    """ansible-core with pipelining and a kept connection; files by a loop."""
    (folder / "files").mkdir(exist_ok=True)
    places = {}
    for number, (path, content) in enumerate({**wanted.files, UNIT_PATH: UNIT}.items()):
        (folder / "files" / str(number)).write_text(content, encoding="utf-8")
        places[str(number)] = path
    tasks = _tasks(wanted, places)
    play = [{"hosts": "all", "become": True, "gather_facts": False, "tasks": tasks}]
    (folder / "ansible.cfg").touch()  # in place of this computer's own
    (folder / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    variables = {
        "ansible_host": "127.0.0.1",
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": str(host.key),
        "ansible_ssh_common_args": " ".join(ANY_HOST_KEY),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    words = " ".join(f"{key}={shlex.quote(str(value))}" for key, value in variables.items())
    (folder / "inventory.ini").write_text(f"bench {words}\n", encoding="utf-8")
    argv = [str(programs / "ansible-playbook"), "-i", str(folder / "inventory.ini"), str(folder / "play.yml")]
    environment = {
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_HOST_KEY_CHECKING": "0",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "control"),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
    }
    return Command(argv, lambda said: re.search(r"changed=0 .*failed=0", said) is not None, None, environment)


def _tasks(wanted: Wanted, places: Mapping[str, str]) -> list[dict[str, Any]]:
    """The play's tasks. `places`: the name of a file beside the play → its path on the host."""
    access = {"owner": "root", "group": "root"}
    item = "{{ item }}"
    return [
        {
            "ansible.builtin.file": {"path": item, "state": "directory", "mode": "0755", **access},
            "loop": wanted.folders,
        },
        {
            "ansible.builtin.copy": {
                "src": "{{ item.key }}",
                "dest": "{{ item.value }}",
                "mode": "0644",
                **access,
            },
            "loop": [{"key": key, "value": path} for key, path in places.items()],
        },
        {
            "ansible.builtin.user": {
                "name": USER,
                "system": True,
                "shell": "/usr/sbin/nologin",
                "home": "/nonexistent",
                "create_home": False,
            }
        },
        {"ansible.builtin.apt": {"name": list(PACKAGES)}},
        {"ansible.builtin.systemd_service": {"name": UNIT_NAME, "state": "started", "enabled": True}},
    ]


def mitogen(folder: Path, wanted: Wanted, host: Host, programs: Path) -> Command:
    """The same play with Mitogen's strategy."""
    found = ansible(folder, wanted, host, programs)
    strategy = next((programs.parent / "lib").glob("python3*/site-packages/ansible_mitogen/plugins/strategy"))
    ours = {"ANSIBLE_STRATEGY_PLUGINS": str(strategy), "ANSIBLE_STRATEGY": "mitogen_linear"}
    return Command(found.argv, found.changes_nothing, None, {**found.environment, **ours})
