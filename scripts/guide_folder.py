"""The working folder of the guide's snippets: ``examples/guide/data/catalog``, three made-up days as BTCUSDT-PERP.BINANCE.

``python scripts/guide_folder.py [FOLDER]`` writes it anew. The one place where made-up rows lie under a real venue, since
the guide's snippets name it: each frame says ``synthetic: true`` in its footer, and nothing else writes there.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from hedgegrid_assets.cli import run
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.sources.synthetic import generate
from hedgegrid_assets.stages.frames import FrameWriter, arrow_schema, frame_metadata, read_blocks
from hedgegrid_assets.stages.verdict import read_verdict, store_verdict
from hedgegrid_assets.store import Places, sha256_of
from hedgegrid_assets.tables import TOKENS

ID: Final = "BTCUSDT-PERP.BINANCE"
DAYS: Final = tuple(date(2024, 1, 1) + timedelta(days=n) for n in range(3))
STAMP: Final = {"synthetic": "true"}
TYPES: Final = ("trades", "mark", "funding")
_TRADE_MS: Final = 45_000
_MARK_MS: Final = 300_000
_TRADES_PER_DAY: Final = 100_000
"""Of all that are made up, one message for each so many: the folder stays small, and no silence between trades is longer than a minute."""
_LOST_MS: Final = (1_704_196_800_000, 1_704_197_400_000)
"""From 2024-01-02 12:00 to 12:10 trades are missing, so that there is a gap to be found."""
_FIRST_ID: Final = 1_000_000


def make(folder: Path) -> None:
    """Write the catalog of a working folder anew."""
    catalog = folder / "data/catalog"
    shutil.rmtree(catalog, ignore_errors=True)
    with TemporaryDirectory() as temporary:
        _convert(Path(temporary), catalog)
    (catalog / ".hedgegrid/lock").unlink()
    shutil.rmtree(catalog / ".hedgegrid/locks")
    places = Places(catalog.parent, catalog)
    for table in map(TOKENS.__getitem__, TYPES):
        for day in DAYS:
            _stamp(places, table, InstrumentDay(ID, day))


def _convert(work: Path, catalog: Path) -> None:
    """As a user converts recordings of his own."""
    ids = count(_FIRST_ID)
    trades = [_trade(message, next(ids)) for message in _messages("aggTrade", _TRADE_MS)]
    kept = [message for message in trades if not _LOST_MS[0] <= message["data"]["T"] < _LOST_MS[1]]
    _write(work / "trades.jsonl", kept)
    _write(work / "mark.jsonl", list(_messages("markPrice", _MARK_MS)))
    files = {"trades": "trades.jsonl", "mark": "mark.jsonl", "funding": "mark.jsonl"}
    config = {
        "market": "usdm",
        "gaps": {"mark": "10m", "funding": "10m"},
        "files": {name: {"file_path": str(work / file)} for name, file in files.items()},
    }
    (work / "config.json").write_text(json.dumps(config))
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--config", str(work / "config.json"), "--quiet"]
    days = ["--start", str(DAYS[0]), "--end", str(DAYS[-1] + timedelta(days=1)), "--data-types", ",".join(TYPES)]
    code = run(["replay-to-parquet", *words, *days, "--data", str(work / "data"), "--output", str(catalog)])
    if code:
        raise SystemExit(code)


def _messages(channel: str, every_ms: int) -> Iterator[dict[str, Any]]:
    """The first message of each step of time, without the time of its arrival."""
    last = -1
    for day in DAYS:
        for block in generate("BTCUSDT", channel, day, trades_per_day=_TRADES_PER_DAY):
            for line in block.splitlines():
                message = json.loads(line.partition(b" ")[2])
                step = message["data"]["T" if channel == "aggTrade" else "E"] // every_ms
                if step > last:
                    last = step
                    yield message


def _trade(message: dict[str, Any], trade_id: int) -> dict[str, Any]:
    """With the id that follows, as if there had been no other trades."""
    return message | {"data": message["data"] | {"a": trade_id, "f": trade_id, "l": trade_id}}


def _write(path: Path, messages: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(message, separators=(",", ":")) + "\n" for message in messages))


def _stamp(places: Places, table: Table, day: InstrumentDay) -> None:
    """Say in a frame's footer that its rows are made up, and bind its verdict to these bytes."""
    frame = places.frame(day.instrument_id, table.folder, day.date)
    verdict = read_verdict(places, table, day)
    assert verdict is not None
    path, stamped = Path(frame.local()), Path(f"{frame.local()}.new")
    schema = arrow_schema(table, verdict.precision, frame_metadata(frame) | STAMP)
    writer = FrameWriter(stamped, day.instrument_id, table, schema)
    for block in read_blocks(frame, table):
        writer.write(block)
    writer.close()
    stamped.replace(path)
    store_verdict(places, table, day, msgspec.structs.replace(verdict, frame_sha256=sha256_of(frame)))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "examples/guide")
