"""What CSV files leave open, and a feed may say."""

from hedgegrid_assets.fields import Text, unsaid
from hedgegrid_assets.sources.formats.settings import Encoding, Ids, LandingSettings, SideIs, Sides, TradeKind


class CsvSettings(LandingSettings):
    """Of the source ``csv``; a file of ``files`` may say the same for itself."""

    timestamp_format: Text = unsaid("of all times, as strftime writes it, or s, ms, us, ns; else told from the values")
    encoding: Encoding = unsaid("by Python's name; else UTF-8, or what the first bytes say")
    sides: Sides = unsaid("word of the files -> side of the taker")
    side_is: SideIs = unsaid("whose side the files' is; else as their venue writes it")
    ids: Ids = unsaid("whether one id may stand for several trades (shared); else as the venue gives them")
    trade_kind: TradeKind = unsaid("what trades are made from, where the files have both")
