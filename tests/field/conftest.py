"""Hosts as other people set them up. Machines and hooks are those of the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import (
    deployed,
    operator,
    pytest_collection_modifyitems,
    pytest_configure,
    there,
)

__all__ = ["deployed", "operator", "pytest_collection_modifyitems", "pytest_configure", "there"]
