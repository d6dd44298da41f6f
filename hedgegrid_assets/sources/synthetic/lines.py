"""Rows of numbers as lines of messages."""

import json
from collections.abc import Iterator

import polars as pl

from hedgegrid_assets.sources.synthetic.markets import MARK_DECIMALS, market_of


def trade_lines(rows: pl.DataFrame, symbol: str) -> bytes:
    """Messages ``aggTrade``."""
    market = market_of(symbol)
    zeros = "0" * (market.price_decimals - market.tick_decimals)
    return _lines(
        rows,
        *(
            "local",
            ' {"stream":'
            + json.dumps(f"{symbol.lower()}@aggTrade", ensure_ascii=False)
            + ',"data":{"e":"aggTrade","E":',
            "E",
        ),
        *(
            ',"s":' + json.dumps(symbol, ensure_ascii=False) + ',"a":',
            "a",
            ',"p":"',
            *_decimal("p", market.tick_decimals),
        ),
        *(
            zeros + '","q":"',
            *_decimal("q", market.size_decimals),
            '","f":',
            "f",
            ',"l":',
            "l",
            ',"T":',
            "T",
            ',"m":',
            "m",
            "}}\n",
        ),
    )


def mark_lines(rows: pl.DataFrame, symbol: str) -> bytes:
    """Messages ``markPriceUpdate``."""
    sign = pl.when(pl.col("r") < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    rows = rows.with_columns(sign.alias("-"), pl.col("r").abs())
    return _lines(
        rows,
        *("local", ' {"stream":' + json.dumps(f"{symbol.lower()}@markPrice@1s", ensure_ascii=False)),
        *(',"data":{"e":"markPriceUpdate","E":', "E", ',"s":' + json.dumps(symbol, ensure_ascii=False)),
        *(',"p":"', *_decimal("p", MARK_DECIMALS), '","i":"', *_decimal("i", MARK_DECIMALS)),
        *(
            '","P":"',
            *_decimal("P", MARK_DECIMALS),
            '","r":"',
            "-",
            *_decimal("r", MARK_DECIMALS),
            '","T":',
            "T",
            "}}\n",
        ),
    )


def _decimal(column: str, decimals: int) -> tuple[pl.Expr | str, ...]:
    """Scaled integers, not negative, as decimal text."""
    if not decimals:
        return (pl.col(column),)
    unit = 10**decimals
    return pl.col(column) // unit, ".", (pl.col(column) % unit + unit).cast(pl.String).str.slice(1)


def _lines(rows: pl.DataFrame, *parts: pl.Expr | str) -> bytes:
    """Columns (by name), expressions and literal text, put together row by row."""
    pieces = [
        part if isinstance(part, pl.Expr) else pl.col(part) if part in rows.columns else pl.lit(part) for part in parts
    ]
    text = rows.select(pl.concat_str(pieces)).to_series().to_arrow()
    return text.buffers()[2].to_pybytes()


def rebatched(frames: Iterator[pl.DataFrame], block_rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of ``block_rows``, the last one shorter."""
    held: list[pl.DataFrame] = []
    rows = 0
    for frame in frames:
        held.append(frame)
        rows += frame.height
        while rows >= block_rows:
            whole = pl.concat(held)
            yield whole.head(block_rows)
            held = [whole.slice(block_rows)]
            rows -= block_rows
    if rows:
        yield pl.concat(held)
