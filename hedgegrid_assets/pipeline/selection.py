"""What a run takes of the landing files: one kind of each table, one market, the days asked for."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from hedgegrid_assets.errors import FileContradicts, HedgegridError, NoDataFetched, OtherKind
from hedgegrid_assets.model import Channel
from hedgegrid_assets.pipeline.days import refuse_other_market
from hedgegrid_assets.pipeline.feed_context import KINDS, FeedContext
from hedgegrid_assets.pipeline.landing import held_instead, landing_files
from hedgegrid_assets.pipeline.request import Request
from hedgegrid_assets.sources.formats.kinds import source_of
from hedgegrid_assets.stages.raw import HEADER, ImportReport, RawKey, raw_day
from hedgegrid_assets.store import BlockReader
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.bar import BARS
from hedgegrid_assets.tables.index_price_update import INDEX_PRICE_UPDATE
from hedgegrid_assets.tables.trade_tick import TRADE_TICK
from hedgegrid_assets.venues import Market, listing_of, markets_of
from hedgegrid_assets.venues.markets import NAMES, market_told
from hedgegrid_assets.wording import counted, each_counted, nearest

INSTRUMENTS_TOLD: Final = 10
"""So many have a note each; the rest are told in one."""


def giving(context: FeedContext) -> list[Channel]:
    """Every channel that gives one of the tables, unless the request names the kind; one by pair only for contracts on a pair."""
    chosen = {name: channel for name, (channel, _) in context.by_channel().items()}
    open_tables = {table.name for table in context.tables if KINDS.get(table.name) not in context.feed.settings}
    return [
        channel
        for channel in context.source.channels
        if channel.name in chosen or (open_tables & set(channel.tables) and _may_hold(channel, context.feed.symbols))
    ]


def _may_hold(channel: Channel, symbols: Iterable[str]) -> bool:
    """Messages by pair are about contracts, which are not called as their pair is."""
    return channel.symbol_of is None or any(channel.symbol_of(symbol) != symbol for symbol in symbols)


def with_index_kind(context: FeedContext, report: ImportReport, note: Callable[[str], None]) -> FeedContext:
    """Index prices of the mark price messages where these have any, else the index price messages of the pair."""
    table = INDEX_PRICE_UPDATE
    if table.name not in context.feed.tables or "index_kind" in context.feed.settings:
        return context
    usual = context.channel(table)
    ours = [key for key in report.days if key.symbol in context.feed.symbols]
    by_pair = {key.channel for key in ours if key.channel != usual.name} & {
        channel.name for channel in context.source.channels if table.name in channel.tables
    }
    if not by_pair:
        return context
    raws = (raw_day(context.places, context.feed.name, key) for key in ours if key.channel == usual.name)
    if any(raw is not None and raw.decimals(table.columns[0].name) is not None for raw in raws):
        note(
            f"index prices are made from {usual.name} ({', '.join(sorted(by_pair))} is there too and left out: one series "
            "holds one kind; index_kind in the configuration chooses)"
        )
        return context
    kind = min(by_pair)
    note(f"index prices are made from {kind}")
    return replace(
        context, feed=context.feed.model_copy(update={"settings": {**context.feed.settings, "index_kind": kind}})
    )


def with_trade_kind(context: FeedContext, report: ImportReport, note: Callable[[str], None]) -> FeedContext:
    """aggTrade where the files have it, else trade: one series holds one kind only."""
    if "trade_kind" in context.feed.settings or TRADE_TICK.name not in context.feed.tables:
        return context
    found = {key.channel for key in report.days if key.symbol in context.feed.symbols}
    kinds = [channel.name for channel in context.source.channels if TRADE_TICK.name in channel.tables]
    kind = next((name for name in kinds if name in found), None)
    if kind is None:
        return context
    others = [name for name in kinds if name in found and name != kind]
    if len(found & set(kinds)) > 1 or context.source.begin is None:
        note(
            f"trades are made from {kind}"
            + (f" ({', '.join(others)} is there too and left out: one series holds one kind)" if others else "")
        )
    return replace(
        context, feed=context.feed.model_copy(update={"settings": {**context.feed.settings, "trade_kind": kind}})
    )


def with_bar_kind(context: FeedContext, report: ImportReport, note: Callable[[str], None]) -> FeedContext:
    """Bars of the venue's own candles where the files have them, else of trades: of those that trades are made from."""
    table, setting = BARS[0], BARS[0].kind_setting
    if setting in context.feed.settings or not {bar.name for bar in BARS} & set(context.feed.tables):
        return context
    found = {key.channel for key in report.days if key.symbol in context.feed.symbols}
    there = [channel for channel in context.source.channels if table.name in channel.tables and channel.name in found]
    if not there:
        return context
    trades = [channel.name for channel in there if TRADE_TICK.name in channel.tables]
    candles = [channel.name for channel in there if channel.name not in trades]
    of_trades = context.feed.settings.get(TRADE_TICK.kind_setting)
    kind = candles[0] if candles else of_trades if of_trades in trades else trades[0]
    note(f"bars are made from {kind}" + ("" if candles else ", cut by arrival"))
    return replace(context, feed=context.feed.model_copy(update={"settings": {**context.feed.settings, setting: kind}}))


