"""What Dagster is told of each partition: materializations, observations and evaluations of checks, with their versions.

Dagster's own results of a step are of all its partitions at once, with one version; so events are written one by one, with
what Dagster would write into an output of its own. The strings are its private constants: ``test_reporting`` pins them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg

from hedgegrid_assets.defs.partitions import DATE, INSTRUMENT, key_of
from hedgegrid_assets.defs.private import AssetCheckEvaluationTargetMaterializationData
from hedgegrid_assets.defs.results import AssetResult

NO_VERSION: Final = "INITIAL"
"""Dagster's word for a data version that nobody has given."""
_NO_EVENT: Final = "NULL"

type Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest materialization of an asset (of a partition)."""

    storage_id: int
    run_id: str
    timestamp: float
    version: str


def versioned(version: str) -> dict[str, str]:
    """The tags of a materialization with a data version of its own."""
    return {"dagster/data_version": version, "dagster/data_version_is_user_provided": "true"}


class Reporter:
    """Events for the results of a run.

    Args:
        instance: Where they are stored; it is asked for the newest materializations, as events point at each other.
        specs: The assets that results are of.
        upstream: Assets that are made once, and that those depend on.
        assets: The assets that the run is for; others are passed over.
        checks: The checks that it is for.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        specs: Iterable[dg.AssetSpec],
        upstream: Collection[dg.AssetKey],
        assets: Collection[dg.AssetKey],
        checks: Collection[dg.AssetCheckKey],
    ) -> None:
        self._instance, self._assets, self._checks = instance, assets, checks
        self._specs = {spec.key: spec for spec in specs}
        self._depths = _depths(self._specs)
        self._once = {key: self._ask(key, None) for key in upstream}

    def events(self, results: Iterable[AssetResult]) -> Iterator[Event]:
        """The events of one partition, upstream first. Each must be stored before the next one is asked for."""
        newest: dict[dg.AssetKey, _Newest | None] = dict(self._once)
        for layer in self._layers(results):
            made: list[dg.AssetKey] = []
            for result in layer:
                if result.key in self._assets and result.version is not None:
                    made.append(result.key)
                    tags = self._tags(result, result.version, newest)
                    partition = key_of(result.day)
                    yield dg.AssetMaterialization(result.key, partition=partition, metadata=result.metadata, tags=tags)
                elif result.key in self._assets and result.metadata:
                    yield dg.AssetObservation(result.key, partition=key_of(result.day), metadata=result.metadata)
            newest |= self._ask_at_once(made, key_of(layer[0].day))
            for result in layer:
                yield from self._evaluations(result, newest)

    def _layers(self, results: Iterable[AssetResult]) -> Iterator[list[AssetResult]]:
        """Results in the order of what they are made of, those that are made of nothing of each other together."""
        found: dict[int, list[AssetResult]] = {}
        for result in results:
            found.setdefault(self._depths[result.key], []).append(result)
        for depth in sorted(found):
            yield found[depth]

    def _evaluations(
        self, result: AssetResult, newest: dict[dg.AssetKey, _Newest | None]
    ) -> Iterator[dg.AssetCheckEvaluation]:
        partition = key_of(result.day)
        for answer in result.checks:
            if dg.AssetCheckKey(result.key, str(answer.check_name)) in self._checks:
                if result.key not in newest:
                    newest[result.key] = self._ask(result.key, partition)
                yield _evaluation(answer, result.key, partition, newest[result.key])

    def is_new(self, result: AssetResult) -> bool:
        """The newest materialization of the partition has another version, or there is none."""
        newest = self._ask(result.key, key_of(result.day))
        return newest is None or newest.version != result.version

    def _tags(self, result: AssetResult, version: str, newest: dict[dg.AssetKey, _Newest | None]) -> Mapping[str, str]:
        """Versions, and the events of the assets upstream that this one was made from."""
        spec, partition = self._specs[result.key], key_of(result.day)
        found = versioned(version) | {
            f"dagster/partition/{DATE}": str(result.day.date),
            f"dagster/partition/{INSTRUMENT}": result.day.instrument_id,
        }
        # without one, Dagster passes over what an event says it was made from, and compares times
        found["dagster/code_version"] = spec.code_version or NO_VERSION
        for dep in spec.deps:
            if dep.asset_key not in newest:
                newest[dep.asset_key] = self._ask(dep.asset_key, partition)
            source = newest[dep.asset_key]
            name = dep.asset_key.to_user_string()
            found[f"dagster/input_data_version/{name}"] = source.version if source else NO_VERSION
            found[f"dagster/input_event_pointer/{name}"] = str(source.storage_id) if source else _NO_EVENT
        return found

    def _ask_at_once(self, keys: Sequence[dg.AssetKey], partition: str) -> dict[dg.AssetKey, _Newest | None]:
        """What was stored just now of a partition: the newest of each asset, but where another run came in between."""
        found: dict[dg.AssetKey, _Newest] = {}
        for record in self._instance.get_asset_records(keys) if len(keys) > 1 else ():
            last = record.asset_entry.last_materialization_record
            if last is not None and last.partition_key == partition:
                found[record.asset_entry.asset_key] = _newest(last)
        return {key: found.get(key) or self._ask(key, partition) for key in keys}

    def _ask(self, key: dg.AssetKey, partition: str | None) -> _Newest | None:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
        return next(map(_newest, self._instance.fetch_materializations(wanted, limit=1).records), None)


def _newest(record: dg.EventLogRecord) -> _Newest:
    event = record.asset_materialization
    version = (event.tags or {}).get("dagster/data_version", NO_VERSION) if event else NO_VERSION
    return _Newest(record.storage_id, record.run_id, record.timestamp, version)


def _depths(specs: Mapping[dg.AssetKey, dg.AssetSpec]) -> dict[dg.AssetKey, int]:
    """How many assets stand before each, at most."""

    def depth(key: dg.AssetKey) -> int:
        return max((1 + depth(dep.asset_key) for dep in specs[key].deps if dep.asset_key in specs), default=0)

    return {key: depth(key) for key in specs}


def _evaluation(
    answer: dg.AssetCheckResult, key: dg.AssetKey, partition: str, of: _Newest | None
) -> dg.AssetCheckEvaluation:
    """Without the materialization that it is of, Dagster stores an evaluation, but shows no status of the partition.

    Not blocking: that would fail the step without a word on its days; what is blocked does not go on all the same.
    """
    target = (
        AssetCheckEvaluationTargetMaterializationData(
            storage_id=of.storage_id, run_id=of.run_id, timestamp=of.timestamp
        )
        if of
        else None
    )
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=str(answer.check_name),
        passed=answer.passed,
        metadata=answer.metadata,
        target_materialization_data=target,
        severity=answer.severity,
        description=answer.description,
        blocking=False,
        partition=partition,
    )
