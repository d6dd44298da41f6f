"""What is done in a thread of its own is done in order, and what fails there is told to whoever waits."""

import threading

import pytest

from hedgegrid_assets.store import BackgroundWriter


def test_what_is_left_is_done_behind_all_items_in_the_same_thread() -> None:
    done: list[tuple[object, int]] = []
    own = threading.get_ident()
    writer = BackgroundWriter[int](
        lambda item: done.append((item, threading.get_ident())),
        at_end=lambda: done.append(("end", threading.get_ident())),
    )
    give(writer)
    assert [what for what, _ in done] == [0, 1, 2, 3, 4, "end"]
    assert {thread for _, thread in done}.isdisjoint({own})
    assert len({thread for _, thread in done}) == 1


def give(writer: BackgroundWriter[int]) -> None:
    for item in range(5):
        writer.put(item)
    writer.close()


@pytest.mark.parametrize("at", [2, None])
def test_nothing_is_done_behind_what_has_failed(at: int | None) -> None:
    done: list[object] = []

    def work(item: int) -> None:
        if item == at:
            raise ValueError(f"item {item}")
        done.append(item)

    def end() -> None:
        raise ValueError("the end")

    with pytest.raises(ValueError, match=f"item {at}" if at else "the end"):
        give(BackgroundWriter(work, at_end=end))
    assert done == [*range(5)][:at]
