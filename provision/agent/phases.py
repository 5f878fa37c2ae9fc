"""The order of a run on a host that serves people: all that may fail comes first, what they use last.

A bare host has no visitors: there, a role begins as soon as those that it needs have ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from .resources import Machine, Problem, Resource, Service, from_json
from .state import Applied

ANSWER_TIMEOUT = 20.0  # seconds for a unit that answered before
LEFT = "left as it is: not everything could be prepared"
UNTOUCHED = "nothing that people use was touched, and all of it answers: the hub serves as before"
ANSWERS = "some of what people use was changed before this failed; all of it runs and answers"
DOWN = "people are affected: {}"
DOWN_HINT = "correct what failed, then apply again; the end of a unit's log: journalctl -u UNIT"


@dataclass(frozen=True)
class Role:
    name: str
    needs: tuple[str, ...]
    resources: tuple[Resource, ...]


def serving(applied: Mapping[str, Applied]) -> list[Service]:
    """The units that an earlier run has put up: people may be using them."""
    found = []
    for each in applied.values():
        if each.complete and each.resource.get("kind") == Service.__name__ and each.resource.get("unit"):
            service = from_json(each.resource)
            assert isinstance(service, Service)
            found.append(service)
    return found


def rests(roles: Sequence[Role]) -> dict[str, tuple[Resource, ...]]:
    """Role → its resources that wait until everything is prepared, the last ones of its list.

    Preparatory resources do not wait, nor all that stands before one, in its role and in those that it needs.
    Where people use something of that, the preparatory resource waits with it.
    """
    by_name = {role.name: role for role in roles}
    end = {role.name: _end_of_preparatory(role) for role in roles}
    used = {role.name for role in roles if any(each.switches for each in role.resources[end[role.name] :])}

    def needs(name: str) -> set[str]:
        direct = set(by_name[name].needs)
        return direct.union(*(needs(each) for each in direct))

    first = dict.fromkeys(by_name, 0)
    for name, count in end.items():
        if count and not needs(name) & used:
            first[name] = max(first[name], count)
            for each in needs(name):
                first[each] = len(by_name[each].resources)
    return {role.name: role.resources[first[role.name] :] for role in roles}


def hold_up(roles: Sequence[Role], faulty: Set[str], *, complete: bool) -> bool:
    """True when nothing that people use may be touched after failures in these roles.

    In a run of all roles, one that no other needs does not hold up the others.
    """
    needed = {need for role in roles for need in role.needs}
    return bool(faulty & needed if complete else faulty)


def _end_of_preparatory(role: Role) -> int:
    return max((n for n, each in enumerate(role.resources, 1) if each.preparatory), default=0)


def down(machine: Machine, services: Sequence[Service]) -> list[str]:
    """A line for each of these units that does not run, or does not answer."""
    machine.invalidate("systemd")
    faults = []
    for service in services:
        state: dict[str, Any] = service.state(machine)
        if state.get("ActiveState") not in ("active", "reloading"):
            faults.append(f"{service.name} is {state.get('ActiveState') or 'gone'}")
            continue
        try:
            service.check_usable(machine, ANSWER_TIMEOUT)
        except Problem as problem:
            faults.append(problem.what.splitlines()[0].partition(";")[0])
    return faults
