"""The depth of a real capture, again and again with its ids and times moved on, until there are as many levels as asked for."""

import gzip
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

CAPTURE: Final = Path(__file__).parents[2] / "shared/data/captures/binance-usdm_ethusdt_2024-08-08.jsonl.gz"
"""345 s of ETHUSDT: 6,586 messages of 428,847 levels, and a snapshot. 20 times of it are more than an hour of 8.6M."""
CAPTURED: Final = "ETHUSDT"
_IDS: Final = re.compile(rb'"(U|u|pu|lastUpdateId)":([0-9]+)')
_TIMES: Final = re.compile(rb'"(E|T)":([0-9]+)')
_LEVEL: Final = re.compile(rb'\["[0-9.]+","[0-9.]+"\]')


def captured(levels: int) -> Iterator[bytes]:
    """Lines of a receive time and a message."""
    lines = _lines()
    updates = [line for line in lines if b'"depthUpdate"' in line]
    step = _number(updates[-1], b"u") - _number(updates[0], b"pu")  # so that the first goes on from the last
    length = int(lines[-1][:19]) - int(lines[0][:19]) + 50_000_000
    midnight = int(lines[0][:19]) // 86_400_000_000_000 * 86_400_000_000_000 - int(lines[0][:19])
    sizes = [len(_LEVEL.findall(line)) for line in lines]
    told = turn = 0
    while told < levels:
        for line, size in zip(lines, sizes, strict=True):
            if told < levels:
                yield _moved(line, turn * step, midnight + turn * length)
                told += size
        turn += 1


def _lines() -> list[bytes]:
    with gzip.open(CAPTURE) as file:
        return [line for line in file if b'"depthUpdate"' in line or b'"lastUpdateId"' in line]


def _number(line: bytes, name: bytes) -> int:
    return next(int(number) for key, number in _IDS.findall(line) if key == name)


def _moved(line: bytes, ids: int, ns: int) -> bytes:
    ms = ns // 1_000_000
    for numbers, more in ((_IDS, ids), (_TIMES, ms)):
        line = numbers.sub(partial(_raised, more), line)
    return b"%d%s" % (int(line[:19]) + ns, line[19:])


def _raised(more: int, found: re.Match[bytes]) -> bytes:
    return b'"%s":%d' % (found[1], int(found[2]) + more)
