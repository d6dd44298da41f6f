"""Files of several days, cut into days: each line once, as it is, wherever its block ends."""

import hashlib
from datetime import date
from pathlib import Path

import pytest

from hedgegrid_assets.sources.archive import splitting
from hedgegrid_assets.sources.archive.archives import ARCHIVES
from hedgegrid_assets.sources.archive.files import Place, Proof
from hedgegrid_assets.sources.archive.rows import times_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import Block, BlockReader
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests.standins.archive import zipped

DAY = date(2024, 1, 2)
HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
ODD = {
    40: "",
    41: "1,2",
    90: "1,2.5,3,4,5,never,true",
    91: '1,2.5,3,4,5,"1704153600000",true',
    150: "1,2.5,3,4,5, 1704153600000 ,true",
    151: "1,2.5,3,4,5,1704153600,true",  # s
    220: "1,2.5,3,4,5,1704153600000000,true",  # us
    221: "ä,2.5,3,4,5,1704153600000,true",
    222: "1,2.5,3\0,4,5,1704153600000,true",
    300: "1,2.5,3,4,5,1704153600000,true,more",
    301: "1,2.5,3,4,5,-1704153600000,true",
    302: "1,2.5,3,4,5,99999999999999999999,true",
}


def lines(first: date, count: int = 400) -> list[str]:
    start, step = day_start(first) // 1_000_000, 3 * 86_400_000 // count
    rows = [f"{number},{number}.5,0.001,1,2,{start + number * step},true" for number in range(count)]
    return [ODD.get(number, row) for number, row in enumerate(rows)]


def cut(folder: Path, text: bytes) -> dict[str, bytes]:
    """Day -> its lines."""
    archive = ARCHIVES["binance-futures"]
    files = archive.kind("aggTrade")
    place = Place(archive, "", files.path("monthly", "BTCUSDT", DAY), folder)
    place.file.parent.mkdir(parents=True)
    body = zipped("BTCUSDT-aggTrades-2024-01.csv", text)
    place.file.write_bytes(body)
    proof = Proof(place.url, len(body), hashlib.sha256(body).hexdigest())
    days, index = splitting.split(place, proof, files.columns, files.channel, "BTCUSDT", DAY, None)
    found = {day: b"".join(block.data for block in BlockReader(days / f"{day}.csv.zst")) for day in index.days}
    assert {day: len(data.splitlines()) for day, data in found.items()} == {
        day: one.lines for day, one in index.days.items()
    }
    return found


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("block_bytes", [1, 100, 1_000, 10_000])
def test_the_size_of_blocks_changes_nothing(
    header: bool, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join([*([HEADER] if header else []), *lines(DAY)]).encode()
    whole = cut(tmp_path / "whole", text)
    monkeypatch.setattr(splitting, "_BLOCK_BYTES", block_bytes)
    assert cut(tmp_path / "blocks", text) == whole
    assert sum(len(data.splitlines()) for data in whole.values()) == 400


CELLS = (
    "1704153600000",
    " 1704153600000 ",
    "1704153600",
    "1704153600000000",
    "-1704153600000",
    "+1704153600000",
    "01704153600000",
    "1704153600000.0",
    "17041536000000000000",
    "never",
    "1e12",
    "0x5",
    "",
)


@pytest.mark.parametrize("cell", CELLS)
def test_numbers_are_those_of_the_closer_look_or_none(cell: str) -> None:
    block = Block(f"1,{cell},3\n4,1704153600001,6,7\n".encode(), 0)
    found = cells.whole_numbers(block, 3, ",", 1)
    closer = times_of(cells.read(block, 3, ",", [1]).frame["c1"])
    assert found is None or times_of(found).to_list() == closer.to_list()
