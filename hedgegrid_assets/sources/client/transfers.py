"""Transfers from a provider: which answers are final, how long to wait, and when to ask again."""

import contextlib
import logging
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import IO, Final

import aiohttp
import anyio
import stamina
from anyio import to_thread
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks
from yarl import URL

from hedgegrid_assets.errors import (
    EnvironmentFault,
    KeyRequired,
    ProviderUnreachable,
    RateLimited,
    RemoteFault,
    WebPageReceived,
)
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import (
    Answered,
    Broken,
    CutOff,
    Damaged,
    Unreachable,
    WebPage,
    in_words,
    refuse_web_page,
    retry_after,
)
from hedgegrid_assets.sources.client.pauses import left, pause
from hedgegrid_assets.sources.client.provider import Provider
from hedgegrid_assets.sources.client.received import RECEIVED
from hedgegrid_assets.wording import counted

_log: Final = logging.getLogger(__name__)
_GLANCE: Final = 1 << 16
_LONGEST_ANSWER: Final = 16 << 20

_not_before: Final[dict[str, float]] = {}
"""Provider -> when it may be asked again, on the monotonic clock; written on the loop only, as what follows."""
_told: Final[dict[str, float]] = {}
"""Provider -> when it was last told that it is asked again."""
_unreachable: Final[dict[str, float]] = {}
"""Provider -> since when nobody answers there; none from the first answer on."""
_answered: Final[set[str]] = set()
"""Providers that have answered."""
_TELL_AGAIN_SECONDS: Final = 60.0
_NETWORK_HINT: Final = (
    "check the network (and a proxy, if there is one); then run again: what is fetched already is kept"
)
_FOREIGN_HINT: Final = (
    "something on the way cuts or changes it, or it is on their side: try another network or none of its proxies "
    "(NO_PROXY), or run again later; what is fetched already is kept"
)


# ---------------------------------------------------------------- asking once


@asynccontextmanager
async def session(provider: Provider, total: float) -> AsyncIterator[aiohttp.ClientSession]:
    """A session of one provider; ``total`` seconds for one answer with its body."""
    headers = {
        "Accept-Encoding": provider.encoding,
        "User-Agent": f"hedgegrid-assets/{version('hedgegrid-assets')}",
    }
    if provider.key:
        headers["Authorization"] = f"Bearer {provider.key}"
    patience = limits.in_force
    async with aiohttp.ClientSession(
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=total, sock_connect=patience.connect, sock_read=patience.silence),
        headers=headers,
        trust_env=True,
    ) as opened:
        yield opened


async def save(opened: aiohttp.ClientSession, url: str, path: Path, provider: Provider) -> None:
    """Write a body into a file, as it comes. Raises Answered, Damaged; what is written of a transfer that fails is left there."""
    await _until_allowed(provider)
    async with opened.get(as_is(url)) as response:
        await _refuse_unless_ok(response, provider)
        with path.open("wb") as file:
            await _receive(response, file, is_kept=False)
    with path.open("rb") as file:
        refuse_web_page(file.read(_GLANCE), url)


async def resume(opened: aiohttp.ClientSession, url: str, path: Path, provider: Provider) -> Mapping[str, str]:
    """As ``save``, from where an earlier transfer has ended, if the server still has the same file: the headers.

    What stands in ``path`` is kept when a transfer fails; beside it is noted which file it is of.
    """
    note = path.with_name(f"{path.name}.of")
    held, validator = _held(path, note)
    headers = {"Range": f"bytes={held}-", "If-Range": validator} if held else {}
    await _until_allowed(provider)
    async with opened.get(as_is(url), headers=headers) as response:
        if response.status == 416:
            path.unlink(missing_ok=True)
            raise Broken("the server has less of the file than was received before")
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {held}-")
        if not goes_on:
            await _refuse_unless_ok(response, provider)
            path.write_bytes(b"")  # before the note: it must never be said of what another version has left
            note.write_text(response.headers.get("ETag", ""))
        with path.open("ab") as file:
            await _receive(response, file, is_kept=_is_strong(note.read_text()), held=held if goes_on else 0)
        note.unlink(missing_ok=True)
        return response.headers