def with_market(context: FeedContext, keys: Sequence[RawKey], note: Callable[[str], None]) -> FeedContext:
    """The market that the files themselves say, where nobody else does; what is taken for granted is said."""
    feed = context.feed
    if feed.market is not None:
        return context
    named = {symbol for symbol, override in feed.instruments.items() if override.id}
    told: dict[str, set[Market | None]] = {}
    for key in (key for key in keys if key.symbol not in named):
        raw = context.noted(key)
        found = market_told(raw.manifest.files, feed.venue, key.symbol) if raw else set()
        told.setdefault(key.symbol, set()).update(found)
    every = set[Market | None]().union(*told.values())
    market = next(iter(every)) if len(every) == 1 else None
    if market is not None and not named and all(listing_of(feed.venue, symbol, market) for symbol in told):
        context = replace(context, feed=feed.model_copy(update={"market": market}))
    assumed: list[str] = []
    for symbol, markets in sorted(told.items()):
        listing = context.feed.listing(symbol)
        if listing is None or len(possible := markets_of(feed.venue, symbol)) < 2:
            continue
        others = " or ".join(f"--market {name}" for name in possible if name != listing.market)
        why = f"no market is said: {others} if it is not" if markets <= {None} else "its files say so"
        assumed.append(f"{symbol} is taken as {NAMES[listing.market]}, {listing.symbol}.{feed.venue}; {why}")
    for text in assumed[:INSTRUMENTS_TOLD]:
        note(text)
    if left := assumed[INSTRUMENTS_TOLD:]:
        note(f"and {counted(len(left), 'symbol')} more likewise: hedgegrid instruments list")
    return context


def contradicted(context: FeedContext, keys: Sequence[RawKey]) -> dict[RawKey, HedgegridError]:
    """The days of which a file is of another venue or market than what it is taken for."""
    failed: dict[RawKey, HedgegridError] = {}
    for key in keys:
        raw = context.noted(key)
        try:
            if raw is not None:
                refuse_other_market(context, raw)
        except FileContradicts as error:
            failed[key] = error
    return failed


def wanted_keys(context: FeedContext, asked: Request, report: ImportReport) -> tuple[list[RawKey], list[NoDataFetched]]:
    """The raw days that are asked for, and the symbols that have none of them."""
    channels = set(context.by_channel())
    in_files = sorted(key for key in report.days if key.symbol in asked.origin.symbols and key.channel in channels)
    keys = [
        key
        for key in in_files
        if (not asked.start or key.day >= asked.start) and (not asked.end or key.day < asked.end)
    ]
    missing = sorted(set(asked.origin.symbols) - {key.symbol for key in keys})
    errors: list[NoDataFetched] = []
    for symbol in [",".join(missing)] if missing and not keys else missing:
        wanted = f"{symbol} {','.join(table.token for table in context.tables)} {asked.start or ''}..{asked.end or ''}"
        files = [str(landing.path) for landing in landing_files(context)]
        looked_in = (
            ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
            if files
            else str(context.places.landing / asked.origin.source)
        )
        held = held_instead(context, report.by_stream, [channel.name for channel in giving(context)])
        if held is not None and not in_files:
            where = "the configuration (--config)"
            errors.append(OtherKind(wanted, looked_in, held.taken, held.kind, held.lines, held.setting, where))
            continue
        mine = [key for key in in_files if key.symbol == symbol] if keys else in_files
        is_empty = bool(files) and not report.lines and not report.damaged
        hint = _no_file(context) if not files else _WRITE_AGAIN if is_empty else "" if mine else _meant(symbol, report)
        if files and not is_empty and not report.days:
            hint = _other_source(context) or hint
        found = _empty(len(files)) if is_empty else _found(report, mine, files, missing)
        errors.append(NoDataFetched(wanted, looked_in, found, hint=hint))
    return keys, errors


