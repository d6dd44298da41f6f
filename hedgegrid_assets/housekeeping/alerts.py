"""Alerts: what people are told, once each; what could not be delivered waits, and keeps no data from being made."""

import ipaddress
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import IO, Any, ClassVar, Final, override
from urllib.parse import urlsplit

import msgspec

from hedgegrid_assets.config.fields import Notify
from hedgegrid_assets.errors import AlertsWait
from hedgegrid_assets.inspect.visible import visible
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.outages import explaining, known_of, read_outages
from hedgegrid_assets.store import Document, Places, exclusive_lock, read_document, write_document
from hedgegrid_assets.timestamps import day_end, day_start

REMEMBERED_DAYS: Final = 7
"""What was told is told again at the earliest after so many days."""
_MOST_WAITING: Final = 1_000
_LINES: Final = 20
_LINE_CHARACTERS: Final = 300
_SECONDS: Final = 10.0
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Alert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to tell. ``key``: what it is about; two with the same key are one."""

    key: str
    text: str


class Alerts(Document, frozen=True, kw_only=True):
    """Alerts of a data root.

    Attributes:
        sent: Key -> day when it was told, or put aside to be.
        waiting: What is still to be delivered, the oldest first.
        seen: Asset -> the last of its events that was looked at.
    """

    kind: ClassVar[str] = "alerts"
    newest: ClassVar[int] = 1
    told: ClassVar[str] = "the alerts"
    remedy: ClassVar[str] = "remove it: what is wrong now is told once more"
    alerts: int = 1
    sent: dict[str, str] = msgspec.field(default_factory=dict)
    waiting: list[Alert] = msgspec.field(default_factory=list)
    seen: dict[str, int] = msgspec.field(default_factory=dict)


def tell(places: Places, alerts: Iterable[Alert], now: datetime | None = None) -> int:
    """Put aside what was not told lately; how many that are."""
    now = now or datetime.now(UTC)
    with _changing(places) as state:
        first, last = (str((now + timedelta(days=days)).date()) for days in (1 - REMEMBERED_DAYS, 1))
        sent = {key: day for key, day in state.sent.items() if first <= day <= last}  # the clock may have been set back
        new = {alert.key: alert for alert in alerts if alert.key not in sent}
        if new:
            sent |= dict.fromkeys(new, str(now.date()))
            waiting = [*state.waiting, *new.values()][-_MOST_WAITING:]
            _write(places, msgspec.structs.replace(state, sent=sent, waiting=waiting))
    return len(new)


def last_seen(places: Places, asset: str) -> int | None:
    """The last event of an asset that was looked at; None: none yet."""
    found = read_document(places.alerts, Alerts)
    return found.seen.get(asset) if found else None


def note_seen(places: Places, asset: str, event: int) -> None:
    """An event was looked at."""
    with _changing(places) as state:
        _write(places, msgspec.structs.replace(state, seen={**state.seen, asset: event}))


def deliver(places: Places, notify: Notify) -> int:
    """Post all that waits as one message; how many that were. Raises AlertsWait where that fails: they wait on."""
    with _changing(places) as state:
        if not state.waiting:
            return 0
        try:
            _post(_address(notify), {"text": message_of(state.waiting)})
        except _Undelivered as error:
            raise AlertsWait(notify.variable, len(state.waiting), str(error)) from None
        _write(places, msgspec.structs.replace(state, waiting=[]))
        return len(state.waiting)


def message_of(alerts: Sequence[Alert]) -> str:
    """One message, as Slack marks text up; nothing in it is markup of the data's own."""
    lines = [visible(alert.text)[:_LINE_CHARACTERS].translate(_MARKUP) for alert in alerts[:_LINES]]
    lines += [f"and {len(alerts) - _LINES:,} more: see `hedgegrid status`"] if len(alerts) > _LINES else []
    return "\n".join(["*hedgegrid*", *(f"• {line}" for line in lines)])


# ---------------------------------------------------------------- late


def late(context: FeedContext, now: datetime) -> Iterator[Alert]:
    """The day before, where it was due by now and nothing of it is there: one alert for all instruments of the feed."""
    feed, due = context.feed, context.feed.due_at
    day = now.astimezone(UTC).date() - timedelta(days=1)
    if due is None or now.astimezone(UTC).time() < due or day not in feed.days(day + timedelta(days=1)):
        return
    absent = [each for each in feed.instrument_ids() if not _is_there(context, InstrumentDay(each, day))]
    if absent:
        names = ", ".join(absent[:_LINES]) + (f" and {len(absent) - _LINES} more" if len(absent) > _LINES else "")
        told = f"late: {feed.name} has no data of {day}, due at {due:%H:%M} UTC: {names}"
        yield Alert(f"late|{feed.name}|{day}", told)


def _is_there(context: FeedContext, day: InstrumentDay) -> bool:
    """Something of the day was judged, whatever came of it, or it is known that there is nothing."""
    places = context.places
    if any(places.verdict(day.instrument_id, table.folder, day.date).exists() for table in context.tables):
        return True
    outages = read_outages(places)
    return all(
        explaining(known_of(outages, day.instrument_id, table.name), day_start(day.date), day_end(day.date), 0)
        for table in context.tables
    )


# ---------------------------------------------------------------- keeping and posting


@contextmanager
def _changing(places: Places) -> Iterator[Alerts]:
    with exclusive_lock(places.alerts.with_name("alerts.lock")):
        yield read_document(places.alerts, Alerts) or Alerts()


def _write(places: Places, state: Alerts) -> None:
    write_document(places.alerts, places.data_temp, state)


class _Undelivered(Exception):
    """Why, without the address."""


def _address(notify: Notify) -> str:
    url = os.environ.get(notify.variable, "")
    parts = urlsplit(url)
    if not url:
        raise _Undelivered("expected an address in this environment variable, found it empty or not set")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise _Undelivered("expected an address that begins with https:// (http:// on this machine alone)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An answer that sends us elsewhere is a failure: what is told goes to the address given, and nowhere else."""

    @override
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _post(url: str, body: object) -> None:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
    if urlsplit(url).scheme == "http":
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_SECONDS) as answer:
            answer.read(1_000)
    except urllib.error.HTTPError as error:
        error.close()
        raise _Undelivered(f"the server answered {error.code}") from None
    except urllib.error.URLError as error:
        raise _Undelivered(
            f"no answer ({getattr(error.reason, 'strerror', None) or type(error.reason).__name__})"
        ) from None
    except (OSError, HTTPException) as error:  # also of an address that is none
        raise _Undelivered(f"no answer ({type(error).__name__})") from None
