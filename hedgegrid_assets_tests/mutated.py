"""Lines of data sets with bytes, cells and spellings changed: what the reader takes fast is what its exact way takes.

``python -m hedgegrid_assets_tests.mutated --lines 1000000 --seed 7`` holds as many as are asked for against each other, in minutes.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import polars as pl

from hedgegrid_assets.batch import Block, Decoded
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.formats.lines import FAULTS_SCHEMA
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.sources.tardis.channels import channels
from hedgegrid_assets.sources.tardis.made_ids import with_made_ids

SYMBOL: Final = "BTCUSDT"
HEADERS: Final = {
    "trades": "id,side,price,amount",
    "quotes": "ask_amount,ask_price,bid_price,bid_amount",
    "derivative_ticker": "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price",
    "incremental_book_L2": "is_snapshot,side,price,amount",
}
CHANNELS: Final = {channel.name: channel for channel in channels("binance-futures") if channel.name in HEADERS}
_COMMON: Final = "exchange,symbol,timestamp,local_timestamp"
_BYTES: Final = [*b"0123456789..,,--++eE \t\0\r\n\"';:/_x", *"é".encode(), 0xFF]
_ODD_CELLS: Final = [
    *(
        "",
        " ",
        "0",
        "-0",
        "-0.0",
        "+1",
        "1e3",
        "1E-3",
        "1.5e+2",
        ".5",
        "5.",
        "1..2",
        "1.2.3",
        "--1",
        "0x10",
        "nan",
        "inf",
        "1_0",
    ),
    *(
        "0001704067200023000",
        "1704067200023000000",
        "1704067200",
        "9223372036854775807",
        "9223372036854775808",
        "12345678901234567890",
    ),
    *(
        "123456789.123456789",
        "0.00000000000000001",
        "0.1234567890123456",
        "1" * 39,
        "12345678.123",
        "1234567890.123",
        "100000000000",
    ),
    *("0.3000000000000000444", "BTCUSDT", "btcusdt", "ETHUSDT", "BUY", "unknown", "true", "٣", "5 ", " 5"),
]


def whole_line(name: str, chance: random.Random, number: int) -> list[str]:
    """The cells of a line as Tardis writes them."""
    time = 1_704_067_200_000_000 + number * 43_000
    price, amount = (
        f"{chance.randrange(1, 600_000) / 10:.10g}",
        f"{chance.randrange(1, 10 ** chance.randrange(1, 8)) / 1000:.10g}",
    )
    own = {
        "id": str(4_308_068_523 + number),
        "side": chance.choice(["buy", "sell"] if name == "trades" else ["bid", "ask"]),
        "is_snapshot": chance.choice(["true", "false"]),
        "funding_timestamp": chance.choice(["", "1704096000000000"]),
        "funding_rate": f"{chance.randrange(-9999, 9999) / 10**8:.8f}",
        "predicted_funding_rate": chance.choice(["", "0.0001"]),
        "index_price": f"{chance.randrange(1, 6 * 10**12) / 10**8:.8f}",
        "mark_price": f"{chance.randrange(1, 6 * 10**12) / 10**8:.8f}",
    }
    cells = [own.get(key, amount if "amount" in key else price) for key in HEADERS[name].split(",")]
    return ["binance-futures", SYMBOL, str(time), str(time + chance.randrange(5_000)), *cells]


def changed(cells: list[str], chance: random.Random) -> bytes:
    """A line with cells swapped or spelled anew, or one or two bytes changed, inserted or taken out."""
    kind = chance.randrange(4)
    if kind == 0:
        one, other = chance.randrange(len(cells)), chance.randrange(len(cells))
        cells[one], cells[other] = cells[other], cells[one]
    if kind == 1:
        cells[chance.randrange(1, len(cells))] = chance.choice(_ODD_CELLS)
    line = bytearray(",".join(cells).encode())
    for _ in range(chance.randrange(1, 3) if kind > 1 else 0):
        at = chance.randrange(len(line) + 1)
        line[at : at + chance.randrange(2)] = bytes(chance.choices(_BYTES, k=chance.randrange(2)))
    return bytes(line)


def blocks(name: str, seed: int, lines: int) -> Iterator[bytes]:
    """Blocks of few lines and of many, of which few, some or most are changed."""
    chance = random.Random(f"{name} {seed}")
    made = 0
    while made < lines:
        count, share = chance.choice([1, 3, 20, 200]), chance.choice([0.01, 0.1, 0.7])
        every = [whole_line(name, chance, made + number) for number in range(count)]
        made += count
        yield b"".join(
            (changed(cells, chance) if chance.random() < share else ",".join(cells).encode()) + b"\n" for cells in every
        )


def held(name: str, data: bytes) -> Counter[str]:
    """Hold what the reader gives of a block against its exact way, and against the text; how many lines it has, and took."""
    channel, columns = CHANNELS[name], tuple(f"{_COMMON},{HEADERS[name]}".split(","))
    dialect = datasets.TardisDialect(data_type=name, symbol=SYMBOL, columns=columns)
    block = Block(data, 1)
    batch = datasets.DatasetReader(channel, dialect, rows=True, placing=True).read(block)
    found = batch.decoded[name]
    rows, rejects, faults = _exactly(channel, dialect, block)
    same_scale = found.rows.select(pl.col(column).cast(kind) for column, kind in rows.schema.items())
    assert same_scale.equals(rows), data
    assert found.rejects.sort("raw_row").equals(rejects), data
    assert (found.faults if found.faults is not None else pl.DataFrame(schema=FAULTS_SCHEMA)).equals(faults), data
    placed = datasets.DatasetReader(channel, dialect, rows=False, placing=True).read(block).placed
    assert placed is not None
    assert batch.placed is not None
    assert batch.placed.lines.equals(placed.lines), data
    assert batch.placed.decimals == placed.decimals, data
    _hold_to_text(channel, columns, data.split(b"\n"), found)
    return Counter(lines=block.lines, taken=len(rows), refused=len(rejects))


def _exactly(
    channel: Channel, dialect: datasets.TardisDialect, block: Block
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows, rejects and faults, each cell by its pattern."""
    wanted = ["symbol", "local_timestamp", *(field.key for field in channel.fields)]
    cells, other = datasets._cells(block, dialect, wanted)
    ours, foreign = datasets._of_symbol(cells, dialect.symbol)
    rows, refused, faults, _ = datasets._decode_slowly(ours, block, channel)
    rows = with_made_ids(rows) if channel.name == "trades" else rows
    return rows, pl.concat([other, foreign, refused]).sort("raw_row", maintain_order=True), faults


def _hold_to_text(channel: Channel, columns: tuple[str, ...], lines: list[bytes], found: Decoded) -> None:
    faults = () if found.faults is None else found.faults.select("raw_row", "name").rows()
    for row in found.rows.iter_rows(named=True):
        cells = dict(zip(columns, lines[row["raw_row"] - 1].decode().split(","), strict=False))
        for field in channel.fields:
            text, value = cells.get(field.key, "").removesuffix("\r"), row[field.name]
            if value is None:
                assert not text or (row["raw_row"], field.name) in faults, (row, text)
            else:
                assert value == {"decimal": Decimal, "integer": int}.get(field.kind, str)(text), (row, text)


def main() -> None:
    """Hold lines of all data sets against each other; ends with an error at the first block that differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    for name in HEADERS:
        counts: Counter[str] = Counter()
        for data in blocks(name, asked.seed, asked.lines // len(HEADERS)):
            counts += held(name, data)
        sys.stdout.write(f"{name}: {', '.join(f'{count:,} {what}' for what, count in counts.items())}\n")


if __name__ == "__main__":
    main()