_STREAMS: Final = 8
"""Kinds of messages that are named where none of them is wanted."""
_WRITE_AGAIN: Final = "write or download it again: there is no line in it"


def _empty(files: int) -> str:
    return "an empty file" if files == 1 else f"{files:,} empty files"


def _no_file(context: FeedContext) -> str:
    folder = shlex.quote(str(context.places.landing / context.feed.source))
    return (
        f"put your files there (mkdir -p {folder}), or name them: --input FILE, or a configuration with --config FILE"
    )


def _other_source(context: FeedContext) -> str:
    """The source that reads the landing files, of which its own reads nothing; empty: nobody can say."""
    files = landing_files(context)
    try:
        block = next(iter(BlockReader(files[0].path)), None) if files else None
    except HedgegridError:
        return ""
    found = source_of(block.data) if block is not None else ""
    known = found and found != context.feed.source
    return f"by its first line {files[0].path} is of another source: --source {found} reads it" if known else ""


def _meant(symbols: str, report: ImportReport) -> str:
    """The symbol of the files that was probably meant, for the hint; empty: none looks like it."""
    near = [guess for symbol in symbols.split(",") for guess in nearest(symbol, _others(report, symbols.split(",")))]
    return f"did you mean --symbol {','.join(dict.fromkeys(near))}? {NoDataFetched.usual_hint}" if near else ""


def _others(report: ImportReport, symbols: Sequence[str]) -> list[str]:
    """The symbols of the files instead of those asked for; none where these are there, with other messages."""
    there = {key.symbol for key in report.days}
    return [] if there.intersection(symbols) else sorted({*report.unknown_symbols, *there})


def _found(report: ImportReport, keys: Sequence[RawKey], files: Sequence[str], missing: Sequence[str]) -> str:
    """What the files hold instead."""
    if not files:
        return "no file"
    if keys:
        symbols = ",".join(sorted({key.symbol for key in keys}))
        return f"{symbols} {min(key.day for key in keys)} .. {max(key.day for key in keys)}"
    others = ", ".join(_others(report, missing)[:20])
    return (
        f"other symbols: {others}"
        if others
        else "a header, and no row below it"
        if report.by_stream.keys() == {HEADER}
        else f"streams {each_counted(report.by_stream, _STREAMS)}{_examples(report)}"
        if report.by_stream
        else "none of its messages"
    )


def _examples(report: ImportReport) -> str:
    """How lines begin that nobody understood."""
    return f"; such lines as {', '.join(report.examples)}" if report.examples else ""


def note_missing_tables(
    context: FeedContext, keys: Sequence[RawKey], note: Callable[[str], None], not_understood: int
) -> None:
    """Say which of the tables asked for the source does not give, and which the files do not have."""
    if lacking := sorted(set(context.feed.tables) - {table.name for table in context.tables}):
        note(f"no {', '.join(TABLES[name].token for name in lacking)}: source {context.feed.source} does not give that")
    found = {key.channel for key in keys}
    missing = [
        table.token for name, (_, tables) in context.by_channel().items() if name not in found for table in tables
    ]
    if missing and not_understood:
        lines = "1 line was" if not_understood == 1 else f"{not_understood:,} lines were"
        note(f"no {', '.join(missing)} in what could be read of these files: {lines} not understood")
    elif missing:
        note(f"no {', '.join(missing)} in these files")
