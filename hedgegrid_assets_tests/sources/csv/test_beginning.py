"""Where the rows of a CSV file begin and end: headers late and repeated, comments, zero bytes, lines without measure."""

import gzip
import time
from pathlib import Path
from typing import Final

import pytest

from hedgegrid_assets.errors import FileRefused, HeaderChanges, MissingColumns, RawDamaged
from hedgegrid_assets.sources.csv.beginning import Line, first_lines, has_comments, is_row
from hedgegrid_assets.sources.formats.csv_cells import read
from hedgegrid_assets.store import Block
from hedgegrid_assets_tests.csv_cases import convert, frame, line_rejects, rejects, trades_of, write

HEADER: Final = "time,symbol,price,size,side,id\n"


def row(number: int) -> str:
    return f"{1704067200000 + number},BTCUSDT,{100 + number}.5,1,buy,{number}\n"


def ids(tmp_path: Path) -> list[str | None]:
    return [trade[4] for trade in trades_of(frame(tmp_path))]


# ---------------------------------------------------------------- headers


def test_columns_of_what_nobody_has_asked_for_are_told_by_its_name(tmp_path: Path) -> None:
    book = "timestamp,bid_price,ask_price,bid_size,ask_size\n1704067200000,1,2,3,4\n"
    with pytest.raises(MissingColumns, match="these are the columns of quotes") as caught:
        convert(tmp_path, write(tmp_path, "BTCUSDT.csv", book))
    assert caught.value.hint == "if quotes are wanted, say --data-types quotes (feeds.yaml: tables: [quote_tick])"


@pytest.mark.parametrize("above", range(1, 11))
def test_no_row_above_a_late_header_is_lost(tmp_path: Path, above: int) -> None:
    text = "".join(map(row, range(above))) + HEADER + "".join(map(row, range(above, 15)))
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert ids(tmp_path) == [str(n) for n in range(15)]
    assert done.by_stream["header"] == 1
    assert any(f"rows stand above the header in line {above + 1}" in note for note in done.notes)
    assert line_rejects(tmp_path) == []


def test_a_row_above_a_late_header_that_cannot_be_read_is_a_reject(tmp_path: Path) -> None:
    text = "170406720\n1,2,3\n" + row(0) + HEADER + "".join(map(row, range(1, 30)))
    convert(tmp_path, write(tmp_path, "t.csv", text))
    assert ids(tmp_path) == [str(n) for n in range(30)]
    assert line_rejects(tmp_path) == [(2, "unknown_time")]


def test_a_dump_that_begins_without_a_header_keeps_its_rows_where_one_follows(tmp_path: Path) -> None:
    """Monthly Binance dumps laid end to end: the older ones have no header line."""
    header = "id,price,qty,quote_qty,time,is_buyer_maker\n"
    rows = [f"{n},42500.5,0.1,4250.05,{1704067200000 + n},true\n" for n in range(40)]
    convert(tmp_path, write(tmp_path, "t.csv", "".join([*rows[:3], header, *rows[3:20], header, *rows[20:]])))
    assert ids(tmp_path) == [str(n) for n in range(40)]
    assert line_rejects(tmp_path) == []


@pytest.mark.parametrize("later", ["", "time,price,size\n1704067201,1.5,2\n"])
def test_names_that_say_nothing_are_never_overruled_by_a_guess(tmp_path: Path, later: str) -> None:
    path = write(tmp_path, "t.csv", "when,how_much,kurs\n1704067200,2,1.5\n" + later)
    with pytest.raises(MissingColumns, match="'when', 'how_much', 'kurs'"):
        convert(tmp_path, path)


def test_a_repeated_header_counts_as_one_only_as_it_is_spelled(tmp_path: Path) -> None:
    parts = [HEADER, row(0), HEADER, row(1), HEADER.upper(), row(2), HEADER.strip() + ",more\n", row(3)]
    done = convert(tmp_path, write(tmp_path, "t.csv", "".join(parts)))
    assert ids(tmp_path) == ["0", "1", "2", "3"]
    assert done.by_stream["header"] == 2
    assert line_rejects(tmp_path) == [(5, "unknown_time"), (7, "unknown_time")]


