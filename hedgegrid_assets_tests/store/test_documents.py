"""Documents: strict, versioned, with a checksum of what they say that a stranger can check; those of before are read as they are."""

import hashlib
import json
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.errors import DocumentDamaged
from hedgegrid_assets.stages.catalog.series import change_series, read_series
from hedgegrid_assets.store import Document, Places, read_document, write_document
from hedgegrid_assets.store.documents import decode, encode


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: int
    text: str


class Note(Document, frozen=True, kw_only=True):
    kind: ClassVar[str] = "note"
    newest: ClassVar[int] = 2
    told: ClassVar[str] = "a note"
    note: int = 1
    about: str
    parts: list[Part]
    share: float
    more: dict[str, int] = msgspec.field(default_factory=dict)


NOTES = st.builds(
    Note,
    note=st.just(Note.newest),
    about=st.text(),
    parts=st.lists(st.builds(Part, st.integers(-(2**63), 2**63 - 1), st.text()), max_size=3),
    share=st.floats(allow_nan=False, allow_infinity=False),
    more=st.dictionaries(st.text(), st.integers(0, 9), max_size=3),
)
SOME = Note(
    note=2,
    about="BTC/USDT é",
    parts=[Part(1_704_067_200_000_000_000, "x"), Part(2, "")],
    share=0.001,
    more={"checksum": 3},
)


@given(NOTES)
def test_what_is_written_is_read_again_and_gives_the_same_bytes(note: Note) -> None:
    data = encode(note)
    found = decode(data, Note, Path("n"))
    assert msgspec.structs.replace(found, checksum=None) == note
    assert encode(found) == data
    assert json.loads(data)["about"] == note.about


def test_a_stranger_checks_it_without_us() -> None:
    lines = encode(SOME).splitlines(keepends=True)
    rest = b"".join(line for line in lines if not line.startswith(b' "checksum"'))
    assert hashlib.sha256(rest).hexdigest() == json.loads(encode(SOME))["checksum"]
    assert len(lines) == rest.count(b"\n") + 1
    assert list(json.loads(encode(SOME))) == sorted(json.loads(encode(SOME)))


def test_every_changed_byte_is_seen() -> None:
    data = encode(SOME)
    for at in range(len(data) - 1):
        for bit in (1, 2, 4, 8, 16, 32, 64, 128):
            changed = bytearray(data)
            changed[at] ^= bit
            with pytest.raises(DocumentDamaged):
                decode(bytes(changed), Note, Path("n"))


@pytest.mark.parametrize("line", range(2, 18))
def test_a_line_that_is_gone_or_there_twice_is_seen(line: int) -> None:
    lines = encode(SOME).splitlines(keepends=True)
    for changed in (lines[:line] + lines[line + 1 :], lines[: line + 1] + lines[line:]):
        if line < len(lines) - 1:
            with pytest.raises(DocumentDamaged):
                decode(b"".join(changed), Note, Path("n"))


def test_a_document_of_before_is_read_as_it_is_and_told_apart() -> None:
    before = {"about": "x", "parts": [{"at": 1, "text": ""}], "share": 0, "note": 1}
    found = decode(json.dumps(before).encode(), Note, Path("n"))
    assert (found.note, found.checksum, found.share) == (1, None, 0)
    assert decode(encode(found), Note, Path("n")).note == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parts": [{"at": "1", "text": ""}]}, r"Expected `int`, got `str` - at `\$.parts\[0\].at`"),
        ({"parts": [{"at": 1}]}, r"missing required field `text` - at `\$.parts\[0\]`"),
        ({"ending": 1}, "unknown field `ending`"),
        ({"note": 3}, "its version 3: this program knows up to 2"),
        ({"note": 2}, "no checksum"),
        ({"checksum": "0" * 64}, "no checksum"),
    ],
)
def test_what_a_document_must_not_be_is_one_error_that_names_file_and_field(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"about": "x", "parts": [], "share": 0.5} | change))
    with pytest.raises(DocumentDamaged, match=told) as caught:
        read_document(path, Note)
    assert str(path) in caught.value.message
    assert "expected a note" in caught.value.message


def test_where_there_is_none_nothing_is_read(tmp_path: Path) -> None:
    assert read_document(tmp_path / "none.json", Note) is None
    write_document(tmp_path / "one.json", tmp_path / "tmp", SOME)
    assert read_document(tmp_path / "one.json", Note) == decode(encode(SOME), Note, tmp_path)


def test_a_form_of_before_that_looks_otherwise_is_read_too(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path)
    places.series.local().parent.mkdir()
    held = {"BTCUSDT-PERP.BINANCE": {"trade_tick": "binance/trade"}}
    places.series.local().write_text(json.dumps(held))
    assert read_series(places) == held
    change_series(places, lambda _: held)
    assert read_series(places) == held
    assert json.loads(places.series.read_bytes())["held"] == held
