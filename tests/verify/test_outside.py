"""The hub from where people are: from another computer, and packages from a visitor's server."""

from __future__ import annotations

import json
import os

import pytest
from testinfra.host import Host

from provision.settings import Settings, download_environment
from tests.verify.conftest import Probes, Visitor

OUTSIDE = "HUBWRIGHT_OUTSIDE"  # what `hubwright verify` has met: host → fault


def test_hub_is_reached_from_outside(host: Host) -> None:
    found = json.loads(os.environ.get(OUTSIDE, "{}"))
    name = host.backend.get_hostname()
    if name not in found:
        pytest.skip("`hubwright verify` asks from outside, where the front door is the hub's own")
    assert found[name] == ""


def test_server_resolves_names_and_reaches_the_package_index(
    probes: Probes, visitor: Visitor, settings: Settings
) -> None:
    place = download_environment.notebooks_index(settings)
    if fault := probes.on_host("way", *place)["fault"]:
        pytest.skip(f"nor does the host itself: {fault}")
    assert probes.in_container(visitor.id, "way", *place)["fault"] == ""
