"""A role is one part of a hub, and knows everything about itself.

Status, logs, checks, backups, firewalls and the hub's own configuration ask roles; none of them keeps a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from provision.agent.resources import Resource
from provision.settings import Settings
from roles.shared.facets import Caller, Data, Door, Page
from roles.shared.inputs import Inputs

__all__ = ["Caller", "Data", "Door", "Page", "Role", "Roles"]


def _always(_: Settings) -> bool:
    return True


def _no_units(_: Settings) -> tuple[str, ...]:
    return ()


def _no_answers(_: Settings) -> dict[str, str]:
    return {}


def _no_doors(_: Settings) -> tuple[Door, ...]:
    return ()


@dataclass(frozen=True)
class Role:
    """One part of a hub.

    `steps`: the things that should be true on a host, in order; asked only when the role is `wanted`.
    `needs`: the roles that must have been applied before.
    `units`: the systemd units that run, or wait for their time, while these settings hold; with their suffix
    where they are no services. `containers`: those that its units run, which are no person's server.
    `calls_hub`, `page`: the hub service that it is.
    `state`: its data, which a backup takes, an image of the machine leaves out, and a removal asks about.
    `doors`: the ports that it listens on.
    `secrets`: files of the host that root and their owner alone may read, or folders of such. Some settings
    do without one or another.
    `fresh`: files that it writes again and again, and how many seconds old they may become.
    `answers`: unit → the URL on the host at which it answers within seconds, with a status below 500. A unit
    that hangs is still active for systemd.
    """

    name: str
    about: str
    steps: Callable[[Inputs], list[Resource]]
    needs: tuple[str, ...] = ()
    wanted: Callable[[Settings], bool] = _always
    units: Callable[[Settings], tuple[str, ...]] = _no_units
    containers: tuple[str, ...] = ()
    calls_hub: Caller | None = None
    page: Page | None = None
    state: tuple[Data, ...] = ()
    doors: Callable[[Settings], tuple[Door, ...]] = _no_doors
    secrets: tuple[str, ...] = ()
    fresh: tuple[tuple[str, int], ...] = ()
    answers: Callable[[Settings], dict[str, str]] = _no_answers

    def resources(self, inputs: Inputs) -> tuple[Resource, ...]:
        """The steps, or none where the settings do not want the role."""
        return tuple(self.steps(inputs)) if self.wanted(inputs.settings) else ()


class Roles:
    """The roles of a hub in the order of the table, and what they say together."""

    def __init__(self, roles: Iterable[Role]) -> None:
        self._roles = tuple(roles)
        self.names = tuple(role.name for role in self._roles)

    def __iter__(self) -> Iterator[Role]:
        return iter(self._roles)

    def with_needs(self, names: Iterable[str]) -> tuple[Role, ...]:
        """The roles of these names and all that they need."""
        chosen = set(names)
        for role in reversed(self._roles):
            if role.name in chosen:
                chosen |= set(role.needs)
        return tuple(role for role in self._roles if role.name in chosen)

    def wanted(self, settings: Settings) -> tuple[Role, ...]:
        return tuple(role for role in self._roles if role.wanted(settings))

    def units(self, settings: Settings) -> tuple[str, ...]:
        return tuple(unit for role in self.wanted(settings) for unit in role.units(settings))

    def containers(self, settings: Settings) -> tuple[str, ...]:
        return tuple(name for role in self.wanted(settings) for name in role.containers)

    def callers(self, settings: Settings) -> tuple[Caller, ...]:
        return tuple(role.calls_hub for role in self.wanted(settings) if role.calls_hub)

    def pages(self, settings: Settings) -> tuple[Page, ...]:
        return tuple(role.page for role in self.wanted(settings) if role.page)

    def doors(self, settings: Settings) -> tuple[Door, ...]:
        return tuple(door for role in self.wanted(settings) for door in role.doors(settings))

    def state(self, settings: Settings) -> tuple[Data, ...]:
        return tuple(data for role in self.wanted(settings) for data in role.state)

    def secrets(self, settings: Settings) -> tuple[str, ...]:
        """Secret files of the host, tokens of callers included."""
        found: list[str] = []
        for role in self.wanted(settings):
            found += role.secrets
            found += [role.calls_hub.token.path] if role.calls_hub else []
        return tuple(found)

    def fresh(self, settings: Settings) -> dict[str, int]:
        """File → how many seconds old it may become."""
        return {path: age for role in self.wanted(settings) for path, age in role.fresh}

    def answers(self, settings: Settings) -> dict[str, str]:
        """Unit → the URL on the host at which it answers."""
        return {unit: url for role in self.wanted(settings) for unit, url in role.answers(settings).items()}
