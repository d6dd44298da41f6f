"""Small inputs that went wrong once, where they are at hand beside the checkout; each folder's expectation is a row below."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

CASES: Final = Path(__file__).parents[2] / "shared" / "cases"
HEDGEGRID: Final = Path(sys.executable).with_name("hedgegrid")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a case's script must print, stdout and stderr together.

    Attributes:
        shows: Regular expressions that are found one behind the other.
        never: Regular expressions that are found nowhere.
    """

    shows: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


EXPECTED: Final[Mapping[str, Seen]] = {
    "01-own-nautilus-file-deleted": Seen(
        shows=(r"TradeTick 5\b", r"│ refused", r"rc=1", r"2024-01-01T02-00-00-000000000Z_", r"TradeTick 5\b", r"mine4"),
        never=(r"Traceback", r"rc=0"),
    ),
    "02-consolidated-then-rerun-doubles": Seen(
        shows=(
            *(
                r"rc=0",
                r"TradeTick 14\b",
                r"│ 2024-01-03 │ refused",
                r"2024-01-01T00\S+_2024-01-03T23\S+",
                r"mv work/cat/\S+",
            ),
            *(r"rc=1", r"TradeTick 14\b", r"an unknown file: \S+_2024-01-03T23\S+", r"not ok", r"rc=1"),
        ),
        never=(r"TradeTick (?!14\b)\d", r"Traceback"),
    ),
    "03-milliseconds-then-microseconds": Seen(shows=(r"rc=0", r"TradeTick 26\b", r"rc=0"), never=(r"unknown_time",)),
    "04-mark-price-klines-look-ahead": Seen(
        shows=(r"MarkPriceUpdate 5\b", r"42310\.12345678,1704067259999000000,1704067259999000000"),
        never=(r"for trades", r",1704067200000000000"),
    ),
    "06-funding-settlements-lost": Seen(
        shows=(
            r"rc=0",
            r"FundingRateUpdate 6\n",
            *(rf"rate=0\.0001, interval={minutes}," for minutes in (480, 480, 240, 240, 60)),
            r"rate=-0\.02, interval=60,",
            *(rf"0\.0001\d* +{minutes} +True" for minutes in (480, 480, 240, 240, 60)),
            r"-0\.0200\d* +60 +True",
        )
    ),
    "07-okx-gbk-header": Seen(
        shows=tuple(r"BTC-USDT\.OKX.*│\s+3 │\s+3 │" for _ in range(4)),
        never=(r"rc=[12]", r"cannot be trusted"),
    ),
    "08-spot-and-inverse-become-linear-perps": Seen(
        shows=(
            r"INST CurrencyPair BTCUSDT\.BINANCE",
            r"INST CryptoPerpetual XBTUSD\.BITMEX .* mult 1 XBT USD inv True",
            r"INST CryptoPerpetual BTCUSD-INVERSE\.BYBIT .* mult 1 BTC USD inv True",
            r"INST CryptoPerpetual BTC-USDT-SWAP\.OKX .* mult 0\.01 BTC USDT inv False",
            r"(?s)rc=0.*rc=0.*rc=0.*rc=0",
        ),
        never=(r"XB TUSD", r"SWAP-PERP"),
    ),
    "10-exchange-column-ignored": Seen(
        shows=(r"BYBIT:BTC-USDT 1\b", r"rc=0", r"TradeTick 2\b", r"42314\.0 .* 77001\b", r"42314\.1 .* 77002\b"),
        never=(r"42310\.5 ",),
    ),
    "11-postgres-offset": Seen(
        shows=(r"│\s+2 │\s+2 │", r"rc=0", r"│\s+2 │\s+2 │", r"rc=0"), never=(r"Timestamp parsing failed",)
    ),
    "16-checksum-beside-zip": Seen(
        shows=(r"rc=0", r"rc=1", r"rc=0", r"rc=0", r"TradeTick 1\b", r"42500\.5 0\.1 SELLER 1 1704067200000000000"),
    ),
    "17-zip-made-on-a-mac": Seen(shows=(r"│ +1 │ +1 │", r"rc=0")),
    "19-same-id-on-two-days": Seen(
        shows=(
            r"rc=0",
            r"TradeTick 3\b",
            r" 824 BUYER 12027555 1614556777324000000 ",
            r" 19332 BUYER 12027555 1614556823276000000 ",
            r"2021-02-28 -> 2021-03-01: WARN two trades have one id: id 12027555 at 2021-02-28T23:59:37\.324\d*Z .*"
            r" and at 2021-03-01T00:00:23\.276",
            r"rc=0",
        ),
        never=(r"stored on both days",),
    ),
    "21-coinbase-maker-side": Seen(
        shows=(r"maker's side at COINBASE", r"rc=0", r" SELLER 101 ", r" BUYER 102 "), never=(r" BUYER 101 ",)
    ),
    "05-all-market-mark-price-array": Seen(
        shows=(
            r"rc=0",
            r"TradeTick 4\b",
            r"MarkPriceUpdate 4\b",
            r"42500\.12345678,1704067203000000000",
            r"FundingRateUpdate 1\b",
            r"mark_price_update .* 4 │ +4 │",
            r"index_price_update .* 4 │ +4 │",
            r"funding_rate_update .* 4 │ +4 │",
            r"lines 4 = placed 4 \+ header 0 \+ other 0 \+ unplaced 0",
            r"rc=0",
        ),
        never=(r"no mark,", r"\brest [0-9]"),
    ),
    "15-hftbacktest-16-digit-prefix": Seen(
        shows=(
            r"trade_tick .* 12 │ +12 │",
            r"rc=0",
            r"no rejects",
            r"0\.1 +│ 0\.001",
            r"trade_tick .* 12 │ +12 │",
            r"rc=0",
        ),
        never=(r"broken_json",),
    ),
    "20-float-artefact-sets-the-precision": Seen(
        shows=(r"error: .*look like binary floats.*1 of 4.*282\.83500000000004 \(.*x\.csv, line 3\)", r"rc=1"),
        never=(r"TradeTick", r"price 14"),
    ),
    "p1-interleaved-days": Seen(shows=(r"rc=0", r"TradeTick 10\b")),
    "p2-monthly-and-daily-spelled-differently": Seen(shows=(r"rc=0", r"TradeTick 3\b")),
    "p3-chinese-symbol": Seen(shows=(r"rc=0", r"TradeTick 2\b", r"币安人生USDT-PERP\.BINANCE")),
    "p4-new-fields-nq-ap-st": Seen(
        shows=(
            r"rc=0",
            r"\b0\.5\d* ",
            r"42500\.1",
        )
    ),
    "p5-bybit-spot-rpi": Seen(shows=(r"rc=0", r"CurrencyPair BTCUSDT-SPOT\.BYBIT", r"TradeTick 2\b")),
    "r01_rename_breaks_feed.sh": Seen(
        shows=(r"first rc 0", r"after gzip rc 0", r"with a good next day rc 0", r"2024-01-02\.parquet"),
        never=(r"rc 1",),
    ),
    "r02_rejects_overwritten.sh": Seen(
        shows=(r"raw_csv_x_b\.csv-[0-9a-f]{16}\.parquet", r"raw/csv/x/b\.csv:14: unknown_time")
    ),
    "r06_instrument_traceback.sh": Seen(
        shows=(r"^error: .*--instrument.*found 'A B'", r"rc 2,"), never=(r"Traceback", r"Error\b")
    ),
}
"""Folder (or script) in the cases -> what its script prints when it is right."""


