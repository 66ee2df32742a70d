"""The web application as a process of its own; a small HTTP client, and a browser, at its pages."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from cli_bench import FAST, PROGRAM, done, served

import needs

for _name in ("starlette", "uvicorn", "jinja2", "multipart", "playwright"):
    needs.module(_name)

from playwright.sync_api import (  # noqa: E402 - where it is missing, the tests are skipped
    Browser,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

#: Ends what is stuck; nothing is measured by it.
GUARD_S = 30
COMPANION = "fast.toml"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

expect.set_options(timeout=GUARD_S * 1000)

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


# --- over plain HTTP ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What the application answered. ``path``: of what was asked last, after redirections."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    path: str

    @property
    def html(self) -> str:
        """The document as it was sent."""
        return self.body.decode()

    @property
    def text(self) -> str:
        """What a person reads of it, white space as one blank each."""
        return text_of(self.html)

    @property
    def json(self) -> Any:
        """The document, as JSON."""
        return json.loads(self.body)


class _Text(HTMLParser):
    _UNSEEN = ("script", "style", "title", "template")

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in self._UNSEEN

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in self._UNSEEN

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words.append(data)


def text_of(html: str) -> str:
    """Return what a person reads of a piece of HTML, white space as one blank each."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return " ".join(" ".join(parser.words).split())


