"""Runs in MLflow's own file store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import InputError
from edgeq.report.mlflow import log_run

from ..store.reports import report


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    return mlflow.MlflowClient(f"file://{tmp_path}")


def test_run_is_there_with_figures_parameters_and_its_record(client: Any, tmp_path: Path) -> None:
    found = report("0123")

    run = client.get_run(log_run(found, f"file://{tmp_path}"))

    assert run.data.metrics["mask_ap"] == 0.25
    assert run.data.metrics["peak_memory_bytes"] == 5 * 2**30
    assert run.data.params["model_sha256"] == "b" * 64
    assert run.data.tags["edgeq.verdict"] == "failed"
    assert run.info.status == "FINISHED"
    kept = client.download_artifacts(run.info.run_id, "report.json")
    assert type(found).model_validate_json(Path(kept).read_text()) == found


def test_logged_twice_it_is_there_once(client: Any, tmp_path: Path) -> None:
    first, again = (log_run(report("0123"), f"file://{tmp_path}", "pigs") for _ in range(2))
    other = log_run(report("4567"), f"file://{tmp_path}", "pigs")

    place = client.get_experiment_by_name("pigs").experiment_id
    assert first == again != other
    assert len(client.search_runs([place])) == 2


def test_without_gates_nothing_is_said_to_have_passed(client: Any, tmp_path: Path) -> None:
    found = report("89ab").model_copy(update={"verdicts": ()})

    run = client.get_run(log_run(found, f"file://{tmp_path}"))

    assert found.exit_code == 0
    assert run.data.tags["edgeq.verdict"] == "nothing judged"


def test_what_mlflow_says_is_told(client: Any) -> None:
    with pytest.raises(InputError, match=r"MLflow refused run 0123"):
        log_run(report("0123"), "nothing://there")


def test_password_of_an_address_is_not_told(client: Any) -> None:
    with pytest.raises(InputError) as told:
        log_run(report("0123"), "nothing://pig:s3cret@there")
    assert "s3cret" not in str(told.value) and "nothing://pig:***@there" in str(told.value)


def test_a_database_that_mlflow_cannot_open_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    # As it is without the databases, which only the whole of MLflow has.
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(InputError, match=r"lacks the package alembic.*pip install mlflow"):
        log_run(report("0123"), f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(InputError, match=r"postgresql://pig:\*\*\*@db/ml: MLflow lacks"):
        log_run(report("0123"), "postgresql://pig:s3cret@db/ml")


def test_a_server_that_nobody_answers_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"--mlflow http://127\.0\.0\.1:9: MLflow refused"):
        log_run(report("0123"), "http://127.0.0.1:9")
