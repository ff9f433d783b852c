"""Decides what readers of the status page see: a real nginx with its passwords, and Debian's Chromium."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.programs.browser import browser, hindrances
from tests.programs.served_site import PULLER, PUSHER, STRANGER, Site, serving
from tests.programs.status_files import FINDING, doctor, iso, status

MOST_BYTES = 60_000
DESKTOP, PHONE = {"width": 1120, "height": 900}, {"width": 360, "height": 740}
HOSTED = "registry hosted 1"
FILES = ("", "page.css", "page.js", "texts.js", "figures.js", "copying.js", "icon.svg")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site"), metrics={"status_page": True}) as live:
        yield live


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@dataclass
class Reader:
    """Somebody who looks at the page, with what his browser complained of and whom it asked."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def opens(self, at: str = "hosted.test", **documents: Any) -> None:
        """Look at it, once it shows something. `documents`: what is there to be shown; none: the file is not there."""
        for name in ("status", "findings"):
            leave(self.site.folder, name, documents.get(name))
        self.page.goto(f"http://{at}:{self.site.port}/status/")
        expect(self.page.locator("#sentence")).not_to_have_text("Looking …")

    def sees(self) -> str:
        return self.page.locator("#sentence").inner_text()


def leave(folder: Path, name: str, document: Any) -> None:
    """As those do who write the files: a new one in place of the old."""
    path = folder / f"{name}.json"
    path.unlink(missing_ok=True)
    if document is not None:
        path.write_text(json.dumps(document))


def reading(chromium: Browser, site: Site, **context: Any) -> Iterator[Reader]:
    login = {"username": PULLER[0], "password": PULLER[1]}
    contexts = chromium.new_context(**{"viewport": DESKTOP, "http_credentials": login, **context})
    page = contexts.new_page()
    page.set_default_timeout(10_000)
    reader = Reader(page, site)

    def note(request: Request) -> None:
        reader.asked.append(request.url)

    page.on("request", note)
    page.on("console", lambda said: reader.complaints.append(said.text))
    page.on("pageerror", lambda wrong: reader.complaints.append(str(wrong)))
    yield reader
    contexts.close()


@pytest.fixture
def reader(chromium: Browser, site: Site) -> Iterator[Reader]:
    yield from reading(chromium, site)


def test_the_page_is_for_the_proxy_s_users(site: Site) -> None:
    leave(site.folder, "status", status())
    leave(site.folder, "findings", doctor())
    for name in (*FILES, "status.json", "findings.json"):
        path = f"/status/{name}"
        refused = site.ask("GET", path, host="hosted.test")
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, ['Basic realm="http-registry"']), path
        assert site.ask("GET", path, host="hosted.test", user=("puller", "wrong")).status == 401
        assert site.ask("GET", path, host="hosted.test", source=STRANGER, user=PULLER).status == 403
        assert site.ask("GET", path, host="mirror.test", user=PULLER).status == 404
        for user in (PULLER, PUSHER):
            assert site.ask("GET", path, host="hosted.test", user=user).status == 200, path
    assert json.loads(site.ask("GET", "/status/status.json", host="hosted.test", user=PULLER).body)["stack"] == "prod"
    moved = site.ask("GET", "/status", host="hosted.test")
    assert (moved.status, moved.headers["Location"]) == (301, ["/status/"])


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "other.css",
        "../pull.htpasswd",
        "%2e%2e/pull.htpasswd",
        "page.css/",
        ".css",
        "__init__.py",
    ],
)
def test_nothing_else_is_there(site: Site, path: str) -> None:
    assert site.ask("GET", f"/status/{path}", host="hosted.test", user=PUSHER).status == 404
    assert site.hosted.asked["GET", f"/status/{path}"] == 0


def test_nothing_can_be_written(site: Site) -> None:
    assert site.ask("POST", "/status/", host="hosted.test", user=PUSHER).status == 405
    assert site.ask("PUT", "/status/status.json", host="hosted.test", user=PUSHER, body=b"{}").status == 405


def test_it_is_light_and_answers_are_asked_for_again(site: Site) -> None:
    answers = [site.ask("GET", f"/status/{name}", host="hosted.test", user=PULLER) for name in FILES]
    assert sum(len(each.body) for each in answers) < MOST_BYTES
    for each in answers:
        assert each.headers["Cache-Control"] == ["no-cache"]
        assert each.headers["X-Content-Type-Options"] == ["nosniff"]
        assert each.headers["Content-Security-Policy"][0].startswith("default-src 'none'; script-src 'self';")
    assert answers[0].headers["Content-Type"] == ["text/html; charset=utf-8"]
    assert answers[2].headers["Content-Type"] == ["text/javascript; charset=utf-8"]


