"""How pages look, in which language; and what their script does, in a real browser."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect
from web_bench import Chromium, Web, web

from vtc07.hhu.texts import said, texts_of
from vtc07.web.view import LOOKS, wanted_languages

WEB = Path(__file__).parents[2] / "src" / "vtc07" / "web"
CSS = (WEB / "static" / "vtc07.css").read_text(encoding="utf-8")
MOODS = ("good", "care", "bad", "busy")
#: What is read, and on what: words want 4.5 (AA), 7 in the sun (AAA).
WORDS = [
    *((ink, ground) for ink in ("ink", "soft") for ground in ("ground", "card", "inset")),
    *((ink, ground) for ink in ("main", "danger", "main-over") for ground in ("ground", "card")),
    *((mood, f"{mood}-ground") for mood in MOODS),
    *((mood, ground) for mood in MOODS for ground in ("ground", "card")),
    ("busy", "busy-ground"),
    ("on-main", "main"),
    ("on-main", "main-over"),
    ("on-danger", "danger"),
    ("on-top", "top"),
    ("soft-on-top", "top"),
]
#: What is seen only, as edges of fields and the mark of the focus: 3.
SIGHTS = [
    *((each, ground) for each in ("edge", "focus") for ground in ("ground", "card")),
    ("accent", "top"),
]


def variables(selector: str) -> dict[str, str]:
    """Return the colours that a rule sets."""
    found = re.search(re.escape(selector) + r" \{([^}]*)\}", CSS)
    assert found is not None, selector
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,8});", found[1]))


def colours(look: str) -> dict[str, str]:
    other = {} if look == "light" else variables(f':root[data-look="{look}"]')
    return {**variables(":root"), **other}


def light_of(colour: str) -> float:
    """Return the relative luminance of WCAG."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((light_of(one), light_of(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("look", ["light", "dark", "sun"])
def test_everything_can_be_read(look: str) -> None:
    here, least = colours(look), 7 if look == "sun" else 4.5
    poor = {
        pair: round(contrast(here[pair[0]], here[pair[1]]), 2)
        for pairs, wanted in ((WORDS, least), (SIGHTS, 3))
        for pair in pairs
        if contrast(here[pair[0]], here[pair[1]]) < wanted
    }
    assert poor == {}


def test_dark_is_the_same_whoever_asks_for_it() -> None:
    assert variables(':root[data-look="dark"]') == variables(':root[data-look="auto"]')


@pytest.mark.parametrize("path", sorted((WEB / "static").glob("*.css")), ids=lambda p: p.stem)
def test_styles_turn_with_the_direction_and_bring_nothing_from_elsewhere(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    kinds = "margin|padding|border|inset|scroll-margin|scroll-padding"
    sided = rf"(?:^|[;{{\s])((?:(?:{kinds})-)?(?:left|right)(?:-\w+)*)\s*:"
    assert re.findall(sided, text) == []
    assert re.findall(r"(?:text-align|float|clear)\s*:\s*(?:left|right)", text) == []
    assert re.findall(r"@import|url\((?!['\"]?(?:data:|/static/))", text) == []


# --- languages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", ()),
        ("fr", ("fr",)),
        ("pt-BR,pt;q=0.9,en;q=0.8", ("pt_BR", "pt", "en")),
        ("en;q=0.5, ar", ("ar", "en")),
        ("en;q=0.5,ar;q=0.9,fr;q=0.9", ("ar", "fr", "en")),
        ("fr;q=0,en", ("en",)),
        ("*, EN-us ; Q=0.3", ("en_US",)),
        ("../../etc;q=1,fr;q=x,;;,\x00,fr;q=9", ()),
        ("fr;q=nan,fr;q=1e9,fr;q=-1", ()),
        (",".join(["xx"] * 100_000) + ",fr", ("xx",) * 333 + ("x",)),
    ],
)
def test_what_a_browser_asks_for(header: str, wanted: tuple[str, ...]) -> None:
    assert wanted_languages(header) == wanted


def test_values_keep_their_direction_in_a_page_from_right_to_left() -> None:
    sentence = said("meter {pan}", pan="6007 27\u202e")
    assert sentence.words(texts_of("ar"), isolated=True) == "العداد \u20686007 27?\u2069"
    assert sentence.words(texts_of("ar")) == "العداد 6007 27?"
    nested = said("{what}; {time}", what=said("not begun"), time="12:30")
    assert nested.words(texts_of("ar"), isolated=True) == "لم يبدأ؛ \u206812:30\u2069"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("look")) as running:
        yield running


