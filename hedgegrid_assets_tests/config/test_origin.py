"""What a request and a feed have in common is one value, with the same checks and defaults."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from hedgegrid_assets.config.feeds import Feed
from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.pipeline.request import request

CAPTURES: dict[str, Any] = {"name": "captures", "source": "websocket", "venue": "BINANCE", "symbols": ["BTCUSDT"]}


def test_a_request_is_an_origin_with_the_defaults_of_a_feed(tmp_path: Path) -> None:
    origin = request("websocket", "BTCUSDT", None, None, output_path=tmp_path).origin
    feed = Feed.model_validate({**CAPTURES, "start": "2024-01-01", "landing": ["websocket/**/*"]})
    shared = Origin.model_fields.keys() - {"name", "start"}
    assert origin.model_dump(include=shared) == feed.model_dump(include=shared)
    assert origin.name == "cli_websocket"


def test_the_key_of_a_request_is_a_secret_that_no_text_shows(tmp_path: Path) -> None:
    asked = request(
        "tardis", "BTCUSDT", "2024-01-01", "2024-01-02", output_path=tmp_path, source_config={"api_key": "TD.x"}
    )
    assert asked.origin.settings["api_key"] == SecretStr("TD.x")
    assert "TD.x" not in repr(asked)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "websockets"},
        {"venue": "binance"},
        {"symbols": []},
        {"symbols": ["BTCUSDT", "BTCUSDT"]},
        {"tables": ["trades"]},
        {"settings": {"no_such_key": 1}},
        {"instruments": {"BTCUSDT": {"price_precision": 17}}},
        {"gaps": {"trades": "1h", "trade_tick": "2h"}},
        {"start": "2024-01-02", "end": "2024-01-02"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_an_origin_is_checked_whoever_makes_it(wrong: dict[str, Any]) -> None:
    assert Origin.model_validate(CAPTURES)
    with pytest.raises(ValidationError):
        Origin.model_validate(CAPTURES | wrong)