def test_a_healthy_tier(reader: Reader) -> None:
    reader.opens(status=status(), findings=doctor())
    assert reader.sees() == "Everything works."
    assert reader.page.title() == "✓ prod status"
    assert reader.page.locator("#parts li").all_inner_texts()[2] == "registry hosted 1\n\nUp"
    figures = [re.sub(r"\s+", " ", each) for each in reader.page.locator(".figure").all_inner_texts()]
    assert figures == [
        "Pulls that succeed 98.7 % lowest 93 %",
        "Time of a pull 1.4 s on average 19 of 20 within 3.9 s",
        "Storage 41.8 GB of 100 GB 41.8 % full · +2.8 GB a day",
        "Answered from the cache 91.4 % between 83.9 % and 96.1 %",
    ]
    said = reader.page.locator("#findings-said").inner_text()
    assert said == "make doctor was run 12 minutes ago. It found nothing on 3 hosts."
    assert reader.complaints == []
    assert {each.split("/status/")[0] for each in reader.asked} == {f"http://hosted.test:{reader.site.port}"}


@pytest.mark.parametrize(
    ("scheme", "size", "broken"),
    [("light", DESKTOP, False), ("dark", DESKTOP, True), ("light", PHONE, True), ("dark", PHONE, False)],
    ids=["light-desktop-healthy", "dark-desktop-broken", "light-phone-broken", "dark-phone-healthy"],
)
def test_nothing_hinders_anybody(chromium: Browser, site: Site, scheme: str, size: Any, broken: bool) -> None:
    """axe-core's rules, contrast among them; and nothing is wider than the screen."""
    states = {HOSTED: "down", "Prometheus": "unknown"} if broken else {}
    for reader in reading(chromium, site, color_scheme=scheme, viewport=size):
        reader.opens(status=status(states=states), findings=doctor(*[FINDING] * broken))
        reader.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert hindrances(reader.page) == []
        for tab in reader.page.get_by_role("tab").all():
            tab.click()
            assert reader.page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert reader.complaints == []


def test_what_a_screen_reader_says(reader: Reader) -> None:
    reader.opens(status=status(states={HOSTED: "down"}), findings=doctor(FINDING))
    heard = reader.page.locator("body").aria_snapshot()
    for each in (
        'heading "registry hosted 1 is down." [level=1]',
        'region "Parts"',
        "- strong: registry hosted 1\n        - paragraph:\n          - emphasis: Down",
        'img "Pulls that succeed from ',
        ": between 93 % and 100 %, last 100 %",
        'region "What doctor found"',
        'heading "x509: certificate has expired" [level=3]',
        'tablist "How to pull from here"',
        'tab "Docker" [selected]',
        'tabpanel "Docker"',
    ):
        assert each in heard, heard
    assert reader.page.locator("#sentence").get_attribute("aria-live") == "polite"


def test_by_keyboard_alone(chromium: Browser, site: Site) -> None:
    """A page without HTTPS has no clipboard of its own; what was copied is pasted here into another page."""
    for reader in reading(chromium, site):
        reader.opens(status=status(), findings=doctor())
        page = reader.page
        assert page.evaluate("navigator.clipboard") is None
        press = page.keyboard.press
        press("Tab")
        assert focused(page) == "Skip to how to pull"
        assert page.locator(":focus").evaluate("link => getComputedStyle(link).clipPath") == "none"
        press("Enter")
        press("Tab")
        assert focused(page) == "Docker"
        for key, name in (
            ("ArrowRight", "containerd"),
            ("End", "skopeo"),
            ("ArrowRight", "Docker"),
            ("ArrowLeft", "skopeo"),
        ):
            press(key)
            assert (focused(page), page.locator("[role=tabpanel]:visible h3").inner_text()) == (name, name)
        press("Home")
        press("Tab")
        assert focused(page) == "Copy"
        assert page.locator(":focus").evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
        press("Enter")
        expect(page.locator(":focus")).to_have_text("Copied")
        assert page.locator("#said").inner_text() == "Copied."
        other = page.context.new_page()
        other.set_content("<textarea autofocus></textarea>")
        other.locator("textarea").focus()
        other.keyboard.press("Control+V")
        assert other.locator("textarea").input_value() == f"docker login hosted.test:{site.port}"


def focused(page: Page) -> str:
    return page.locator(":focus").inner_text()


