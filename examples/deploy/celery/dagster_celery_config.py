"""Settings of the workers, found by ``celery -A dagster_celery.app`` on PYTHONPATH; those of the launcher are in dagster.yaml."""

import os

broker_url = os.environ["HEDGEGRID_BROKER_URL"]
result_backend = os.environ["HEDGEGRID_RESULTS_URL"]
worker_prefetch_multiplier = 1
worker_max_tasks_per_child = 1  # a run has a process of its own
task_acks_late = False  # a run that was begun is not delivered again: the launcher's watch sees to it
broker_transport_options = {"visibility_timeout": 14400}  # no less than max_runtime_seconds
broker_connection_retry_on_startup = True
