"""What is decoded in the pass that scans a file must be what reading the file once more would give."""

from pathlib import Path

import pytest

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.stages import normalize, raw
from hedgegrid_assets.stages.raw import carried
from hedgegrid_assets_tests.scenario import VARIANTS
from hedgegrid_assets_tests.yard import Yard, with_blocks_of


def converted(yard: Yard) -> dict[str, bytes]:
    """All files that a run leaves; a day that is refused leaves fewer."""
    asked = request("websocket", "BTCUSDT", None, None, output_path=yard.places.catalog, data=yard.places.data)
    try:
        run(asked)
    except HedgegridError as error:
        (yard.root / "error.txt").write_text(error.message.replace(str(yard.root), ""))
    return {name: content for name, content in yard.files().items() if "/raw/cli_" not in name}


def of_one_symbol(data: bytes) -> bytes:
    """Without the lines of the other symbol: such a file is read in place."""
    return b"".join(line for line in data.splitlines(keepends=True) if b'"s":"ETHUSDT"' not in line)


PLAIN = [name for name, variant in VARIANTS.items() if not variant.data.startswith((b"\x1f\x8b", b"\x28\xb5"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_a_file_read_once_gives_the_same_catalog_as_one_read_twice(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blocks_of(2_500, monkeypatch)
    made = []
    for room in (1 << 30, 0):
        monkeypatch.setattr(carried, "CARRIED_BYTES", room)
        yard = Yard(tmp_path / str(room))
        yard.drop("capture.jsonl", of_one_symbol(VARIANTS[name].data))
        made.append(converted(yard))
    assert made[0].keys() == made[1].keys()
    assert made[0] == made[1]


def test_a_file_of_one_symbol_day_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("read once more")

    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", of_one_symbol(VARIANTS["price is zero"].data))
    monkeypatch.setattr(normalize, "_decoded", never)
    converted(yard)
    assert len(yard.frame()) == 39
    assert len(yard.frame("mark_price_update")) == 120
    assert yard.rejects()["reason"].to_list() == ["zero_price"]


def test_a_day_that_finds_no_room_on_the_disk_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", of_one_symbol(VARIANTS["clean"].data))
    monkeypatch.setattr(carried.Spool, "append", full)
    asked = request(
        "websocket", "BTCUSDT", None, None, output_path=yard.places.catalog, data=yard.places.data, data_types="trades"
    )
    assert run(asked).ok
    assert len(yard.frame()) == 40


def test_what_was_decoded_of_other_bytes_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another process imports a changed file between scanning and normalizing."""
    yard, other = Yard(tmp_path / "a"), Yard(tmp_path / "b")
    data = of_one_symbol(VARIANTS["clean"].data)
    other.drop("capture.jsonl", data)
    converted(other)
    put = carried.Carrier.put

    def put_other(self: carried.Carrier, key: raw.RawKey, day: carried.Carried, _: str) -> None:
        day._rest.clear()
        put(self, key, day, "0" * 64)

    monkeypatch.setattr(carried.Carrier, "put", put_other)
    yard.drop("capture.jsonl", data)
    converted(yard)
    assert yard.frame().equals(other.frame())


def test_two_files_of_one_day_are_joined_before_they_are_decoded(tmp_path: Path) -> None:
    yard, whole = Yard(tmp_path / "parts"), Yard(tmp_path / "whole")
    data = of_one_symbol(VARIANTS["clean"].data)
    lines = data.splitlines(keepends=True)
    yard.drop("a.jsonl", b"".join(lines[::2]))
    yard.drop("b.jsonl", b"".join(lines[1::2]))
    whole.drop("capture.jsonl", data)
    converted(yard)
    converted(whole)
    assert yard.frame().drop("raw_row").equals(whole.frame().drop("raw_row"))