def _names() -> list[str]:
    if not CASES.is_dir():
        return []
    return sorted(path.name for path in CASES.iterdir() if (path / "run.sh").is_file() or re.match(r"r\d+_", path.name))


def test_every_case_at_hand_has_its_expectation_here() -> None:
    if not CASES.is_dir():
        pytest.skip("no cases beside the checkout")
    assert set(_names()) <= set(EXPECTED), "a folder without a row in EXPECTED"


@pytest.mark.slow
@pytest.mark.timeout(600)  # each is several commands, from a fresh start
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_case_gives_its_expected_value(name: str, tmp_path: Path) -> None:
    if name not in _names():
        pytest.skip("not beside the checkout")
    shutil.copy(CASES / "read.py", tmp_path)
    source, here = CASES / name, tmp_path / name
    if source.is_dir():
        shutil.copytree(source, here)
        script = here / "run.sh"
    else:
        script = Path(shutil.copy(source, tmp_path))
    environment = os.environ | {"HG": str(HEDGEGRID), "PY": sys.executable, "NO_COLOR": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(script)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=script.parent,
        env=environment,
    )
    printed = done.stdout
    rest = printed
    for pattern in EXPECTED[name].shows:
        found = re.search(pattern, rest)
        assert found, f"expected {pattern!r} in (the rest of)\n{printed}"
        rest = rest[found.end() :]
    for pattern in EXPECTED[name].never:
        assert not re.search(pattern, printed), f"expected no {pattern!r} in\n{printed}"
