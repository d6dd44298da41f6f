"""The equity of a run as a small picture, for Dagster's metadata."""

import base64
import io
from pathlib import Path
from typing import Final

import polars as pl

_WIDTH: Final = 720
_HEIGHT: Final = 240
_LEFT: Final = 84
_ROOM: Final = 24
_COLOURS: Final = 16
_PAPER: Final = (255, 255, 255)
_INK: Final = (38, 43, 51)
_FAINT: Final = (226, 229, 233)
_EQUITY: Final = (0, 84, 147)
_BALANCE: Final = (148, 158, 170)


def equity_markdown(folder: Path, currency: str) -> str:
    """Equity and balance of a run's folder, as Markdown with the image inside."""
    frame = pl.read_parquet(folder / "equity.parquet").filter(pl.col("currency") == currency)
    columns = {name: frame[name].cast(pl.Float64).to_list() for name in ("equity", "balance")}
    image = _drawn(columns, f"{folder.name}: equity and balance, {currency}")
    return f"![equity](data:image/png;base64,{base64.b64encode(image).decode()})"


def _drawn(columns: dict[str, list[float | None]], title: str) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    known = [value for column in columns.values() for value in column if value is not None]
    low, high = min(known), max(known)
    room = (high - low) * 0.05 or 1.0
    low, high = low - room, high + room
    draw.text((_LEFT, 4), title, _INK, font)
    for part in range(5):
        value = low + (high - low) * part / 4
        y = _y(value, low, high)
        draw.line((_LEFT, y, _WIDTH - 8, y), _FAINT)
        draw.text((_LEFT - 8, y), f"{value:,.2f}", _INK, font, anchor="rm")
    for name, colour in (("balance", _BALANCE), ("equity", _EQUITY)):
        column = columns[name]
        step = (_WIDTH - 8 - _LEFT) / max(len(column) - 1, 1)
        points = [(_LEFT + n * step, _y(value, low, high)) for n, value in enumerate(column) if value is not None]
        draw.line(points, colour, 1 if name == "balance" else 2)
    out = io.BytesIO()
    image.quantize(_COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _y(value: float, low: float, high: float) -> float:
    return _HEIGHT - 10 - (value - low) / (high - low) * (_HEIGHT - 10 - _ROOM)
