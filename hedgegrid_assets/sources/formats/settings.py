"""Settings that several sources take: their landing files, and what is said of how to read these."""

import codecs
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator, create_model

from hedgegrid_assets.fields import Frozen, Settings, Text, shown, unsaid
from hedgegrid_assets.tables import TOKENS


def _codec(name: str) -> str:
    """A codec of Python that makes text of bytes."""
    line = "1704067200,1.5\n"
    try:
        if line.encode(name).decode(name) == line:
            return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError(_no_codec(name)) from None
    raise ValueError(_no_codec(name))


def _no_codec(name: str) -> str:
    return f"expected a text encoding of Python, as gbk, utf-16 or cp1252, found {shown(name)}"


def _column(value: object) -> str | int:
    is_text, is_place = isinstance(value, str), isinstance(value, int) and not isinstance(value, bool)
    if (is_text and value and "\0" not in str(value)) or (is_place and int(str(value)) >= 0):
        assert isinstance(value, str | int)
        return value
    raise ValueError(f"expected the name of a column, or its position from 0 without quotes, found {shown(value)}")


type TradeKind = Literal["aggTrade", "trade"]
type BarKind = Literal["kline", "aggTrade", "trade"]
type Ids = Literal["unique", "shared"]
type Sides = Annotated[dict[Text, Literal["buy", "sell", "none"]], Field(min_length=1)]
type Column = Annotated[str | int, PlainValidator(_column)]
"""Name of a column, or its position from 0."""
type Encoding = Annotated[str, AfterValidator(_codec)]
type SideIs = Literal["taker", "maker"]


class File(Frozen):
    """One landing file of a data type."""

    file_path: Text = Field(description="where it is, from ``base_path``")
    columns: dict[Text, Column] = unsaid("field -> column, where the names do not tell")
    timestamp_format: Text = unsaid("of its times, as strftime writes it, or s, ms, us, ns")
    encoding: Encoding = unsaid("of its text, by Python's name")
    sides: Sides = unsaid("word of the file -> side")
    side_is: SideIs = unsaid("whose side the file's is")


class FundingFile(File):
    """As ``File``; ``settled``: its rates were paid."""

    settled: Annotated[bool, Field(strict=True)] = unsaid("all rates of the file were paid")


_KINDS: Final = {"funding": FundingFile}


def _not_empty(files: Frozen) -> Frozen:
    if not files.model_fields_set:
        raise ValueError(f"expected at least one of {', '.join(type(files).model_fields)}, found none")
    return files


_FILES: Final[dict[str, Any]] = {token: (_KINDS.get(token, File), unsaid("its file")) for token in TOKENS}

Files: Any = create_model("Files", __base__=Frozen, **_FILES)
"""A field a data type, as the tables call themselves."""


class LandingSettings(Settings):
    """Of sources that read landing files."""

    files: Annotated[Files, AfterValidator(_not_empty)] = unsaid(
        "data type -> its file, in place of the patterns under ``landing``"
    )
    base_path: Text = Field(default=".", description="folder that ``file_path`` counts from")
