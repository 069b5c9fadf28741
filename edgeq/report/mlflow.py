"""A run of edgeq as a run of MLflow: its figures as metrics, what it depends on as parameters.

https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgeq.errors import InputError, require
from edgeq.regression.figures import of_report
from edgeq.report.outcome import outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeq.records.report import Report

EXTRA = "mlflow"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""What is set where the user has not: who names a folder wants it, and no minutes of retries."""
_LONGEST = 6000
"""Characters of a parameter; MLflow refuses longer ones."""


def log_run(report: Report, uri: str, experiment: str | None = None) -> str:
    """Log a run, and give its id there; one that was logged before is found, not logged again.

    `uri` is MLflow's tracking URI, the experiment's name by default the recipe's. Raises InputError
    where MLflow is not installed, or refuses.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    mlflow = require("mlflow", EXTRA)
    entities = require("mlflow.entities", EXTRA)
    try:
        client = mlflow.MlflowClient(uri)
        name = experiment or report.recipe
        found = client.get_experiment_by_name(name)
        place = found.experiment_id if found else client.create_experiment(name)
        known = client.search_runs([place], f"tags.`edgeq.run` = '{report.id}'", max_results=1)
        if known and known[0].info.status == "FINISHED":
            return str(known[0].info.run_id)
        at_ms = int(report.created_at.timestamp() * 1000)
        tags = {"edgeq.run": report.id, "edgeq.verdict": outcome(report.verdicts)[0]}
        label = f"{report.recipe} on {report.target} {report.id}"
        run = known[0] if known else client.create_run(place, at_ms, tags, label)
        id_ = str(run.info.run_id)
        metrics = [entities.Metric(k, v, at_ms, 0) for k, v in _metrics(report)]
        params = [entities.Param(k, v[:_LONGEST]) for k, v in _params(report)]
        client.log_batch(id_, metrics, params)
        client.log_text(id_, report.model_dump_json(indent=2), "report.json")
        client.set_terminated(id_, "FINISHED", at_ms)
    except ImportError as exc:
        what = f"MLflow lacks the package {exc.name}, as it is installed without its databases"
        raise InputError(f"--mlflow {_masked(uri, uri)}", what, "pip install mlflow") from exc
    # Whatever a tracking server, a file store or the network has to say.
    except (mlflow.exceptions.MlflowException, OSError) as exc:
        why = next(iter(str(exc).splitlines()), type(exc).__name__)
        what = f"MLflow refused run {report.id}: {_masked(why, uri)}"
        remedy = "see that the address is a tracking server's, and that you may write there"
        raise InputError(f"--mlflow {_masked(uri, uri)}", what, remedy) from exc
    return id_


def _masked(text: str, uri: str) -> str:
    """A text without the password that an address may hold."""
    secret = urlsplit(uri).password
    return text.replace(secret, "***") if secret else text


def _metrics(report: Report) -> Iterator[tuple[str, float]]:
    for name, value in of_report(report):
        if isinstance(value, (int, float)):
            yield name, float(value)
    for column in report.columns:
        if column.accuracy is not None and column.name != "device":
            for kind in ("mask", "box"):
                ap = getattr(column.accuracy, kind).ap
                if ap is not None:
                    yield f"{column.name}_{kind}_ap", ap


def _params(report: Report) -> Iterator[tuple[str, str]]:
    for name in (
        *("recipe", "recipe_sha256", "model_sha256", "target", "device", "artifact_id"),
        *("layers_quantized", "layers_float", "edgeq_version"),
    ):
        yield name, str(getattr(report, name))
    for package, version in report.versions.items():
        yield f"version.{package}", version
