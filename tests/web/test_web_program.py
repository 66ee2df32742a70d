"""How the application is started and ended: options, TLS, password, signals, the browser."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import ipaddress
import json
import os
import re
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from cli_bench import PROGRAM, here, new_meter, one_sentence, vtc07
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from web_bench import GUARD_S, Events, Http, Web, environment, web

import needs
from vtc07.hhu.journal.file import FileJournal
from vtc07.web.listening import Reach, hosts_of, origin_of, require_safe
from vtc07.web.password import PasswordHash

assert here

if sys.platform == "win32":
    needs.lacking("POSIX signals and a pseudo-terminal are wanted")

import pty  # noqa: E402 - not on every system

PASSWORD = "a long walk on the beach"
#: Of the tests' own, known to nobody: costs that let them be quick.
CHEAP = "scrypt:2:8:1:{salt}:{digest}\n"


def cheap_password(file: Path) -> Path:
    """Write the file of PASSWORD, its hash made at little cost."""
    import hashlib

    digest = hashlib.scrypt(PASSWORD.encode(), salt=b"s" * 16, n=2, r=8, p=1, dklen=32)
    file.write_text(CHEAP.format(salt=(b"s" * 16).hex(), digest=digest.hex()))
    file.chmod(0o600)
    return file


def certified(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine, and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    then = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(then)
        .not_valid_after(then + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    private.chmod(0o600)
    return chain, private


# --- what is refused before anything is served ----------------------------------------------------


def test_others_reach_it_only_with_all_that_protects_it(here: Path) -> None:
    chain, private = certified(here)
    password = cheap_password(here / "p")
    tls = ("--certificate", str(chain), "--private-key", str(private))
    remote = ("web", "--port", "0", "--host", "0.0.0.0")
    for arguments, words in (
        (remote, "--allow-remote"),
        (("web", "--port", "0", "--listen", "::"), "--allow-remote"),
        (("web", "--port", "0", "--host", "meter.example"), "--allow-remote"),
        ((*remote, "--allow-remote"), "--certificate"),
        ((*remote, "--allow-remote", "--certificate", str(chain)), "go together"),
        ((*remote, "--allow-remote", "--private-key", str(private)), "go together"),
        ((*remote, "--allow-remote", *tls), "--set-password"),
        ((*remote, "--allow-remote", *tls, "--password-file", str(password)), "--name"),
        (("web", "--password-file", "nothing"), "nothing cannot be read"),
        (("web", "--password-file", str(chain)), "no hash"),
        (("web", "--certificate", "nothing", "--private-key", "x"), "nothing cannot be read"),
        (("web", "--certificate", str(chain), "--private-key", str(chain)), "no certificate"),
        (("web", "--certificate", str(password), "--private-key", str(private)), "no certificate"),
        (("web", "--bench", "--journal", "j"), "its own"),
        (("web", "--bench", "--address", "tcp://127.0.0.1:1"), "--bench"),
        (("web", "--address", "nonsense:"), "no address"),
        (("web", "--companion", "nothing.toml"), "nothing.toml"),
        (("web", "--language", "tlh"), "tlh"),
        (("web", "--port", "0", "--journal", "no/where/j"), "no folder"),
        (("web", "--port", "0", "--host", "127.0.0.1.nowhere.invalid"), "--allow-remote"),
    ):
        result = vtc07(*arguments)
        assert result.code == 2, arguments
        assert words in one_sentence(result.err), arguments
        assert result.out == ""


def test_a_key_that_wants_a_passphrase_is_not_asked_about(here: Path) -> None:
    chain, private = certified(here)
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    result = vtc07("web", "--certificate", str(chain), "--private-key", str(private))
    assert result.code == 2
    assert "passphrase" in one_sentence(result.err)


def test_a_port_that_is_taken_is_said(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = vtc07("web", "--port", port)
    assert result.code == 2
    assert "--port, 0 for any" in one_sentence(result.err)


def test_a_journal_in_use_is_said(here: Path) -> None:
    with FileJournal(here / "j"):
        result = vtc07("web", "--port", "0", "--journal", "j")
    assert result.code == 2
    assert "another program is using the journal" in one_sentence(result.err)


def test_a_missing_package_is_said(here: Path) -> None:
    code = "import sys; sys.modules['uvicorn'] = None\nfrom vtc07.cli.main import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "web"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert 'pip install "vtc07[web]"' in one_sentence(run.stderr)


@pytest.mark.parametrize(
    ("reach", "port", "scheme", "origin", "names"),
    [
        (Reach(), 8070, "http", "http://127.0.0.1:8070", {"127.0.0.1:8070", "localhost:8070"}),
        (
            Reach("localhost"),
            8070,
            "http",
            "http://127.0.0.1:8070",
            {"127.0.0.1:8070", "localhost:8070"},
        ),
        (Reach("localhost"), 8070, "https", "https://localhost:8070", {"localhost:8070"}),
        (
            Reach("::1"),
            80,
            "http",
            "http://[::1]",
            {"[::1]", "[::1]:80", "localhost", "localhost:80"},
        ),
        (
            Reach("0.0.0.0", names=("Meter.example", "192.0.2.7")),
            443,
            "https",
            "https://meter.example",
            {"meter.example", "meter.example:443", "192.0.2.7", "192.0.2.7:443"},
        ),
    ],
)
def test_names_are_those_that_browsers_write(
    reach: Reach, port: int, scheme: str, origin: str, names: set[str]
) -> None:
    assert origin_of(reach, port, scheme) == origin
    assert hosts_of(reach, port, scheme) == names


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_alone_needs_nothing(host: str) -> None:
    require_safe(Reach(host))


# --- the file of the password ---------------------------------------------------------------------


def typed_password(folder: Path, *lines: str, file: str = "p") -> tuple[int, str]:
    """Run --set-password in a terminal, and answer what it asks; return code and what was shown."""
    end, side = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "web", "--set-password", file],
        stdin=side, stdout=side, stderr=side, cwd=folder, env=environment(folder),
        start_new_session=True,
    )  # fmt: skip
    os.close(side)
    shown, asked = "", 0
    with contextlib.closing(os.fdopen(end, "r+b", buffering=0)) as terminal:
        while True:
            ready, _, _ = select.select([terminal], [], [], GUARD_S)
            assert ready, shown
            try:
                data = os.read(end, 4096)
            except OSError:
                data = b""
            if not data:
                break
            shown += data.decode()
            if shown.count("): ") + shown.count("more: ") > asked and asked < len(lines):
                os.write(end, lines[asked].encode() + b"\n")
                asked += 1
    return process.wait(GUARD_S), shown


def test_a_password_is_asked_for_twice_and_never_shown(tmp_path: Path) -> None:
    code, shown = typed_password(tmp_path, PASSWORD, PASSWORD)
    assert code == 0, shown
    assert PASSWORD not in shown
    file = tmp_path / "p"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PasswordHash.parse(file.read_text()).is_of(PASSWORD)
    assert PASSWORD not in file.read_text()
    # Another one in its place; but nothing else is written over.
    file.chmod(0o644)
    code, shown = typed_password(tmp_path, "another long one", "another long one")
    assert code == 0, shown
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PasswordHash.parse(file.read_text()).is_of("another long one")
    (tmp_path / "other").write_text("precious")
    code, shown = typed_password(tmp_path, file="other")
    assert code == 2
    assert "nothing is overwritten" in shown
    assert (tmp_path / "other").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"p", "other"}


def test_a_short_password_is_not_taken(tmp_path: Path) -> None:
    code, shown = typed_password(tmp_path, "short", "short")
    assert code == 2
    assert "too short" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_asked_for_at_a_terminal_alone(here: Path) -> None:
    result = vtc07("web", "--set-password", "p", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.code == 2
    assert "terminal" in one_sentence(result.err)
    assert not (here / "p").exists()


# --- over TLS, with the password ------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """An answer, read whole."""

    status: int
    headers: Message
    body: bytes


class Remote:
    """A browser that comes over TLS."""

    def __init__(self, document: dict[str, str], chain: Path) -> None:
        parts = urlsplit(document["url"])
        self.port = parts.port
        self.url = document["url"]
        self.origin = f"https://127.0.0.1:{self.port}"
        self._tls = ssl.create_default_context(cafile=str(chain))
        self.cookie = ""

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> Answered:
        line = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self._tls, timeout=GUARD_S
        )
        headers = {"Connection": "close"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        body = None
        if fields is not None:
            body = urlencode(fields)
            headers |= {
                "Origin": self.origin,
                "Content-Type": "application/x-www-form-urlencoded",
            }
        line.request(method, path, body, headers)
        answer = line.getresponse()
        found = Answered(answer.status, answer.headers, answer.read())
        line.close()
        return found

    def sign_in(self, password: str) -> Answered:
        answer = self.ask("POST", "/sign-in", {"password": password})
        if answer.status == 303:
            given = answer.headers["Set-Cookie"]
            self.cookie = given.partition(";")[0]
        return answer


@contextlib.contextmanager
def started(
    folder: Path, *options: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Start the application; give the process and what it wrote. Killed where it does not end."""
    process = subprocess.Popen(
        [*PROGRAM, "web", "--port", "0", "--json", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, cwd=folder, env=environment(folder, **variables),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_password_lets_in_over_tls_and_nothing_else(tmp_path: Path) -> None:
    chain, private = certified(tmp_path)
    password = cheap_password(tmp_path / "p")
    options = ("--certificate", str(chain), "--private-key", str(private), "--host", "0.0.0.0",
               "--allow-remote", "--name", "127.0.0.1",
               "--password-file", str(password))  # fmt: skip
    with started(tmp_path, *options) as (process, document):
        assert "token" not in document["url"]
        assert document["url"].startswith("https://127.0.0.1:")
        browser = Remote(document, chain)
        assert browser.ask("GET", "/").headers["Location"] == "/sign-in"
        assert browser.ask("GET", "/enter?token=").status == 401
        assert browser.ask("GET", "/enter?token=None").status == 401
        assert browser.ask("GET", "/live").status == 401
        assert browser.ask("POST", "/connect", {"address": "x"}).status == 401
        page = browser.ask("GET", "/sign-in")
        assert b'type="password"' in page.body
        assert page.headers["Strict-Transport-Security"].startswith("max-age=")
        for wrong in ("", PASSWORD.upper(), PASSWORD + " "):
            answer = browser.sign_in(wrong)
            assert answer.status == 403
            assert answer.headers["Set-Cookie"] is None
        # Three were forgiven; now the right one is not looked at either, until the pause is over.
        answer = browser.sign_in(PASSWORD)
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1
        while answer.status == 429:
            answer = browser.sign_in(PASSWORD)
        assert answer.status == 303
        given = answer.headers["Set-Cookie"]
        assert given.startswith("__Host-vtc07-")
        assert {"httponly", "secure", "samesite=strict", "path=/"} <= {
            word.strip().lower() for word in given.split(";")
        }
        page = browser.ask("GET", "/")
        assert page.status == 200
        assert b"/sign-out" in page.body
        kept = browser.cookie
        again = browser.sign_in(PASSWORD)  # a new session, and the old one is no more
        assert again.status == 303
        assert browser.cookie != kept
        fresh, browser.cookie = browser.cookie, kept
        assert browser.ask("GET", "/").status == 303
        browser.cookie = fresh
        assert browser.ask("POST", "/sign-out", {}).headers["Location"] == "/sign-in"
        assert browser.ask("GET", "/").status == 303
        # Plain HTTP is no way in.
        with socket.create_connection(("127.0.0.1", int(browser.port or 0)), GUARD_S) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert not line.recv(100).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert err == ""
    assert PASSWORD not in out + err


def test_this_machine_is_not_locked_to_tls(tmp_path: Path) -> None:
    """``localhost`` is one name for all that is served here, at whatever port."""
    chain, private = certified(tmp_path)
    tls = ("--certificate", str(chain), "--private-key", str(private))
    with started(tmp_path, *tls) as (process, document):
        answer = Remote(document, chain).ask("GET", "/")
        assert answer.status == 401
        assert answer.headers["Strict-Transport-Security"] is None
        assert answer.headers["Content-Security-Policy"]
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1] == ""


def test_whoever_signs_in_sends_no_file_of_this_machine_to_a_meter(tmp_path: Path) -> None:
    password = cheap_password(tmp_path / "p")
    (tmp_path / "secret").write_text("0123456789abcdef\n")
    with started(tmp_path, "--password-file", str(password)) as (process, document):
        browser = Http(document["url"].rstrip("/"))
        browser.post("/sign-in", {"password": PASSWORD}, follow=False)
        route_file = ("r.csv", b"meter,read\n600727000000000009,creditBalance\n")
        kept = browser.upload("/routes", {"file": route_file}, follow=False)
        route = kept.headers["Location"]
        for option in ("--password-file", "--store-key-file", "--password-fil"):
            address = f"tcp://127.0.0.1:1 {option} {tmp_path / 'secret'}"
            for path in ("/connect", "/open/ask", f"{route}/place"):
                answer = browser.post(path, {"address": address}, quiet=True)
                assert answer.status == 422, (path, option)
                assert "0123456789abcdef" not in answer.html
        assert "/at/" not in browser.get("/").html
        fine = {"address": "tcp://127.0.0.1:1 --wake-up normal"}
        assert browser.post("/connect", fine, quiet=True).status == 204
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1] == ""


