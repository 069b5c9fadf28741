from __future__ import annotations

import datetime
import math
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

import edgeq
from edgeq.errors import InputError
from edgeq.records.measurement import Measurement
from edgeq.store import open_store
from edgeq.store.connection import connect, parse
from edgeq.store.schema import SCHEMA_VERSION, Run

from .reports import NOON, report

WRITER = Path(__file__).with_name("writer.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(edgeq.__file__).parents[1])}


def _writer(url: str, verb: str, first: int, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, WRITER, url, verb, str(first), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdin is not None
    process.stdin.write(report("template").model_dump_json())
    process.stdin.close()
    return process


def test_report_comes_back_as_it_was(store_url: str) -> None:
    kept = report("0123abcd")
    open_store(store_url).add(kept)
    store = open_store(store_url)
    assert store.report("0123abcd") == kept
    assert store.reports() == [kept]


def test_columns_hold_what_queries_ask_for(store_url: str) -> None:
    east = datetime.timezone(datetime.timedelta(hours=5))
    open_store(store_url).add(report("0123abcd", created_at=NOON.astimezone(east)))
    with Session(connect(parse(store_url))) as session:
        run = session.scalars(select(Run)).one()
    assert (run.created_at, run.created_at.tzinfo) == (NOON, datetime.UTC)
    assert (run.recipe, run.target, run.device) == ("pig.yaml", "raspberry-pi-5", "barn-07")
    assert (run.model_sha256, run.artifact_id) == ("b" * 64, "c" * 64)
    assert (run.exit_code, run.mask_ap, run.latency_p50_ms) == (1, 0.25, 41.0)
    assert (run.peak_memory_bytes, run.emulated) == (5 * 2**30, False)


def test_report_of_a_build_without_device_is_kept(store_url: str) -> None:
    built = report("0123abcd").model_copy(update={"columns": ()})
    store = open_store(store_url)
    store.add(built)
    assert store.reports() == [built]


def test_newest_reports_come_first(store_url: str) -> None:
    store = open_store(store_url)
    hours = {"bb": 2, "aa": 1, "dd": 3, "cc": 3}
    for id_, hour in hours.items():
        store.add(report(id_, created_at=NOON + datetime.timedelta(hours=hour)))
    assert [found.id for found in store.reports()] == ["cc", "dd", "bb", "aa"]
    assert [found.id for found in store.reports(limit=2)] == ["cc", "dd"]
    assert len(store.reports(limit=None)) == 4


def test_reports_are_found_by_model_target_and_device(store_url: str) -> None:
    store = open_store(store_url)
    store.add(report("aa"))
    store.add(report("bb", model_sha256="d" * 64))
    store.add(report("cc", target="jetson-orin", device="barn-08"))
    store.add(report("dd", device="barn-08"))
    assert {r.id for r in store.reports(model_sha256="b" * 64)} == {"aa", "cc", "dd"}
    assert {r.id for r in store.reports(target="jetson-orin")} == {"cc"}
    assert {r.id for r in store.reports(device="barn-08", target="raspberry-pi-5")} == {"dd"}
    assert store.reports(device="nowhere") == []


def test_report_is_found_by_the_beginning_of_its_id(store_url: str) -> None:
    store = open_store(store_url)
    for id_ in ("0123abcd", "0123ffff", "0123"):
        store.add(report(id_))
    assert store.report("0123a").id == "0123abcd"
    assert store.report("0123").id == "0123"
    with pytest.raises(InputError, match="report '012' may be 0123, 0123abcd, 0123ffff"):
        store.report("012")


@pytest.mark.parametrize("prefix", ["ff", "%", "_123", ""])
def test_unknown_report_is_an_input_error(store_url: str, prefix: str) -> None:
    store = open_store(store_url)
    store.add(report("0123abcd"))
    with pytest.raises(InputError, match=f"there is no report '{prefix}'"):
        store.report(prefix)


def test_report_is_kept_once(store_url: str) -> None:
    store = open_store(store_url)
    store.add(report("0123abcd"))
    with pytest.raises(InputError, match="0123abcd is in the store already"):
        store.add(report("0123abcd", device="other"))
    assert [kept.device for kept in store.reports()] == ["barn-07"]


def test_report_of_an_unknown_form_is_said_to_be_one(store_url: str) -> None:
    store = open_store(store_url)
    store.add(report("0123abcd"))
    with connect(parse(store_url)).begin() as connection:
        connection.execute(text("UPDATE edgeq_runs SET report_json = '{}'"))
    with pytest.raises(InputError, match="report 0123abcd has a form that this edgeq cannot read"):
        store.report("0123abcd")


def test_processes_append_to_a_new_store_at_the_same_time(store_url: str) -> None:
    with ExitStack() as stack:
        started = [_writer(store_url, "append", 100 * n, 15) for n in range(3)]
        writers = [stack.enter_context(writer) for writer in started]
        assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    expected = {f"{100 * n + k:08x}" for n in range(3) for k in range(15)}
    assert {kept.id for kept in open_store(store_url).reports(limit=None)} == expected


def test_killed_writer_leaves_the_old_state(store_url: str) -> None:
    store = open_store(store_url)
    store.add(report("0123abcd"))
    with _writer(store_url, "hang", 0, 5) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written, not committed\n"
        assert [kept.id for kept in store.reports()] == ["0123abcd"]
        writer.send_signal(signal.SIGKILL)
    store.add(report("4567abcd"))
    assert {kept.id for kept in open_store(store_url).reports()} == {"0123abcd", "4567abcd"}


def test_newer_schema_is_refused(store_url: str) -> None:
    open_store(store_url).add(report("0123abcd"))
    with connect(parse(store_url)).begin() as connection:
        connection.execute(text("UPDATE edgeq_schema SET version = 99"))
    message = rf"newer edgeq \(schema 99, this one knows {SCHEMA_VERSION}\); update edgeq"
    with pytest.raises(InputError, match=message):
        open_store(store_url)


def test_bad_row_is_passed_over_and_named(store_url: str) -> None:
    """As one NaN in a measurement made it, once: JSON has none, and null is no latency."""
    store = open_store(store_url)
    for number in range(3):
        store.add(report(f"0123abc{number}"))
    broken = report("0123abc1").model_dump_json().replace("24.1", "null")
    with connect(parse(store_url)).begin() as connection:
        query = "UPDATE edgeq_runs SET report_json = :json WHERE id = '0123abc1'"
        connection.execute(text(query), {"json": broken})
    assert {found.id for found in store.reports()} == {"0123abc0", "0123abc2"}
    [note] = store.notes
    assert "report 0123abc1" in note and "columns.0.measurement.throughput_per_s" in note


def test_nan_is_refused_where_it_comes_in() -> None:
    measured = report("0123abcd").columns[0].measurement
    assert measured is not None
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="throughput_per_s"):
            Measurement.model_validate({**measured.model_dump(), "throughput_per_s": value})
