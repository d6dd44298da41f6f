"""What we lean on of Dagster that it does not export, all of it: a Dagster that has moved it fails here, at the import.

``test_event_log`` and ``test_reporting`` hold it to what it did when it was tried; ``pyproject.toml`` bounds the versions.
"""

from typing import Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,
)
from dagster._core.instance import InstanceRef as InstanceRef
from dagster._core.launcher.base import CheckRunHealthResult as CheckRunHealthResult
from dagster._core.launcher.base import WorkerStatus as WorkerStatus
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES as IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage as ConsolidatedSqliteEventLogStorage
from dagster._core.storage.event_log import SqliteEventLogStorage as SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import (
    SQLITE_EVENT_LOG_FILENAME as SQLITE_EVENT_LOG_FILENAME,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME as INDEX_SHARD_NAME
from dagster._core.storage.tags import GRPC_INFO_TAG as GRPC_INFO_TAG
from dagster._serdes import ConfigurableClassData as ConfigurableClassData
from dagster_shared.error import SerializableErrorInfo as SerializableErrorInfo

KNOWN: Final = "1.13."
"""Versions of Dagster that these were tried with."""


def is_known() -> bool:
    """The installed Dagster is one of them."""
    return dg.__version__.startswith(KNOWN)
