"""The table of roles as people read it: units, ports and files of a host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from provision.agent.resources import Directory, File, GeneratedSecret, JsonKeys, KeptCertificate
from provision.settings import Settings
from provision.settings.image_names import GRAPHITE, NOTEBOOK
from roles import SHIPPED, ImageSource, Inputs, Role, read_inputs

INTRODUCTION = """\
# On a host

Everything that a hub with the default settings brings to its host, made from the table of roles by
`make docs`. Other settings bring other units and files: `hubwright plan -H host` shows which. Beside them a
host has

- `/opt/hubwright/envs/<digest>/` and the link `/opt/hubwright/current` to the one in use: the hub's Python
  environment, on an interpreter of `/opt/hubwright/interpreters/<digest>/` and `/opt/miniconda3/`, see
  [python.md](../howto/python.md);
- `/var/lib/hubwright/`: `applied.json`, what was made here and what it replaced, and `journal.jsonl`, what
  was done;
- `/var/lib/hubwright-first-boot/`, until a machine without a login has become the hub, see
  [cloud-init.md](../howto/cloud-init.md);
- in Docker, the network `hubwright`, the images `hubwright/…`, and a container `hubwright-server-…` for each
  server.
"""
OPEN_TO = {
    "visitors": "visitors, from anywhere",
    "notebooks": "notebooks' containers",
    "host": "programs of the host",
}
FILES = (Directory, File, GeneratedSecret, JsonKeys, KeptCertificate)
# Roles ask for an image; its name does not matter here.
IMAGES = {name: ImageSource("0" * 64, context="0" * 64) for name in (NOTEBOOK, GRAPHITE)}


def markdown() -> str:
    """The page docs/reference/hosts.md."""
    settings = Settings.model_validate({"root": Path(), "image": {"build": Path("images/notebook")}})
    blocks = [
        INTRODUCTION,
        _table("Ports", ("port", "opened by", "reached by", "chosen by"), _ports(settings)),
        _table("Units", ("unit", "role", "what the role is"), _units(settings)),
        _table("What only root and its owner may read", ("path", "role"), _secrets(settings)),
        _table("Data, which a removal asks about", ("place", "role", "what it is"), _data(settings)),
        _table("Services of the hub", ("service", "role", "what it may do"), _services(settings)),
        *_files(settings),
    ]
    return "\n".join(blocks)


def _table(title: str, heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([f"## {title}", "", lines[0], f"|{'---|' * len(heads)}", *lines[1:], ""])


def _ports(settings: Settings) -> Iterator[tuple[str, ...]]:
    for role in SHIPPED.wanted(settings):
        for door in role.doors(settings):
            key = f"`{door.key}`" if door.key else "nothing, it is fixed"
            yield f"{door.port}/{door.protocol}", role.name, OPEN_TO[door.open_to], key


def _units(settings: Settings) -> Iterator[tuple[str, ...]]:
    for role in SHIPPED.wanted(settings):
        for unit in role.units(settings):
            yield f"`{unit if '.' in unit else f'{unit}.service'}`", role.name, role.about


def _secrets(settings: Settings) -> Iterator[tuple[str, ...]]:
    for role in SHIPPED.wanted(settings):
        tokens = (role.calls_hub.token.path,) if role.calls_hub else ()
        for path in (*role.secrets, *tokens):
            yield f"`{path}`", role.name


def _data(settings: Settings) -> Iterator[tuple[str, ...]]:
    for role in SHIPPED.wanted(settings):
        for data in role.state:
            place = f"`{data.path}`" if data.path else f"Docker volume `{data.volume}`"
            yield place, role.name, data.what


def _services(settings: Settings) -> Iterator[tuple[str, ...]]:
    for role in SHIPPED.wanted(settings):
        if role.calls_hub:
            scopes = ", ".join(f"`{scope}`" for scope in role.calls_hub.scopes(settings))
            yield role.calls_hub.name, role.name, f"call the hub: {scopes}"
        if role.page:
            yield role.page.name, role.name, f"answer at `/services/{role.page.name}/`"


def _files(settings: Settings) -> Iterator[str]:
    inputs = read_inputs(settings, IMAGES)
    yield "## Roles and their files\n"
    for role in SHIPPED.wanted(settings):
        needs = f" Needs {', '.join(role.needs)}." if role.needs else ""
        yield "\n".join(
            [f"### {role.name}", "", f"{_sentence(role.about)}.{needs}", *_paths(role, inputs), ""]
        )


def _paths(role: Role, inputs: Inputs) -> Iterator[str]:
    paths = [step.path for step in role.resources(inputs) if isinstance(step, FILES)]
    if paths:
        yield ""
    yield from (f"- `{path}`" for path in sorted(paths))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
