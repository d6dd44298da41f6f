"""The examples for several machines: settings that Dagster takes, an image that is linted, and a watch over workers."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs import load
from hedgegrid_assets.defs.private import InstanceRef, WorkerStatus

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "examples/deploy"
DOCKERFILE: Final = DEPLOY / "kubernetes/Dockerfile"
VALUES: Final[Mapping[str, Any]] = yaml.safe_load((DEPLOY / "kubernetes/values.yaml").read_text(encoding="utf-8"))


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)


# ---------------------------------------------------------------- Celery


def test_dagster_takes_the_settings_of_an_instance_with_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dagster_celery", reason="no dagster-celery: make servers")
    monkeypatch.setenv("HEDGEGRID_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("HEDGEGRID_RESULTS_URL", "redis://127.0.0.1:1/1")
    monkeypatch.setenv("HEDGEGRID_POSTGRES_URL", "postgresql+psycopg2://u:p@127.0.0.1:1/d")
    shutil.copyfile(DEPLOY / "celery/dagster.yaml", tmp_path / "dagster.yaml")
    ref = InstanceRef.from_dir(str(tmp_path))
    launcher = ref.run_launcher
    assert launcher is not None
    assert type(launcher).__name__ == "WatchedCeleryRunLauncher"
    assert ref.run_coordinator is not None
    said = yaml.safe_load((tmp_path / "dagster.yaml").read_text(encoding="utf-8"))
    assert said["run_monitoring"]["max_resume_run_attempts"] == 0
    assert said["run_monitoring"]["enabled"]


def test_a_redelivery_of_a_task_comes_no_sooner_than_its_run_may_last() -> None:
    text = (DEPLOY / "celery/dagster_celery_config.py").read_text(encoding="utf-8")
    said = yaml.safe_load((DEPLOY / "celery/dagster.yaml").read_text(encoding="utf-8"))
    (visible,) = re.findall(r'"visibility_timeout": (\d+)', text)
    assert int(visible) >= said["run_monitoring"]["max_runtime_seconds"]


class _Celery:
    """What a launcher asks of Celery: how a task stands, and which tasks its worker has."""

    def __init__(self, state: str, active: Mapping[str, Any] | None) -> None:
        self.state, self.info, self._active = state, {"hostname": "w@h", "pid": 1}, active
        self.control = self

    def AsyncResult(self, _task: str) -> "_Celery":  # noqa: N802 - Celery's name
        return self

    def inspect(self, _workers: object, timeout: float) -> "_Celery":
        assert timeout
        return self

    def active(self) -> Mapping[str, Any] | None:
        return self._active


@pytest.mark.parametrize(
    ("state", "active", "first", "second"),
    [
        ("STARTED", {"w@h": [{"id": "task"}]}, "RUNNING", "RUNNING"),
        ("STARTED", None, "RUNNING", "FAILED"),
        ("STARTED", {"w@h": [{"id": "another"}]}, "RUNNING", "FAILED"),
        ("SUCCESS", None, "FAILED", "FAILED"),
        ("FAILURE", None, "FAILED", "FAILED"),
    ],
    ids=["at work", "worker gone", "worker came back without it", "a second delivery did nothing", "task failed"],
)
def test_a_run_fails_when_its_worker_has_it_no_more(
    state: str, active: Mapping[str, Any] | None, first: str, second: str
) -> None:
    pytest.importorskip("dagster_celery", reason="no dagster-celery: make servers")
    from hedgegrid_assets.defs.celery_runs import WatchedCeleryRunLauncher

    launcher: Any = WatchedCeleryRunLauncher(default_queue="dagster", broker="memory://", backend="cache+memory://")
    launcher.celery = _Celery(state, active)
    run = dg.DagsterRun(job_name="j", tags={"dagster-celery/task_id": "task"})
    found = [launcher.check_run_worker_health(run).status for _ in range(2)]
    assert found == [WorkerStatus[first], WorkerStatus[second]]


@pytest.mark.parametrize(("file", "pool"), [("archive", "fetch_archive"), ("tardis", "fetch_tardis"), ("csv", None)])
def test_runs_that_fetch_share_a_pool_over_all_machines(file: str, pool: str | None, tmp_path: Path) -> None:
    assets = load(ROOT / f"examples/feeds/{file}.yaml", tmp_path).assets or []
    made = [
        each.op for each in assets if isinstance(each, dg.AssetsDefinition) and each.node_def.name.endswith("__days")
    ]
    assert [op.pool for op in made] == [pool] * len(made)
    assert made


# ---------------------------------------------------------------- Kubernetes


def test_the_run_launcher_of_kubernetes_takes_what_its_values_say() -> None:
    launchers = pytest.importorskip("dagster_k8s", reason="no dagster-k8s: make servers")
    given = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    config = {
        "service_account_name": "dagster",  # the chart's own
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "dagster_home": "/opt/dagster/dagster_home",
        "job_image": "REGISTRY/hedgegrid:TAG",
        "image_pull_policy": given["imagePullPolicy"],
        "env_secrets": [each["name"] for each in given["envSecrets"]],
        "volumes": given["volumes"],
        "volume_mounts": given["volumeMounts"],
        "resources": given["resources"],
        "run_k8s_config": snakes(given["runK8sConfig"]),
    }
    result = process_config(launchers.K8sRunLauncher.config_type(), config)
    assert result.success, result.errors


def snakes(given: Mapping[str, Any]) -> dict[str, Any]:
    return {snake(name): value for name, value in given.items()}


def instance_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the chart's ``configmap-instance.yaml`` writes of the values into dagster.yaml, but for the launcher and Postgres."""
    daemon, concurrency = values["dagsterDaemon"], values["concurrency"]
    coordinator = daemon["runCoordinator"]
    return {
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": coordinator["type"],
            "config": snakes(coordinator["config"]["queuedRunCoordinator"]),
        },
        "concurrency": {"pools": snakes(concurrency["pools"]), "runs": snakes(concurrency["runs"])},
        "run_monitoring": snakes(daemon["runMonitoring"]),
        "run_retries": snakes(daemon["runRetries"]),
        "backfills": snakes(daemon["backfills"]),
    }