class Http:
    """A client that does what a browser does: keeps cookies, says where a form was sent from.

    ``cookies``: by name; empty one, and the application meets a stranger.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.host = urlsplit(origin).netloc
        self.cookies: dict[str, str] = {}

    def get(
        self, path: str, *, follow: bool = True, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Get a page."""
        return self._follow(self.ask("GET", path, headers=headers), follow=follow)

    def post(
        self,
        path: str,
        fields: Fields = (),
        *,
        follow: bool = True,
        quiet: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a form as a page of the application does; ``quiet``: as its script does."""
        given = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": self.origin,
            **({"X-vtc07": "quiet"} if quiet else {}),
            **(headers or {}),
        }
        answer = self.ask("POST", path, urlencode(fields).encode(), given)
        return self._follow(answer, follow=follow)

    def upload(
        self,
        path: str,
        files: Mapping[str, tuple[str, bytes]],
        fields: Mapping[str, str] | None = None,
        *,
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send files, each with its name, as a form of a page does."""
        edge = secrets.token_hex(16)
        body = b""
        for name, value in (fields or {}).items():
            body += f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
            body += value.encode() + b"\r\n"
        for name, (file, content) in files.items():
            called = file.replace('"', "%22")
            body += (
                f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{called}"'
                "\r\nContent-Type: application/octet-stream\r\n\r\n"
            ).encode()
            body += content + b"\r\n"
        body += f"--{edge}--\r\n".encode()
        given = {
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "Origin": self.origin,
            **(headers or {}),
        }
        return self._follow(self.ask("POST", path, body, given), follow=follow)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for anything, with the cookies and nothing else that is not said here."""
        line = http.client.HTTPConnection(self.host, timeout=GUARD_S)
        try:
            line.request(method, path, body or None, {**self._kept(), **(headers or {})})
            answer = line.getresponse()
            for value in answer.headers.get_all("Set-Cookie", []):
                for name, morsel in SimpleCookie(value).items():
                    self.cookies[name] = morsel.value
            return Answer(answer.status, answer.headers, answer.read(), path)
        finally:
            line.close()

    def _kept(self) -> dict[str, str]:
        if not self.cookies:
            return {}
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _follow(self, answer: Answer, *, follow: bool) -> Answer:
        while follow and answer.status == 303:
            answer = self.ask("GET", answer.headers["Location"])
        return answer


class Events:
    """What the application tells of parts and streams. A context manager: left, it hangs up.

    ``parts``: the HTML of each as it was told last. ``lines``: the HTML of each stream's lines.
    """

    def __init__(
        self, http_: Http, station: str, parts: Sequence[str], streams: Sequence[str], after: int
    ) -> None:
        query = [("station", station), *(("part", name) for name in parts)]
        for name in streams:
            query += [("stream", name), ("after", str(after))]
        self.parts: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {name: [] for name in streams}
        self._line = http.client.HTTPConnection(http_.host, timeout=GUARD_S)
        self._line.request("GET", f"/live?{urlencode(query)}", headers=http_._kept())
        self.answer = self._line.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._line.close()

    def text(self, part: str) -> str:
        """Return what a person reads of a part."""
        return text_of(self.parts.get(part, ""))

    def until(self, condition: Callable[[], bool]) -> None:
        """Take what is told until something is the case."""
        until = time.monotonic() + GUARD_S  # it says that it is still there, however long it is
        while not condition():
            assert self.take(), "the application told no more"
            if time.monotonic() > until:
                raise TimeoutError(str({name: text_of(html) for name, html in self.parts.items()}))

    def sees(self, part: str, *words: str) -> str:
        """Take what is told until a part holds all of these words; return its text."""
        try:
            self.until(lambda: all(each in self.text(part) for each in words))
        except TimeoutError:
            raise AssertionError(f"never told: {words}; last: {self.text(part)}") from None
        return self.text(part)

    def take(self) -> bool:
        """Take the next thing that is told; False where nothing more comes."""
        kind, data = "", ""
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value
            elif not name:  # a comment, or the end of what was told
                if kind:
                    self._taken(kind, json.loads(data))
                if line.startswith(":"):
                    self.answer.readline()
                return True
        return False

    def _taken(self, kind: str, document: Mapping[str, Any]) -> None:
        if kind == "part":
            self.parts[document["name"]] = document["html"]
        elif kind == "stream":
            self.lines[document["name"]].append(document["html"])


# --- the application ------------------------------------------------------------------------------


class Web:
    """The application, served by a process of its own.

    ``url``: the address that lets a browser in; ``origin``: where its pages are. ``http``: a client
    that was let in. ``folder``: where it works, and keeps its state and journal.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path, document: Any) -> None:
        self.process = process
        self.folder = folder
        self.document: dict[str, Any] = document
        self.url: str = document["url"]
        parts = urlsplit(self.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.http = self.client()

    @property
    def journal(self) -> Path:
        """The journal's file, unless another one was asked for."""
        return self.folder / "state" / "vtc07" / "deliveries.journal"

    @property
    def said(self) -> str:
        """What the process has said on stderr so far."""
        return (self.folder / "web.err").read_text()

    def stranger(self) -> Http:
        """Return a client that was not let in."""
        return Http(self.origin)

    def client(self) -> Http:
        """Return another client that was let in, as another browser."""
        client = self.stranger()
        parts = urlsplit(self.url)
        answer = client.ask("GET", f"{parts.path}?{parts.query}")
        assert answer.status == 200, answer.html
        return client

    def events(
        self, station: str = "", *parts: str, streams: Sequence[str] = (), after: int = 0
    ) -> Events:
        """Listen to what is told of parts and streams of a place."""
        return Events(self.http, station, parts, streams, after)

    def connect(self, address: str, companion: str = "", *, wait: bool = True) -> str:
        """Connect to a meter; return the name of its place, by default once it was read."""
        answer = self.http.post(
            "/connect", {"address": address, "companion": companion}, follow=False
        )
        assert answer.status == 303, answer.text
        name = answer.headers["Location"].removeprefix("/at/")
        if wait:
            self.rests(name)
        return name

    def rests(self, station: str) -> str:
        """Wait until nothing is under way at a place; return what was said last."""
        with self.events(station, "work") as events:
            events.until(
                lambda: "work" in events.parts and 'class="work"' not in self._work(events)
            )
            return events.text("work")

    @staticmethod
    def _work(events: Events) -> str:
        return events.parts["work"]

    def _end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.process.stdout.read()
        code = self.process.wait()
        said = self.said
        assert "Traceback" not in said, said
        assert code in (0, 130), f"{code}: {said}"


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return an environment with nothing of the user's; state and journal are in a folder."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "HOME": str(folder / "home"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error::ResourceWarning",
        **variables,
    }