async def _receive(response: aiohttp.ClientResponse, file: IO[bytes], *, is_kept: bool, held: int = 0) -> None:
    """Write a body behind the bytes that are held. Raises CutOff; ``is_kept``: the next transfer goes on where this ends."""
    received, length = 0, response.content_length
    with RECEIVED.transfer(response.url.name, held, None if length is None else held + length) as took:
        try:
            async for part in response.content.iter_any():
                received += len(part)
                took(len(part))
                await to_thread.run_sync(file.write, part)
        except aiohttp.ClientPayloadError:
            raise CutOff(received, length, is_nearer=is_kept and received > 0) from None


def _held(path: Path, note: Path) -> tuple[int, str]:
    """How much is received of which file; nothing where that is not known beyond doubt."""
    try:
        validator = note.read_text()
        size = path.stat().st_size
    except OSError:
        return 0, ""
    return (size, validator) if _is_strong(validator) else (0, "")


def _is_strong(validator: str) -> bool:
    """Bytes of two answers with it may be put together."""
    return validator.startswith('"')


async def head_of(opened: aiohttp.ClientSession, url: str, provider: Provider) -> Mapping[str, str]:
    """The headers of a file, without it. Raises Answered."""
    await _until_allowed(provider)
    async with opened.head(as_is(url), allow_redirects=True) as response:
        await _refuse_unless_ok(response, provider)
        return response.headers


async def body_of(opened: aiohttp.ClientSession, url: str, provider: Provider) -> bytes:
    """A body of moderate size, decompressed. Raises Answered."""
    await _until_allowed(provider)
    async with opened.get(as_is(url)) as response:
        await _refuse_unless_ok(response, provider)
        return _plain(await response.read(), response, _LONGEST_ANSWER)


def as_is(url: str) -> URL:
    """An address that aiohttp does not write anew: percent signs stay as they are."""
    return URL(url, encoded=True)


async def _until_allowed(provider: Provider) -> None:
    """Wait for as long as the server has asked this process to, or one that shares its cache."""
    while (wait := max(_own_pause(provider), left(provider.slots, provider.name) if provider.slots else 0.0)) > 0:
        await anyio.sleep(wait)


def _own_pause(provider: Provider) -> float:
    return _not_before.get(provider.name, 0.0) - time.monotonic()


async def _refuse_unless_ok(response: aiohttp.ClientResponse, provider: Provider) -> None:
    if response.status == 200:
        return
    body = b""
    while len(body) < _GLANCE and (chunk := await response.content.read(_GLANCE - len(body))):
        body += chunk
    with contextlib.suppress(zlib.error):
        body = _plain(body, response, _GLANCE)
    text = provider.without_key(in_words(body.decode(errors="replace")))
    raise Answered(response.status, text, retry_after(response.headers.get("Retry-After")))


def _plain(body: bytes, response: aiohttp.ClientResponse, longest: int) -> bytes:
    if response.headers.get("Content-Encoding") != "gzip":
        return body
    return zlib.decompressobj(wbits=31).decompress(body, longest)


# ---------------------------------------------------------------- asking until it works


async def reliably[T](transfer: Callable[[], Awaitable[T]], what: str, provider: Provider) -> T:
    """Carry out a transfer, again where that may help, within the limits. Raises RemoteFault."""
    _keep_off_stdout()
    patience = limits.in_force
    attempts = 1 if _given_up(provider) else patience.attempts
    failed: Counter[type] = Counter()
    try:
        async for attempt in stamina.retry_context(
            on=lambda error: attempts > 1 and _again(error, failed, what, provider),
            attempts=attempts,
            timeout=None,
            wait_initial=patience.first_wait,
            wait_max=patience.longest_wait,
            wait_jitter=patience.first_wait / 2,
        ):
            with attempt:
                return await _once(transfer, provider)
    except Broken as error:
        raise error.fault or _broken(error, failed.total(), what) from None
    except Answered as error:
        raise _fault(error, what, provider) from None
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write {what}: {error.strerror or error}", hint="check space and permissions of the cache"
        ) from None
    raise AssertionError("stamina ended without a result")


async def _once[T](transfer: Callable[[], Awaitable[T]], provider: Provider) -> T:
    try:
        found = await transfer()
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        if provider.name not in _answered:
            _unreachable.setdefault(provider.name, time.monotonic())
        raise Unreachable(_unconnected(error)) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Broken(str(error) or f"no answer within the limits ({type(error).__name__})") from error
    except Answered:
        _has_answered(provider)
        raise
    _has_answered(provider)
    return found