def test_dagster_takes_the_instance_that_the_chart_makes_of_the_values(tmp_path: Path) -> None:
    assert VALUES["concurrency"]["enabled"], "else the chart leaves it out"
    made = instance_of(VALUES)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    taken, _ = dagster_instance_config(str(tmp_path))
    assert taken["concurrency"] == {
        "pools": {"granularity": "run", "default_limit": 4},
        "runs": {"max_concurrent_runs": 20},
    }
    made["run_coordinator"]["config"]["max_concurrent_runs"] = 20
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    with pytest.raises(dg.DagsterInvalidConfigError, match="incompatible"):
        dagster_instance_config(str(tmp_path))


def test_what_runs_get_of_their_code_location_is_what_dagster_takes() -> None:
    context = pytest.importorskip("dagster_k8s.container_context", reason="no dagster-k8s: make servers")
    (given,) = VALUES["dagster-user-deployments"]["deployments"]
    assert given["includeConfigInLaunchedRuns"]["enabled"]
    k8s = {
        "image_pull_policy": given["image"]["pullPolicy"],
        "env": given["env"],
        "env_secrets": [each["name"] for each in given["envSecrets"]],
        "resources": given["resources"],
    }
    made = context.K8sContainerContext.create_from_config({"k8s": k8s})
    assert made.run_k8s_config.container_config["env_from"][0]["secret_ref"]["name"] == "hedgegrid-bucket"
    with pytest.raises(dg.DagsterInvalidConfigError):
        context.K8sContainerContext.create_from_config({"k8s": {**k8s, "env_secret": []}})


def test_the_daemon_of_kubernetes_is_set_as_that_of_workers() -> None:
    daemon = VALUES["dagsterDaemon"]
    workers = yaml.safe_load((DEPLOY / "celery/dagster.yaml").read_text(encoding="utf-8"))
    monitoring = snakes(daemon["runMonitoring"])
    assert monitoring["max_resume_run_attempts"] == workers["run_monitoring"]["max_resume_run_attempts"]
    assert monitoring["max_runtime_seconds"] == workers["run_monitoring"]["max_runtime_seconds"]
    assert snakes(daemon["backfills"]) == workers["backfills"]
    assert snakes(VALUES["concurrency"]["pools"]) == workers["concurrency"]["pools"]
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"


def test_its_feeds_keep_everything_in_a_bucket() -> None:
    found = read_feeds(DEPLOY / "kubernetes/feeds.yaml")
    assert not found.problems
    assert (found.roots.data, found.roots.catalog) == ("s3://BUCKET/data", "s3://BUCKET/catalog")


def test_every_file_that_the_image_copies_is_there() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    sources = [source for line in lines for source in line.split()[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {"uv.lock", "hedgegrid_assets", "examples", "configs"} <= set(sources)


def test_the_image_is_of_the_locked_packages_and_runs_as_nobody() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert "--locked" in text
    assert "--extra k8s" in text
    assert '--python "$(command -v python)"' in text, "uv may take another, which the next stage has not"
    assert re.search(r"^USER (?!0\b|root\b)", text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_steps_of_the_image_run_and_its_command_answers() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "scripts/image.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]


def test_the_image_is_linted() -> None:
    program = shutil.which("hadolint") or shutil.which("hadolint", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("no hadolint: make servers")
    done = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
