"""Names of files that are published together are made to last together."""

from collections import Counter
from pathlib import Path

import pytest

from hedgegrid_assets.store import carry, disk, stored, synced_together


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each folder was synced, by its name."""
    found: Counter[str] = Counter()
    sync_folder = disk.sync_folder

    def noted(folder: Path) -> None:
        found[folder.name] += 1
        sync_folder(folder)

    monkeypatch.setattr(disk, "sync_folder", noted)
    return found


def publish(root: Path, *names: str) -> None:
    for name in names:
        part = root / "part"
        part.write_text(name)
        stored(root).joinpath(name).publish(part)


def test_each_folder_is_synced_once_at_the_end(tmp_path: Path, synced: Counter[str]) -> None:
    with synced_together():
        publish(tmp_path, "a/1", "a/2", "b/1")
        assert (tmp_path / "a/2").read_text() == "a/2"
        assert not synced
    assert synced == {"a": 1, "b": 1}
    publish(tmp_path, "a/3", "a/4")
    assert synced["a"] == 3


def test_what_was_published_before_an_error_lasts_as_well(tmp_path: Path, synced: Counter[str]) -> None:
    def killed() -> None:
        with synced_together():
            publish(tmp_path, "a/1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert synced == {"a": 1}


def test_what_gets_a_second_name_is_synced_no_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, "a/1")
    synced: list[Path] = []
    monkeypatch.setattr(disk, "_sync", synced.append)
    carry(stored(tmp_path) / "a/1", stored(tmp_path) / "b/1", tmp_path / ".tmp")
    assert synced == [tmp_path / "b"]
    assert (tmp_path / "b/1").samefile(tmp_path / "a/1")
