"""What is not known of an instrument, or contradicts what is."""

import json
from collections.abc import Mapping, Sequence

from hedgegrid_assets.errors.base import DataError


class PrecisionTooFine(DataError):
    """Values have more decimals than the instrument's definition; nothing was rounded, nothing written.

    ``defined`` and ``needed``: decimals of ``price``, ``size`` or ``mark``, all of those that are too coarse.
    """

    code = "precision"

    def __init__(self, instrument_id: str, defined: Mapping[str, int], needed: Mapping[str, int], where: str) -> None:
        super().__init__(
            f"{' and '.join(needed)} {'is' if len(needed) == 1 else 'are'} finer than the instrument "
            f"({instrument_id}, {where}): expected at most {_decimals(defined)} decimals, found {_decimals(needed)}",
            hint=self.way_out(instrument_id, needed),
            details={"instrument_id": instrument_id, "defined": dict(defined), "needed": dict(needed)},
        )
        self.needed = needed

    @staticmethod
    def way_out(instrument_id: str, needed: Mapping[str, int]) -> str:
        """The hint: one command for all precisions, since each writes every day of the instrument anew."""
        flags = " ".join(f"--{name}-precision {decimals}" for name, decimals in needed.items())
        return (
            f"if the values are right, run: hedgegrid instruments widen {instrument_id} {flags}"
            " (--catalog, where it is not data/catalog), and make the day again; `replay-to-parquet --widen` does both, "
            "as does a feed with `widen: auto`"
        )


def _decimals(of: Mapping[str, int]) -> str:
    """``0``, or ``price 0, size 3``."""
    if len(of) == 1:
        return str(*of.values())
    return ", ".join(f"{name} {decimals}" for name, decimals in of.items())


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
