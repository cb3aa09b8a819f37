"""Opens a page of `afterpath report` in headless Chromium and uses it as a person would: every view, filters, a trace, keys, dark mode,
a narrow window, paper. Prints what it saw as JSON; fails where a name is missing, something is cut off, or the browser complains.

    page.py PAGE FOLDER [views | times | shots NAME=PLACE …]

Screenshots go to FOLDER. `views`: of a page without traces; `times`: only measured; `shots`: only these, as the README shows some.

It never loads anything but that file.
"""

import base64
import json
import os
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

VIEWS = ["verdict", "map", "hops", "traces", "flame", "replay", "clocks", "guide"]
WIDE, NARROW = (1400, 1000), (420, 900)
# Roles that a person can use, and so must be able to tell apart.
USED = {"button", "link", "textbox", "searchbox", "checkbox", "combobox", "slider", "spinbutton", "img", "table"}


def browser() -> webdriver.Chrome:
    """A browser of its own, without a profile, that reaches no network."""
    options = Options()
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
                     "--disable-background-networking", "--disable-dev-shm-usage", "--force-device-scale-factor=1",
                     "--host-resolver-rules=MAP * ~NOTFOUND"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_window_size(*WIDE)
    return driver


class Visit:
    """One page in one browser."""

    def __init__(self, driver: webdriver.Chrome, page: str, folder: str):
        self.driver, self.url, self.folder = driver, f"file://{page}", folder
        self.complaints: list[str] = []

    def open(self, place: str) -> None:
        """A view, as its address gives it."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#/{place}")
        self.until("return performance.getEntriesByName('interactive').length > 0", "the page never became ready")
        self.settled()

    def settled(self) -> None:
        """Until nothing is being read."""
        self.until("return ![...document.querySelectorAll('[role=status]')].some(e => e.textContent.startsWith('Reading'))", "data is never there")
        time.sleep(0.1)

    def until(self, script: str, words: str) -> None:
        WebDriverWait(self.driver, 20).until(lambda driver: driver.execute_script(script), words)

    def check(self, holds: bool, words: str) -> None:
        if not holds:
            self.complaints.append(words)

    def text(self, selector: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *keys: str) -> None:
        """Keys for the page itself."""
        self.driver.execute_script("document.activeElement?.blur()")
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
            time.sleep(0.05)
        self.settled()

    def shot(self, name: str) -> None:
        self.driver.save_screenshot(os.path.join(self.folder, f"{name}.png"))

    def where(self) -> str:
        return self.driver.execute_script("return location.hash")


def views(visit: Visit) -> None:
    """Every view draws something, names all that can be used, and cuts nothing off, in a wide window and a narrow one."""
    for size in (WIDE, NARROW):
        visit.driver.set_window_size(*size)
        for view in VIEWS:
            visit.open(view)
            where = f"{view}, {size[0]} wide"
            visit.check(len(visit.text("main")) > 40, f"{where}: nothing is shown")
            visit.check(visit.all("[aria-current=page]") != [], f"{where}: no view is marked as the present one")
            beyond = visit.driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            visit.check(beyond <= 1, f"{where}: {beyond} pixels stand out to the right")
            for node in visit.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]:
                role = node.get("role", {}).get("value")
                if role in USED and not node.get("ignored") and not node.get("name", {}).get("value", "").strip():
                    visit.check(False, f"{where}: a {role} without a name")
            if size == WIDE:
                visit.shot(view)
    visit.driver.set_window_size(*WIDE)


def filters(visit: Visit) -> dict:
    """Filters leave what they say."""
    visit.open("traces")
    n_all = len(visit.all(".traces tbody tr"))
    request = visit.text(".traces tbody tr .wide")
    field = visit.driver.find_element(By.CSS_SELECTOR, "input[type=search]")
    field.send_keys(request)
    time.sleep(0.3)
    found = [row.text for row in visit.all(".traces tbody tr")]
    visit.check(found != [] and all(request in row for row in found), f"the search for {request!r} leaves {found[:3]}")
    field.send_keys(" nothing-is-called-so")
    time.sleep(0.3)
    visit.check(visit.all(".traces tbody tr") == [], "a search for what is not there leaves traces")
    visit.check("nothing-is-called-so" in visit.where(), "the address does not keep the search")
    visit.open("traces?over=100")
    visit.check(visit.driver.find_element(By.CSS_SELECTOR, "input[type=number]").get_attribute("value") == "100", "a filter is not read from the address")
    n_long = len(visit.all(".traces tbody tr"))
    visit.driver.find_elements(By.CSS_SELECTOR, "input[type=checkbox]")[0].click()
    time.sleep(0.3)
    n_failed = len(visit.all(".traces tbody tr"))
    return {"all": n_all, "matching": len(found), "over_100_ms": n_long, "failed_over_100_ms": n_failed}


def answer(visit: Visit) -> dict:
    """Which hop made the slow request slow, and whose is it? By two clicks from the page as it opens."""
    visit.open("")
    culprit = visit.text(".culprit")
    seen = {"culprit": culprit, "kicker": visit.text(".kicker")}
    if visit.all(".verdict .button"):
        visit.driver.find_element(By.CSS_SELECTOR, ".verdict .button").click()
        visit.until("return document.querySelector('.waterfall') !== null", "the trace is not drawn")
        visit.settled()
        visit.shot("trace")
        seen |= {"trace": visit.text("h2"), "answer": visit.text(".answer"), "calls": len(visit.all(".waterfall li")),
                 "slowest": len(visit.all(".waterfall .slowest")), "hops": len(visit.all(".details tbody tr"))}
        visit.check(seen["slowest"] == 1, "not one call is marked as the slowest")
    return seen


def keys(visit: Visit) -> None:
    """Everything by keys alone."""
    visit.open("")
    visit.press("4")
    visit.check(visit.where().startswith("#/traces"), f"4 leads to {visit.where()}")
    visit.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    chosen = [i for i, row in enumerate(visit.all(".traces tbody tr")) if "chosen" in row.get_attribute("class")]
    visit.check(chosen == [min(1, len(visit.all(".traces tbody tr")) - 1)], f"row {chosen} is chosen")
    visit.press(Keys.ENTER)
    first = visit.where()
    visit.check(first.startswith("#/trace/"), f"Enter leads to {first}")
    if len(visit.all(".waterfall li")) > 1:
        before = visit.text(".details h3")
        visit.press(Keys.ARROW_UP)
        visit.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
        visit.check(len(visit.all(".waterfall li.chosen")) == 1 and before != "", "the arrows choose no call")
    visit.press(Keys.ARROW_RIGHT)
    visit.press(Keys.ARROW_LEFT)
    visit.press(Keys.ESCAPE)
    visit.press("/")
    active = visit.driver.execute_script("return document.activeElement.type")
    visit.check(visit.where().startswith("#/traces") and active == "search", f"/ leads to {visit.where()}, {active}")
    visit.driver.switch_to.active_element.send_keys("4")
    visit.check("q=4" in visit.where(), "a digit in the search is taken for a key of the page")
    visit.press("6")
    visit.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    at = float(visit.driver.find_element(By.CSS_SELECTOR, "input.time").get_attribute("value"))
    visit.check(at > 0, "the arrows do not step the replay")
    # With Tab alone, a link of every view and a button of this one can be reached.
    reached = set()
    for _ in range(14):
        visit.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(visit.driver.execute_script("return document.activeElement.textContent"))
    visit.check({"Verdict", "Traces", "Play"} & reached != set(), f"Tab reaches {sorted(reached)}")


def luminance(colour: str) -> float:
    """WCAG 2, relative luminance of `rgb(…)`."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1:-1].split(",")[:3]]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(visit: Visit, selector: str, behind: str) -> float:
    script = "const c = (s, p) => getComputedStyle(document.querySelector(s))[p]; return [c(arguments[0], 'color'), c(arguments[1], 'backgroundColor')]"
    lights = sorted(map(luminance, visit.driver.execute_script(script, selector, behind)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def schemes(visit: Visit) -> dict:
    """Light and dark as the reader's system has it, both well to read."""
    seen = {}
    for scheme in ("light", "dark"):
        visit.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        visit.open("")
        seen[scheme] = luminance(visit.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        for what in ("main p", ".about", "header p", "nav a", "main a:not(.button)"):
            if visit.all(what):
                found = contrast(visit, what, ".panel")
                visit.check(found >= 4.5, f"{scheme}: {what} has a contrast of {found:.1f}")
        visit.shot(f"{scheme}")
    visit.check(seen["dark"] < 0.1 < 0.8 < seen["light"], f"backgrounds as light as {seen}")
    visit.open("map")
    visit.shot("dark-map")
    visit.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    return seen


def paper(visit: Visit) -> int:
    """A trace on paper."""
    visit.open("traces")
    visit.press(Keys.ENTER)
    pdf = base64.b64decode(visit.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    with open(os.path.join(visit.folder, "trace.pdf"), "wb") as file:
        file.write(pdf)
    visit.check(pdf.startswith(b"%PDF"), "no PDF")
    return len(pdf)


def strangers(visit: Visit) -> None:
    """What a recording brings along is text; no script but the page's own runs, and nothing is loaded."""
    for view in VIEWS:
        visit.open(view)
        for what in ("main script", "main img", "main iframe", "main [onerror]", "main [onclick]", "main [href^='javascript']"):
            visit.check(visit.all(what) == [], f"{view}: {what}")
        visit.check(visit.driver.execute_script("return window.owned === undefined"), f"{view}: a name of the recording was run")
        loaded = visit.driver.execute_script("return performance.getEntriesByType('resource').length")
        visit.check(loaded == 0, f"{view}: {loaded} things were loaded")
    complain(visit)
    script = "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s); return window.owned"
    visit.check(visit.driver.execute_script(script) is None, "a script that was put into the page is run")
    visit.driver.get_log("browser")


def complain(visit: Visit) -> None:
    """The browser's own complaints are ours."""
    visit.complaints.extend(f"the browser says: {entry['message']}" for entry in visit.driver.get_log("browser"))


def times(visit: Visit) -> dict:
    """Milliseconds until the page can be used, a search is answered, a trace is drawn."""
    visit.open("traces")
    ready = visit.driver.execute_script("return performance.getEntriesByName('interactive')[0].startTime")
    search = """
        const done = arguments[0], field = document.querySelector('input[type=search]'), begin = performance.now();
        field.value = '9'; field.dispatchEvent(new Event('input', { bubbles: true }));
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));"""
    trace = """
        const done = arguments[0], begin = performance.now();
        document.querySelector('.traces tbody tr').click();
        const look = () => document.querySelector('.waterfall li') ? done(performance.now() - begin) : requestAnimationFrame(look);
        look();"""
    return {"interactive_ms": ready, "search_ms": visit.driver.execute_async_script(search), "trace_ms": visit.driver.execute_async_script(trace)}


def main() -> int:
    page, folder = os.path.realpath(sys.argv[1]), sys.argv[2]
    driver = browser()
    try:
        visit = Visit(driver, page, folder)
        wanted, seen = sys.argv[3:], {}
        if wanted == ["times"]:
            seen = {"times": times(visit)}
        elif wanted[:1] == ["shots"]:
            for name, place in (word.split("=", 1) for word in wanted[1:]):
                visit.open(place)
                visit.shot(name)
        elif wanted == ["views"]:
            views(visit)
            strangers(visit)
        else:
            views(visit)
            seen = {"filters": filters(visit), "answer": answer(visit), "schemes": schemes(visit), "paper_bytes": paper(visit)}
            keys(visit)
            strangers(visit)
    finally:
        driver.quit()
    print(json.dumps(seen | {"complaints": visit.complaints}))
    return 1 if visit.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