@pytest.mark.parametrize(
    ("other", "more"),
    [
        ("time,symbol,size,price,side,id\n", "1704067201000,BTCUSDT,1,100.5,buy,9\n"),
        ("time,symbol,mark_price,funding_rate\n", "1704067201000,BTCUSDT,100.5,0.0001\n"),
        ('"id","time","price","size"\n', "9,1704067201000,1,100.5\n"),
    ],
)
def test_rows_of_other_columns_behind_another_header_are_never_misread(tmp_path: Path, other: str, more: str) -> None:
    rows = [row(n) for n in range(50)]
    path = write(tmp_path, "t.csv", HEADER + "".join(rows) + other + more)
    with pytest.raises(HeaderChanges, match=r"another header in the middle .*t\.csv, line 52") as caught:
        convert(tmp_path, path)
    assert "cut the file before line 52" in caught.value.hint
    lines = path.read_text().splitlines(keepends=True)
    convert(tmp_path, write(tmp_path, "first.csv", "".join(lines[:51])))
    assert len(ids(tmp_path)) == 50


# ---------------------------------------------------------------- what is no row


@pytest.mark.parametrize(
    "before",
    [
        "https://www.CryptoDataDownload.com\n",
        "sep=,\n",
        "# made by somebody\n# 1704067200000,BTCUSDT,1.5,1,buy,99\n#\n",
        "Exported by somebody, on a Monday, for you\n\n",
        "\n\n\n",
        "# comment\n" * 40,
        "\ufeff# comment\n",
    ],
)
def test_titles_comments_and_hints_before_the_header_are_passed_over(tmp_path: Path, before: str) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", before + HEADER + row(0) + row(1)))
    assert ids(tmp_path) == ["0", "1"]
    assert line_rejects(tmp_path) == []


def test_a_hint_at_the_delimiter_is_passed_over(tmp_path: Path) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", "sep=;\n" + (HEADER + row(0)).replace(",", ";")))
    assert ids(tmp_path) == ["0"]


def test_comments_between_rows_are_counted_and_swallow_nothing(tmp_path: Path) -> None:
    text = HEADER + row(0) + '# he said "stop\n' + row(1) + f"#{row(9)}" + row(2) + '# and "go\n' + row(3)
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert ids(tmp_path) == ["0", "1", "2", "3"]
    assert done.by_stream == {"trade": 4, "header": 1, "comment": 3}
    assert line_rejects(tmp_path) == []


def test_a_header_behind_the_mark_of_comments_is_the_header(tmp_path: Path) -> None:
    """As NumPy writes it."""
    convert(tmp_path, write(tmp_path, "t.csv", f"# {HEADER}{row(0)}{row(1)}"))
    assert ids(tmp_path) == ["0", "1"]


def test_ids_may_begin_with_the_mark_of_comments(tmp_path: Path) -> None:
    text = "id,time,price,size\n" + "".join(f"#{n},{1704067200000 + n},1.5,2\n" for n in range(3))
    convert(tmp_path, write(tmp_path, "t.csv", text))
    assert ids(tmp_path) == ["#0", "#1", "#2"]


def test_the_shape_of_a_row_is_told_from_that_of_a_banner() -> None:
    assert is_row(Line(0, "1704067200,1.5"))
    assert is_row(Line(0, "BINANCE,BTC-USDT,buy,0.01,42314.0,1704067200.001,1704067200.011,77001"))
    assert is_row(Line(0, "a,b,c,d,1704067200,1.5"), ["1", "2", "3", "4", "5", "6"], ",")
    assert not is_row(Line(0, "From,2024-01-01,To,2024-01-31,Pair,BTCUSDT"))
    assert not is_row(Line(0, "time,price"))
    assert has_comments([Line(0, "# hello"), Line(1, "1,2")])
    assert not has_comments([Line(0, "id,time"), Line(1, "#1,2,3")])
    assert [line.number for line in first_lines(b"# a\n" * 50 + b"\nb\n" * 20)] == [*range(50), *range(51, 72, 2)][:55]


