"""Connections: through jump hosts, as ssh's configuration says, with plain errors for obstacles."""

from __future__ import annotations

import dataclasses
import functools
import logging
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.agent.events import Event
from provision.errors import HubwrightError, SettingsError

from . import known_hosts, openssh
from .targets import Access, Target, hops

if TYPE_CHECKING:
    import fabric
    import paramiko

SSH_CONNECT_TIMEOUT = 15.0  # seconds
MACHINE_CONNECT_TIMEOUT = 120.0  # seconds for a machine of this computer, which may be emulated and busy
KEEPALIVE_EVERY = 15  # seconds
RSA = "ssh-rsa"
RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")  # of the same keys

# We report the end of a connection once, in our words. Without a handler, paramiko adds a traceback.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@contextmanager
def connected(target: Target, access: Access, handle: Callable[[Event], None]) -> Iterator[fabric.Connection]:
    """The host's connection while the block runs. Raises HubwrightError when there is no way in."""
    connection = _described(target)
    access.connections.add(connection)
    try:
        _open(connection, target, access, handle)
        if access.connections.closed:
            raise HubwrightError("stopped before it was connected", where=target.name)
        yield connection
    finally:
        access.connections.end(connection)


def _described(target: Target) -> fabric.Connection:
    """A connection, not opened yet, as ssh's configuration and the target describe it."""
    import paramiko

    timeout = MACHINE_CONNECT_TIMEOUT if target.made_here else SSH_CONNECT_TIMEOUT
    waiting = {"banner_timeout": timeout, "auth_timeout": timeout, "transport_factory": _transport}
    options: dict[str, Any] = dict(waiting)
    if target.identity is not None:
        options |= {"key_filename": str(target.identity), "look_for_keys": False, "allow_agent": False}
    # The address of a machine of this computer is known: ssh's configuration for hosts does not apply.
    way = None if target.made_here else openssh.ask(target.host, target.user, target.port)
    try:
        connection = _by_paramiko(target, options) if way is None else _along(way, options)
    except (paramiko.SSHException, OSError, LookupError, ValueError) as error:
        raise HubwrightError(
            f"ssh's configuration cannot be used: {error}",
            where=target.name,
            hint=f"correct ~/.ssh/config or /etc/ssh/ssh_config; `ssh -G {target.host}` reads them too",
        ) from None
    for hop in hops(connection):
        hop.connect_timeout = hop.connect_timeout or int(timeout)
        hop.connect_kwargs = {**hop.connect_kwargs, **waiting}
    return connection


def _by_paramiko(target: Target, options: dict[str, Any]) -> fabric.Connection:
    """A connection that needs no configuration, or one that paramiko reads where there is no ssh."""
    import fabric
    import paramiko

    config = fabric.Config(ssh_config=paramiko.SSHConfig()) if target.made_here else None
    connection = fabric.Connection(
        target.host, user=target.user, port=target.port, config=config, connect_kwargs=options
    )
    jumps = connection.ssh_config.get("proxyjump", "").split(",")
    if jumps[0].lower() == "none":
        connection.gateway = None
    elif len(jumps) > 1:  # ssh goes from the first to the last, Fabric the other way round
        way = None
        for jump in jumps:
            way = fabric.Connection(jump, config=connection.config.clone(), gateway=way)
        connection.gateway = way
    return connection


def _along(way: openssh.Way, options: dict[str, Any], passed: tuple[str, ...] = ()) -> fabric.Connection:
    """A connection along the way that ssh names. Of several jump hosts, only the first may have its own."""
    import fabric
    import paramiko

    if way.asked in passed:
        circle = " → ".join((*passed, way.asked))
        raise HubwrightError(
            f"the jump hosts of ssh's configuration lead in a circle: {circle}",
            where=passed[0],
            hint="give one of them `ProxyJump none`, before the lines that hold for all hosts",
        )
    gateway: Any = way.command or False
    for jump in way.jumps:
        host, user, port = openssh.split(jump)
        if host == way.asked:  # a line for all hosts names this one, too
            continue
        found = openssh.ask(host, user, port)
        assert found is not None
        gateway = _along(found, {}, (*passed, way.asked)) if gateway is False else _after(found, gateway)
    kwargs = dict(options)
    if "key_filename" not in kwargs and way.keys:
        kwargs |= {"key_filename": list(way.keys), "look_for_keys": not way.only_these_keys}
    config = fabric.Config(ssh_config=paramiko.SSHConfig())  # ssh has read it already
    connection = fabric.Connection(
        way.host, user=way.user, port=way.port, config=config, gateway=gateway, connect_kwargs=kwargs
    )
    connection.gateway = gateway or None
    connection.connect_timeout = way.timeout
    connection.original_host = way.asked
    connection.ssh_config = dict(way.options or {})
    return connection


def _after(way: openssh.Way, gateway: fabric.Connection) -> fabric.Connection:
    """A jump host that is reached through the ones before it, whatever its own configuration says."""
    connection = _along(dataclasses.replace(way, jumps=(), command=""), {})
    connection.gateway = gateway
    return connection


