"""Dagster's event logs on SQLite, with database engines that are kept instead of made anew for each query.

A query is a tenth of the time of making an engine for it. The files are Dagster's own, read and written by its own classes as
before: an instance may be opened with either. What this leans on is pinned by ``test_event_log``; with a Dagster that is not
known, a log behaves as Dagster's own, and says so once.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self, override

import dagster as dg
import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from hedgegrid_assets.defs.private import (
    INDEX_SHARD_NAME,
    KNOWN,
    SQLITE_EVENT_LOG_FILENAME,
    ConfigurableClassData,
    ConsolidatedSqliteEventLogStorage,
    SqliteEventLogStorage,
    is_known,
)
from hedgegrid_assets.errors import HistoryHidden

_log: Final = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 60
_EVENT: Final = '{"__class__": "EventLogEntry"'
"""How the JSON of an event begins."""
_DEFAULT_INDEX: Final = f"history/runs/{INDEX_SHARD_NAME}.db"
"""Of Dagster's default history, below DAGSTER_HOME."""
_PAGE_BYTES: Final = 16_384
"""Of new databases of Dagster's own: an event is 2 to 15 kB, and SQLite's usual 4 kB would be half empty."""
_KEPT_PAGE_BYTES: Final = 32_768
"""Of the one database that holds all runs."""
_SHARDS: Final = 4
"""Databases of runs that are kept open, besides the index: a run writes to its own."""


class KeptSqliteEventLog(SqliteEventLogStorage):
    """Dagster's default: a database for each run, and an index over all."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        index = Path(base_dir, f"{INDEX_SHARD_NAME}.db")
        is_new = not index.exists()
        super().__init__(base_dir, inst_data)
        if is_new:
            self._forget(INDEX_SHARD_NAME)
            _use_large_pages(index, _PAGE_BYTES)

    @classmethod
    @override
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> SqliteEventLogStorage:
        """The kept log, or Dagster's own."""
        if not is_known():
            _say_unknown()
            return SqliteEventLogStorage(inst_data=inst_data, **config_value)
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    @override
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._kept(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    @override
    def has_table(self, table_name: str) -> bool:
        """A table that is there stays there: that is remembered."""
        if table_name not in self._tables and _has_table(self._kept(INDEX_SHARD_NAME), table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _kept(self, shard: str) -> Engine:
        if shard not in self._engines:
            runs = [name for name in self._engines if name != INDEX_SHARD_NAME]
            for name in runs[: max(0, len(runs) - _SHARDS + 1)]:
                self._forget(name)
            self._engines[shard] = _engine(self.conn_string_for_shard(shard))
        return self._engines[shard]

    def _forget(self, shard: str) -> None:
        if shard in self._engines:
            self._engines.pop(shard).dispose()

    @override
    def dispose(self) -> None:
        """Close all databases."""
        for shard in list(self._engines):
            self._forget(shard)
        super().dispose()


class KeptEventLog(ConsolidatedSqliteEventLogStorage):
    """One database for all runs: half the bytes.

    For new instances: a history of Dagster's default is not moved into it, as its events point at each other by numbers that
    would be others here. Raises HistoryHidden where there is one.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine: Engine | None = None
        self._storing = threading.local()
        self._tables: set[str] = set()
        is_new = not Path(base_dir, f"{SQLITE_EVENT_LOG_FILENAME}.db").exists()
        if is_new:
            _refuse_to_hide(Path(base_dir, _DEFAULT_INDEX))
        super().__init__(base_dir, inst_data)
        if is_new and is_known():
            self._forget()
            _use_large_pages(Path(self.get_db_path()), _KEPT_PAGE_BYTES)

    @classmethod
    @override
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """The kept log; with a Dagster that is not known, engines are not kept."""
        if not is_known():
            _say_unknown()
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    @override
    def _connect(self) -> Iterator[Connection]:
        if not is_known():
            with super()._connect() as connection:
                yield connection
            return
        storing: Connection | None = getattr(self._storing, "connection", None)
        if storing is not None:
            yield storing
            return
        with self._kept().connect() as connection, connection.begin():
            yield connection

    @override
    def store_event(self, event: dg.EventLogEntry) -> None:
        """All that an event changes, in one transaction instead of five."""
        if not is_known() or getattr(self._storing, "connection", None) is not None:
            super().store_event(event)
            return
        with self._connect() as connection:
            self._storing.connection = connection
            try:
                super().store_event(event)
            finally:
                self._storing.connection = None

    @override
    def has_table(self, table_name: str) -> bool:
        """A table that is there stays there: that is remembered."""
        if table_name not in self._tables and _has_table(self._kept(), table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _kept(self) -> Engine:
        if self._engine is None:
            self._engine = _engine(self._conn_string)
        return self._engine

    def _forget(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @override
    def dispose(self) -> None:
        """Close the database."""
        self._forget()
        super().dispose()


def _engine(address: str) -> Engine:
    made = create_engine(
        address, poolclass=QueuePool, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(made, "connect")
    def relaxed(connection: Any, _: object) -> None:  # with WAL, a power cut may cost the last events, never the file
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # has no effect on a database that is there

    @event.listens_for(made, "before_cursor_execute", retval=True)
    def compact(
        _connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> tuple[str, Any]:
        if many:
            return statement, [tuple(map(_compact, each)) for each in parameters]
        return statement, tuple(map(_compact, parameters)) if isinstance(parameters, tuple) else parameters

    return made


def _compact(value: object) -> object:
    """An event without the spaces in its JSON: a twentieth of it."""
    is_event = isinstance(value, str) and value.startswith(_EVENT)
    return msgspec.json.format(value, indent=-1) if is_event else value


def _refuse_to_hide(index: Path) -> None:
    if not index.exists():
        return
    with closing(sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'event_logs'").fetchone():
            return
        (events,) = connection.execute("SELECT count(*) FROM event_logs").fetchone()
    if events:
        raise HistoryHidden(KeptEventLog.__name__, f"{events:,} events in {index.parent}")


def _use_large_pages(path: Path, size: int) -> None:
    """Of a database that was made just now. Where others have opened it meanwhile, it stays as it is."""
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"PRAGMA page_size={size}")
        connection.execute("VACUUM")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _has_table(engine: Engine, name: str) -> bool:
    with engine.connect() as connection:
        return bool(engine.dialect.has_table(connection, name))


def _say_unknown() -> None:
    _log.warning(
        "Dagster %s is not known to the kept event log (expected %sx): it works as Dagster's own", dg.__version__, KNOWN
    )
