"""The page in headless Chromium: search, open, hover a step, ask, compare, upload, keys."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gqa_reasoner.web.service import Service
from tests.web.conftest import Running, run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SHOTS = os.environ.get("WEB_SCREENSHOTS")
"""A folder to write screenshots to, so that somebody can look at them."""
AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
GIRLS = "Which pictures show a girl?"
PICTURE = "/picture?id=elephant.jpg&question=What+is+the+girl+riding%3F"

pytestmark = pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"needs chromium at {CHROMIUM}")


@pytest.fixture(scope="module")
def server(
    indexed: Path, make_service: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("log") / "clicks.tsv"
    with run_in_thread(make_service(indexed, log=log, expansion="both")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


class Visit:
    """One tab that remembers what went wrong."""

    def __init__(self, browser: Any, server: Running, **options: Any) -> None:
        self.context = browser.new_context(base_url=server.address, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.problems: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, server.address))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _asked(self, url: str, own: str) -> None:
        if not url.startswith((own + "/", "blob:" + own)):
            self.foreign.append(url)

    def go(self, path: str) -> Any:
        """Open an address and wait until nothing is going on."""
        self.page.goto(path)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until answers are there."""
        self.page.wait_for_selector("main[aria-busy=false]:not(:has([aria-busy=true]))")

    def shot(self, name: str) -> None:
        """A screenshot, where somebody asked for them."""
        if SHOTS:
            self.page.wait_for_timeout(250)
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@pytest.fixture
def visit(browser: Any, server: Running) -> Iterator[Visit]:
    found = Visit(browser, server, viewport={"width": 1280, "height": 860})
    yield found
    found.context.close()
    assert found.problems == []
    assert found.foreign == []


