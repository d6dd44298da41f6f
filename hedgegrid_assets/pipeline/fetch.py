"""Days fetched, several at a time."""

import contextlib
import logging
import threading
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from typing import Final

from hedgegrid_assets.errors import HedgegridError, NoDataFetched, Unforeseen
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.raw import Ahead, Progress, RawDay, RawKey
from hedgegrid_assets.wording import counted, megabytes

_log: Final = logging.getLogger(__name__)


def fetch(
    context: FeedContext,
    keys: Sequence[RawKey],
    at_once: int,
    tick: Progress,
    halt: threading.Event,
    note: Callable[[str], None],
    at_hand: dict[RawKey, RawDay],
    finished: Callable[[str], None] | None = None,
) -> dict[RawKey, HedgegridError]:
    """Fetch all days that are not there, several at a time; those that could not be had, and why.

    ``finished`` is told of each, however it went, with a line on one that was fetched now.

    ``at_hand`` gets those that are there, with their rows as far as they were read on the way; the caller closes them.

    A symbol of which every day is empty counts as not had: the range is wrong, or the symbol.
    """
    found: dict[RawKey, RawDay] = {}
    failed: dict[RawKey, HedgegridError] = {}
    elsewhere: dict[RawKey, str] = {}
    context_of = by_month(context, keys)

    def one(key: RawKey) -> None:
        line = ""
        try:
            told = f"fetching {key.symbol} {key.channel} {key.day}"
            raw = context_of(key).raw(key, lambda: tick(told, 0), keep=True, ahead=ahead)
        except HedgegridError as error:
            _log.info("%s %s %s: %s", key.symbol, key.channel, key.day, error.message)
            failed[key] = error
            with contextlib.suppress(HedgegridError):  # it is told what is wrong with it
                elsewhere[key] = context.elsewhere(key)
        except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
            _log.debug("%s %s %s", key.symbol, key.channel, key.day, exc_info=True)
            failed[key] = Unforeseen(error, f"{key.symbol} {key.channel} {key.day}")
        else:
            if raw is not None:
                elsewhere[key] = raw.instead_of
                found[key] = at_hand[key] = raw
                line = _told(raw) if raw.fetched else ""
        if finished:
            finished(line)

    with closing(Ahead(context.source, keys)) as ahead, workers(at_once, halt) as pool:
        results_of([pool.submit(one, key) for key in keys])
    for symbol in dict.fromkeys(key.symbol for key in found):
        mine = {key: raw for key, raw in found.items() if key.symbol == symbol}
        if not any(raw.manifest.lines for raw in mine.values()):
            days = sorted({str(key.day) for key in mine})
            nothing = NoDataFetched(
                f"{symbol} {days[0]} .. {days[-1]}", context.source.name, "days without a single row"
            )
            failed |= dict.fromkeys(mine, nothing)
    for line in _from_elsewhere(elsewhere):
        note(line)
    unreadable = sum(origin.unreadable or 0 for raw in found.values() for origin in raw.manifest.origin)
    if unreadable:
        note(
            f"{counted(unreadable, 'line belongs', 'lines belong')} to no table or day: kept in {context.places.data / 'rejects' / context.feed.name}"
        )
    return {key: failed[key] for key in keys if key in failed}


def _from_elsewhere(held: Mapping[RawKey, str]) -> Iterator[str]:
    """What to tell of raw days that came from another server than the one that is asked now (empty: they did not)."""
    for server in sorted({*held.values()} - {""}):
        keys = [key for key, one in held.items() if one == server]
        days, symbols = sorted({key.day for key in keys}), sorted({key.symbol for key in keys})
        yield (
            f"{counted(len(keys), 'raw day')} of {', '.join(symbols)}, {days[0]} .. {days[-1]}, came from {server}, not from "
            "the server that is asked now: asked for anew"
        )


def _told(raw: RawDay) -> str:
    manifest, key = raw.manifest, raw.key
    size = sum(origin.bytes for origin in manifest.origin)
    return f"{key.day} {key.symbol} {key.channel}: fetched, {counted(manifest.lines, 'line')}, {megabytes(size)}"


def has_months(context: FeedContext) -> bool:
    """The source has files of a day and of a month, and is not told which to take."""
    return "period" in context.source.settings.model_fields and "period" not in context.settings


def by_month(context: FeedContext, keys: Sequence[RawKey], share: float = 1.0) -> Callable[[RawKey], FeedContext]:
    """The context in which each day is fetched: with files of a month for days of a month that is wanted whole.

    Of use for sources that have both and are not told which to take. ``share``: of a month that counts as the whole.
    """
    if not has_months(context):
        return lambda _: context
    wanted = Counter((key.channel, key.symbol, f"{key.day:%Y-%m}") for key in set(keys))
    settings = {**context.feed.settings, "period": "monthly"}
    monthly = FeedContext(context.feed.model_copy(update={"settings": settings}), context.places)

    def of(key: RawKey) -> FeedContext:
        whole = monthrange(key.day.year, key.day.month)[1]
        return monthly if wanted[key.channel, key.symbol, f"{key.day:%Y-%m}"] >= share * whole else context

    return of


@contextmanager
def workers(count: int, halt: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """Threads that an error here, or Ctrl-C, stops at their next tick."""
    with ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except BaseException:
            halt.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def results_of[T](futures: Sequence[Future[T]]) -> list[T]:
    """Results in order; the first error is raised when it happens. Waits in short steps: Ctrl-C is seen between them."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    return [future.result() for future in futures]