def test_a_page_that_is_told_what_happens_is_signed_out_too(tmp_path: Path) -> None:
    password = cheap_password(tmp_path / "p")
    with started(tmp_path, "--password-file", str(password)) as (process, document):
        browser, other = Http(document["url"].rstrip("/")), Http(document["url"].rstrip("/"))
        for each in (browser, other):
            given = {"password": PASSWORD}
            assert each.post("/sign-in", given, follow=False).status == 303
            assert each.get("/").status == 200
        with Events(browser, "", ["places"], [], 0) as events:
            assert events.take()
            assert browser.post("/sign-out", follow=False).status == 303
            # Something changes, of which the page is not told any more.
            other.post("/connect", {"address": "tcp://127.0.0.1:1"}, follow=False)
            assert not events.take()
        assert browser.get("/", follow=False).status == 303
        assert other.get("/").status == 200
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1] == ""


# --- how it is used -------------------------------------------------------------------------------


def test_an_address_is_connected_to_at_once(tmp_path: Path) -> None:
    new_meter(str(tmp_path / "k.meter"))
    with web(tmp_path, "--address", f"sim:{tmp_path / 'k.meter'}") as app:
        entered = app.stranger().ask("GET", app.url.removeprefix(app.origin))
        assert "url=/at/1" in entered.html
        with app.events("1", "meter") as events:
            assert "6007" in events.sees("meter", "6007")


