"""What every store promises: the local disk, and one that is no disk."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from hedgegrid_assets.errors import EnvironmentFault, NeedsDisk, StoreConflict
from hedgegrid_assets.stages.catalog.series import Series
from hedgegrid_assets.store import (
    LocalStore,
    Places,
    Store,
    StorePath,
    atomic_write,
    change_document,
    exclusive_lock,
    list_days,
    local,
    on_disk,
    read_document,
    stored,
    write_document,
)
from hedgegrid_assets_tests.buckets import Bucket
from hedgegrid_assets_tests.standins import s3

s3_server = s3.s3_server
STORES: dict[str, Callable[[Path], Store]] = {
    "local": lambda root: LocalStore(root / "store"),
    "bucket": lambda root: Bucket(root / "store"),
    "s3": lambda _: stored(f"s3://{s3.new_bucket()}").store,
}


@pytest.fixture(params=[*(name for name in STORES if name != "s3"), pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "s3":
        s3.use_server(request.getfixturevalue("s3_server"), monkeypatch, tmp_path)
    made: Store = STORES[request.param](tmp_path)
    made.scratch("tmp").mkdir(parents=True)
    return made


def file_of(store: Store, text: str, name: str = "made") -> Path:
    """A complete file, in the store's scratch."""
    file = store.scratch("tmp") / name
    file.write_text(text)
    return file


def text_of(store: Store, key: str) -> str:
    return StorePath(store, key).read_bytes().decode()


def test_an_object_appears_whole_with_its_size_and_a_version(store: Store) -> None:
    assert store.find("a/b.json") is None
    store.put_new("a/b.json", file_of(store, "one"))
    found = store.find("a/b.json")
    assert found is not None
    assert (found.key, found.size) == ("a/b.json", 3)
    assert text_of(store, "a/b.json") == "one"
    assert store.find("a") is None, "a folder is no object"


def test_a_new_object_that_is_there_already_is_a_success_and_another_content_is_a_conflict(store: Store) -> None:
    store.put_new("a.json", file_of(store, "one"))
    before = store.find("a.json")
    store.put_new("a.json", file_of(store, "one"))
    assert store.find("a.json") == before, "and nothing was written"
    with pytest.raises(StoreConflict, match=r"a\.json is being written by another"):
        store.put_new("a.json", file_of(store, "two"))
    assert text_of(store, "a.json") == "one"


def test_only_the_version_that_was_read_is_replaced(store: Store) -> None:
    store.put_new("a.json", file_of(store, "one"))
    first = store.find("a.json")
    assert first is not None
    store.put_over("a.json", file_of(store, "two"), first.version)
    second = store.find("a.json")
    assert second is not None
    assert second.version != first.version
    with pytest.raises(StoreConflict):
        store.put_over("a.json", file_of(store, "six"), first.version)
    assert text_of(store, "a.json") == "two"
    store.delete("a.json")
    with pytest.raises(StoreConflict):
        store.put_over("a.json", file_of(store, "six"), second.version)
    store.put_over("a.json", file_of(store, "six"), None)
    assert text_of(store, "a.json") == "six"


def test_two_contents_of_one_size_have_two_versions(store: Store) -> None:
    seen = set()
    for number in range(9):
        store.put_over("a.json", file_of(store, str(number)), None)
        found = store.find("a.json")
        assert found is not None
        assert found.version not in seen or number > 1, "none has that of the one before"
        seen = {found.version}


