"""Where the application listens, under which names it is reached, and with which certificate."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.cli.failure import Failure
from vtc07.cli.output import Output
from vtc07.web.listener import Listener
from vtc07.web.password import PasswordHash

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LONGEST_FILE: Final = 4096


@dataclass(frozen=True, slots=True)
class Reach:
    """How others reach the application, as the command line says it.

    ``host``: the address to listen on. ``names``: under which it is reached besides. The files:
    of TLS and of the password, None where there is none.
    """

    host: str = "127.0.0.1"
    allow_remote: bool = False
    names: Sequence[str] = ()
    certificate: str | None = None
    private_key: str | None = None
    password_file: str | None = None

    @property
    def is_remote(self) -> bool:
        """Say whether anybody but this machine can reach it."""
        return not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, reached by itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def require_safe(reach: Reach) -> None:
    """Failure where others could reach the application with less before it than there must be."""
    if (reach.certificate is None) != (reach.private_key is None):
        raise Failure("--certificate and --private-key go together: TLS needs both files")
    if not reach.is_remote:
        return
    if not reach.allow_remote:
        raise Failure(
            f"others could reach {reach.host}; to listen there give --allow-remote, with a "
            "certificate and a password"
        )
    if reach.certificate is None:
        raise Failure(
            "--allow-remote wants TLS, for tokens and the password go over the network: give "
            "--certificate FILE and --private-key FILE"
        )
    if reach.password_file is None:
        raise Failure(
            "--allow-remote wants a password: make its file with vtc07 web --set-password FILE, "
            "and give --password-file FILE"
        )
    if _is_any(reach.host) and not reach.names:
        raise Failure(
            f"{reach.host} is every address of this machine, and requests are answered under known "
            "names only: give each name that browsers will use with --name HOST"
        )


def listen(reach: Reach, port: int) -> socket.socket:
    """Return a socket that listens; Failure where that cannot be."""
    host = reach.host.removeprefix("[").removesuffix("]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return Listener.of(socket.create_server((host, port), family=family))
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no name of a host"
        raise Failure(
            f"port {port} of {reach.host} cannot be listened on: {why}; choose another one with "
            "--port, 0 for any"
        ) from None


def hosts_of(reach: Reach, port: int, scheme: str) -> frozenset[str]:
    """Return the names as browsers write them in ``Host``."""
    return frozenset(_hosts(reach, port, scheme))


def origin_of(reach: Reach, port: int, scheme: str) -> str:
    """Return where pages are: what people open."""
    return f"{scheme}://{next(_hosts(reach, port, scheme))}"


def _hosts(reach: Reach, port: int, scheme: str) -> Iterator[str]:
    own = reach.host.lower().removeprefix("[").removesuffix("]")
    names = [name.lower().removeprefix("[").removesuffix("]") for name in reach.names]
    if own == "localhost" and scheme == "http":
        # A browser may take that name for ::1, where another user of this machine may listen.
        names.append("127.0.0.1")
    if not _is_any(own):
        names.append(own)
    if not reach.is_remote:
        names.append("localhost")
    for name in names:
        host = f"[{name}]" if ":" in name else name
        if port == _DEFAULT_PORTS[scheme]:
            yield host
        yield f"{host}:{port}"


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::", "[::]", "")  # noqa: S104 - what is not listened on lightly


def tls_of(reach: Reach, output: Output) -> ssl.SSLContext | None:
    """Return what serves TLS, None where there is none; Failure where the files are no such."""
    if reach.certificate is None or reach.private_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for file in (reach.certificate, reach.private_key):
        try:
            with Path(file).open("rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
        except OSError as error:
            raise Failure(f"{file} cannot be read: {error.strerror}; check name and rights") from (
                None
            )
    _warn_of_readers(reach.private_key, mode, output)

    def no_passphrase() -> str:
        raise Failure(
            f"{reach.private_key} is locked with a passphrase; give a key without one, which its "
            "owner alone can read"
        )

    try:
        context.load_cert_chain(reach.certificate, reach.private_key, no_passphrase)
    except ssl.SSLError:
        raise Failure(
            f"{reach.certificate} and {reach.private_key} are no certificate with its private key; "
            "both are wanted as PEM, the chain behind the certificate"
        ) from None
    return context


def password_of(reach: Reach, output: Output) -> PasswordHash | None:
    """Return what is kept of the password, None where there is none; Failure for another file."""
    if reach.password_file is None:
        return None
    try:
        with Path(reach.password_file).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise Failure(
            f"{reach.password_file} cannot be read: {error.strerror}; make it with vtc07 web "
            "--set-password FILE"
        ) from None
    try:
        found = PasswordHash.parse(data.decode("ascii"))
    except ValueError:
        raise Failure(
            f"{reach.password_file} holds no hash of a password; make it with vtc07 web "
            "--set-password FILE"
        ) from None
    _warn_of_readers(reach.password_file, mode, output)
    return found


def _warn_of_readers(file: str, mode: int, output: Output) -> None:
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        output.warning(
            f"{file} can be read by others than its owner (mode {stat.S_IMODE(mode):04o}); take "
            f"that away with: chmod 600 {file}"
        )