def test_the_language_is_as_for_the_terminal(tmp_path: Path) -> None:
    asks = {"Accept-Language": "pt"}
    with web(tmp_path, VTC07_LANGUAGE="fr") as app:
        assert '<html lang="fr"' in app.http.get("/", headers=asks).html
    (tmp_path / "state" / "vtc07" / "deliveries.journal").unlink()
    with web(tmp_path, LC_ALL="fr_FR.UTF-8") as app:
        assert '<html lang="pt"' in app.http.get("/", headers=asks).html


def test_the_browser_is_given_a_file_and_no_token(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        '#!/bin/sh\nf="${1#file://}"\necho "$@" >"$HERE/a"\nstat -c %a "$f" >"$HERE/m"\n'
        'cat "$f" >"$HERE/content"\n'
    )
    browser.chmod(0o755)
    os.mkfifo(tmp_path / "content")
    seen = os.open(tmp_path / "content", os.O_RDONLY | os.O_NONBLOCK)
    variables = {"BROWSER": f"{browser} %s", "HERE": str(tmp_path)}
    with web(tmp_path, "--open", **variables) as app:
        with os.fdopen(seen, encoding="utf-8") as content:
            assert select.select([content], [], [], GUARD_S)[0]
            os.set_blocking(seen, True)
            assert f"url={app.url}" in content.read()
        arguments = (tmp_path / "a").read_text().strip()
        token = urlsplit(app.url).query.removeprefix("token=")
        assert token not in arguments
        assert (tmp_path / "m").read_text().strip() == "600"
        file = Path(arguments.removeprefix("file://"))
        assert file.exists()
        cmdline = Path(f"/proc/{app.process.pid}/cmdline")
        assert not cmdline.exists() or token.encode() not in cmdline.read_bytes()
    assert not file.exists()
    assert not file.parent.exists()


