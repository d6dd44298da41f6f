"""Streams of events become one, whatever their cuts are."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.backtest.merging import merged


@dataclass(frozen=True)
class Event:
    stream: int
    number: int
    ts_init: int


@st.composite
def cut_streams(draw: st.DrawFn) -> list[list[list[Event]]]:
    """Streams as chunks; few moments, so that many events share one."""
    streams = []
    for stream in range(draw(st.integers(0, 4))):
        times = sorted(draw(st.lists(st.integers(0, 8), max_size=12)))
        events = [Event(stream, number, at) for number, at in enumerate(times)]
        cuts = sorted(draw(st.sets(st.integers(1, max(len(events) - 1, 1)), max_size=4)))
        edges = [0, *(cut for cut in cuts if cut < len(events)), len(events)]
        chunks = [events[first:last] for first, last in pairwise(edges)]
        streams.append([chunk for chunk in chunks if chunk])
    return streams


@given(cut_streams())
def test_events_come_by_arrival_then_stream_then_file_order(streams: list[list[list[Event]]]) -> None:
    found = list(merged([iter(stream) for stream in streams]))
    everything = [event for stream in streams for chunk in stream for event in chunk]
    assert all(found), "an empty list ends a stream of the engine"
    assert [event for chunk in found for event in chunk] == sorted(
        everything, key=lambda event: (event.ts_init, event.stream, event.number)
    )


def test_no_more_is_read_than_is_needed_for_what_is_given() -> None:
    read: list[int] = []

    def stream(number: int, step: int) -> list[Event]:
        read.append(number)
        return [Event(number, 0, step), Event(number, 1, step + 1)]

    long = (stream(0, step) for step in range(0, 100, 2))
    events = merged([long, iter([[Event(1, 0, 50)]])])
    next(events)
    assert read.count(0) <= 3