# ---------------------------------------------------------------- zero bytes


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("tail", "kept", "lost"),
    [
        ("\0" * 4096, 3, [(5, "zero_bytes")]),
        (row(3).strip() + "\0" * 100, 3, [(5, "zero_bytes")]),
        ("1704067200003,BTC\0\0\0\n" + row(4), 4, [(5, "zero_bytes")]),
        ("\0\0\n\0\n" + row(4) + "\0", 4, [(5, "zero_bytes"), (6, "zero_bytes"), (8, "zero_bytes")]),
        ('"\0"\n' + row(4), 4, [(5, "zero_bytes")]),
    ],
)
def test_zero_bytes_lose_their_line_and_no_other(
    tmp_path: Path, packed: bool, tail: str, kept: int, lost: list[tuple[int, str]]
) -> None:
    data = (HEADER + row(0) + row(1) + row(2) + tail).encode()
    path = write(tmp_path, "t.csv.gz" if packed else "t.csv", gzip.compress(data) if packed else data)
    convert(tmp_path, path)
    assert len(ids(tmp_path)) == kept
    assert line_rejects(tmp_path) == lost


def test_zero_bytes_before_the_header_are_told_too(tmp_path: Path) -> None:
    convert(tmp_path, write(tmp_path, "t.csv", "\0\0\0\n" + HEADER + row(0) * 1 + row(1)))
    assert len(ids(tmp_path)) == 2
    assert line_rejects(tmp_path) == [(1, "zero_bytes")]


def test_what_is_utf_16_is_no_text(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-16-le"):
        with pytest.raises(FileRefused, match="no text in UTF-8"):
            convert(tmp_path, write(tmp_path, f"{encoding}.csv", (HEADER + row(0)).encode(encoding)))


def test_a_line_of_zero_bytes_keeps_its_place_among_the_cells() -> None:
    for data, lines in ((b"1,2\n\0\n3,4", 3), (b"\0\0", 1), (b"1,2\n\0", 2), (b"\0\n", 1)):
        found = read(Block(data, 7, cut=not data.endswith(b"\n")), 2, ",", [0])
        assert found.frame["line"].to_list() == list(range(7, 7 + lines))
        assert set(found.broken.values()) == {"zero_bytes"}


# ---------------------------------------------------------------- without measure


@pytest.mark.parametrize("quoted", [False, True])
def test_ten_thousand_columns_are_answered_soon(tmp_path: Path, quoted: bool) -> None:
    names = ",".join(f"col_{n}" for n in range(9_994))
    values = ",".join(f'"{n}"' if quoted else str(n) for n in range(9_994))
    text = f"{HEADER.strip()},{names}\n" + "".join(f"{row(n).strip()},{values}\n" for n in range(50))
    path = write(tmp_path, "t.csv", text)
    started = time.process_time()
    convert(tmp_path, path)
    assert time.process_time() - started < 5
    assert ids(tmp_path) == [str(n) for n in range(50)]


def test_ten_thousand_columns_that_say_nothing_are_refused_soon_and_in_few_words(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", ",".join(f"col_{n}" for n in range(10_000)) + "\n")
    started = time.process_time()
    with pytest.raises(MissingColumns, match="and 9,960 more") as caught:
        convert(tmp_path, path)
    assert time.process_time() - started < 5
    assert len(str(caught.value)) < 2_000


def test_half_a_million_columns_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", ("a," * 500_000 + "\n") * 3)
    started = time.process_time()
    with pytest.raises(RawDamaged, match="expected at most 20,000 columns"):
        convert(tmp_path, path)
    assert time.process_time() - started < 5


def test_lines_of_a_million_letters_are_read(tmp_path: Path) -> None:
    notes = ["x" * 1_000_000, '"' + "y, " * 300_000 + '"', 'z"' * 300_000]
    text = HEADER.strip() + ",note\n" + "".join(f"{row(n).strip()},{note}\n" for n, note in enumerate(notes))
    path = write(tmp_path, "t.csv", text)
    started = time.process_time()
    convert(tmp_path, path)
    assert time.process_time() - started < 5
    assert ids(tmp_path) == ["0", "1", "2"]


def test_a_row_of_a_million_cells_is_a_reject_wherever_it_stands(tmp_path: Path) -> None:
    wide = row(1).strip() + "," + "1," * 1_000_000 + "\n"
    convert(tmp_path, write(tmp_path, "t.csv", HEADER + wide + row(2) + wide + row(3)))
    assert ids(tmp_path) == ["2", "3"]
    assert rejects(tmp_path) == [(2, "wrong_type"), (4, "wrong_type")]