def test_no_browser_is_no_end(tmp_path: Path) -> None:
    with web(tmp_path, "--open", BROWSER="/nonexistent/browser %s", PATH="/nonexistent") as app:
        assert app.http.get("/").status == 200


def test_the_bench_keeps_everything_for_itself(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with web(tmp_path, "--bench", TMPDIR=str(tmp_path / "tmp")) as app:
        (folder,) = (tmp_path / "tmp").iterdir()
        assert (folder / "bench.journal").exists()
        refused = app.http.post("/connect", {"address": "tcp://127.0.0.1:1"}, follow=False)
        assert refused.status in (409, 422)
        assert "bench" in refused.text
        assert app.http.get("/bench").status == 200
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "state").exists()


def test_two_may_not_have_one_journal(tmp_path: Path) -> None:
    with web(tmp_path):
        second = subprocess.run(
            [*PROGRAM, "web", "--port", "0"],
            capture_output=True, text=True, cwd=tmp_path, env=environment(tmp_path), check=False,
        )  # fmt: skip
    assert second.returncode == 2
    assert "another program is using the journal" in one_sentence(second.stderr)


# --- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_in_good_order_with_open_pages(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as (process, document):
        app = Web(process, tmp_path, document)
        with contextlib.ExitStack() as pages:
            events = [pages.enter_context(app.events("", "places")) for _ in range(4)]
            assert all(each.take() for each in events)
            name, _, port = urlsplit(app.origin).netloc.rpartition(":")
            idle = pages.enter_context(socket.create_connection((name, int(port)), GUARD_S))
            idle.sendall(b"GET / HT")  # one that never comes to its end
            process.send_signal(number)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)  # a second one is no worse
            while any(each.take() for each in events):
                pass
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert err == ""
    with FileJournal(tmp_path / "state" / "vtc07" / "deliveries.journal") as journal:
        assert journal.torn is None