def _open(
    connection: fabric.Connection, target: Target, access: Access, handle: Callable[[Event], None]
) -> None:
    for hop in hops(connection):
        where = target.name
        if hop is not connection:
            where += f": its jump host {hop.original_host}"
        # Fabric alone would accept any key, those of jump hosts too.
        if target.made_here:
            hop.client.set_missing_host_key_policy(known_hosts.made_here_policy())
        else:
            files = known_hosts.files(access, hop.ssh_config)
            alias = hop.ssh_config.get("hostkeyalias", "")
            known = known_hosts.known(alias or known_hosts.known_as(hop.host, hop.port), files.read)
            hop.connect_kwargs["transport_factory"] = functools.partial(_transport, kinds=known.kinds)
            hop.client.set_missing_host_key_policy(
                known_hosts.known_only_policy(where, files, access, handle, alias)
            )
        _enter(hop, where, is_target=hop is connection)
        hop.transport.set_keepalive(KEEPALIVE_EVERY)
        if isinstance(hop.transport.sock, socket.socket):  # not through a jump host
            # Events and answers are small: waiting for more to send costs 40 ms each.
            hop.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _enter(hop: fabric.Connection, where: str, *, is_target: bool) -> None:
    import paramiko
    from paramiko.ssh_exception import NoValidConnectionsError

    try:
        hop.open()
    except paramiko.AuthenticationException:
        raise _not_let_in(hop, where, is_target=is_target) from None
    except NoValidConnectionsError as error:
        reason = next(iter(error.errors.values()), error)
        raise HubwrightError(
            f"cannot connect: {getattr(reason, 'strerror', None) or reason}",
            where=where,
            hint="is it on, is its sshd running, and is the port right?",
        ) from None
    except UnicodeDecodeError:
        raise HubwrightError(
            "a key of ssh's configuration, or one in ~/.ssh, is no private key",
            where=where,
            hint="`ssh -v` shows which ones are tried; name the right one with -i FILE",
        ) from None
    except (socket.gaierror, UnicodeError):  # the latter for a text that cannot be a name
        raise HubwrightError(
            "no such host", where=where, hint="check the spelling, or use an address"
        ) from None
    except (TimeoutError, OSError, EOFError, paramiko.SSHException) as error:
        if _was_refused(hop, error):
            raise _not_let_in(hop, where, is_target=is_target) from None
        hint = "is it on, and does a firewall let SSH through?"
        if isinstance(hop.gateway, str):
            hint = f"try the ProxyCommand of ssh's configuration: {hop.gateway}"
        said = error.text if isinstance(error, paramiko.ChannelException) else str(error)
        what = f"does not answer: {said or type(error).__name__}"
        raise HubwrightError(what, where=where, hint=hint) from None


def _not_let_in(hop: fabric.Connection, where: str, *, is_target: bool) -> HubwrightError:
    key = "the key with -i FILE" if is_target else "its key in ssh's configuration or your agent"
    return HubwrightError(
        f"{hop.user} is not let in: no key or password that the host accepts",
        where=where,
        hint=f"check the user, and {key}; `ssh -v` shows all attempts",
    )


def _was_refused(hop: fabric.Connection, error: Exception) -> bool:
    """True for a host that was reached and let no one in.

    paramiko tries each key as each type and reports what it met last, such as "encountered RSA key, expected
    OPENSSH key" after the host had refused that RSA key.
    """
    import paramiko

    transport = hop.client.get_transport()
    entered = transport is not None and transport.is_active() and transport.initial_kex_done
    return type(error) is paramiko.SSHException and entered and not transport.is_authenticated()


def _transport(sock: Any, kinds: Collection[str] = (), **options: Any) -> paramiko.Transport:
    """A transport that prefers AES-GCM to AES-CTR and HMAC: a large input then takes a third of the work.

    `kinds`: the types of host key to ask for first, as known_hosts names them.
    """
    import paramiko

    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "-gcm@" not in name))
    wanted = {*kinds, *(RSA_SIGNATURES if RSA in kinds else ())}
    security.key_types = tuple(sorted(security.key_types, key=lambda name: name not in wanted))
    return transport


def require_key(path: Path) -> None:
    """Raise SettingsError unless a private key can be read from the file."""
    import paramiko

    public = f"name the private key: -i {path.with_suffix('')}" if path.suffix == ".pub" else ""
    for kind in (paramiko.RSAKey, paramiko.ECDSAKey, paramiko.Ed25519Key):
        try:
            kind.from_private_key_file(str(path))
        except paramiko.PasswordRequiredException:
            raise SettingsError(
                "the key wants a passphrase",
                where=str(path),
                hint=f"`ssh-add {path}`, then repeat the command without -i",
            ) from None
        except (paramiko.SSHException, ValueError):
            continue
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise SettingsError(what, where=str(path), hint="-i wants a private key") from None
        return
    raise SettingsError(
        "this is no private key that SSH logs in with",
        where=str(path),
        hint=public or "-i wants a private key, as ssh-keygen makes them",
    )
