"""The settings of a source: what ``--config`` and callers from Python may say."""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError, create_model

from hedgegrid_assets.config.fields import GapsByTable, InstrumentOverride, Periods
from hedgegrid_assets.config.notes import KeyPath, Note, dotted, notes_of
from hedgegrid_assets.config.yaml_lines import Unreadable, plain_file, plain_json
from hedgegrid_assets.errors import UnknownName, UsageError, several
from hedgegrid_assets.fields import Frozen, Settings, Text, Venue, shown, unsaid
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.venues import Market

INPUTS: Final = "inputs"
"""Files that the command line names; no key of a file."""


def _secret(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text:
        raise ValueError("expected text, found something else")
    return text


def read_config(path: Path, source: str) -> dict[str, Any]:
    """The file given with ``--config``, JSON or YAML: the source's settings, flat, and the keys of the guide.

    Raises UsageError that names file, line and key of everything wrong in it.
    """
    if source not in SOURCES:
        raise UnknownName("source", "--source", source, SOURCES)
    plain = plain_json(path)
    if plain is not None and not setting_notes(configuration_for(source, plain), plain):
        return plain
    model = configuration(source)
    hint = f"correct the file given with --config; for {source} it takes: {', '.join(own_keys(source))}"
    try:
        tree, walk = plain_file(path)
    except Unreadable as error:
        if not path.exists():
            hint = "--config names one file, from the working directory"
        raise UsageError(f"configuration is not usable ({path}): {error}", hint=hint) from None
    if not isinstance(tree, dict):
        raise UsageError(
            f"configuration is not usable ({path}): expected a mapping of keys, found {shown(tree)}",
            hint=hint,
        )
    findings = sorted(
        [*walk.findings, *walk.place((), setting_notes(model, tree, own=own_keys(source), lists_keys=False))],
        key=lambda finding: finding[0],
    )
    if findings:
        problems = [f"{path}:{line}: {dotted(at)}: {message}" for line, at, message in findings]
        raise UsageError(several(problems), hint=hint, details={"problems": problems})
    return tree


def check_settings(source: str, given: Mapping[str, Any]) -> None:
    """Settings that come from Python: the same rules as for a file. Raises UsageError that names every key that is wrong."""
    given_as_text = {
        key: os.fspath(value) if isinstance(value, os.PathLike) else value
        for key, value in given.items()
        if key != INPUTS
    }
    model = configuration_for(source, given_as_text)
    problems = [f"{dotted(at)}: {message}" for at, message in setting_notes(model, given_as_text, own=own_keys(source))]
    if problems:
        raise UsageError(
            f"configuration is not usable (source_config): {'; '.join(problems)}",
            hint="the keys are those of the file given with --config; see the README",
            details={"problems": problems},
        )


class Shared(Settings):
    """What ``--config`` says besides the settings of a source."""

    venue: Venue = unsaid("Nautilus venue")
    market: Market = unsaid("of all symbols, where neither they nor the file say it")
    bars: Periods = unsaid("lengths of bars wanted besides the data types, as 1-MINUTE")
    gaps: GapsByTable = unsaid("table -> longest usual silence, as 60s, or off")
    instruments: dict[Text, InstrumentOverride] = unsaid("symbol -> what is known of it")
    api_key: Annotated[str, BeforeValidator(_secret)] = unsaid(
        "of the provider; in this file alone, never in feeds.yaml"
    )


@cache
def configuration(source: str) -> type[BaseModel]:
    """All keys that ``--config`` takes for a source: its own first, and those of the others, so that one file serves them all.

    Those of a source that makes its data up are its own alone.
    """
    others = [other.settings for other in SOURCES.values() if other.has_landing_zone or other.remote]
    return _together(SOURCES[source].settings, Shared, *others)


def configuration_for(source: str, given: Iterable[str]) -> type[BaseModel]:
    """The same, as far as these keys need it: where no other source's is among them, the others are not asked."""
    own = _own(source)
    return own if own.model_fields.keys() >= set(given) else configuration(source)


@cache
def _own(source: str) -> type[BaseModel]:
    return _together(SOURCES[source].settings, Shared)


def _together(*models: type[Settings]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for settings in models:
        for name, field in settings.model_fields.items():
            fields.setdefault(name, (field.annotation, field))
    return create_model("Configuration", __base__=Frozen, **fields)


def own_keys(source: str) -> list[str]:
    """The keys of ``--config`` that say something to a source."""
    return [name for name in _own(source).model_fields if name != INPUTS]


def setting_notes(
    model: type[BaseModel],
    settings: Mapping[str, Any],
    at: KeyPath = (),
    *,
    own: Collection[str] | None = None,
    lists_keys: bool = True,
) -> list[Note]:
    """Keys that a source does not take, and values of the wrong type, in the order of the settings.

    ``own``: the keys to name; None: all of the model. ``lists_keys``: see ``notes_of``.
    """
    try:
        model.model_validate(settings)
    except ValidationError as error:
        order = {str(key): position for position, key in enumerate(settings)}
        hidden = [] if own is None else [name for name in model.model_fields if name not in own]
        notes = notes_of(error, model, at, hidden, lists_keys=lists_keys)
        return sorted(notes, key=lambda note: order.get(str(note[0][len(at)]), len(order)))
    return []