def test_search_open_hover_ask_compare(visit: Visit, server: Running) -> None:
    page = visit.go("/")
    page.get_by_label("Question about the whole collection").fill(GIRLS)
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict h1")
    visit.settle()
    assert page.locator(".verdict h1").inner_text() == "4 pictures"
    assert page.title() == f"{GIRLS} · pictures"
    assert "/?q=Which+pictures" in page.url
    assert page.locator(".card").count() == 4
    visit.shot("results-desktop-light")

    page.locator("a[data-id='elephant.jpg']").click()
    page.wait_for_selector(".canvas")
    visit.settle()
    assert "from=Which" in page.url
    page.get_by_label("Ask this picture").first.wait_for()
    page.locator("#question").fill("What is the girl riding?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_selector("#answer")
    visit.settle()
    assert page.locator("#answer").inner_text() == "elephant"
    assert "question=What+is+the+girl+riding" in page.url

    steps = page.locator(".step")
    assert steps.count() == 3
    boxes = page.locator(".canvas .box")
    steps.nth(0).hover()
    assert boxes.first.inner_text().startswith("girl")
    steps.nth(1).hover()
    assert boxes.first.inner_text().startswith("elephant")
    box, canvas = boxes.first.bounding_box(), page.locator(".canvas").bounding_box()
    assert canvas["x"] <= box["x"]
    assert box["x"] + box["width"] <= canvas["x"] + canvas["width"] + 1
    assert page.locator(".facts li").count() > 3
    asked = page.locator("section[aria-label='Questions of others used']")
    assert GIRLS in asked.inner_text()  # the click on this picture has become context
    visit.shot("picture-desktop-light")

    page.get_by_label("No context").check()
    visit.settle()
    assert page.locator(".facts").count() == 0
    page.get_by_role("button", name="Compare every source of context").click()
    page.wait_for_selector("#comparison")
    visit.settle()
    assert page.locator(".comparison tbody tr").count() == len(server.service.modes)
    visit.shot("compare-desktop-light")

    address = page.url
    page.keyboard.press("Escape")
    page.wait_for_selector(".verdict")
    focused = page.evaluate("document.activeElement.dataset.id")
    assert focused == "elephant.jpg"  # back where the reader was
    page.goto(address)  # a shared address shows the same
    page.wait_for_selector("#comparison")
    visit.settle()
    assert page.locator("#answer").inner_text() == "elephant"


def test_steps_draw_boxes_on_focus_and_hold_them_on_press(visit: Visit) -> None:
    page = visit.go(PICTURE)
    steps = page.locator(".step")
    tags = page.locator(".canvas .tag")
    assert steps.last.get_attribute("aria-pressed") == "true"
    steps.nth(0).focus()
    assert tags.first.inner_text().startswith("girl")
    page.keyboard.press("Enter")
    assert steps.nth(0).get_attribute("aria-pressed") == "true"
    page.locator("#question").focus()
    assert tags.first.inner_text().startswith("girl")
    steps.nth(0).click()
    page.mouse.move(5, 5)
    page.locator("#question").focus()
    assert tags.count() == 0


def test_an_upload_is_shown_and_answered(visit: Visit, indexed: Path) -> None:
    page = visit.go("/")
    page.set_input_files("#upload", str(indexed / "tea.jpg"))
    page.wait_for_selector(".canvas")
    visit.settle()
    assert page.locator("h1").inner_text() == "Your picture"
    page.locator(".ask .chip").first.click()
    page.wait_for_selector("#answer")
    visit.settle()
    assert page.locator("#answer").inner_text()
    assert page.evaluate("document.querySelector('.canvas img').naturalWidth") == 320


def test_refusals_are_words_on_the_page(browser: Any, server: Running, tmp_path: Path) -> None:
    visit = Visit(browser, server)
    page = visit.go("/")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.set_input_files("#upload", str(broken))
    page.wait_for_selector("[role=alert]")
    assert "not a picture of a known kind" in page.locator("[role=alert]").inner_text()
    page = visit.go("/picture?id=../../etc/passwd")
    assert "no picture" in page.locator("[role=alert]").inner_text()
    page = visit.go("/?q=quantum+chromodynamics")
    assert page.locator("h1").inner_text() == "No picture fits"
    assert page.locator(".nothing .chip").count() > 0
    page = visit.go("/picture?id=desk.jpg&question=" + "x" * 600)
    assert "at most 500" in page.locator("[role=alert]").inner_text()
    assert visit.foreign == []
    assert all(re.search(r"status of 4\d\d", text) for text in visit.problems)
    visit.context.close()


def test_everything_works_from_the_keyboard(visit: Visit) -> None:
    page = visit.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type(GIRLS)
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict")
    visit.settle()
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.locator(".card a").first.focus()
    ids = page.eval_on_selector_all(".card a", "all => all.map((one) => one.dataset.id)")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.id") == ids[1]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2
    page.keyboard.press("Enter")
    page.wait_for_selector(".canvas")
    visit.settle()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: f"id={ids[2]}" in url)
    visit.settle()
    page.keyboard.press("a")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_selector(".verdict")


def test_the_theme_follows_the_system_and_the_reader(browser: Any, server: Running) -> None:
    visit = Visit(browser, server, color_scheme="dark")
    page = visit.go("/")
    dark = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(dark) == "rgb(20, 22, 26)"
    toggle = page.get_by_role("button", name="Theme: as the system")
    toggle.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"  # remembered
    assert page.get_by_role("button", name="Theme: light").is_visible()
    visit.context.close()
    assert visit.problems == []


def test_labels_contrast_and_width(browser: Any, server: Running) -> None:
    visit = Visit(browser, server, reduced_motion="reduce")
    page = visit.page
    pages = {
        "home": "/", "results": f"/?q={GIRLS}", "commonest": "/?q=What is the most common color "
        "of the shirt?", "nothing": "/?q=quantum chromodynamics", "compare": PICTURE + "&compare=1",
        "interface": "/interface",
    }  # fmt: skip
    for name, path in pages.items():
        visit.go(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for device, width in (("desktop", 1280), ("phone", 360)):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                visit.shot(f"{name}-{device}-{scheme}")
                assert page.evaluate(AUDIT) == [], f"{name} {device} {scheme}"
    visit.context.close()
    assert visit.problems == []
    assert visit.foreign == []
