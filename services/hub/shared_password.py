"""JupyterHub's authenticator for one password that all share, made safe for a hub on the internet."""

from __future__ import annotations

import re
from typing import Any

from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

# How the authenticator of temporary accounts names them: a random UUID of version 4.
TEMPORARY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class SharedPassword(SharedPasswordAuthenticator):  # type: ignore[misc]
    """Refuses passwords that its parent fails on, and accounts made while the hub needed no password."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> Any:
        # The parent compares with hmac's compare_digest, which raises for text that is not ASCII.
        password = data.get("password")
        if not data.get("username") or not password or not password.isascii():
            return None
        return await super().authenticate(handler, data)

    def validate_username(self, username: str) -> bool:
        return not TEMPORARY.fullmatch(username) and bool(super().validate_username(username))

    def add_user(self, user: Any) -> None:
        """Add a user. Raises ValueError for an account that the hub, at its start, should delete.

        A stranger's temporary account may have tokens of its own, for which no password is asked. One whose
        server still runs stays until the hub starts again, as that server would be left without its owner.
        """
        spawners = getattr(user, "orm_spawners", {}).values()
        if TEMPORARY.fullmatch(user.name) and any(spawner.server for spawner in spawners):
            return
        super().add_user(user)