def opening(html: str) -> str:
    found = re.search(r"<html[^>]*>", html)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 'lang="en" dir="ltr" data-look="auto"'),
        ({"Accept-Language": "de, ar-EG;q=0.7, fr;q=0.5"}, 'lang="ar" dir="rtl" data-look="auto"'),
        ({"Accept-Language": "en, fr"}, 'lang="en" dir="ltr"'),
        ({"Accept-Language": "../../x, \\, pt_PT;q"}, 'lang="en" dir="ltr"'),
    ],
)
def test_a_page_is_in_the_language_of_its_reader(
    here: Web, headers: dict[str, str], expected: str
) -> None:
    assert expected in opening(here.http.get("/", headers=headers).html)


@pytest.mark.parametrize(
    "cookie", ["../../../etc/passwd", '"><script>', "fr\x7f", "%00", "x" * 4000]
)
def test_what_stands_in_a_cookie_is_one_of_ours_or_nothing(here: Web, cookie: str) -> None:
    client = here.client()
    client.cookies |= {"vtc07-language": cookie, "vtc07-look": cookie}
    answer = client.get("/")
    assert answer.status == 200
    assert 'lang="en" dir="ltr" data-look="auto"' in opening(answer.html)
    assert cookie not in answer.html


def test_look_and_language_are_kept_in_the_browser(here: Web) -> None:
    client = here.client()
    page = client.post("/look", {"look": "sun", "language": "ar", "back": "/journal"})
    assert page.path == "/journal"
    assert 'lang="ar" dir="rtl" data-look="sun"' in opening(page.html)
    assert texts_of("ar")("Journal") in page.text
    for look in LOOKS:
        page = client.post("/look", {"look": look, "language": "xx", "back": "/"})
        assert f'lang="ar" dir="rtl" data-look="{look}"' in opening(page.html)
    page = client.post("/look", {"look": "x", "language": "en", "back": "/"})
    assert f'lang="en" dir="ltr" data-look="{LOOKS[-1]}"' in opening(page.html)


def test_a_damaged_catalogue_of_the_users_own_costs_no_page(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "fr.mo").write_bytes(b"no catalogue")
    with web(tmp_path, VTC07_CATALOGUES=str(tmp_path / "own")) as running:
        answer = running.http.get("/", headers={"Accept-Language": "fr, pt;q=0.5"})
        assert answer.status == 200
        assert 'lang="pt"' in opening(answer.html)
        running.http.cookies["vtc07-language"] = "fr"
        assert 'lang="en"' in opening(running.http.get("/no-such-page").html)


