"""What is known of a bucket without asking, and locks that hold across machines; a server in memory answers."""

import threading
import time
from pathlib import Path
from typing import override

import pytest

from hedgegrid_assets.errors import StoreConflict, StoreUnreachable

pytest.importorskip("obstore", reason="the extra `s3` is not installed")
from hedgegrid_assets.store import Entry
from hedgegrid_assets.store.bucket.leases import content_of, lease
from hedgegrid_assets.store.bucket.packs import Packs
from hedgegrid_assets.store.bucket.remembered import LARGEST, Contents, Folders

LEASE = 0.4


class Server:
    """Objects with versions; ``deaf``: what it is asked is done, and not answered."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, bytes]] = {}
        self._change = threading.Lock()
        self._puts = 0

    def create(self, key: str, data: bytes) -> str:
        with self._change:
            if key in self.held:
                raise StoreConflict(key, "nothing", "something")
            return self._put(key, data)

    def swap(self, key: str, data: bytes, version: str) -> str:
        with self._change:
            if self.held.get(key, ("",))[0] != version:
                raise StoreConflict(key, version, "another")
            return self._put(key, data)

    def peek(self, key: str) -> tuple[str, bytes] | None:
        return self.held.get(key)

    def remove(self, key: str) -> None:
        self.held.pop(key, None)

    def _put(self, key: str, data: bytes) -> str:
        self._puts += 1
        self.held[key] = str(self._puts), data
        return str(self._puts)


class Deaf(Server):
    """Its first answer is lost on the way; asked again, it finds what it has done."""

    @override
    def create(self, key: str, data: bytes) -> str:
        super().create(key, data)
        return super().create(key, data)


def test_a_lock_is_gone_when_it_is_given_back() -> None:
    server = Server()
    with lease(server, "lock", "lock", LEASE):
        assert "lock" in server.held
    assert server.held == {}


def test_one_holds_a_lock_at_a_time() -> None:
    server, inside, most = Server(), [0], [0]

    def work() -> None:
        with lease(server, "lock", "lock", 5):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert server.held == {}


def test_long_work_keeps_its_lock_for_it_gives_signs_of_life() -> None:
    server, entered = Server(), threading.Event()

    def second() -> None:
        with lease(server, "lock", "lock", LEASE):
            entered.set()

    waiting = threading.Thread(target=second)
    with lease(server, "lock", "lock", LEASE):
        waiting.start()
        assert not entered.wait(4 * LEASE)
    waiting.join()
    assert entered.is_set()


def test_the_lock_of_a_killed_process_is_taken_over_after_a_while() -> None:
    server = Server()
    server.create("lock", content_of("dead", 3))
    began = time.monotonic()
    with lease(server, "lock", "lock", LEASE):
        assert time.monotonic() - began > LEASE
    assert server.held == {}


def test_an_answer_that_was_lost_does_not_make_one_wait_for_oneself() -> None:
    server = Deaf()
    with lease(server, "lock", "lock", 60):
        pass
    assert server.held == {}


def test_who_lost_a_lock_is_told_and_leaves_it_to_its_holder() -> None:
    server = Server()

    def lost() -> None:
        with lease(server, "lock", "lock", LEASE):
            server.swap("lock", b"another", server.held["lock"][0])
            time.sleep(LEASE)

    with pytest.raises(StoreConflict, match="could not be renewed"):
        lost()
    assert server.held["lock"][1] == b"another"


# ---------------------------------------------------------------- folders


class Asked:
    """Folders of a server, and how often they were asked for."""

    def __init__(self, *keys: str) -> None:
        self.keys = set(keys)
        self.asked: list[str] = []
        self.known = Folders(self._ask)

    def _ask(self, prefix: str) -> tuple[list[str], list[Entry]]:
        self.asked.append(prefix)
        below = [key for key in self.keys if key.startswith(f"{prefix}/" if prefix else "")]
        rest = {key: key.removeprefix(f"{prefix}/" if prefix else "") for key in below}
        folders = {name.partition("/")[0] for name in rest.values() if "/" in name}
        return sorted(folders), [entry(key) for key, name in rest.items() if "/" not in name]


def entry(key: str, version: str = "1") -> Entry:
    return Entry(key, 1, version, 1)


def test_a_folder_is_asked_for_once_whatever_is_asked_of_it() -> None:
    server = Asked("a/b/1", "a/b/2", "a/c")
    assert [server.known.find(f"a/b/{name}") is not None for name in (1, 2, 3)] == [True, True, False]
    assert server.known.level("a/b").files == ["1", "2"]
    assert server.asked == ["a/b"]
    server.keys.add("a/b/3")
    server.known.forget()
    assert server.known.find("a/b/3") is not None


def test_a_lock_of_a_part_looks_again_at_what_lies_below_it_alone() -> None:
    server = Asked("a/BTC.X/1", "a/BTC.X-1-MINUTE/1", "a/BTC.X/rejects/1", "a/ETH.X/1")
    folders = ["a", "a/BTC.X", "a/BTC.X-1-MINUTE", "a/BTC.X/rejects", "a/ETH.X"]
    for folder in folders:
        server.known.level(folder)
    server.asked.clear()
    server.known.forget("BTC.X")
    for folder in folders:
        server.known.level(folder)
    assert server.asked == ["a/BTC.X", "a/BTC.X-1-MINUTE", "a/BTC.X/rejects"]


def test_what_this_process_puts_and_removes_is_known_at_once() -> None:
    server = Asked("a/b/1")
    assert server.known.level("").folders == ["a"]
    assert server.known.level("a").folders == ["b"]
    assert server.known.find("a/b/1") == entry("a/b/1")
    server.known.note("a/b/1", entry("a/b/1", "2"))
    assert server.known.find("a/b/1") == entry("a/b/1", "2")
    server.keys |= {"a/d/2"}
    server.known.note("a/d/2", entry("a/d/2"))
    assert server.known.level("a").folders == ["b", "d"]
    server.keys.clear()
    server.known.note("a/b/1", None)
    server.known.note("a/d/2", None)
    assert server.known.level("").folders == []


def test_what_is_put_there_while_a_folder_is_asked_for_is_not_forgotten() -> None:
    server = Asked("a/1")

    def meanwhile(prefix: str) -> tuple[list[str], list[Entry]]:
        said = server._ask(prefix)
        if len(server.asked) == 1:
            server.keys.add("a/2")
            known.note("a/2", entry("a/2"))
        return said

    known = Folders(meanwhile)
    assert known.find("a/1") is not None
    assert known.find("a/2") is not None


# ---------------------------------------------------------------- contents


def test_contents_are_kept_by_their_version_for_all_processes(tmp_path: Path) -> None:
    first, second = Contents(tmp_path / "c.sqlite"), Contents(tmp_path / "c.sqlite")
    first.keep("a.json", "1", b"one")
    assert second.get("a.json", "1") == b"one"
    second.keep("a.json", "2", b"two")
    assert (first.get("a.json", "1"), first.get("a.json", "2")) == (None, b"two")
    first.keep("large", "1", b"0" * (LARGEST + 1))
    first.keep("without a version", "", b"0")
    assert (first.get("large", "1"), first.get("without a version", "")) == (None, None)


def test_a_file_of_contents_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"no database" * 1000)
    broken = Contents(tmp_path / "c.sqlite")
    broken.keep("a", "1", b"one")
    assert broken.get("a", "1") is None


# ---------------------------------------------------------------- packs


DAYS = [f"2024-01-{day:02}" for day in range(1, 31)]


class Machine:
    """A machine with a scratch of its own, and how often it asked for a content by itself."""

    def __init__(self, server: Server, scratch: Path, shown: str = "s3://b") -> None:
        self._server, self.contents, self.asked = server, Contents(scratch), 0
        self.packs = Packs(server, self.contents, self._entries, shown)
        self.packs.root("catalog")

    def _entries(self, folder: str) -> dict[str, Entry]:
        found = {key.removeprefix(f"{folder}/"): version for key, (version, _) in self._server.held.items()}
        return {name: Entry(f"{folder}/{name}", 1, version, 1) for name, version in found.items() if "/" not in name}

    def put(self, name: str, data: bytes) -> None:
        key = f"catalog/x.verdict/{name}"
        held = self._server.peek(key)
        version = self._server.swap(key, data, held[0]) if held else self._server.create(key, data)
        self.contents.keep(key, version, data)
        self.packs.unpacked(key)

    def read(self, name: str) -> bytes:
        key = f"catalog/x.verdict/{name}"
        version, data = self._server.held[key]
        kept = self.contents.get(key, version)
        if kept is None and self.packs.unpack(key):
            kept = self.contents.get(key, version)
        if kept is None:
            self.asked += 1
            self.contents.keep(key, version, data)
            self.packs.unpacked(key)
        return kept or data


def filled(tmp_path: Path) -> tuple[Server, Machine]:
    """A folder of days, put there by a run that has come to its end."""
    server = Server()
    first = Machine(server, tmp_path / "first")
    for day in DAYS:
        first.put(f"{day}.json", day.encode())
    first.packs.pack("catalog")
    return server, first


def packs_of(server: Server) -> dict[str, tuple[str, bytes]]:
    return {key: said for key, said in server.held.items() if key.startswith("catalog/.hedgegrid/packs/")}


def contents_by(machine: Machine) -> list[str]:
    return [machine.read(f"{day}.json").decode() for day in DAYS]


def test_a_new_machine_asks_for_a_pack_in_the_place_of_a_folder(tmp_path: Path) -> None:
    server, _ = filled(tmp_path)
    new = Machine(server, tmp_path / "new")
    assert contents_by(new) == DAYS
    assert new.asked == 3
    again = Machine(server, tmp_path / "new")
    assert contents_by(again) == DAYS
    assert again.asked == 0


def test_what_is_newer_than_its_pack_is_asked_for_and_packed_once_it_is_much(tmp_path: Path) -> None:
    server, first = filled(tmp_path)
    for day in DAYS[:5]:
        first.put(f"{day}.json", b"corrected " + day.encode())
    first.packs.pack("catalog")
    new = Machine(server, tmp_path / "new")
    assert contents_by(new) == [f"corrected {day}" for day in DAYS[:5]] + DAYS[5:]
    assert new.asked == 5, "too few to write a pack anew for"
    for day in DAYS[5:15]:
        new.put(f"{day}.json", b"corrected " + day.encode())
    new.packs.pack("catalog")
    last = Machine(server, tmp_path / "last")
    assert contents_by(last) == [f"corrected {day}" for day in DAYS[:15]] + DAYS[15:]
    assert last.asked == 3
    assert len(packs_of(server)) == 1


def test_what_two_machines_have_learned_is_in_one_pack(tmp_path: Path) -> None:
    server = Server()
    one, two = Machine(server, tmp_path / "one"), Machine(server, tmp_path / "two")
    for number, day in enumerate(DAYS):
        (one if number % 2 else two).put(f"{day}.json", day.encode())
    one.packs.pack("catalog")
    two.packs.pack("catalog")
    new = Machine(server, tmp_path / "new")
    assert contents_by(new) == DAYS
    assert new.asked == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "nothing", "of another bucket"])
def test_a_pack_that_is_damaged_or_anothers_is_done_without_and_made_anew(damage: str, tmp_path: Path) -> None:
    server, _ = filled(tmp_path)
    ((key, (version, data)),) = packs_of(server).items()
    changed = {
        "cut": data[:-10],
        "flipped": data[:60] + bytes([data[60] ^ 1]) + data[61:],
        "nothing": b"",
        "of another bucket": data,
    }[damage]
    server.swap(key, changed, version)
    shown = "s3://c" if damage == "of another bucket" else "s3://b"
    new = Machine(server, tmp_path / "new", shown)
    assert contents_by(new) == DAYS
    assert new.asked == len(DAYS)
    new.packs.pack("catalog")
    last = Machine(server, tmp_path / "last", shown)
    assert contents_by(last) == DAYS
    assert last.asked == 3


def test_a_server_that_fails_at_the_end_of_a_run_takes_nothing_from_it(tmp_path: Path) -> None:
    class Failing(Server):
        @override
        def peek(self, key: str) -> tuple[str, bytes] | None:
            raise StoreUnreachable("s3://b", "it is away", "wait")

    server = Failing()
    machine = Machine(server, tmp_path / "one")
    for day in DAYS:
        server.held[f"catalog/x.verdict/{day}.json"] = "1", day.encode()
    assert contents_by(machine) == DAYS
    machine.packs.pack("catalog")
    assert packs_of(server) == {}
