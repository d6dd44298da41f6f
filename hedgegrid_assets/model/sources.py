"""Sources: what is received, and how its days are fetched or made."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct, field

from hedgegrid_assets.batch import Begins, Block, Opens
from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.model.channels import Channel
from hedgegrid_assets.venues import Listing
from hedgegrid_assets.venues.markets import Says

if TYPE_CHECKING:
    from hedgegrid_assets.fields import Settings

LOOKED_AT: Final = 4 << 20
"""Bytes at the start of a file that say of themselves what they are."""


class Download(Struct, frozen=True):
    """A raw day as it was received: a whole file, to be moved into its place.

    ``suffix`` with its dot; ``origin`` as in the manifest: ``url`` (no secrets), ``bytes``, ..., and ``sha256`` where it was
    taken on the way.
    ``discard`` for a file from a cache, which may have been damaged there: forget it, so that it is fetched again.
    """

    path: Path
    suffix: str
    origin: Mapping[str, Any]
    dialect: Dialect = field(default_factory=Dialect)
    discard: Callable[[], None] | None = None


class FetchPlan(Struct, frozen=True):
    """What fetching a day would take; ``requests`` 0: all of it is in the cache."""

    requests: int
    cached: int
    free: bool


class RequestOf(Protocol):
    """Says what is asked for to get a day from a provider."""

    def __call__(self, settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, /) -> dict[str, Any]:
        """What identifies the day; equal requests are the same data."""
        ...


class OutOfPlace(Exception):
    """Some line is not of the day that it was taken for, or of none."""


class WatchesCut(Protocol):
    """Looks through a file while it is cut into days, so that nobody has to read it again."""

    def through(self, pieces: Iterable[tuple[date, Block]], dialect: Dialect) -> Generator[tuple[date, Block]]:
        """Give each piece back, once it was looked through; lines of a day count from its first. Raises OutOfPlace.

        Others wait until it is closed.
        """
        ...

    def seal(self, day: date, sha256: str, size: int) -> None:
        """All lines of a day went through: its file has this sum and so many bytes."""
        ...

    def saw(self, day: date, sha256: str) -> bool:
        """A file of a day with this sum was sealed a moment ago, here or by another of the same run."""
        ...

    def close(self) -> None:
        """Forget what is not sealed: the file is cut once more, or not at all."""
        ...


class FetchesDay(Protocol):
    """Gets a day from a provider."""

    def __call__(
        self,
        settings: Mapping[str, Any],
        symbol: str,
        channel: Channel,
        day: date,
        cache_folder: Path,
        work: Path,
        tick: Callable[[], None] | None,
        watch: WatchesCut | None = None,
        /,
    ) -> Download:
        """The day as it was received. ``tick`` is called several times a second and may raise to stop everything.

        ``watch`` sees the lines of a file that has to be cut into days for it.
        """
        ...


class PlansDay(Protocol):
    """Says what fetching a day would take."""

    def __call__(
        self, settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, cache_folder: Path, /
    ) -> FetchPlan:
        """The requests that are left to make; none is made."""
        ...


class MakesDay(Protocol):
    """Makes a raw day up."""

    def __call__(
        self, settings: Mapping[str, Any], symbol: str, channel: Channel, day: date, /
    ) -> Iterator[bytes] | None:
        """Its bytes in blocks of whole lines; None: there is no such day."""
        ...


class Publishes(Protocol):
    """How a provider's published files are looked at again."""

    def versions(
        self, settings: Mapping[str, Any], urls: Sequence[str], cache_folder: Path, tick: Callable[[], None] | None
    ) -> Mapping[str, Mapping[str, str] | None]:
        """Address -> ``etag``, ``last_modified`` and ``bytes`` now, empty where that is not said; None: it is gone.

        Raises RemoteFault.
        """

    def forget(self, settings: Mapping[str, Any], url: str, cache_folder: Path) -> None:
        """Remove a file from the cache, so that it is fetched anew."""


