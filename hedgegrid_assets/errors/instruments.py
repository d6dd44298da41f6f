"""What is not known of an instrument, or contradicts what is."""

import json
from collections.abc import Sequence

from hedgegrid_assets.errors.base import DataError


class PrecisionTooFine(DataError):
    """A value has more decimals than the instrument's definition; nothing was rounded, nothing written."""

    code = "precision"

    def __init__(self, instrument_id: str, column: str, defined: int, needed: int, where: str) -> None:
        super().__init__(
            f"{column} is finer than the instrument ({instrument_id}, {where}): "
            f"expected at most {defined} decimals, found {needed}",
            hint=f"if the value is right, run: hedgegrid instruments widen {instrument_id} --{column}-precision {needed}"
            " (--catalog, where it is not data/catalog), and make the day again; `replay-to-parquet --widen` does both, "
            "as does a feed with `widen: auto`",
            details={"instrument_id": instrument_id, "column": column, "defined": defined, "needed": needed},
        )
        self.column, self.needed = column, needed


class LooksLikeFloats(DataError):
    """Numbers from which no tick can be told: binary floats written out, such as 282.83500000000004."""

    code = "floats"

    def __init__(self, symbol: str, name: str, example: str, count: int, rows: int, others: int) -> None:
        super().__init__(
            f"the {name}s of {symbol} look like binary floats: expected decimals as the venue writes them, found "
            f"{count:,} of {rows:,} with 15 digits or more, such as {example}; the others have at most {others} decimals",
            hint=f"get the venue's own digits, or round them when the file is written; or say how many decimals count in the "
            f'file given with --config, as {{"instruments": {{"{symbol}": {{"{name}_precision": {others}}}}}}} (rows that are far '
            f"finer are rejected), or under `instruments:` of the feed in feeds.yaml",
            details={"symbol": symbol, "column": name, "example": example, "count": count, "rows": rows},
        )


class InstrumentUnknown(DataError):
    """No definition of an instrument, and none could be made."""

    code = "instrument"

    def __init__(self, instrument_id: str, why: str, symbol: str = "") -> None:
        said = {"base": "<BTC>", "quote": "<USD>", "multiplier": "<1>"}
        example = json.dumps({"market": "<usdm, coinm or spot>", "instruments": {symbol or "<symbol>": said}})
        super().__init__(
            f"no definition of {instrument_id}: {why}",
            hint="say which market it is with --market usdm, coinm or spot, or name it as Nautilus does with --instrument; "
            f"what nobody can know, in the file given with --config (feeds.yaml takes the same keys): {example}",
            details={"instrument_id": instrument_id},
        )


class PrecisionUnknown(InstrumentUnknown):
    """No usable value was seen that says how many decimals an instrument has."""

    def __init__(self, instrument_id: str, missing: Sequence[str], symbol: str) -> None:
        what = " and ".join(missing)
        super().__init__(instrument_id, f"{what} precision neither given nor seen in the data", symbol)
        said = {f"{name}_precision": f"<decimals of a {name}>" for name in missing}
        self.hint = (
            f"no row of the data holds a usable {what}: correct the file, or say the decimals in the file given with --config "
            f"(feeds.yaml takes the same keys): {json.dumps({'instruments': {symbol or '<symbol>': said}})}"
        )


class FileContradicts(DataError):
    """A file is of another venue, market or contract than what it is taken for; nothing was made of it."""

    code = "contradicts"

    def __init__(self, path: str, instrument_id: str, found: str, expected: str, way_out: str) -> None:
        super().__init__(
            f"{path} is not of {instrument_id}: expected {expected}, found {found}",
            hint=f"say what it is: {way_out}",
            details={"path": path, "instrument_id": instrument_id, "found": found, "expected": expected},
        )