def test_nothing_leads_elsewhere(here: Web) -> None:
    for back in ("//example.org", "/\\example.org", "https://example.org", "javascript:alert(1)"):
        answer = here.client().post("/look", {"look": "auto", "back": back}, follow=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/")


# --- the script -----------------------------------------------------------------------------------

#: Makes a piece of a page as the server would, and gives it to `change` for what it is to be next.
STAGE = """async (html) => {
  const { show } = await import("/static/vtc07.js");
  const place = document.createElement("div");
  place.id = "stage";
  document.querySelector("main").append(place);
  globalThis.change = (next) => show(place, next);
  change(html);
}"""


def staged(page: Page, html: str) -> None:
    page.evaluate(STAGE, html)


def change(page: Page, html: str) -> None:
    page.evaluate("(html) => change(html)", html)


def test_a_part_that_changes_leaves_what_the_reader_does_there(
    here: Web, browser: Chromium
) -> None:
    before = """<p>first</p>
        <details id="d"><summary>more</summary><b id="chosen">chosen</b></details>
        <form action="/x"><input name="field" value=""></form><p>1</p>"""
    after = """<p>new above</p><p class="said">first</p>
        <details id="d"><summary>more</summary><b id="chosen">chosen</b></details>
        <form action="/x"><input name="field" value=""></form><p>2</p><ul><li>new</li></ul>"""
    with browser.page(here) as page:
        staged(page, before)
        page.click("#stage summary")
        page.fill("#stage input", "typed")
        page.evaluate("document.querySelector('#stage input').setSelectionRange(1, 3)")
        change(page, after)
        assert page.evaluate("document.getElementById('d').open")
        field = page.locator("#stage input")
        expect(field).to_have_value("typed")
        expect(field).to_be_focused()
        assert field.evaluate("e => [e.selectionStart, e.selectionEnd]") == [1, 3]
        assert page.locator("#stage p").all_inner_texts() == ["new above", "first", "2"]
        expect(page.locator("#stage li")).to_have_text("new")
        page.evaluate("getSelection().selectAllChildren(document.getElementById('chosen'))")
        change(page, after.replace("2", "3"))
        assert page.evaluate("getSelection().toString()") == "chosen"
        assert page.evaluate(
            "(html) => document.getElementById('stage').innerHTML === html",
            after.replace("2", "3")
            .replace("<details", "<details open")
            .replace('<details open id="d"', '<details id="d" open=""'),
        )


def test_a_part_never_takes_one_thing_for_another(here: Web, browser: Chromium) -> None:
    def row(number: int) -> str:
        return (
            f'<li><form action="/x"><input type="hidden" name="of" value="{number}">'
            f'<input name="value"><button name="do" value="{number}">do</button></form></li>'
        )

    with browser.page(here) as page:
        staged(page, f"<ul>{row(1)}{row(2)}</ul>")
        page.locator("#stage input[name=value]").first.fill("of 1")
        page.locator("#stage button").first.focus()
        change(page, f"<ul>{row(2)}</ul>")
        # What was typed for 1 is not there for 2, and a key that is pressed does nothing to it.
        expect(page.locator("#stage input[name=value]")).to_have_value("")
        assert page.evaluate("document.activeElement.localName") != "button"
        change(page, f'<ul>{row(2)}<li><button id="b" disabled>x</button></li></ul>')
        change(page, f'<ul>{row(3)}{row(2)}<li><button id="b" class="y">x</button></li></ul>')
        assert page.evaluate("[b.disabled, b.className]") == [False, "y"]
        assert page.locator("#stage [type=hidden]").evaluate_all(
            "(all) => all.map(e => e.value)"
        ) == [
            "3",
            "2",
        ]


def test_a_form_is_sent_once_and_its_refusal_is_shown_without_leaving(
    here: Web, browser: Chromium
) -> None:
    with browser.page(here) as page:
        sent: list[str | None] = []

        def asked(request: Request) -> None:
            if request.method == "POST":
                sent.append(request.post_data)

        page.on("request", asked)
        staged(
            page,
            '<form method="post" action="/connect" data-quiet><input name="address" value="?">'
            '<button name="how" value="quick">go</button></form>',
        )
        page.evaluate("() => { const go = stage.querySelector('button'); go.click(); go.click(); }")
        problem = page.locator("#problem")
        expect(problem).to_be_visible()
        expect(problem).to_contain_text("?")
        expect(page.locator("#stage button")).not_to_have_attribute("aria-busy", "true")
        assert sent == ["address=%3F&how=quick"]
        assert page.url == here.origin + "/"


def test_without_the_application_a_page_says_so_and_keeps_its_problems(
    tmp_path: Path, browser: Chromium
) -> None:
    context = browser.browser.new_context()
    try:
        page = context.new_page()
        with web(tmp_path) as running:
            page.goto(running.url)
            page.wait_for_url(running.origin + "/")
            running.http.post("/connect", {"address": "tcp://127.0.0.1:9"})
            page.goto(running.origin + "/at/1")
            lost = page.locator("#lost")
            expect(page.locator("[data-part=work] .said.bad")).to_be_visible()
            expect(lost).to_be_hidden()
            # It is there, but does not know this page any more.
            context.clear_cookies()
            page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
            page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
            expect(lost).to_contain_text("started anew", timeout=10_000)
            page.goto(running.url)
            page.wait_for_url(running.origin + "/")
            page.goto(running.origin + "/at/1")
            page.evaluate("import('/static/vtc07.js').then((it) => it.problem('another'))")
            running.process.send_signal(signal.SIGINT)
            expect(lost).to_contain_text("trying again", timeout=15_000)
            expect(page.locator("#problem")).to_have_text(re.compile("another"))
    finally:
        context.close()


@pytest.mark.parametrize("language", ["en", "ar", "fr"])
def test_the_head_fits_the_narrowest_screen(here: Web, browser: Chromium, language: str) -> None:
    with browser.page(here, "/", width=360, language=language) as page:
        page.click(".menu > summary")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        small = page.evaluate(
            """[...document.querySelectorAll("a, button, select, summary, input")]
            .filter((e) => e.checkVisibility() && e.type !== "hidden" && !e.closest(".skip, p"))
            .map((e) => [e.textContent, e.getBoundingClientRect()])
            .filter(([, at]) => at.width < 43.9 || at.height < 43.9).map(([text]) => text)"""
        )
        assert small == []
