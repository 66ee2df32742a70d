"""Who is let in, and what is refused: over real HTTP, character by character, at the program."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from web_bench import GUARD_S, Chromium, Web, enter, web

from vtc07.web.access import MOST_STREAMS
from vtc07.web.body import LONGEST_FORM
from vtc07.web.guard import HEADERS
from vtc07.web.neighbour import owner_of

EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One application for all: none of what is asked here may change it."""
    with web(tmp_path_factory.mktemp("web")) as here:
        yield here


class Raw:
    """An answer, as it came over the line."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.headers = {name.lower(): value for name, value in self.fields}


def host(web: Web) -> str:
    return urlsplit(web.origin).netloc


def cookie(web: Web) -> str:
    (pair,) = web.http.cookies.items()
    return "=".join(pair)


def raw(web: Web, request: bytes, *, hang_up: bool = False) -> Raw:
    """Send characters, and return what is answered until the line is closed."""
    name, _, port = host(web).rpartition(":")
    with socket.create_connection((name, int(port)), GUARD_S) as line:
        line.sendall(request)
        if hang_up:
            line.shutdown(socket.SHUT_WR)
        data = b""
        try:
            while piece := line.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
    return Raw(data)


def asked(
    web: Web,
    target: str = "/",
    *lines: str,
    method: str = "GET",
    known: bool = True,
    named: str | None = None,
    body: bytes = b"",
) -> Raw:
    """Send a request made of lines; with the cookie, unless it is a stranger's."""
    head = [f"{method} {target} HTTP/1.1", f"Host: {named or host(web)}", "Connection: close"]
    if known:
        head.append(f"Cookie: {cookie(web)}")
    if body:
        head.append(f"Content-Length: {len(body)}")
    text = "\r\n".join([*head, *lines]) + "\r\n\r\n"
    return raw(web, text.encode("latin-1") + body)


def posted(
    web: Web, target: str, *lines: str, body: bytes = b"look=dark", known: bool = True
) -> Raw:
    form = "Content-Type: application/x-www-form-urlencoded"
    return asked(web, target, form, *lines, method="POST", known=known, body=body)


# --- who is let in --------------------------------------------------------------------------------


def test_a_stranger_is_answered_nothing(app: Web) -> None:
    for target in ("/", "/live?part=places", "/at/1", "/journal", "/nothing", "/sign-in", "/bench"):
        answer = asked(app, target, known=False)
        assert answer.status == 401, target
        assert b"<" not in answer.body
    assert posted(app, "/look", f"Origin: {app.origin}", known=False).status == 401


def test_only_the_token_itself_lets_in(app: Web) -> None:
    token = urlsplit(app.url).query.removeprefix("token=")
    assert len(token) >= 43
    wrong = ("", "token", "token=", f"token={token[:-1]}", f"token={token}x", token, f"t={token}")
    for query in (*wrong, "token=%00", "token=\xff\xfe", f"x=1&token={token}"):
        answer = asked(
            app, f"/enter?{query}" if query.isascii() else "/enter?token=%FF", known=False
        )
        assert answer.status == 401, query
        assert "set-cookie" not in answer.headers
    assert asked(app, f"/enter?token={token}", method="HEAD", known=False).status == 401