@contextlib.contextmanager
def web(folder: Path, *options: str, **variables: str) -> Iterator[Web]:
    """Serve the application at a free port until the end, which must be in good order.

    ``folder``: an empty one of the test's own; ``variables``: of the environment, besides.
    """
    with (folder / "web.err").open("w") as err:
        process = subprocess.Popen(
            [*PROGRAM, "web", "--port", "0", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=err,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=environment(folder, **variables),
        )
    with _guarded(process):
        assert process.stdout is not None
        document, text = None, ""
        while document is None:
            line = process.stdout.readline()
            assert line, (folder / "web.err").read_text()
            text += line
            with contextlib.suppress(ValueError):
                document = json.loads(text)
        here = Web(process, folder, document)
        yield here
        here._end()


@contextlib.contextmanager
def _guarded(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process at the end, and one that does not end."""
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        killing = threading.Timer(GUARD_S, process.kill)
        killing.start()
        try:
            process.communicate()
        finally:
            killing.cancel()
            killing.join()


# --- meters ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def meter(
    folder: Path,
    *options: str,
    name: str = "m",
    listen: str = "tcp://127.0.0.1:0",
    companion: str | None = FAST,
) -> Iterator[str]:
    """Serve a new meter; give its address. ``options``: of ``meter new``.

    ``companion``: the text of its file, COMPANION in the folder; None: as the options say.
    """
    store = str(folder / f"{name}.meter")
    chosen: tuple[str, ...] = ()
    if companion is not None:
        (folder / COMPANION).write_text(companion)
        chosen = ("--companion", str(folder / COMPANION))
    done("meter", "new", store, *chosen, *options)
    with served(store, "--listen", listen) as process:
        yield process.address


# --- in a browser ---------------------------------------------------------------------------------


@dataclass
class Seen:
    """What a page did besides showing itself; all of it is empty where all is well."""

    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def nothing(self) -> None:
        """Hold that no dialog opened, no script failed, nothing was asked of another host."""
        assert not self.dialogs, self.dialogs
        assert not self.errors, self.errors
        assert not self.elsewhere, self.elsewhere


class Chromium:
    """A browser, started when it is first needed and kept until the tests of this process end.

    Playwright leaves its event loop marked as running in this thread between two calls, and no
    other test could run one of its own; so the mark is set while a test has the browser only.
    """

    def __init__(self) -> None:
        needs.program("chromium")
        self._running = sync_playwright().start()
        self.browser: Browser = self._running.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(_FLAGS)
        )
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)

    @contextlib.contextmanager
    def awake(self) -> Iterator[Self]:
        """Have the browser at work."""
        asyncio._set_running_loop(self._loop)
        try:
            yield self
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """End the browser."""
        with self.awake():
            self.browser.close()
            self._running.stop()

    @contextlib.contextmanager
    def page(
        self,
        web: Web,
        path: str | None = "/",
        *,
        width: int = 1280,
        height: int = 800,
        dark: bool = False,
        language: str = "en",
        look: str | None = None,
        script: bool = True,
        **options: Any,
    ) -> Iterator[Page]:
        """Give a page of a new browser profile that was let in, at a path of the application.

        ``look``: chosen in the application; ``script``: whether scripts run; ``options``: of
        Playwright's new_context. At the end: no dialog opened, no script failed, the policy for
        content was kept, and no other host was asked.
        """
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=language,
            java_script_enabled=script,
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(GUARD_S * 1000)
        try:
            if look is not None:
                context.add_cookies([{"name": "vtc07-look", "value": look, "url": web.origin}])
            page = context.new_page()
            seen = observed(page, web.origin)
            enter(page, web)
            if path not in (None, "/"):
                page.goto(web.origin + str(path))
            yield page
            seen.nothing()
        finally:
            context.close()


def enter(page: Page, web: Web) -> None:
    """Open the address that lets a browser in, and be led to the first page."""
    page.goto(web.url)
    page.wait_for_url(lambda url: "/enter" not in url)  # the bench begins elsewhere


def observed(page: Page, origin: str) -> Seen:
    """Take note of all that a page does besides showing itself."""
    seen = Seen()

    def dialog(opened: Dialog) -> None:
        seen.dialogs.append(f"{opened.type}: {opened.message}")
        opened.dismiss()

    def console(message: ConsoleMessage) -> None:
        # A refusal that a page asked for in quiet is shown by it; the console tells of it as well.
        refused = "Failed to load resource" in message.text and "status of 4" in message.text
        if message.type in ("error", "warning") and not refused:
            seen.errors.append(message.text)

    def error(raised: Error) -> None:
        seen.errors.append(str(raised))

    def asked(request: Request) -> None:
        if not request.url.startswith((origin + "/", "data:", "blob:")):
            seen.elsewhere.append(request.url)

    page.on("dialog", dialog)
    page.on("console", console)
    page.on("pageerror", error)
    page.on("request", asked)
    return seen


def station_path(station: str, page: str = "") -> str:
    """Return the path of a page of a place."""
    return f"/at/{quote(station)}" + (f"/{page}" if page else "")


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


__all__ = ["COMPANION", "GUARD_S", "Chromium", "Events", "Http", "Web", "meter", "web"]
