"""Cells in quotes: those that are split as they stand are those that a CSV parser gives."""

from hypothesis import example, given
from hypothesis import strategies as st

from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import Block

WIDTH = 3
sound = st.sampled_from(["", "a", "1.5", '""', '"b"', '"b c"', " d "])
odd = st.text('",\r a', max_size=5)
some_lines = st.lists(st.lists(st.one_of(sound, sound, sound, odd), max_size=WIDTH + 3).map(",".join), max_size=8)


@given(some_lines, st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(lines=[",,,,\ra"], end="\n", last=False)
@example(lines=['""\r,'], end="\n", last=False)
@example(lines=['"",,,,a\r', '"x",,,,"b,c"'], end="\n", last=True)
def test_quotes_are_split_as_a_parser_does_or_not_at_all(lines: list[str], end: str, last: bool) -> None:
    data = (end.join(lines) + (end if last else "")).encode()
    found = cells._split_quoted(data, WIDTH, ",", [0, 2])
    if found is not None:
        parsed = cells._read_quoted(data, 0, WIDTH, ",", [0, 2])
        assert not parsed.broken
        assert found.equals(parsed.frame.drop("line"))


def test_cells_that_are_quoted_as_a_whole_are_split_as_they_stand() -> None:
    data = b'time;"pair";"price"\r\n1;"BTC-USDT";"1.5"\r\n2;"";2\r\n'
    found = cells._split_quoted(data, WIDTH, ";", [0, 1, 2])
    assert found is not None
    assert [row[:WIDTH] for row in found.rows()] == [
        ("time", "pair", "price"),
        ("1", "BTC-USDT", "1.5"),
        ("2", "", "2"),
    ]


def test_a_delimiter_a_line_end_or_a_quote_inside_of_quotes_is_left_to_the_parser() -> None:
    for row in ('"a,b",2,3', '"a\nb",2,3', '"a""b",2,3', 'a"b",2,3', '"a"b,2,3', '","', '"', '"a", "b",3'):
        assert cells._split_quoted(f"{row}\n1,2,3\n".encode(), WIDTH, ",", [0, 1, 2]) is None


def test_a_quote_in_the_middle_of_a_block_is_not_overlooked() -> None:
    rows = [f'"{number}",2,3' for number in range(500)]
    rows[250] = '"250",2,"3"'
    block = Block("\n".join(rows).encode() + b"\n", 0)
    assert cells._split_quoted(block.data, WIDTH, ",", [0, 2]) is None
    assert cells.read(block, WIDTH, ",", [0, 2]).frame.row(250) == (250, "250", "3", "")


def test_a_block_is_plain_without_quotes_blanks_zeros_comments_and_other_letters() -> None:
    plain = b"time,price\n2024-01-01T00:00:00Z,1.5\n"
    assert cells.is_plain(Block(plain, 0))
    assert cells.is_plain(Block(plain.rstrip(), 0, cut=True))
    assert cells.is_plain(Block(b"", 0))
    for odd_byte in (b'"', b" ", b"\t", b"\r", b"\0", b"#", "é".encode(), b"\xff"):
        assert not cells.is_plain(Block(plain + odd_byte + b"\n", 0))
