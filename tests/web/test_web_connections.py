"""Connections and bodies of the web application: what is not waited for, and who gives way."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from web_bench import GUARD_S

from vtc07.web import connection
from vtc07.web.body import Body, BodyRefused
from vtc07.web.listener import MOST, Listener
from vtc07.web.server import Server

MOST_HELD = 4


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def run() -> int:
        body = Body(never, "/look", 5, patience_s=0.01)
        with pytest.raises(BodyRefused) as refused:
            await body.receive()
        return refused.value.status

    assert asyncio.run(run()) == 408


def test_a_connection_that_asks_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at all, half a head, the next request of a connection; but not an answer at work."""
    monkeypatch.setattr(connection, "_PATIENCE_S", 0.05)
    begun, waited = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            begun.set()
            await waited.wait()
        await PlainTextResponse("here")(scope, receive, send)

    async def asked(*pieces: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(GUARD_S):
                while piece := await reader.read(4096):
                    data += piece
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return data

    async def run() -> None:
        nonlocal begun, waited
        begun, waited = asyncio.Event(), asyncio.Event()
        server = Server(app, listener, None, soon_s=1)
        serving = asyncio.create_task(server.serve())
        await server.begun()
        for nothing in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            assert await asked(nothing) == b""
        head = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
        assert b"here" in await asked(head % b"/", b"GET / HT")
        slow = asyncio.create_task(asked(head % b"/slow"))
        await begun.wait()
        assert await asked(b"GET / HT") == b""  # this one is given up; that one is at work
        waited.set()
        assert b"here" in await slow
        server.end()
        await serving

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        asyncio.run(run())


def test_whoever_keeps_silent_gives_way_before_files_run_out() -> None:
    """Before a handshake is over, too: the journal needs files while a token is delivered."""

    def connected() -> socket.socket:
        line = socket.create_connection(("127.0.0.1", port), GUARD_S)
        lines.callback(line.close)
        return line

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await waited.wait()
        await PlainTextResponse("here")(scope, receive, send)

    async def run() -> None:
        server = Server(app, listener, None, soon_s=1)
        serving = asyncio.create_task(server.serve())
        await server.begun()
        await asyncio.to_thread(crowd)
        waited.set()
        await asyncio.to_thread(lambda: [line.recv(9) for line in busy])
        server.end()
        await serving

    def crowd() -> None:
        silent = [connected() for _ in range(20)]
        assert [line.recv(1) for line in silent[: 20 - MOST_HELD]] == [b""] * (20 - MOST_HELD)
        for _ in range(MOST_HELD):
            line = connected()
            line.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            busy.append(line)
        assert [line.recv(1) for line in silent] == [b""] * 20
        assert connected().recv(1) == b""  # each that is held has asked for something
        assert len(listener._held) <= MOST_HELD

    waited = asyncio.Event()
    busy: list[socket.socket] = []
    with (
        contextlib.ExitStack() as lines,
        Listener(socket.create_server(("127.0.0.1", 0)), MOST_HELD) as listener,
    ):
        port = listener.getsockname()[1]
        asyncio.run(run())
        assert len(busy) == MOST_HELD


@pytest.mark.parametrize("asked", [False, True])
def test_the_one_that_has_kept_silent_for_longest_is_hung_up(asked: bool) -> None:
    with contextlib.ExitStack() as lines:
        listener = lines.enter_context(Listener(socket.create_server(("127.0.0.1", 0)), 2))

        def connected() -> socket.socket:
            line = socket.create_connection(listener.getsockname(), GUARD_S)
            return lines.enter_context(line)

        ours, theirs = [], []
        for _ in range(2):
            ours.append(connected())
            theirs.append(lines.enter_context(listener.accept()[0]))
        if asked:
            listener.asked(theirs[0].fileno())
        connected()
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert ours[asked].recv(1) == b""
        ours[not asked].setblocking(False)
        with pytest.raises(BlockingIOError):
            ours[not asked].recv(1)


def test_there_are_more_files_than_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with Listener.of(socket.create_server(("127.0.0.1", 0))) as listener:
        assert 0 < listener._most <= MOST
    monkeypatch.setattr("vtc07.web.listener._most_files", lambda: 256)
    with Listener.of(socket.create_server(("127.0.0.1", 0))) as listener:
        assert listener._most == 128


def test_routes_may_be_longer_than_forms() -> None:
    async def run(path: str) -> int:
        pieces = [b"x" * 1_000_000, b""]

        async def receive() -> dict[str, object]:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        body, taken = Body(receive, path, None), 0
        while True:
            message = await body.receive()
            taken += len(message["body"])
            if not message["more_body"]:
                return taken

    assert asyncio.run(run("/routes")) == 1_000_000
    with pytest.raises(BodyRefused):
        asyncio.run(run("/routes/1"))


def test_a_body_in_small_pieces_has_no_more_time_than_one_that_comes_at_once() -> None:
    async def piece() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def run() -> None:
        body = Body(piece, "/connect", None, patience_s=-1)  # that is over
        with pytest.raises(BodyRefused) as refused:
            await body.receive()
        assert refused.value.status == 408

    asyncio.run(run())
