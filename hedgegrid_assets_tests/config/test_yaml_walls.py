"""Files that are made to keep a YAML reader busy are answered soon, by one error that says what is too much."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import read_feeds

SOON_SECONDS = 5.0


def laughs(first: str, opening: str, closing: str, item: str) -> str:
    """Aliases of aliases, each standing for ten of the one before."""
    lines = [f"a0: &a0 {opening}{first}{closing}"]
    for level in range(1, 10):
        parts = ",".join(item.format(n=n, below=f"*a{level - 1}") for n in range(10))
        lines.append(f"a{level}: &a{level} {opening}{parts}{closing}")
    return "\n".join(lines)


FILES: dict[str, Callable[[], str]] = {
    "aliases in lists": lambda: laughs("x", "[", "]", "{below}"),
    "aliases in mappings": lambda: laughs("x: 1", "{", "}", "k{n}: {below}"),
    "merged aliases": lambda: laughs("x: 1", "{", "}", "<<: {below}"),
    "aliases as symbols": lambda: (
        laughs("x", "[", "]", "{below}")
        + "\nversion: 1\nfeeds:\n  a: {source: csv, venue: BINANCE, symbols: *a9, start: 2024-01-01}\n"
    ),
    "open lists": lambda: "a: " + "[" * 100_000,
    "deep lists": lambda: "a: " + "[" * 3_000 + "]" * 3_000,
    "deep mappings": lambda: "".join(" " * level + "a:\n" for level in range(900)),
    "deep JSON": lambda: '{"a":' * 100_000,
    "a large word": lambda: "version: 1\nfeeds: {}\nx: " + "y" * 30_000_000,
    "a large text": lambda: 'version: 1\nfeeds: {}\nx: "' + "y" * 500_000 + '"',
    "a large number": lambda: '{"seed": ' + "9" * 1_000_000 + "}",
    "many values": lambda: "a: [" + "1," * 250_000 + "]",
    "many keys": lambda: "version: 1\nfeeds:\n" + "".join(f"  f{n}: {{source: csv}}\n" for n in range(20_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_too_much_is_refused_soon(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(FILES[kind]())
    for command in (
        ["feeds", "check", "--feeds", str(path)],
        ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--config", str(path)],
    ):
        started = time.process_time()
        assert run(command) == 2
        assert time.process_time() - started < SOON_SECONDS
        told = capsys.readouterr().err
        assert str(path) in told
        assert "expected" in told
        assert len(told) < 20_000


@pytest.mark.slow
def test_a_feed_of_thousands_of_symbols_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feeds.yaml"
    symbols = "".join(f"      - SYM{number}USDT\n" for number in range(5_000))
    head = "version: 1\nfeeds:\n  many:\n    source: csv\n    venue: BINANCE\n    start: 2024-01-01\n    landing: ['csv/*']\n"
    path.write_text(f"{head}    symbols:\n{symbols}")
    file = read_feeds(path)
    assert file.problems == ()
    assert len(file.feeds["many"].symbols) == 5_000
