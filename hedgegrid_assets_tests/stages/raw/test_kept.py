"""What is kept of the pass that places the lines of a file must be what reading the file once more would give."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.pipeline import landing
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.stages import raw
from hedgegrid_assets.stages.raw import days, kept
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
        monkeypatch.setattr(kept, "KEPT_BYTES", room)
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
    monkeypatch.setattr(days, "BlockReader", never)
    converted(yard)
    assert len(yard.frame()) == 39
    assert len(yard.frame("mark_price_update")) == 120
    assert yard.rejects()["reason"].to_list() == ["zero_price"]


def test_a_day_that_finds_no_room_on_the_disk_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", of_one_symbol(VARIANTS["clean"].data))
    monkeypatch.setattr(kept.Spool, "append", full)
    asked = request(
        "websocket", "BTCUSDT", None, None, output_path=yard.places.catalog, data=yard.places.data, data_types="trades"
    )
    assert run(asked).ok
    assert len(yard.frame()) == 40


def test_what_was_read_of_other_bytes_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another process imports a changed file between importing and normalizing."""
    yard, other = Yard(tmp_path / "a"), Yard(tmp_path / "b")
    data = of_one_symbol(VARIANTS["clean"].data)
    other.drop("capture.jsonl", data)
    converted(other)
    import_landing = landing.import_landing

    def import_other_bytes(*given: Any, **said: Any) -> raw.ImportReport:
        report = import_landing(*given, **said)
        for key, day in report.at_hand.items():
            assert day.kept is not None
            vars(day.kept)["_rest"].clear()
            report.at_hand[key] = replace(day, manifest=msgspec.structs.replace(day.manifest, sha256="0" * 64))
        return report

    monkeypatch.setattr("hedgegrid_assets.pipeline.run.import_landing", import_other_bytes)
    yard.drop("capture.jsonl", data)
    converted(yard)
    assert yard.frame().equals(other.frame())


def test_the_room_of_days_that_are_done_is_there_for_others(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", of_one_symbol(VARIANTS["clean"].data))
    report = yard.bring_in(in_place=True, keep=True)
    assert report.at_hand
    assert kept._ROOM._taken > 0
    for day in report.at_hand.values():
        day.close()
        assert day.kept is not None
        assert not day.kept.whole
    assert kept._ROOM._taken == 0


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
