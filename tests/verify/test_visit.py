"""The purpose of it all: a visitor opens the URL and works."""

from __future__ import annotations

from tests.verify.conftest import Probes, Visitor

SERVER = 8888


def test_kernel_answers(visitor: Visitor) -> None:
    assert visitor.printed == "42\n"


def test_everyone_has_an_account_and_a_container(visitors: list[Visitor]) -> None:
    assert len({visitor.name for visitor in visitors}) == len(visitors)
    assert len({visitor.id for visitor in visitors}) == len(visitors)


def test_own_server_lets_its_visitor_in(probes: Probes, browsed: tuple[str, str], visitor: Visitor) -> None:
    assert probes.on_host("visitors", "enter", *browsed, visitor.number, visitor.number) == 200


def test_server_shuts_out_other_visitors(
    probes: Probes, browsed: tuple[str, str], visitor: Visitor, another_visitor: Visitor
) -> None:
    assert probes.on_host("visitors", "enter", *browsed, another_visitor.number, visitor.number) == 403


def test_containers_do_not_reach_each_other(
    probes: Probes, visitor: Visitor, another_visitor: Visitor
) -> None:
    server = f"{visitor.address}:{SERVER}"
    assert probes.on_host("reach", server) == [server], "the host itself reaches it"
    assert probes.in_container(another_visitor.id, "reach", server) == []