def _unconnected(error: aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) -> str:
    """Why there is no connection, in words."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        number = error.os_error.errno
        why = os.strerror(number) if number and number > 0 else error.strerror
        return f"no connection to {error.host}:{error.port} ({why})"
    return str(error) or "no connection within the limits"


def _broken(error: Broken, attempts: int, what: str) -> RemoteFault:
    """A transfer that has not worked, the last time by ``error``."""
    if isinstance(error, WebPage):
        return WebPageReceived(what, error.url, error.words)
    if isinstance(error, Unreachable):
        return ProviderUnreachable(what, str(error), attempts)
    return RemoteFault(
        what,
        f"{attempts} attempts failed, the last one with: {error}" if attempts > 1 else str(error),
        hint=_FOREIGN_HINT if isinstance(error, Damaged) else _NETWORK_HINT,
        transient=True,
    )


def _has_answered(provider: Provider) -> None:
    _answered.add(provider.name)
    _unreachable.pop(provider.name, None)


def _given_up(provider: Provider) -> bool:
    """Nobody has ever answered, for so long that it is enough to ask once; an outage later on is waited for."""
    since = _unreachable.get(provider.name)
    return since is not None and time.monotonic() - since >= limits.in_force.first_answer


def _again(error: Exception, failed: Counter[type], what: str, provider: Provider) -> bool | float:
    """Whether to ask again, or in how many seconds. ``failed`` counts what has failed so far, by its kind."""
    failed[type(error)] += 1
    if isinstance(error, Answered):
        if not _passes(error, provider):
            return False
        if error.retry_after is not None:
            return _as_asked(error, error.retry_after, what, provider)
    elif not isinstance(error, Broken) or _given_up(provider):
        return False
    elif error.more is not None:
        if failed[type(error)] > error.more:
            return False
        _log.info("%s: %s; asking again", what, error)
        return limits.in_force.first_wait
    _tell(f"{what}: {error}; {_patience()}", provider)
    return True


def _patience() -> str:
    """How long a transfer is tried again."""
    now = limits.in_force
    waits = [min(now.first_wait * 2**number, now.longest_wait) for number in range(now.attempts - 1)]
    return f"trying again {counted(len(waits), 'time')}, for {sum(waits):.0f} s or more"


def _tell(text: str, provider: Provider) -> None:
    """Once while it lasts, for people who would wait without knowing what for; the rest is for who looks closely."""
    now = time.monotonic()
    if now - _told.get(provider.name, -_TELL_AGAIN_SECONDS) < _TELL_AGAIN_SECONDS:
        _log.info(text)
        return
    _told[provider.name] = now
    _log.warning("%s (Ctrl-C stops; what is fetched already is kept)", text)


def _as_asked(error: Answered, seconds: float, what: str, provider: Provider) -> bool | float:
    if seconds > limits.in_force.longest_retry_after:
        return False
    _tell(f"{what}: {error}; waiting {seconds:.0f} s, as asked", provider)
    _not_before[provider.name] = max(_not_before.get(provider.name, 0.0), time.monotonic() + seconds)
    if provider.slots:
        pause(provider.slots, provider.name, seconds)
    return seconds


def _passes(answer: Answered, provider: Provider) -> bool:
    text = provider.passing.get(answer.status)
    return answer.is_transient or (text is not None and text in answer.text)


def _keep_off_stdout() -> None:
    """Where structlog is installed but not configured, stamina tells of retries on stdout, where only data may go."""
    structlog = sys.modules.get("structlog")
    hooks = get_on_retry_hooks()
    kept = tuple(hook for hook in hooks if "structlog" not in getattr(hook, "__module__", ""))
    if len(kept) < len(hooks) and not (structlog and structlog.is_configured()):
        set_on_retry_hooks(kept)


def _fault(answer: Answered, what: str, provider: Provider) -> RemoteFault:
    """An answer that is final, with the way out."""
    if answer.status == 429:
        until = datetime.now(UTC) + timedelta(seconds=answer.retry_after or 0)
        return RateLimited(what, answer.retry_after, f"{until:%Y-%m-%dT%H:%M:%SZ}")
    if answer.status in {401, 403} and provider.key_variable and not provider.key:
        return KeyRequired(what, f"the server answers {answer}", provider.key_variable)
    return RemoteFault(
        what,
        f"the server answers {answer}",
        hint=provider.hints.get(answer.status, "it is on their side: run again later; what is fetched already is kept"),
        transient=_passes(answer, provider),
        details={"status": answer.status},
    )
