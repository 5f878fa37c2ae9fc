"""The locks of what runs on hosts and in visitors' servers."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LOCKS = ("roles/locks/hub.txt", "images/notebook/requirements.txt")


@pytest.mark.parametrize("lock", LOCKS)
def test_no_start_waits_for_a_grammar_that_is_not_needed(lock: str) -> None:
    """jsonschema uses rfc3987-syntax where installed, which parses its grammar at every import."""
    names = {line.partition("==")[0] for line in (PROJECT / lock).read_text().splitlines() if "==" in line}
    assert {"jupyterhub", "jsonschema"} <= names
    assert not names & {"rfc3987-syntax", "lark"}
