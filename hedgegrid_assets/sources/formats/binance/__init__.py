"""The messages of Binance, one JSON value a line: a format that captures, the synthetic source and replays share.

A plain line is an optional receive time (``<ns> ``, ``<seconds.fraction>: `` or the 28-character ISO stamp and a blank)
and either a bare message or the combined-stream wrapper ``{"stream":..,"data":{..}}``. Two readers agree on every such
line: a fast one, regular expressions over whole blocks behind a gate that admits only flat JSON without escapes, and an
exact one in Python for the few lines that the gate refuses. Lines that hold messages in another form (arrays, other
stamps, the wrappers of recorders) are made plain before: see ``folded``.
"""

from hedgegrid_assets.sources.formats.binance.channels import channels, pair_of
from hedgegrid_assets.sources.formats.binance.depth import only_book
from hedgegrid_assets.sources.formats.binance.reader import MessageReader, open_messages

__all__ = ["MessageReader", "channels", "only_book", "open_messages", "pair_of"]
