"""Files for the tests of the landing zone: CSV trades and captured messages of a few seconds, and the command line in a folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.cli import run

HEADER = "timestamp,symbol,price,amount,side,id\n"
MIDNIGHT_MS = 1_704_067_200_000
DAY_MS = 86_400_000


def rows(count: int, *, first: int = 1, day: int = 0, symbol: str = "BTCUSDT") -> str:
    """Trades as lines of CSV, a second apart; their ids go on from ``first``."""
    start = MIDNIGHT_MS + day * DAY_MS
    return "".join(f"{start + (first + n) * 1_000},{symbol},42000.50,0.125,buy,{first + n}\n" for n in range(count))


def messages(count: int, *, first: int = 1, symbol: str = "BTCUSDT") -> str:
    """Trades as captured messages."""
    times = (MIDNIGHT_MS + (first + n) * 1_000 for n in range(count))
    return "".join(
        f'{{"e":"aggTrade","E":{ms},"s":"{symbol}","a":{first + n},"p":"42000.5","q":"0.125","f":{n},"l":{n},"T":{ms},"m":true}}\n'
        for n, ms in enumerate(times)
    )


@dataclass(frozen=True)
class Run:
    """What a command did: its exit code, its document (``--json``) and its words to people."""

    code: int
    out: dict[str, Any]
    err: str

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each day of trades in the frames, by instrument and day; days that failed are not there."""
        return {
            f"{day['instrument_id'].split('-')[0]} {day['date']}": day["rows"]["out"]
            for day in self.out.get("days", [])
            if day["error"] is None
        }

    @property
    def codes(self) -> list[str]:
        """Codes of the errors of the run as a whole."""
        return [error["code"] for error in self.out["errors"]]


class Home:
    """A working directory with a landing zone of its own."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def land(self, name: str, content: str | bytes) -> Path:
        """Put a file into the landing zone of CSV files (or elsewhere below ``data/raw``, with a slash in front)."""
        path = self.root / "data" / "raw" / (name[1:] if name.startswith("/") else f"csv/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def convert(self, *more: str, symbol: str = "BTCUSDT", source: str = "csv", types: str = "trades") -> Run:
        """``replay-to-parquet`` over the landing zone."""
        command = ["replay-to-parquet", "--source", source, "--symbol", symbol, "--data-types", types, "--json", *more]
        return self.run(*command)

    def run(self, *command: str) -> Run:
        """Any command."""
        self._capsys.readouterr()
        code = run(list(command))
        out, err = self._capsys.readouterr()
        return Run(code, json.loads(out) if out.startswith("{") else {"text": out}, err)
