"""People are told of failed days, late feeds and replaced sources: once each, by a real server, from the daemon's own ticks."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.config.fields import Notify
from hedgegrid_assets.defs import definitions_of
from hedgegrid_assets.errors import AlertsWait
from hedgegrid_assets.housekeeping.alerts import Alert, deliver, late, message_of, tell
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.outages import Outage, acknowledge
from hedgegrid_assets.store import Places
from hedgegrid_assets.timestamps import day_end, day_start
from hedgegrid_assets_tests.dagster_daemon import Daemon, daemon_of
from hedgegrid_assets_tests.dagster_feeds import (
    BTC_DAY,
    CAPTURES,
    SIM,
    day_of,
    drop,
    feed_context_of,
    run,
    run_import,
    write_feeds,
)
from hedgegrid_assets_tests.scenario import BAD_ID, BAD_MS, agg_trade, inserted, line, received
from hedgegrid_assets_tests.standins.webhook import SECRET, Webhook, webhook

NOTIFY = "notify:\n  url: ${HEDGEGRID_TEST_WEBHOOK}\n"
ADDRESS = Notify(url="${HEDGEGRID_TEST_WEBHOOK}")
TWICE = inserted(line(agg_trade(BAD_ID, BAD_MS, p="41999.90"), received(BAD_MS) + 1))
"""A day that is blocked: an id that stands for two trades."""

pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys like .'dagster/partition/date'")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with webhook() as server:
        monkeypatch.setenv("HEDGEGRID_TEST_WEBHOOK", server.url)
        yield server


@pytest.fixture
def feed_context(tmp_path: Path) -> FeedContext:
    return feed_context_of(tmp_path, CAPTURES + NOTIFY)


@pytest.fixture
def daemon(feed_context: FeedContext, hook: Webhook) -> Iterator[Daemon]:
    """After its first tick, which takes what lies behind it for told."""
    with daemon_of(feed_context) as daemon:
        daemon.tick_sensors()
        assert hook.texts == []
        yield daemon


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_fails_or_is_replaced_is_told_once_and_waits_for_a_server_that_is_down(
    feed_context: FeedContext, daemon: Daemon, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = daemon.instance
    drop(feed_context, TWICE)
    assert not run(feed_context, instance).success
    hook.answers = [500] * 10
    daemon.tick_sensors(100)  # puts it aside, before or after alerts were looked for
    tick = daemon.tick_sensors(200)["alerts"]
    assert (tick.status, hook.texts) == (TickStatus.FAILURE, [])
    assert "1 alerts wait to be delivered" in str(tick.error)
    assert run(feed_context, instance, "2024-01-01|ETHUSDT-PERP.BINANCE").success
    hook.answers.clear()
    assert daemon.tick_sensors(300)["alerts"].status is TickStatus.SKIPPED
    (text,) = hook.texts
    assert f"failed: {BTC_DAY} captures/normalized/trade_tick" in text

    assert not run(feed_context, instance).success  # the same day, for the same reason
    job = definitions_of([feed_context]).resolve_job_def("captures_days")
    lost = instance.create_run_for_job(job, tags={"dagster/partition": BTC_DAY})
    instance.report_run_failed(lost, "the run worker did not start within 60 s")
    drop(feed_context, day_of(0, trades=range(5)))
    assert run_import(feed_context, instance).success
    daemon.tick_sensors(400)
    daemon.tick_sensors(500)
    told = "\n".join(hook.texts[1:])
    assert "captures/normalized/trade_tick" not in told
    assert told.count(f"failed: captures_days {BTC_DAY}: the run worker did not start") == 1
    assert told.count("replaced: captures: raw/websocket/day.jsonl has another content") == 1
    assert SECRET not in caplog.text + str(instance.get_run_records())


def test_without_notify_there_are_no_such_sensors(tmp_path: Path) -> None:
    names = [each.name for each in definitions_of([feed_context_of(tmp_path)]).sensors or []]
    assert names == ["captures_landing"]


# ---------------------------------------------------------------- late feeds


def open_sim(root: Path, more: str = "") -> FeedContext:
    return feed_context_of(root, SIM.replace("    end: 2024-01-04\n", "") + more)


def at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2024-01-{day:02}T{clock}").replace(tzinfo=UTC)


def test_a_feed_is_late_when_its_day_is_due_and_nothing_of_it_is_there(tmp_path: Path) -> None:
    feed_context = open_sim(tmp_path, '    due: "09:30"\n')
    assert list(late(feed_context, at(2, "09:29"))) == []
    (alert,) = late(feed_context, at(2, "09:30"))
    assert alert.text == "late: sim has no data of 2024-01-01, due at 09:30 UTC: BTCUSDT-PERP.SIM"
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(feed_context, instance, "2024-01-01|BTCUSDT-PERP.SIM").success
    assert list(late(feed_context, at(2, "23:00"))) == []


@pytest.mark.parametrize(
    ("more", "due"),
    [
        ('    schedule: {at: "06:30"}\n', "09:30"),
        ('    schedule: {at: "23:00"}\n', "23:59"),
        ('    schedule: {at: "06:30"}\n    due: "12:00"\n', "12:00"),
        ('    due: "00:00"\n', "00:01"),
    ],
)
def test_a_day_is_due_as_said_or_some_hours_after_it_is_asked_for(tmp_path: Path, more: str, due: str) -> None:
    found = open_sim(tmp_path, more).feed.due_at
    assert found is not None
    assert f"{found:%H:%M}" == due


def test_a_feed_without_a_time_is_never_late_nor_one_that_is_over_or_not_begun(tmp_path: Path) -> None:
    assert list(late(open_sim(tmp_path), at(9, "23:00"))) == []
    ended = feed_context_of(tmp_path, SIM + '    due: "09:30"\n')
    assert [bool(list(late(ended, at(day, "10:00")))) for day in (1, 4, 5)] == [False, True, False]


def test_a_day_that_is_known_to_have_no_data_is_not_late(tmp_path: Path) -> None:
    feed_context = open_sim(tmp_path, '    due: "09:30"\n')
    day = at(1, "00:00").date()
    acknowledge(feed_context.places, [Outage("BTCUSDT-PERP.SIM", "", day_start(day), day_end(day), "maintenance")])
    assert list(late(feed_context, at(2, "10:00"))) == []


def test_a_late_feed_is_told_once(tmp_path: Path, hook: Webhook) -> None:
    start = datetime.now(UTC).date() - timedelta(days=3)
    text = SIM.replace("    end: 2024-01-04\n", "").replace("2024-01-01", str(start)) + '    due: "00:01"\n' + NOTIFY
    definitions = definitions_of([feed_context_of(tmp_path, text)], notify=ADDRESS)
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            context = dg.build_sensor_context(instance, definitions=definitions)
            definitions.resolve_sensor_def("alerts").evaluate_tick(context)
    (told,) = hook.texts
    assert told.startswith("*hedgegrid*\n• late: sim has no data of ")


def test_catalog_assets_have_dagsters_freshness_policy_where_a_day_is_due(tmp_path: Path) -> None:
    for more, cron in (('    due: "09:30"\n', "30 9 * * *"), ("", None)):
        graph = definitions_of([open_sim(tmp_path, more)]).resolve_asset_graph()
        policy = graph.get(dg.AssetKey(["sim", "catalog", "trade_tick"])).freshness_policy
        assert getattr(policy, "deadline_cron", None) == cron


# ---------------------------------------------------------------- the address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "found it empty or not set"),
        (f"http://example.com/{SECRET}", "https:// (http:// on this machine alone)"),
        (f"ftp://127.0.0.1/{SECRET}", "https:// (http:// on this machine alone)"),
        (f"http://127.0.0.1:1/{SECRET}", "Connection refused"),
        (f"http://127.0.0.1:x/{SECRET}", "no answer"),
    ],
)
def test_an_address_that_cannot_be_posted_to_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, why: str
) -> None:
    monkeypatch.setenv("HEDGEGRID_TEST_WEBHOOK", address)
    places = Places(tmp_path, tmp_path / "catalog")
    tell(places, [Alert("k", "something")])
    with pytest.raises(AlertsWait) as raised:
        deliver(places, ADDRESS)
    assert why in raised.value.message
    assert SECRET not in str(raised.value)
    assert tell(places, [Alert("k", "something")]) == 0


def test_an_answer_that_sends_elsewhere_is_not_followed(tmp_path: Path, hook: Webhook) -> None:
    with webhook() as elsewhere:
        hook.answers, hook.location = [307], elsewhere.url
        places = Places(tmp_path, tmp_path / "catalog")
        tell(places, [Alert("k", "something")])
        with pytest.raises(AlertsWait, match="the server answered 307"):
            deliver(places, ADDRESS)
        assert elsewhere.posted == []


def test_what_was_told_is_told_again_after_a_week_and_not_before(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "catalog")
    told = [tell(places, [Alert("k", "x")], at(day, "08:00")) for day in (1, 2, 7, 8)]
    assert told == [1, 0, 0, 1]


def test_what_a_clock_told_that_was_far_ahead_is_told_again_once_it_is_right(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "catalog")
    times = [at(1, "08:00"), at(1, "08:00") + timedelta(days=365), at(2, "08:00"), at(3, "08:00")]
    assert [tell(places, [Alert("k", "x")], when) for when in times] == [1, 1, 1, 0]


def test_a_message_is_short_and_no_markup_of_the_datas_own() -> None:
    text = message_of([Alert(str(n), f"<!channel> & \x1b[31m {n} " + "x" * 1_000) for n in range(50)])
    assert "<" not in text.replace("&lt;", "")
    assert "\x1b" not in text
    assert text.endswith("and 30 more: see `hedgegrid status`")
    assert len(text) < 10_000


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        (f"notify: {{url: https://hooks.slack.com/{SECRET}}}", "the name of an environment variable"),
        ("notify: {}", "notify.url: expected a value"),
        ("notify: {url: '${X}', channel: x}", "unknown key (expected one of: url)"),
        ("notify: [x]", "expected a mapping with the key url"),
    ],
)
def test_a_notify_that_cannot_be_is_refused_and_its_address_is_not_shown(
    tmp_path: Path, notify: str, said: str
) -> None:
    found = read_feeds(write_feeds(tmp_path, SIM, notify))
    (problem,) = found.problems
    assert said in str(problem) or said.replace("a value", "the name") in str(problem)
    assert SECRET not in str(problem)
    assert list(found.feeds) == ["sim"]
    assert found.notify is None
