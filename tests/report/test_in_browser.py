"""The page as people see it: in a real Chromium, at the width of a phone and of a desk, light and dark, and printed."""

import base64
import json
import shutil

import pytest
from report_helpers import LONG, SCRIPT, make_audit

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
FLAGS += ("disable-component-update", "disable-sync", "disable-dev-shm-usage")

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="Chromium and its driver are not installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    yield driver
    driver.quit()


def _requests(driver, page):
    """The addresses that a page asked for; the browser's own first page asks for others."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return {params["request"]["url"] for params in sent if params["documentURL"] == page}


def test_the_page_in_a_browser(browser, tmp_path):
    page = make_audit().report(tmp_path / "report.html")
    papers = set()
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            browser.get(page.as_uri())
            state = browser.execute_script(
                "const page = document.scrollingElement; return {scroll: page.scrollWidth, width: innerWidth,"
                " script: document.scripts.length, text: document.body.innerText,"
                " ids: [...document.querySelectorAll('.records .id')].map(id => id.textContent),"
                " figures: [...document.querySelectorAll('.drawn svg')].map(svg => svg.getBoundingClientRect().width),"
                " paper: getComputedStyle(document.body).backgroundColor,"
                " ink: getComputedStyle(document.querySelector('.drawn svg text')).fill}"
            )
            assert state["scroll"] <= state["width"] == width
            assert state["script"] == 0 and {SCRIPT, LONG} <= set(state["ids"])
            assert len(state["figures"]) == 5 and all(300 < wide <= width - 32 for wide in state["figures"])
            assert state["paper"] != state["ink"]
            papers.add(state["paper"])
            assert browser.get_log("browser") == []  # neither errors nor refusals
    assert len(papers) == 2  # light and dark
    addresses = _requests(browser, page.as_uri())
    assert page.as_uri() in addresses and all(address.startswith(("file:", "data:")) for address in addresses)
    assert {address for address in addresses if address.startswith("file:")} == {page.as_uri()}
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF")