class Remote(Struct, frozen=True):
    """How a source fetches its days from a provider.

    Attributes:
        environment: Setting -> environment variable that goes before feeds.yaml.
        channels: (settings) -> the channels that these settings give, with their series.
        venues: (settings) -> Nautilus venues that the data can have, the usual one first. Raises UsageError for
            settings that contradict each other.
        listing: (settings, symbol) -> Listing.
        request: What identifies a day.
        root: (settings, channel) -> scheme and host that its days are asked of: what all their addresses begin with.
        download: Fetches a day.
        plan: Says what that would take.
        definition: (settings, symbol) -> what the provider says of an instrument, as in ``instruments:``, or None.
        account: (settings) -> lines for people on what the key allows.
        reachable: (settings) -> whether the provider answers, soon.
        published: Says of published files what they are now, and forgets those that were replaced; None: files of this
            provider are never looked at again.
        published_until: (settings, tick) -> the first day that is not published yet; None: not known. Raises RemoteFault.
        untested: (settings, symbol) -> nobody has compared what is known of the provider with its own server yet.
    """

    environment: Mapping[str, str]
    channels: Callable[[Mapping[str, Any]], tuple[Channel, ...]]
    venues: Callable[[Mapping[str, Any]], tuple[str, ...]]
    listing: Callable[[Mapping[str, Any], str], Listing]
    request: RequestOf
    root: Callable[[Mapping[str, Any], Channel], str]
    download: FetchesDay
    plan: PlansDay
    definition: Callable[[Mapping[str, Any], str], Mapping[str, Any] | None]
    account: Callable[[Mapping[str, Any]], list[str]]
    reachable: Callable[[Mapping[str, Any]], bool]
    published: Publishes | None = None
    published_until: Callable[[Mapping[str, Any], Callable[[], None] | None], date | None] | None = None
    untested: Callable[[Mapping[str, Any], str], bool] = lambda settings, symbol: False  # noqa: ARG005


class Source(Struct, frozen=True):
    """What we receive: one provider or file format.

    Attributes:
        name: As in feeds.yaml and ``--source``.
        doc: One sentence.
        extension: Of the daily raw files, without compression.
        channels: In order of preference for a table.
        has_landing_zone: Users drop files into the landing zone (else the source makes or fetches days itself).
        open: A reader of lines of a dialect.
        code_version: Raised by hand when a mapping changes.
        joins: The lines of several raw days of one dialect may be read as one block: none has a header, and where a
            line stands says nothing.
        quoted: A line end may stand inside quotes, where no block is cut.
        begin: A reader of a file, from its first block and what is said of it, for formats that say in a header how
            they are to be read. None: every line speaks for itself.
        culprit: (a line's text, its dialect, the reason why it has no place) -> (field, value) to show; None: not known.
        says: (first ``LOOKED_AT`` bytes, or more) -> what the lines say of themselves (see ``markets``), without a header.
        settings: What it takes in feeds.yaml and ``--config``.
        precisions: symbol -> decimals of price, size and mark, for a source that knows them.
        fetch: Makes a raw day, for sources that do.
        remote: For sources that fetch days from a provider.
        venue: Nautilus venue of what files hold, where a format is of one alone; empty: nobody's in particular.
        narrowed: (names of channels) -> the same source, for which the lines of all others are of no stream that it
            knows; None: it reads them all the same.
    """

    name: str
    doc: str
    extension: str
    channels: tuple[Channel, ...]
    has_landing_zone: bool
    open: Opens
    code_version: int
    settings: "type[Settings]"
    fetch: MakesDay | None = None
    precisions: Callable[[str], tuple[int, int, int]] | None = None
    begin: Begins | None = None
    says: Callable[[bytes], Says | None] | None = None
    culprit: Callable[[str, Dialect, str], tuple[str | None, str | None]] | None = None
    quoted: bool = False
    joins: bool = False
    remote: Remote | None = None
    venue: str = ""
    narrowed: Callable[[frozenset[str]], "Source"] | None = None
