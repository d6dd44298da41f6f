"""The faces in a real browser: the HTML report, and the Dagster UI over a materialized demo. Screenshots go to ``artifacts/``."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.report import write_report
from hedgegrid_assets.store import Places
from hedgegrid_assets.timestamps import parse_time
from hedgegrid_assets_tests.dagster_feeds import CAPTURES, SIM, write_feeds
from hedgegrid_assets_tests.scenario import BAD_ID, BAD_MS, BTC, SYMBOLS, agg_trade, inserted, line, received, spoiled
from hedgegrid_assets_tests.yard import Yard

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
SERVER_STARTS = 120.0

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


def opened(browser: Browser, *, scheme: str = "light", asked_for: list[str] | None = None) -> Page:
    """A new page; ``asked_for`` collects what it loads."""
    page = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": 1400, "height": 950}
    ).new_page()
    if asked_for is not None:
        page.on("request", lambda request: asked_for.append(request.url))
    return page


def keep(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


# ---------------------------------------------------------------- the HTML report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    yard = Yard(tmp_path_factory.mktemp("report"))
    yard.drop("day.jsonl", spoiled(p="0"))
    yard.bring_in(SYMBOLS)
    for channel, symbol in (("aggTrade", BTC), ("markPrice", BTC), ("aggTrade", "ETHUSDT")):
        yard.normalize(channel, symbol)
    write_report(yard.places, yard.root / "report.html")
    return yard.root / "report.html"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_click_on_a_day_of_the_report_shows_what_is_behind_it(browser: Browser, report: Path, scheme: str) -> None:
    asked_for: list[str] = []
    page = opened(browser, scheme=scheme, asked_for=asked_for)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(report.as_uri())
    keep(page, f"report-{scheme}")
    page.get_by_role("button", name="BTCUSDT-PERP.BINANCE 2024-01-01").click()
    page.get_by_role("tab", name="trades").click()
    expect(page.locator("#day h2")).to_have_text("BTCUSDT-PERP.BINANCE 2024-01-01")
    expect(page.locator("svg.chart")).to_be_visible()
    expect(page.locator("#day")).to_contain_text("zero_price")
    expect(page.locator("#day")).to_contain_text("raw/websocket/day.jsonl")
    expect(page.locator("#day")).to_contain_text("no_sequence_gaps")
    assert page.locator("svg.chart .lost").count() == 3  # one gap in each panel
    page.locator("svg.chart").hover(position={"x": 300, "y": 60})
    expect(page.locator("figure p")).to_contain_text("UTC")
    page.wait_for_timeout(700)
    keep(page, f"report-{scheme}-day")
    assert not errors
    assert {url for url in asked_for if not url.startswith("data:")} == {report.as_uri()}


def test_the_last_bar_of_a_day_is_shown_at_the_end_of_this_day(browser: Browser, tmp_path: Path) -> None:
    file, places = tmp_path / "c.jsonl", Places(tmp_path / "data", tmp_path / "catalog")
    last = parse_time("2024-01-01T23:59:30Z")
    assert last is not None
    file.write_bytes(b"".join(line(agg_trade(number, last // 1_000_000), last) for number in range(1, 3)))
    words = ["--source", "websocket", "--symbol", BTC, "--input", str(file), "--data-types", "bars", "-q"]
    assert run(["replay-to-parquet", *words, "--output", str(places.catalog), "--data", str(places.data)]) == 0
    write_report(places, tmp_path / "report.html")
    page = opened(browser)
    page.goto((tmp_path / "report.html").as_uri())
    page.get_by_role("button", name="BTCUSDT-PERP.BINANCE 2024-01-01").first.click()
    expect(page.locator("#day .facts").first).to_contain_text("23:59:59.999 – 23:59:59.999")
    page.set_viewport_size({"width": 420, "height": 900})
    heights = page.locator(".rules tbody tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert max(heights) < 200, "numbers of a rule are broken a letter a line"


def test_the_report_is_used_by_keyboard_alone(browser: Browser, report: Path) -> None:
    page = opened(browser)
    page.goto(report.as_uri())
    page.locator("#map button").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="ETHUSDT-PERP.BINANCE 2024-01-01")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#day h2")).to_have_text("ETHUSDT-PERP.BINANCE 2024-01-01")
    assert page.url.endswith("#ETHUSDT-PERP.BINANCE/2024-01-01/trades")


def test_the_table_filter_changes_the_map_and_the_theme_button_the_colours(browser: Browser, report: Path) -> None:
    page = opened(browser)
    page.goto(report.as_uri())
    cells = page.locator("#map tbody button")
    assert cells.count() == 2
    page.locator("#tables").get_by_role("button", name="mark").click()
    expect(cells).to_have_count(1)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_an_address_with_a_day_opens_that_day(browser: Browser, report: Path) -> None:
    page = opened(browser)
    page.goto(f"{report.as_uri()}#BTCUSDT-PERP.BINANCE/2024-01-01/mark")
    expect(page.get_by_role("tab", name="mark")).to_have_attribute("aria-selected", "true")


# ---------------------------------------------------------------- the Dagster UI


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + SERVER_STARTS
    while time.monotonic() < until:
        assert server.poll() is None, "the webserver ended"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the webserver does not answer")


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A webserver over three good synthetic days and one day of a capture that is blocked."""
    root = tmp_path_factory.mktemp("ui")
    home, data = root / "home", root / "data"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    landing = data / "raw" / "websocket"
    landing.mkdir(parents=True)
    other = line(agg_trade(BAD_ID, BAD_MS, p="41999.90"), received(BAD_MS) + 1)
    (landing / "day.jsonl").write_bytes(inserted(other))
    feeds = write_feeds(root, SIM, CAPTURES.replace("start: 2024-01-01", "start: 2024-01-01\n    end: 2024-01-02"))
    environment = os.environ | {"DAGSTER_HOME": str(home), "HEDGEGRID_DATA": str(data), "HEDGEGRID_FEEDS": str(feeds)}
    command = [sys.executable, "-m", "hedgegrid_assets", "backfill"]
    done = subprocess.run([*command, "sim", "--json"], env=environment, cwd=root, capture_output=True, check=True)
    assert json.loads(done.stdout)
    for symbols in ("BTCUSDT,ETHUSDT", "BTCUSDT"):  # the blocked day last: its answers are those that a check shows
        blocked = subprocess.run(
            [*command, "captures", "--json", "--symbol", symbols],
            env=environment,
            cwd=root,
            capture_output=True,
            check=False,
        )
        assert blocked.returncode == 1
    port = free_port()
    server = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("dagster-webserver")),
            "-m",
            "hedgegrid_assets.definitions",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "--read-only",
        ],
        env=environment,
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/server_info", server)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


