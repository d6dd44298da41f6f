"""What tells two rows apart: ids that name one trade, ids that several share, and ids too long for Nautilus."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.trace import trace
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import Channel, Identity
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.sources.formats.identity import SHARED_IDS, identified
from hedgegrid_assets.sources.tardis import SOURCE, datasets
from hedgegrid_assets.sources.websocket import SOURCE as WEBSOCKET
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.one_day import Outcome, outcomes
from hedgegrid_assets_tests.tardis_cases import QUICK, feed_context, fresh_standin

TRADES = TABLES["trade_tick"]
HEAD = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
MIDNIGHT_US = 1_704_067_200_000_000
PLAIN = next(channel for channel in SOURCE.channels if channel.name == "trades")
(SHARED,) = identified([PLAIN], "CRYPTO_COM", {})
MS = 1_704_067_200_000


def fill(number: str, local: int, price: str = "42500.1", at: int = 1) -> str:
    return f"crypto-com,BTCUSDT,{MIDNIGHT_US + at},{MIDNIGHT_US + local},{number},buy,{price},0.003\n"


FOUR = (fill("77", 5), fill("77", 5), fill("77", 5, "42500.2"), fill("77", 5, "42500.3"))
"""One message: four fills of one id, two of them equal."""


def normalized(folder: Path, *files: str, channel: Any = SHARED, block: int | None = None) -> Outcome:
    dialect = datasets.dialect_of(HEAD.encode(), PLAIN, "BTCUSDT")
    first, *rest = files
    data = [f"{HEAD}\n{first}".encode(), *(text.encode() for text in rest)]
    return outcomes(folder, SOURCE, channel, *data, dialect=dialect, block=block)["trade_tick"]


@pytest.mark.parametrize("block", [48, None])
def test_equal_fills_of_one_message_are_all_kept_where_ids_are_shared(block: int | None, tmp_path: Path) -> None:
    found = normalized(tmp_path, "".join(FOUR), block=block)
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (4, 0)
    assert (found.rule("trade_ids_unique")["passed"], found.rule("trade_ids_unique")["off"]) == (None, True)
    assert found.verdict["status"] != "blocked"
    assert found.verdict["identity"] == Identity.CONTENT


@pytest.mark.parametrize("block", [48, None])
@pytest.mark.parametrize("order", list(permutations(range(3)))[:4])
def test_a_message_that_came_twice_is_one_even_where_ids_are_shared(
    order: tuple[int, ...], block: int | None, tmp_path: Path
) -> None:
    messages = ["".join(FOUR), fill("78", 6, at=2), "".join(fill("77", 7, each.split(",")[6]) for each in FOUR)]
    found = normalized(tmp_path, "".join(messages[number] for number in order), block=block)
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (5, 4)


def test_of_two_messages_the_one_with_more_equal_fills_counts(tmp_path: Path) -> None:
    found = normalized(tmp_path, fill("77", 5) + fill("77", 6) * 3)
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (3, 1)


@pytest.mark.parametrize("block", [48, None])
def test_what_two_landing_files_share_is_kept_once_where_ids_are_shared(block: int | None, tmp_path: Path) -> None:
    first, second = FOUR[0] * 2 + FOUR[2], FOUR[0] * 2 + FOUR[2] + fill("79", 9, at=3)
    found = normalized(tmp_path, first, second, block=block)
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (4, 3)


def test_a_file_laid_end_to_end_with_itself_doubles_nothing_where_ids_are_shared(tmp_path: Path) -> None:
    once = "".join(FOUR) + fill("80", 8, at=4)
    found = normalized(tmp_path, once + once)
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (5, 5)


def test_ids_that_name_one_trade_are_held_to_it(tmp_path: Path) -> None:
    found = normalized(tmp_path, "".join(FOUR), channel=PLAIN)
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (3, 1)
    assert found.rule("trade_ids_unique")["passed"] is False
    assert "identity" not in found.verdict


def test_every_row_is_kept_where_each_is_an_observation_of_its_own(tmp_path: Path) -> None:
    from msgspec.structs import replace

    found = normalized(tmp_path, FOUR[0] * 3 + fill("1", 1), channel=replace(PLAIN, identity=Identity.EVERY_ROW))
    assert (found.rows["out"], found.rows["exact_duplicates"]) == (4, 0)
    assert found.frame["ts_init"].is_sorted()


def test_only_channels_with_ids_share_them() -> None:
    own = {channel.name: channel.identity for channel in WEBSOCKET.channels}
    for venue in SHARED_IDS:
        kinds = {channel.name: channel.identity for channel in identified(WEBSOCKET.channels, venue, {})}
        assert kinds["markPrice"] is own["markPrice"] is not Identity.ID
        assert kinds["trade"] is Identity.CONTENT
    (said,) = identified([PLAIN], "CRYPTO_COM", {"ids": "unique"})
    assert said.identity is Identity.ID


# ---------------------------------------------------------------- the whole way


def convert(folder: Path, text: str, *more: str, config: dict[str, Any] | None = None) -> int:
    source = folder / "BTCUSDT.csv"
    source.write_text(text)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
        more = (*more, "--config", str(folder / "config.json"))
    folders = ["--output", str(folder / "catalog"), "--data", str(folder / "data")]
    wanted = ["--symbol", "BTCUSDT", "--input", str(source), "--data-types", "trades"]
    return run(["replay-to-parquet", "--source", "csv", *folders, *wanted, *more])


def held(folder: Path, instrument: str) -> list[Any]:
    return list(ParquetDataCatalog(str(folder / "catalog")).trade_ticks(instrument_ids=[instrument]))


ROWS = "timestamp,id,side,price,amount\n" + "".join(
    f"{MS},77,buy,{price},0.003\n" for price in ("42500.1", "42500.1", "42500.2", "42500.3")
)


@pytest.mark.parametrize(
    ("more", "config"), [(("--exchange", "CRYPTO_COM"), None), (("--exchange", "ELSEWHERE"), {"ids": "shared"})]
)
def test_nautilus_holds_all_fills_of_a_shared_id(
    more: tuple[str, ...], config: dict[str, Any] | None, tmp_path: Path
) -> None:
    assert convert(tmp_path, ROWS, *more, config=config) == 0
    instrument = f"BTCUSDT-PERP.{more[1]}"
    assert [str(trade.trade_id) for trade in held(tmp_path, instrument)] == ["77"] * 4
    assert validate_catalog(tmp_path / "catalog", deep=True).ok
    found = trace(Places(tmp_path / "data", tmp_path / "catalog"), instrument, TRADES, "77")
    assert found.whole
    assert convert(tmp_path, ROWS, *more, config=config) == 0
    assert len(held(tmp_path, instrument)) == 4


def test_a_file_of_shared_ids_that_nobody_said_is_blocked_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, ROWS) == 1
    told = capsys.readouterr()
    assert "trade_ids_unique" in told.out + told.err
    assert convert(tmp_path, ROWS, config={"ids": "shared"}) == 0
    assert len(held(tmp_path, "BTCUSDT-PERP.BINANCE")) == 4


def test_tardis_days_of_a_venue_with_shared_ids_keep_equal_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", QUICK)
    monkeypatch.delenv("TARDIS_API_KEY", raising=False)
    feed = feed_context(tmp_path, fresh_standin(), exchange="binance-futures")
    assert feed.channel(TRADES).identity is Identity.ID
    object.__setattr__(feed.feed, "venue", "CRYPTO_COM")
    assert FeedContext(feed.feed, feed.places).channel(TRADES).identity is Identity.CONTENT


# ---------------------------------------------------------------- long ids

LONG = ["0x" + f"{number:064x}" for number in (1, 2)] + ["a" * 37, "b" * 36, "short"]


def test_a_long_id_keeps_its_text_in_the_frame_and_is_a_hash_in_the_catalog(tmp_path: Path) -> None:
    rows = "".join(f"{MS + at},{given},buy,42500.1,0.003\n" for at, given in enumerate(LONG))
    assert convert(tmp_path, f"timestamp,id,side,price,amount\n{rows}") == 0
    places = Places(tmp_path / "data", tmp_path / "catalog")
    instrument = "BTCUSDT-PERP.BINANCE"
    (frame,) = places.frame_folder(instrument, "trade_tick").glob("*.parquet")
    assert pl.read_parquet(frame.local())["trade_id"].to_list() == LONG
    ids = [str(trade.trade_id) for trade in held(tmp_path, instrument)]
    assert ids == made_ids.shortened(pl.Series(LONG)).to_list()
    assert ids[3:] == LONG[3:]
    assert len(set(ids)) == len(LONG)
    assert validate_catalog(tmp_path / "catalog", deep=True).ok
    for given, short in zip(LONG, ids, strict=True):
        for asked in (given, short):
            found = trace(places, instrument, TRADES, asked)
            assert found.whole
            assert found.steps["normalized"]["values"]["trade_id"] == given
            assert found.steps["catalog"]["values"]["trade_id"] == short


def test_a_shortened_id_is_the_same_on_every_machine_and_in_any_company() -> None:
    ids = pl.Series(["x" * 40, "7", "y" * 100])
    assert made_ids.shortened(ids)[0] == made_ids.shortened(ids.head(1))[0] == "~4afa2b73054c8f3af5e94c6c7215068e"
    assert made_ids.shortened(ids)[1] == "7"
    texts = pl.Series([f"{number:0>{length}}" for number in range(3_000) for length in (37, 48, 64)])
    assert made_ids.shortened(texts).n_unique() == texts.n_unique()


@pytest.mark.parametrize("block", [48, None])
def test_long_ids_come_in_through_data_sets_as_well(block: int | None, tmp_path: Path) -> None:
    found = normalized(tmp_path, "".join(fill(given, 5 + at) for at, given in enumerate(LONG)), block=block)
    assert found.rows["rejected"] == 0
    assert found.frame["trade_id"].to_list() == LONG


def test_an_id_that_no_venue_can_mean_is_a_reject(tmp_path: Path) -> None:
    found = normalized(tmp_path, fill("7", 5) + fill("a b", 6) + fill("c" * 1_001, 7) + fill("é", 8))
    assert found.frame["trade_id"].to_list() == ["7"]
    assert found.rejects["reason"].to_list() == ["bad_trade_id"] * 3


@pytest.mark.parametrize(
    ("channel", "table"),
    [
        pytest.param(channel, table, id=f"{name} {channel.name} {table}")
        for name, source in SOURCES.items()
        for channel in source.channels
        for table in channel.tables
    ],
)
def test_a_channel_tells_its_rows_apart_by_ids_only_where_its_table_has_them(channel: Channel, table: str) -> None:
    told_apart = channel.tables[table].made_of or table
    identity = channel.tables[told_apart].identity or channel.identity
    assert (identity is Identity.ID) == (TABLES[told_apart].id_column is not None)
