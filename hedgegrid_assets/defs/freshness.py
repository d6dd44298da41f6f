"""Is a day's work done already? Told by small files alone; nothing is decoded."""

from collections.abc import Iterable

from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.model import Channel, InstrumentDay, Table
from hedgegrid_assets.pipeline import House
from hedgegrid_assets.stages import catalog, normalize
from hedgegrid_assets.stages.raw import RawDay, RawKey, raw_days


def raw_of(house: House, day: InstrumentDay) -> list[tuple[Channel, tuple[Table, ...], RawDay | None]]:
    """The raw days on disk of each channel. Raises RawDamaged where one is not what its manifest says."""
    symbol = house.feed.symbol_of(day.instrument_id)
    return [
        (channel, tables, house.held(RawKey(channel.name, symbol, day.date)))
        for channel, tables in house.by_channel().values()
    ]


def with_raw(house: House, days: Iterable[InstrumentDay]) -> list[InstrumentDay]:
    """Those days that there is a raw day of, in any channel, damaged ones too."""
    feed = house.feed
    held = {
        (feed.instrument_id(symbol), day)
        for symbol in feed.symbols
        for channel in house.by_channel()
        for day in raw_days(house.places, feed.name, channel, symbol)
    }
    return [day for day in days if (day.instrument_id, day.date) in held]


def channels_with_raw(house: House, day: InstrumentDay) -> list[str]:
    """The channels that have a raw day; all, for a source that makes or fetches its days."""
    feed, symbol = house.feed, house.feed.symbol_of(day.instrument_id)
    return [
        channel
        for channel in house.by_channel()
        if not house.source.lands or house.places.raw_manifest(feed.name, channel, symbol, day.date).exists()
    ]


def is_fresh(house: House, day: InstrumentDay) -> bool:
    """Every table that has raw data was made from it, by today's rules, and is in the catalog.

    A source that lands may lack a channel on a day; any other source must have all of them on disk.
    """
    try:
        found = raw_of(house, day)
    except RawDamaged:
        return False
    instrument = read_definitions(house.places.catalog).get(day.instrument_id)
    if instrument is None or not any(raw for _, _, raw in found):
        return False
    return all(
        house.source.lands if raw is None else _is_current(house, day, instrument, channel, tables, raw)
        for channel, tables, raw in found
    )


def _is_current(
    house: House, day: InstrumentDay, instrument: Instrument, channel: Channel, tables: tuple[Table, ...], raw: RawDay
) -> bool:
    recipe = house.recipe(channel, instrument)
    return all(
        normalize.is_current(house.places, day, table, raw, recipe) and catalog.is_current(house.places, day, table)
        for table in tables
    )