WAIT = 60_000
"""Milliseconds: the first page asks for everything at once."""


@pytest.mark.slow
def test_the_lineage_shows_the_way_from_raw_to_catalog(browser: Browser, ui: str) -> None:
    page = opened(browser)
    page.goto(f"{ui}/locations/hedgegrid_assets.definitions/asset-groups/sim/lineage")
    expect(page.get_by_text("aggTrade").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("trade_tick").nth(1)).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("3 partitions").first).to_be_visible(timeout=WAIT)
    keep(page, "ui-lineage")


def test_a_partition_shows_its_metadata_and_its_picture(browser: Browser, ui: str) -> None:
    page = opened(browser)
    page.goto(f"{ui}/assets/sim/normalized/trade_tick?view=partitions&partition=2024-01-02%7CBTCUSDT-PERP.SIM")
    expect(page.get_by_text("Materialized (3)")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("rows_in")).to_be_visible(timeout=WAIT)
    keep(page, "ui-partition")
    page.get_by_text("Show Markdown", exact=False).first.click()
    picture = page.locator("img[src^='data:image/webp']")
    expect(picture).to_be_visible(timeout=WAIT)
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 500
    keep(page, "ui-picture")


@pytest.mark.slow
def test_the_checks_say_in_words_what_failed(browser: Browser, ui: str) -> None:
    page = opened(browser)
    page.goto(f"{ui}/assets/captures/normalized/trade_tick?view=checks&checkDetail=no_duplicate_ids")
    expect(page.get_by_text("no_duplicate_ids").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("trade_ids_unique").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("conflicting_rows 2").first).to_be_visible(timeout=WAIT)
    keep(page, "ui-checks-failed")
    page.goto(f"{ui}/assets/sim/normalized/trade_tick?view=checks&checkDetail=gap_report")
    expect(page.get_by_text("Passed").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("failed_rows")).to_have_count(0)  # what passes is told by the day itself
    keep(page, "ui-checks")


def test_a_blocked_day_is_red_and_its_neighbour_is_not(browser: Browser, ui: str) -> None:
    page = opened(browser)
    page.goto(f"{ui}/assets/captures/catalog/trade_tick?view=partitions")
    expect(page.get_by_text("Materialized (1)")).to_be_visible(timeout=WAIT)
    keep(page, "ui-blocked")
