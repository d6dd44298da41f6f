"""A feed of captured trades with its catalog, for tests of what keeps a catalog: a few days, made without Dagster."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import Feed, read_feeds
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.request import Request
from hedgegrid_assets.pipeline.run import run as make
from hedgegrid_assets.store import Places
from hedgegrid_assets.timestamps import day_start

FIRST = date(2024, 1, 1)
ID = "BTCUSDT-PERP.BINANCE"
FEEDS = """version: 1
feeds:
  tape:
    source: websocket
    venue: BINANCE
    symbols: [BTCUSDT]
    tables: [trade_tick]
    start: 2024-01-01
    landing: ["websocket/**/*.jsonl"]
"""


def trades(day: date, count: int = 100, first_id: int | None = None) -> str:
    """Lines of aggTrades of BTCUSDT, one a second from midnight; ids run on over days of 100.

    One of another symbol is among them, so that the raw day is a copy.
    """
    first = (day - FIRST).days * 100 + 1 if first_id is None else first_id
    ms = day_start(day) // 1_000_000
    other = f'{{"stream":"xrpusdt@aggTrade","data":{{"e":"aggTrade","s":"XRPUSDT","T":{ms}}}}}\n'
    return other + "".join(
        f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ms + number * 1000},"s":"BTCUSDT","a":{first + number},'
        f'"p":"42000.{number % 10}","q":"0.00{1 + number % 9}","f":{first + number},"l":{first + number},'
        f'"T":{ms + number * 1000},"m":{"true" if number % 2 else "false"}}}}}\n'
        for number in range(count)
    )


@dataclass(frozen=True)
class Home:
    """A working directory: ``feeds.yaml`` and ``data/``."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(self.root / "data", self.root / "data/catalog")

    @property
    def feed(self) -> Feed:
        return read_feeds(self.root / "feeds.yaml").feeds["tape"]

    @property
    def context(self) -> FeedContext:
        return FeedContext(self.feed, self.places)

    def land(self, day: date, text: str | None = None) -> Path:
        """Drop a day of trades."""
        path = self.places.landing / f"websocket/{day}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trades(day) if text is None else text)
        return path

    def make(self, days: Sequence[int] = (0, 1, 2)) -> None:
        """Land and convert some days, counted from the first."""
        for number in days:
            self.land(FIRST + timedelta(days=number))
        assert make(Request(self.feed, None, None, self.places.catalog, self.places.data)).ok

    def put_back(self, pristine: Path) -> None:
        """All is as in a copy of this place: at the same paths and times, so that it is known."""
        shutil.rmtree(self.root)
        shutil.copytree(pristine, self.root, symlinks=True)

    def run(self, *words: str) -> int:
        """A command in this place; its exit code."""
        return run([*words, "--data", str(self.places.data), *self._feeds(words[0])])

    def _feeds(self, command: str) -> list[str]:
        return ["--feeds", str(self.root / "feeds.yaml")] if command == "status" else []

    def nautilus(self, day: date = FIRST) -> Path:
        return (
            self.places.catalog.local()
            / f"data/trade_tick/{ID}/{day}T00-00-00-000000000Z_{day}T23-59-59-999999999Z.parquet"
        )

    def verdict(self, day: date = FIRST) -> Path:
        return self.places.verdict(ID, "trade_tick", day).local()

    def frame(self, day: date = FIRST) -> Path:
        return self.places.frame(ID, "trade_tick", day).local()

    def files(self) -> dict[str, bytes]:
        """Every file of data and catalog but locks."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "lock" not in path.name and "locks" not in path.parts
        }


def new_home(root: Path, days: Sequence[int] = (0, 1, 2)) -> Home:
    """A folder with the feed, and some of its days made."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "feeds.yaml").write_text(FEEDS)
    home = Home(root)
    if days:
        home.make(days)
    return home
