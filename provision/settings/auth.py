"""The section [auth] of hub.toml: one class a kind of accounts, told apart by `type`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from .section import Section

# JupyterHub's own bounds, see SharedPasswordAuthenticator.
USER_PASSWORD_LENGTH, ADMIN_PASSWORD_LENGTH = 8, 32


class TemporaryAccounts(Section):
    """Every visit gets an account of its own, without a login. It goes after its server was idle."""

    temporary: ClassVar[bool] = True

    type: Literal["tmp"] = Field("tmp", description="tmp: every visit gets an account of its own.")


class SharedPassword(Section):
    """For a workshop: all enter with the same password, each under a name of their own choice.

    With that password a person can enter under every name except those of [users] admins.
    """

    temporary: ClassVar[bool] = False

    type: Literal["shared-password"] = Field(description="shared-password: one password for all.")
    user_password: SecretStr = Field(
        description=f"What all people enter with, at least {USER_PASSWORD_LENGTH} characters; only "
        "secrets.toml or the environment may give it."
    )
    admin_password: SecretStr | None = Field(
        None,
        description=f"What [users] admins enter with, at least {ADMIN_PASSWORD_LENGTH} characters; only "
        "secrets.toml or the environment may give it. Needed where there are admins.",
    )

    @field_validator("user_password")
    @classmethod
    def _user_password_is_long(cls, password: SecretStr) -> SecretStr:
        return _checked(password, USER_PASSWORD_LENGTH)

    @field_validator("admin_password")
    @classmethod
    def _admin_password_is_long(cls, password: SecretStr | None) -> SecretStr | None:
        return None if password is None else _checked(password, ADMIN_PASSWORD_LENGTH)

    @model_validator(mode="after")
    def _passwords_differ(self) -> SharedPassword:
        if self.admin_password == self.user_password:
            raise ValueError("admin_password should differ from user_password, which everybody knows")
        return self


Auth = TemporaryAccounts | SharedPassword


def _checked(password: SecretStr, least: int) -> SecretStr:
    """The password itself. JupyterHub compares passwords as ASCII and fails on any other character."""
    value = password.get_secret_value()
    if len(value) < least:
        raise ValueError(f"should have at least {least} characters, not {len(value)}")
    if not (value.isascii() and value.isprintable()):
        raise ValueError("should have letters without accents, digits, signs and spaces only (ASCII)")
    return password
