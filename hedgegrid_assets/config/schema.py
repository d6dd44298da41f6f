"""feeds.yaml as JSON Schema: what editors complete and check while a file is written, read off the models that check it."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hedgegrid_assets.config.feeds import Feed
from hedgegrid_assets.config.fields import Notify
from hedgegrid_assets.config.origin import tables_of
from hedgegrid_assets.config.settings import Shared
from hedgegrid_assets.sources import SOURCES

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

ROOT: Final[Mapping[str, Any]] = {
    "version": {"const": 1, "description": "Of the form of this file"},
    "data": {"type": "string", "description": "Address of a bucket that raw days lie in, as s3://bucket/prefix"},
    "catalog": {
        "type": "string",
        "description": "Address of a bucket that the catalog lies in; without it beside the data",
    },
    "notify": {"$ref": "#/$defs/Notify"},
    "feeds": {
        "type": "object",
        "description": "Name -> feed, as many as you like",
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,39}$"},
        "additionalProperties": {"$ref": "#/$defs/Feed"},
    },
}
"""The keys of the file itself."""


def feeds_schema() -> dict[str, Any]:
    """JSON Schema of feeds.yaml; what needs several keys at once (ids that clash, say) only ``feeds check`` tells."""
    definitions = _definitions(Feed, Notify, *(source.settings for source in SOURCES.values()))
    feed = definitions["Feed"]
    del feed["properties"]["name"]  # the key that it stands under
    feed["required"].remove("name")
    feed["properties"]["source"]["enum"] = list(SOURCES)
    feed["allOf"] = [_of_source(name) for name in SOURCES]
    return {
        "$schema": _DIALECT,
        "title": "feeds.yaml of hedgegrid-assets",
        "type": "object",
        "properties": dict(ROOT),
        "required": ["version", "feeds"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def shared_keys() -> dict[str, Any]:
    """JSON Schema of what a file given with ``--config`` may say besides the settings of its source."""
    return _definitions(Shared)["Shared"]


def _of_source(name: str) -> dict[str, Any]:
    """What a feed says where it is of a source."""
    tables = {"enum": list(tables_of(name))}
    said = {
        "settings": {"$ref": f"#/$defs/{SOURCES[name].settings.__name__}"},
        "tables": {"items": tables},
        "gaps": {"propertyNames": tables},
    }
    return {"if": {"properties": {"source": {"const": name}}}, "then": {"properties": said}}


def _definitions(*models: type[BaseModel]) -> dict[str, Any]:
    _, schema = models_json_schema([(model, "validation") for model in models])
    return {name: _plain(each) for name, each in schema["$defs"].items()}


def _plain(schema: Any, *, names: bool = False) -> Any:
    """Without pydantic's titles, and without the null of a key that says nothing; ``names``: its keys are no words of JSON Schema."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _worded(value)
        if key == "description" and not names
        else _plain(value, names=key == "properties" and not names)
        for key, value in schema.items()
        if names or not (key == "title" or (key == "default" and value is None))
    }


def _worded(text: str) -> str:
    """A docstring's words in those of a file, which has no None."""
    plain = text.replace("``", "`").replace("None:", "without it:").strip()
    return f"{plain[:1].upper()}{plain[1:]}".removesuffix(".")