def test_an_object_is_read_as_a_local_file_of_its_version(store: Store, tmp_path: Path) -> None:
    store.put_new("a/b.parquet", file_of(store, "one"))
    assert store.local("a/b.parquet").read_text() == "one"
    assert store.local("a/b.parquet").name == "b.parquet"
    store.put_over("a/b.parquet", file_of(store, "two"), None)
    assert store.local("a/b.parquet").read_text() == "two"
    store.get("a/b.parquet", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "two"
    with pytest.raises(FileNotFoundError):
        StorePath(store, "none").read_bytes()
    with pytest.raises(FileNotFoundError):
        store.get("none", tmp_path / "copy")


def test_what_is_below_a_prefix_is_listed_in_order_deep_or_flat(store: Store) -> None:
    keys = ["x/b/2.json", "x/a.json", "x/b/1.json", "x/.hidden/c.json", "xy/a.json"]
    for key in keys:
        store.put_new(key, file_of(store, key))
    assert [entry.key for entry in store.list("x")] == ["x/.hidden/c.json", "x/a.json", "x/b/1.json", "x/b/2.json"]
    level = store.level("x")
    assert (level.folders, level.files) == ([".hidden", "b"], ["a.json"])
    assert list(store.list("none")) == []
    assert store.level("none").files == []


def test_an_object_that_was_removed_is_gone(store: Store) -> None:
    store.put_new("a/b.json", file_of(store, "one"))
    path = StorePath(store, "a/b.json")
    path.unlink()
    path.unlink(missing_ok=True)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        path.unlink()
    path.parent.rmdir()
    assert list(path.parent.tree()) == []


def test_a_folder_goes_with_all_in_it(store: Store) -> None:
    for key in ("a/b/1", "a/2", "c"):
        store.put_new(key, file_of(store, key))
    StorePath(store, "a").rmtree()
    StorePath(store, "a").rmtree()
    assert [path.key for path in StorePath(store).tree() if not path.key.startswith("tmp")] in ([], ["c"])
    assert StorePath(store, "c").exists()


def test_names_are_used_as_paths_are(store: Store) -> None:
    root = StorePath(store, "root")
    for name in ("a/2024-01-02.json", "a/2024-01-01.json", "a/x.json", "b/2024-01-01.parquet"):
        store.put_new(f"root/{name}", file_of(store, name))
    path = root / "a" / "x.json"
    assert (path.name, path.parent, path.with_name("y").name) == ("x.json", root / "a", "y")
    assert [each.below(root) for each in root.glob("*/*.json")] == [
        "a/2024-01-01.json",
        "a/2024-01-02.json",
        "a/x.json",
    ]
    assert [each.name for each in root.folders()] == ["a", "b"]
    assert [each.name for each in (root / "b").files(".parquet")] == ["2024-01-01.parquet"]
    assert list_days(root / "a", ".json") == [date(2024, 1, 1), date(2024, 1, 2)]
    assert path.is_below(root)
    assert not root.is_below(path)
    assert root.named("a/x.json") == root.named(path.address) == path


@pytest.mark.parametrize("text", ["../other", "a/../../other", "/etc/passwd", ".", "", "mem://bucket/other/x"])
def test_a_name_that_leads_out_of_a_folder_means_nothing(store: Store, text: str) -> None:
    assert StorePath(store, "root").named(text) is None


def test_documents_and_locks_go_through_it(store: Store) -> None:
    places = Places(StorePath(store, "data"), StorePath(store, "catalog"))
    with exclusive_lock(places.catalog_lock):
        assert read_document(places.series, Series) is None
    write_document(places.series, places.catalog_temp, Series(held={"X.Y": {"trade_tick": "z"}}))
    found = read_document(places.series, Series)
    assert found is not None
    assert found.held == {"X.Y": {"trade_tick": "z"}}


def test_a_lock_that_a_thread_holds_is_its_own_and_no_others(store: Store) -> None:
    lock = StorePath(store, "a/lock")
    entered = threading.Event()

    def another() -> None:
        with exclusive_lock(lock):
            entered.set()

    waiting = threading.Thread(target=another)
    with exclusive_lock(lock):
        with exclusive_lock(lock):
            waiting.start()
        assert not entered.wait(0.2), "the inner block has not given it back"
    waiting.join(60)
    assert entered.is_set()


def test_nothing_half_written_appears(store: Store) -> None:
    place = StorePath(store, "a.json")
    with contextlib.suppress(RuntimeError), atomic_write(place, store.scratch("tmp")) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not place.exists()
    assert list(store.scratch("tmp").iterdir()) == []


def test_what_needs_a_disk_says_so_by_name(tmp_path: Path) -> None:
    assert on_disk(stored(tmp_path), "linking").root == tmp_path
    with pytest.raises(
        NeedsDisk, match=r"linking needs a disk: expected a folder of this machine, found mem://bucket/x"
    ):
        on_disk(Bucket(tmp_path).at("x"), "linking")


def test_a_folder_that_cannot_be_made_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="cannot make the folder"):
        stored(tmp_path / "file" / "catalog").prepare()


def test_no_change_of_a_shared_document_is_lost_without_a_lock(store: Store) -> None:
    """Locks hold within a machine; between machines the version that was read has to be the one that is replaced."""
    places = Places(StorePath(store, "data"), StorePath(store, "catalog"))

    def add(number: int) -> None:
        change_document(places.series, places.catalog_temp, Series, lambda held: with_one(held, number))

    def with_one(held: Series | None, number: int) -> Series:
        return Series(held={**(held.held if held else {}), f"{number}.X": {"trade_tick": "z"}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    found = read_document(places.series, Series)
    assert found is not None
    assert len(found.held) == 12


def test_a_change_of_nothing_writes_nothing(store: Store) -> None:
    places = Places(StorePath(store, "data"), StorePath(store, "catalog"))
    change_document(places.series, places.catalog_temp, Series, lambda _: None)
    assert not places.series.exists()


# ---------------------------------------------------------------- a folder that was looked at


def test_a_folder_that_changes_at_once_is_never_taken_as_it_was(tmp_path: Path) -> None:
    """Two changes in one tick of the disk's clock have one time: what has just changed is not remembered."""
    store, folder = LocalStore(tmp_path), tmp_path / "x"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}").touch()
        assert len(store.level("x").files) == number + 1


def test_a_folder_that_was_left_alone_is_looked_at_again_where_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_SETTLED_NS", 0)
    store, folder = LocalStore(tmp_path), tmp_path / "x"

    def names_after(change: Callable[[], object]) -> list[str]:
        change()
        time.sleep(0.05)  # longer than a tick
        seen = store.level("x")
        assert store.level("x") is seen, "nothing has changed"
        return [*seen.folders, *seen.files]

    assert names_after(folder.mkdir) == []
    assert names_after((folder / "a").touch) == ["a"]
    assert names_after(lambda: (folder / "a").rename(folder / "b")) == ["b"]
    assert names_after((folder / "b").unlink) == []
    assert names_after((folder / "b").mkdir) == ["b"]
    assert names_after(lambda: (folder.rename(tmp_path / "y"), folder.mkdir())) == []
    folder.rmdir()
    assert store.level("x").folders == []
