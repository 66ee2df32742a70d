"""The control socket of a served meter: its server, turned by the meter's driver, and its client.

A Unix socket in a folder of the owner's; where the system has none, a port of the loopback, at
which the secret of the control file keeps others out.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from vtc07.cli import control, control_place
from vtc07.cli.control import LONGEST_LINE, NotUnderstood, Request
from vtc07.cli.control_place import Place
from vtc07.cli.failure import ExitCode, Failure, judge
from vtc07.links.clock import Clock

#: Carries a request out and returns the state afterwards; or an error that is a sentence.
Act = Callable[[Request], Mapping[str, Any]]

_MOST_VISITORS: Final = 8
_BACKLOG: Final = 64
_PATIENCE_NS: Final = 5_000_000_000
_ANSWER_LIMIT_S: Final = 60


class _Visitor:
    """Someone who is connected and has not said a whole line yet."""

    def __init__(self, connection: socket.socket, until_ns: int) -> None:
        connection.settimeout(0)
        self.connection = connection
        self.until_ns = until_ns
        self.heard = b""


class ControlPort:
    """Listens at a place, and carries requests out when it is turned; never waits for anyone."""

    def __init__(self, listener: socket.socket, place: Place, act: Act, clock: Clock) -> None:
        listener.settimeout(0)
        self._listener = listener
        self._secret = place.secret.encode()
        self._act = act
        self._clock = clock
        self._visitors: list[_Visitor] = []

    def turn(self) -> None:
        """Let visitors in, and answer those who have said what they want."""
        now_ns = self._clock.now_ns()
        with contextlib.suppress(OSError):  # nobody more is there, or has gone again
            while True:
                connection, _ = self._listener.accept()
                self._visitors.append(_Visitor(connection, now_ns + _PATIENCE_NS))
        for visitor in tuple(self._visitors):
            self._attend(visitor, now_ns)
        for visitor in self._visitors[:-_MOST_VISITORS]:
            self._dismiss(visitor)

    def close(self) -> None:
        """Close, and send everyone away."""
        self._listener.close()
        for visitor in tuple(self._visitors):
            self._dismiss(visitor)

    def _attend(self, visitor: _Visitor, now_ns: int) -> None:
        try:
            said = visitor.connection.recv(LONGEST_LINE + 1 - len(visitor.heard))
        except BlockingIOError:
            if now_ns >= visitor.until_ns:
                self._dismiss(visitor)
            return
        except OSError:
            self._dismiss(visitor)
            return
        visitor.heard += said
        line, end, _ = visitor.heard.partition(b"\n")
        if end or len(visitor.heard) > LONGEST_LINE:
            answer = self._answer(line)
            with contextlib.suppress(OSError):
                visitor.connection.send(answer)  # short: it fits at once
            self._dismiss(visitor)
        elif not said:
            self._dismiss(visitor)

    def _answer(self, line: bytes) -> bytes:
        try:
            secret, request = control.read_request(line)
        except NotUnderstood:
            return control.refused_line("the meter does not understand what it is asked to do")
        if not hmac.compare_digest(secret.encode("utf-8", "replace"), self._secret):
            return control.refused_line("the meter does not take requests without its secret")
        try:
            return control.done_line(self._act(request))
        except Exception as error:
            judged = judge(error)
            if judged is not None:
                return control.refused_line(judged[0])
            if isinstance(error, OSError):
                return control.refused_line(f"that is not possible: {error.strerror or error}")
            raise

    def _dismiss(self, visitor: _Visitor) -> None:
        visitor.connection.close()
        self._visitors.remove(visitor)


@contextlib.contextmanager
def control_port(store: Path, address: str, act: Act, clock: Clock) -> Iterator[ControlPort]:
    """Open the control socket of the meter in a store that is open, served at an address.

    Its control files are written, and everything is taken away in the end. OSError where there is
    no place for it.
    """
    files = [control_place.beside(store)]
    if (named := control_place.by_address(address)) is not None:
        files.append(named)
    control_place.remove_leavings(files[0])
    with ExitStack() as resources:
        listener, place = _listen(resources)
        port = ControlPort(listener, place, act, clock)
        resources.callback(port.close)
        for file in files:
            control_place.write(file, place)
            resources.callback(control_place.remove, file, place)
        yield port


def ask(target: str, request: Request) -> dict[str, Any]:
    """Have a served meter carry a request out and return its state.

    ``target``: STORE or ADDRESS. Failure: it is not being served, or refuses, both of which leave
    everything as it was; or it went away or does not answer, and may have done what was asked.
    """
    file = control_place.control_file(target)
    place = None if file is None else control_place.read(file)
    if place is None:
        raise _not_served(target)
    try:
        connection = _connect(place)
    except OSError:
        raise _not_served(target) from None
    with connection:
        answer = _exchange(connection, control.request_line(place.secret, request), target)
    try:
        return control.read_answer(answer)
    except NotUnderstood:
        raise _not_served(target) from None


def _exchange(connection: socket.socket, line: bytes, target: str) -> bytes:
    try:
        connection.settimeout(_ANSWER_LIMIT_S)
        connection.sendall(line)
        with connection.makefile("rb") as file:
            answer = file.readline(LONGEST_LINE + 1)
    except TimeoutError:
        raise Failure(
            f"the meter {target} does not answer; is its program stopped? It may still do what "
            "was asked",
            ExitCode.NO_LINK,
        ) from None
    except OSError:
        answer = b""
    if not answer:
        raise Failure(
            f"the meter {target} went away before it answered; it may have done what was asked: "
            "look at it when it is there again",
            ExitCode.NO_LINK,
        )
    return answer


def _not_served(target: str) -> Failure:
    store = control_place.store_meant(target)
    if store is None:
        return Failure(
            f"no meter is being served at {target}, at least not by you, or it is out of order; "
            "start one with vtc07 meter serve, and write the address as it says it"
        )
    if not store.exists():
        return Failure(f"there is no store {target}; vtc07 meter new {target} makes a meter")
    return Failure(
        f"the meter {target} is not being served, at least not by you, or it is out of order; "
        f"vtc07 meter serve {target} starts it, or says what is wrong"
    )


def _listen(resources: ExitStack) -> tuple[socket.socket, Place]:
    secret = control_place.new_secret()
    if hasattr(socket, "AF_UNIX"):
        listener, file = resources.enter_context(control_place.listening(_BACKLOG))
        return listener, Place(secret, unix=str(file))
    listener = resources.enter_context(socket.create_server(("127.0.0.1", 0)))
    return listener, Place(secret, tcp=listener.getsockname()[1])


def _connect(place: Place) -> socket.socket:
    if place.tcp is not None:
        return socket.create_connection(("127.0.0.1", place.tcp), control_place.CONNECT_LIMIT_S)
    return control_place.connected(str(place.unix))