def test_with_a_clipboard_it_is_used(chromium: Browser, site: Site) -> None:
    """Browsers trust 127.0.0.1 as they do HTTPS."""
    allowed = ["clipboard-read", "clipboard-write"]
    for reader in reading(chromium, site, permissions=allowed):
        reader.opens(at="127.0.0.1", status=status())
        reader.page.get_by_role("button", name="Copy").nth(1).click()
        reader.page.get_by_role("button", name="Copied").wait_for()
        copied = reader.page.evaluate("navigator.clipboard.readText()")
        assert copied == f"docker pull hosted.test:{site.port}/team/app:1"


def test_a_finding(reader: Reader) -> None:
    hostile = {**FINDING, "evidence": "<img src=x onerror=alert(1)>", "title": "<b>bold</b>"}
    reader.opens(status=status(), findings=doctor(FINDING, hostile))
    assert reader.sees() == "doctor found 2 problems."
    text = reader.page.locator(".finding").first.inner_text()
    for each in ("x509: certificate has expired", "registry · /etc/nginx", "current time 2026", "Sign a new one"):
        assert each in text
    assert "In the project’s folder:\n\nmake certificates STACK=prod RENEW=--renew\nCopy" in text
    assert "<b>bold</b>" in reader.page.locator(".finding").last.inner_text()
    assert reader.page.locator(".finding img, .finding b").count() == 0
    assert reader.complaints == []


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        (dict, "Nothing is known of the parts now."),
        (lambda: {"status": status(time.time() - 600)}, "No news since "),
        (lambda: {"status": status(states={HOSTED: "down"})}, "registry hosted 1 is down."),
        (
            lambda: {"status": status(states={HOSTED: "down", "Prometheus": "down", "upstream hub-cache": "unknown"})},
            "registry hosted 1 and Prometheus are down.",
        ),
        (
            lambda: {"status": status(states={"Prometheus": "unknown"})},
            "All that is known works; Prometheus can’t be told.",
        ),
        (lambda: {"status": status(), "findings": doctor(FINDING)}, "x509: certificate has expired (registry)"),
        (lambda: {"status": status(), "findings": doctor(FINDING, at=time.time() - 7200)}, "Everything works."),
        (lambda: {"status": {"at": iso(time.time()), "stack": "new", "parts": [], "figures": {}}}, "Everything works."),
    ],
    ids=["nothing", "old", "down", "two", "unknown", "finding", "finding-of-before", "no-figures"],
)
def test_the_sentence(reader: Reader, documents: Callable[[], Any], sentence: str) -> None:
    """Documents are made when they are served: they get old."""
    reader.opens(**documents())
    assert reader.sees().startswith(sentence)


def test_figures_that_are_not_known(reader: Reader) -> None:
    nothing: dict[str, Any] = {"now": None, "average": None, "p95": None, "limit": 0, "history": []}
    keys = ("pull_success_rate", "pull_seconds", "storage_bytes", "cache_hit_rate")
    reader.opens(status={**status(), "figures": dict.fromkeys(keys, nothing)}, findings=doctor())
    figures = [re.sub(r"\s+", " ", each) for each in reader.page.locator(".figure").all_inner_texts()]
    assert figures[0] == "Pulls that succeed – no pulls yet a chart needs two values"
    assert figures[2] == "Storage – not known a chart needs two values"
    assert reader.complaints == []


def test_it_follows_what_happens(reader: Reader) -> None:
    reader.page.clock.install()
    reader.opens(status=status(), findings=doctor())
    assert reader.sees() == "Everything works."
    leave(reader.site.folder, "status", status(states={HOSTED: "down"}))
    reader.page.clock.fast_forward(15_000)
    reader.page.get_by_role("heading", name="registry hosted 1 is down.").wait_for()
    reader.page.route("**/*.json", lambda route: route.abort())
    reader.page.clock.fast_forward(15_000)
    reader.page.get_by_role("heading", name="The proxy does not answer.").wait_for()


def test_a_chart_tells_the_value_that_is_pointed_at(reader: Reader) -> None:
    reader.opens(status=status())
    reader.page.locator(".figure svg").first.hover(position={"x": 0.4, "y": 10})
    assert re.fullmatch(r"(.*, )?\d\d:\d\d: 98.5 %", reader.page.locator(".more").first.inner_text())
    reader.page.mouse.move(0, 0)
    assert reader.page.locator(".more").first.inner_text() == "lowest 93 %"


def test_how_to_pull_needs_no_script(chromium: Browser, site: Site) -> None:
    for reader in reading(chromium, site, java_script_enabled=False):
        reader.page.goto(f"http://hosted.test:{site.port}/status/")
        text = reader.page.locator("#pull").inner_text()
        for each in (
            "docker pull hosted.test",
            "crictl pull docker.io/library/alpine:3",
            "imagePullSecrets",
            "skopeo copy",
        ):
            assert each in text