def test_the_cookie_is_for_this_site_and_no_script(app: Web) -> None:
    answer = asked(app, app.url.removeprefix(app.origin), known=False)
    assert answer.status == 200
    port = urlsplit(app.url).port
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == f"vtc07-{port}"
    told = {word.strip().lower() for word in rest.split(";")[1:]}
    assert told == {"httponly", "samesite=strict", "path=/"}
    token = urlsplit(app.url).query.removeprefix("token=")
    assert token.encode() not in answer.body
    assert token not in answer.headers["set-cookie"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    # Whoever is in already keeps the session.
    assert "set-cookie" not in asked(app, app.url.removeprefix(app.origin)).headers


def test_a_cookie_that_is_not_ours_lets_nobody_in(app: Web) -> None:
    name, _, value = cookie(app).partition("=")
    assert asked(app, "/").status == 200
    for wrong in ("", "x", value[:-1], value + "x", value.upper(), "\xff", '"', "a" * 4000):
        assert asked(app, "/", f"Cookie: {name}={wrong}", known=False).status == 401
    assert asked(app, "/", f"Cookie: other={value}", known=False).status == 401
    # Another program at this host may have set one of the same name: ours counts all the same.
    both = f"Cookie: a=b; {name}=x; =; {name}={value}; c"
    assert asked(app, "/", both, known=False).status == 200
    many = "; ".join(f"{name}={n}" for n in range(1000))
    assert asked(app, "/", f"Cookie: {many}; {name}={value}", known=False).status in (400, 401)


_TAKES_IT = """
import encodings.idna, os, socket, sys
os.setgid(65534)
os.setuid(int(sys.argv[1]))
with socket.create_connection((sys.argv[2], int(sys.argv[3]))) as line:
    line.sendall(sys.argv[4].encode())
    print(line.recv(100).decode().split()[1])
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root is somebody else"
)
def test_a_session_is_for_the_user_alone_who_began_it(app: Web) -> None:
    """Whoever serves at another port of this host is given our cookies by the browser."""
    name, _, port = host(app).rpartition(":")
    request = f"GET / HTTP/1.1\r\nHost: {host(app)}\r\nCookie: {cookie(app)}\r\n\r\n"
    status = [
        subprocess.run(
            [sys.executable, "-c", _TAKES_IT, user, name, port, request],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for user in ("0", "65534")
    ]  # fmt: skip
    assert status == ["200", "401"]
    assert asked(app, "/").status == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no other system tells")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_whose_a_connection_is(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with (
        made as listener,
        socket.create_connection(listener.getsockname()[:2]) as line,
    ):
        taken, peer = listener.accept()
        with taken:
            assert owner_of(peer, taken.getsockname()) == os.getuid()
            assert owner_of(line.getpeername(), ("127.0.0.1", 1)) is None
            line.close()  # and has said all it wanted: nobody's any more, and not root's
            assert owner_of(peer, taken.getsockname()) is None
    assert owner_of(("192.0.2.1", 80), ("192.0.2.7", 80)) is None
    assert owner_of(None, ("127.0.0.1", 80)) is None
    assert owner_of("socket", "") is None
    assert owner_of(("x", 1), ("y", 1)) is None


# --- from where it is asked -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "127.0.0.2:{port}", "[::1]:{port}",
     "localhost:{port}.", "localhost.evil.example:{port}", "user@localhost:{port}", "x"],
)  # fmt: skip
def test_another_name_of_this_machine_leads_nowhere(app: Web, named: str) -> None:
    answer = asked(app, "/", named=named.format(port=urlsplit(app.url).port))
    assert answer.status == 421
    assert b"html" not in answer.body


def test_our_names_are_answered_however_they_are_written(app: Web) -> None:
    port = urlsplit(app.url).port
    assert asked(app, "/", named=f"LocalHost:{port}").status == 200
    assert raw(app, b"GET / HTTP/1.1\r\n\r\n").status == 400
    two = f"GET / HTTP/1.1\r\nHost: {host(app)}\r\nHost: evil\r\nCookie: {cookie(app)}\r\n\r\n"
    assert raw(app, two.encode()).status == 400
    # HTTP/1.0 needs no name, but we do.
    assert raw(app, f"GET / HTTP/1.0\r\nCookie: {cookie(app)}\r\n\r\n".encode()).status == 421


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", EVIL, "https://{host}", "http://{host}0", "http://{name}", "http://{name}:1",
     "http://{host}/", "http://{host}, http://{host}", "http://evil@{host}", "{host}"],
)  # fmt: skip
def test_nothing_is_changed_but_by_a_page_of_ours(app: Web, origin: str | None) -> None:
    lines = []
    if origin is not None:
        lines = ["Origin: " + origin.format(host=host(app), name=urlsplit(app.url).hostname)]
    answer = posted(app, "/look", *lines)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert posted(app, "/connect", *lines, body=b"address=tcp://127.0.0.1:1").status == 403
    assert asked(app, "/at/1").status == 404  # no place was made


def test_two_origins_are_none(app: Web) -> None:
    own = f"Origin: {app.origin}"
    assert posted(app, "/look", own).status == 303
    assert posted(app, "/look", own, own).status == 403
    assert posted(app, "/look", own, f"Origin: {EVIL}").status == 403
    assert posted(app, "/look", own, "Sec-Fetch-Site: cross-site").status == 403
    assert posted(app, "/look", own, "Sec-Fetch-Site: same-site").status == 403
    assert posted(app, "/look", own, "Sec-Fetch-Site: same-origin").status == 303


@pytest.mark.parametrize("target", ["/", "/live?part=places", "/static/vtc07.js", "/journal"])
def test_nothing_is_read_from_another_site(app: Web, target: str) -> None:
    for lines in (
        [f"Origin: {EVIL}"],
        ["Origin: null"],
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"],
        ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"],
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
        ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    ):
        answer = asked(app, target, *lines)
        assert answer.status == 403, lines
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_link_on_another_site_leads_in_without_showing_anything(app: Web) -> None:
    follows = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    answer = asked(app, "/at/1?x=<script>", *follows, known=False)
    assert answer.status == 200
    assert b'url=/"' in answer.body
    assert b"script" not in answer.body
    assert asked(app, "/enter?token=x", *follows, known=False).status == 401


class _Foreign(http.server.BaseHTTPRequestHandler):
    """Another program of this machine: a browser takes it for the same site, at another port."""

    page = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_: object) -> None:
        pass


_ASKS = """async (origin) => {
  const fetched = await fetch(`${origin}/live?part=places`, { credentials: "include" })
    .then(() => "read", () => "refused");
  const told = await new Promise((resolve) => {
    const source = new EventSource(`${origin}/live?part=places`, { withCredentials: true });
    source.onopen = () => { source.close(); resolve("read"); };
    source.onerror = () => { source.close(); resolve("refused"); };
  });
  const seen = await new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve("read");
    image.onerror = () => resolve("refused");
    image.src = `${origin}/static/icon.svg`;
  });
  return [fetched, told, seen];
}"""


def test_another_programs_page_reads_and_changes_nothing(app: Web, browser: Chromium) -> None:
    """In a real browser that was let in: the cookie is there, and would be sent."""
    _Foreign.page = (
        f'<form method="post" action="{app.origin}/connect">'
        '<input name="address" value="tcp://127.0.0.1:1"></form>'
        f'<iframe src="{app.origin}/"></iframe>'
    )
    with contextlib.ExitStack() as resources:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Foreign)
        resources.callback(server.server_close)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        resources.callback(thread.join)
        resources.callback(server.shutdown)
        context = browser.browser.new_context()
        resources.callback(context.close)
        page = context.new_page()
        enter(page, app)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        assert page.evaluate(_ASKS, app.origin) == ["refused"] * 3
        assert len(page.frames) == 2
        assert all("vtc07" not in frame.content() for frame in page.frames[1:])
        with page.expect_navigation():
            page.evaluate("document.forms[0].submit()")
        assert page.inner_text("body") == "This was not asked by a page of this application."
        page.goto(app.origin + "/")
        assert "127.0.0.1:1" not in page.inner_text("main")
    assert asked(app, "/at/1").status == 404


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "QUERY", "X"])
def test_other_methods_are_refused(app: Web, method: str) -> None:
    own = f"Origin: {app.origin}"
    asks = "Access-Control-Request-Method: POST"
    for target in ("/", "/look", "/live", "/static/vtc07.js"):
        answer = asked(app, target, own, asks, "X-Secret: 4711", method=method)
        assert answer.status == 405
        assert "GET" in answer.headers["allow"]
        assert b"4711" not in answer.body
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert asked(app, "/", f"Origin: {EVIL}", asks, method=method).status == 403


def test_numbers_that_are_none_are_no_defect(app: Web) -> None:
    for number in ("%C2%B2", "-1", "1" * 16, "9" * 5000, "%D9%A3", ""):
        assert asked(app, f"/live?part=places&stream=line&after={number}").status == 400, number
        assert asked(app, f"/journal/{number}").status == 404, number
        assert asked(app, f"/journal?before={number}").status == 200, number
    assert app.said == ""


def test_what_is_of_a_place_is_told_of_none_without_one(app: Web) -> None:
    for query in ("part=work", "part=places&part=meter", "stream=line&after=0"):
        for station in ("", "&station=", "&station=99"):
            assert asked(app, f"/live?{query}{station}").status == 404
    assert app.said == ""


def test_what_is_no_page_is_refused(app: Web) -> None:
    own = f"Origin: {app.origin}"
    assert asked(app, "evil.example:443", own, method="CONNECT").status == 405
    assert asked(app, "*", own, method="OPTIONS").status == 405
    assert asked(app, "http://evil.example/").status == 404
    assert asked(app, "/live", method="HEAD").status == 405
    head = asked(app, "/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: eA==")
    assert asked(app, "/", *upgrade, "Sec-WebSocket-Version: 13").status == 200
    # GET has no body, and no handler ever waits for one.
    assert asked(app, "/", "Content-Length: 5").status == 400
    assert asked(app, "/", "Transfer-Encoding: chunked").status == 400


@pytest.mark.parametrize(
    "path",
    ["/static/../guard.py", "/static/%2e%2e/guard.py", "/static/..%2fguard.py",
     "/static/..\\guard.py", "/static/%2e%2e%5cguard.py", "/./", "/at/../journal",
     "/static//etc/passwd", "/static/%00",
     "/%0d%0aSet-Cookie:%20x=y", "/static/", "/static", "/%7f", "/a%E2%80%AEb", "//evil.example/",
     "/%ff%fe", "/" + "a" * 9000],
)  # fmt: skip
def test_no_path_leads_elsewhere(app: Web, path: str) -> None:
    answer = asked(app, path)
    assert answer.status == 404
    assert b"import" not in answer.body
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "junk",
    [b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n",
     b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 99,
     b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
     b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 20_000 + b"\r\n",
     b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_http_is_refused(app: Web, junk: bytes) -> None:
    try:
        answer = raw(app, junk, hang_up=True)
    except (IndexError, OSError):  # ENOTCONN, where it hung up before we did
        pass  # hung up without a word
    else:
        assert answer.status in (400, 421, 501)
        assert answer.headers["content-security-policy"]
    assert app.http.get("/").status == 200


# --- bodies ---------------------------------------------------------------------------------------


def test_a_body_that_is_too_long_is_refused_however_it_comes(app: Web) -> None:
    own = f"Origin: {app.origin}"
    for size in (LONGEST_FORM + 1, 3_000_000):
        answer = posted(app, "/look", own, body=b"look=" + b"x" * (size - 5))
        assert answer.status == 413
        assert b"too large" in answer.body
    assert posted(app, "/look", own, body=b"look=" + b"x" * (LONGEST_FORM - 5)).status == 303
    head = (
        f"POST /look HTTP/1.1\r\nHost: {host(app)}\r\nCookie: {cookie(app)}\r\n{own}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunks = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    assert raw(app, head + chunks * 17 + b"0\r\n\r\n").status == 413
    fine = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert raw(app, fine + b"9\r\nlook=dark\r\n0\r\n\r\n").status == 303
    huge = head.replace(b"Transfer-Encoding: chunked", b"Content-Length: 99999999999999999999")
    assert raw(app, huge).status == 400
    announced = head.replace(b"Transfer-Encoding: chunked", b"Content-Length: 999999999")
    assert raw(app, announced).status == 413


def test_a_form_that_cannot_be_read_changes_nothing(app: Web) -> None:
    own = f"Origin: {app.origin}"

    def sent(kind: str, body: bytes) -> Raw:
        return asked(app, "/look", own, f"Content-Type: {kind}", method="POST", body=body)

    many = b"&".join(b"f%d=1" % n for n in range(2_000))
    assert sent("application/x-www-form-urlencoded", many).status == 400
    assert sent("multipart/form-data", b"--x\r\n").status == 400
    assert sent("multipart/form-data; boundary=x", b"no part").status == 400
    part = (
        b'--x\r\nContent-Disposition: form-data; name="look"; filename="a"\r\n\r\ndark\r\n--x--\r\n'
    )
    assert sent("multipart/form-data; boundary=x", part).status == 400
    assert sent("text/plain", b"look=dark").status == 303
    answer = sent(
        "application/x-www-form-urlencoded", b"look=%FF%00%0d%0aSet-Cookie:x=y&language=<"
    )
    assert answer.status == 303
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "back",
    ["//evil.example", "/\\evil.example", "http://evil.example/", "javascript:alert(1)", "",
     "\r\nSet-Cookie: a=b", "/x\r\nSet-Cookie: a=b", "/\t/evil.example", "/\n/evil.example",
     "evil"],
)  # fmt: skip
def test_no_form_leads_to_another_site(app: Web, back: str) -> None:
    answer = app.http.post("/look", {"look": "dark", "back": back}, follow=False)
    assert answer.status == 303
    location = answer.headers["Location"]
    assert location.startswith("/")
    assert not re.match(r"/[/\\\t\r\n]", location)
    assert answer.headers["Set-Cookie"].startswith("vtc07-look=dark;")
    assert len(answer.headers.get_all("Set-Cookie", [])) == 1
    app.http.cookies.pop("vtc07-look", None)


def test_an_address_with_a_line_break_is_no_header(app: Web) -> None:
    for address in ("tcp://x\r\nSet-Cookie: a=b", "\r\n\r\n<script>", "/dev/\x00tty", "x" * 60_000):
        answer = app.http.post("/connect", {"address": address}, follow=False)
        assert answer.status in (409, 422)
        assert answer.headers.get_all("Set-Cookie") is None
        assert "<script>" not in answer.html
    app.http.cookies.pop("vtc07-look", None)


# --- answers --------------------------------------------------------------------------------------


def test_every_answer_says_what_a_browser_may_do(app: Web) -> None:
    own = f"Origin: {app.origin}"
    answers = [
        asked(app, "/"),
        asked(app, "/", known=False),
        asked(app, "/nothing"),
        asked(app, "/", named="evil"),
        asked(app, "/", method="PUT"),
        asked(app, "/static/vtc07.css", known=False),
        asked(app, "/static/nothing", known=False),
        asked(app, "/live?part=nothing"),
        posted(app, "/look", own),
        posted(app, "/look", own, body=b"x" * 70_000),
        raw(app, b"\x00\r\n\r\n"),
    ]
    assert len({answer.status for answer in answers}) >= 7
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name.lower()] == value, (answer.status, name)
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in answer.headers
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert (
            "strict-transport-security" not in answer.headers
        )  # without TLS it would lock one out


def test_files_are_kept_by_browsers_as_long_as_they_are_what_they_were(app: Web) -> None:
    first = asked(app, "/static/vtc07.css", known=False)
    assert (first.status, first.headers["cache-control"]) == (200, "no-cache")
    again = asked(app, "/static/vtc07.css", f"If-None-Match: {first.headers['etag']}", known=False)
    assert (again.status, again.body) == (304, b"")
    assert asked(app, "/").headers["cache-control"] == "no-store"


def test_whoever_is_in_is_refused_by_a_page_and_a_script_in_json(app: Web) -> None:
    own = f"Origin: {app.origin}"
    for status, lines, body in ((404, [], b""), (413, [own], b"x" * 70_000)):
        method = "POST" if body else "GET"
        target = "/look" if body else "/%00"
        page = asked(app, target, *lines, "Accept-Language: de", method=method, body=body)
        assert page.status == status
        assert b'href="/static/vtc07.css"' in page.body
        quiet = asked(app, target, *lines, "X-vtc07: quiet", method=method, body=body)
        assert quiet.status == status
        assert json.loads(quiet.body)["said"]


def test_pages_of_one_browser_are_bounded(app: Web) -> None:
    request = (
        f"GET /live?part=places HTTP/1.1\r\nHost: {host(app)}\r\nCookie: {cookie(app)}\r\n\r\n"
    )
    name, _, port = host(app).rpartition(":")
    lines = []
    try:
        for _ in range(MOST_STREAMS):
            line = socket.create_connection((name, int(port)), GUARD_S)
            lines.append(line)
            line.sendall(request.encode())
            assert line.recv(20).startswith(b"HTTP/1.1 200")
        with socket.create_connection((name, int(port)), GUARD_S) as line:
            line.sendall(request.encode())
            assert line.recv(12) == b"HTTP/1.1 503"
        other = app.client()  # another browser is another matter
        answer = other.ask("GET", "/live?part=nothing")
        assert answer.status == 400
    finally:
        for line in lines:
            line.close()
    status = 503
    while status == 503:  # that they hung up is noticed soon
        with app.events("", "places") as events:
            status = events.answer.status
            assert status == 503 or events.take()
    assert status == 200
