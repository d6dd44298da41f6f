"""Each code block of README, docs and examples is run, or says why it is not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets_tests.pages import LANGUAGES, PAGES, PICTURE, ROOT, RUN_BY, Block, blocks, runnable, shell

FEEDS = """version: 1
feeds:
  captures:
    source: websocket
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    tables: [trade_tick]
    landing: ["websocket/*.jsonl"]
    instruments: {BTCUSDT: {price_precision: 2, size_precision: 3, mark_precision: 8}}
"""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_base(block: Block) -> dict[str, Any]:
    """A part of feeds.yaml in a whole one."""
    base: dict[str, Any] = yaml.safe_load(FEEDS)
    said: dict[str, Any] = yaml.safe_load(block.text)
    if "outages" in said:  # keys of a feed
        base["feeds"]["captures"] |= said
        return base
    feeds = said.pop("feeds")
    for name, keys in feeds.items() if isinstance(feeds, dict) else ():
        base["feeds"][name] |= keys
    return base | said


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        where = f"{block.page}:{block.line}"
        assert block.language in {*LANGUAGES, PICTURE}, f"{where}: name its language, or call it {PICTURE}"
        assert bool(block.no_run) is bool(block.info), f"{where}: expected `no-run: a reason`, found {block.info!r}"
    assert bool(runnable(named(page))) is (named(page) in RUN_BY), "name the test that runs its blocks in RUN_BY"
    if named(page) in RUN_BY:
        test = ROOT / "hedgegrid_assets_tests" / RUN_BY[named(page)]
        assert f'runnable("{named(page)}"' in test.read_text()


def test_parts_of_feeds_files_are_what_feeds_may_say(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK", "https://hooks.example/1")
    found = [*runnable("docs/operations.md", "yaml"), *runnable("docs/scale.md", "yaml")]
    assert len(found) == 3
    for block in found:
        path = workdir / "feeds.yaml"
        path.write_text(yaml.safe_dump(with_base(block)))
        assert not read_feeds(path).problems, block.text


def test_the_commands_of_operations_run_in_the_guides_folder(workdir: Path) -> None:
    shutil.copytree(ROOT / "examples/guide/data", workdir / "data")
    for block in runnable("docs/operations.md", "bash"):
        shell(block)


def test_nothing_else_of_these_pages_is_to_be_run() -> None:
    assert runnable("docs/scale.md", "bash", "python") == []
    assert runnable("docs/operations.md", "python") == []