def test_with_a_token_on_its_way_it_says_what_stands_open(tmp_path: Path) -> None:
    """The work carries tokens, its delivery is open in the journal, and the end comes."""
    (tmp_path / "broken.py").write_text(
        "import threading\n"
        "from vtc07.web.pages import connect\n"
        "import vtc07.web.program as program\n"
        "from journal_bench import fill\n"
        "from vtc07.hhu.texts import said\n"
        "def begin(desk, target):\n"
        "    fill(desk.setting.journal)\n"
        "    station = desk.station_at(target)\n"
        "    def work(connection):\n"
        "        connection.greet()\n"
        "    station.begin(said('x'), work, print, carries_tokens=True)\n"
        "    return '/'\n"
        "program._begin = begin\n"
        "from vtc07.cli.main import main\n"
        "main()\n"
    )
    tests = Path(__file__).resolve().parents[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "broken.py", "web", "--port", "0", "--address", address],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=environment(tmp_path, PYTHONPATH=str(tests / "hhu")),
        )  # fmt: skip
        try:
            silent.accept()[0].close()
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 4, err
    assert "stands open in the journal" in one_sentence(err)
    assert "nothing is entered twice" in err


# --- what is said of defects ----------------------------------------------------------------------


def test_a_defect_shows_nobodys_values(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import sys\n"
        "from vtc07.web.pages import frame, connect\n"
        "from vtc07.web.station import Station\n"
        "async def broken(request):\n"
        "    secret = (await request.form())['x']\n"
        "    try:\n"
        "        int(secret)\n"
        "    except ValueError as error:\n"
        "        raise RuntimeError('of ' + secret) from error\n"
        "from starlette.routing import Route\n"
        "frame.ROUTES = (*frame.ROUTES, Route('/broken', broken, methods=['POST']))\n"
        "from vtc07.cli.main import main\n"
        "main()\n"
    )
    with (tmp_path / "err").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "broken.py", "web", "--port", "0", "--json"],
            stdout=subprocess.PIPE, stderr=err, text=True, cwd=tmp_path, env=environment(tmp_path),
        )  # fmt: skip
        try:
            assert process.stdout is not None
            app = Web(process, tmp_path, json.loads(process.stdout.readline()))
            answer = app.http.post("/broken?q=hidden", {"x": "5123 4567 8901 2345 6789"})
            assert answer.status == 500
            assert "A defect of this program" in answer.text
            for word in ("5123", "RuntimeError", "Traceback", "broken.py"):
                assert word not in answer.html
            assert app.http.get("/").status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(GUARD_S) == 0
        finally:
            process.kill()
            process.communicate()
        err.seek(0)
        told = err.read()
    assert "Traceback" in told
    assert "builtins.RuntimeError" in told
    assert "builtins.ValueError" in told
    assert "broken.py" in told
    for word in ("5123", "hidden", "token=", next(iter(app.http.cookies.values()))):
        assert word not in told


def test_nothing_of_a_request_is_logged(tmp_path: Path) -> None:
    with web(tmp_path) as app:
        app.http.get("/nothing?secret=4711")
        app.stranger().ask("GET", "/enter?token=4711")
        app.stranger().ask("POST", "/look", b"4711", {"Origin": "http://evil"})
        said = app.said
    assert said == ""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/enter\?token=[\w-]{43}", app.url)
