"""The page of a roll-out: its waves in time, its devices, who is far off, and why some failed."""

from __future__ import annotations

import datetime
import time
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from edgeq.cli.main import app
from edgeq.errors import InputError
from edgeq.records.rollout import (
    DEVICE_STATES,
    DeviceProgress,
    DeviceState,
    FailureClass,
    RolloutEvent,
    RolloutStatus,
)
from edgeq.report.html.rollout.devices import changes_chart, failures, far_devices
from edgeq.report.html.rollout.page import render_rollout_html, write_rollout_html
from edgeq.report.html.rollout.steps import steps_taken
from edgeq.report.html.rollout.timeline import standings, timeline_chart
from edgeq.spec.strategy import Canary, Strategy
from edgeq.store import open_store

from ...rollout.pretended import World, begin, controller
from .elements import (
    EVIL,
    Elements,
    require_charts_are_told,
    require_no_foreign_element,
)
from .records import NOON, rolled_out


def test_it_says_how_it_stands_and_why() -> None:
    found, events = rolled_out()

    page = Elements(render_rollout_html(found, events))

    text = " ".join(page.text.split())
    counted_as = (
        "17 of 22 devices are healthy, 2 bad because of the release, 1 in trouble, 2 not begun."
    )
    assert "Stopped" in text and "2 of 18 devices are bad, as no more than 1 may be." in text
    assert counted_as in text
    require_charts_are_told(page, {"timeline", "states", "changes"})
    assert RolloutStatus.model_validate_json(page.links()["status.json"]) == found
    assert len(page.links()["devices.csv"].splitlines()) == 23
    assert len(page.links()["events.csv"].splitlines()) == len(events) + 1


def test_waves_fill_as_their_devices_become_healthy() -> None:
    found, events = rolled_out()

    canary, last = standings(found, events, 0), standings(found, events, 2)

    assert [(one.healthy, one.bad, one.troubled) for one in (canary[0], canary[-1])] == [
        (0, 0, 0),
        (3, 0, 0),
    ]
    assert (last[-1].healthy, last[-1].bad, last[-1].troubled) == (7, 2, 1)
    assert all(one.at_s <= two.at_s for one, two in pairwise(last))
    assert last[0].at_s == 7200.0


def test_a_device_that_was_tried_again_counts_once() -> None:
    found, _ = rolled_out()
    states = ("checking", "deferred", "checking", "healthy")
    events = [
        RolloutEvent.model_validate(
            {"rollout": "3f2a", "at": NOON, "state": state, "device": "cam00", "wave": 0}
        )
        for state in states
    ]

    told = standings(found, events, 0)

    assert [(one.healthy, one.troubled) for one in told] == [(0, 0), (0, 1), (0, 0), (1, 0)]


def test_time_of_a_step_is_from_its_event_to_the_next_one() -> None:
    _, events = rolled_out()

    rows = {row[0]: row[1:] for row in steps_taken(events).rows}

    assert set(rows) == {
        *("checking", "pushing", "verifying", "measuring", "activating", "soaking"),
    }
    assert rows["checking"] == (20, 49.5, 59.0, "cam19")
    assert rows["soaking"][0] == 17


def test_the_device_that_is_far_off_is_named_with_what_it_costs() -> None:
    found, _ = rolled_out()

    far = far_devices(found)

    assert [(one.device, one.wave, one.metric) for one in far] == [
        ("cam07", "10%", "inference"),
        ("cam07", "10%", "frame"),
    ]
    assert far[0].change == pytest.approx(7.25, abs=0.01)  # exp(.07)
    chart = changes_chart(found)
    assert chart is not None and "Far from the others: cam07." in chart.description


def test_devices_with_one_reason_stand_together_and_those_against_the_release_first() -> None:
    found, _ = rolled_out()

    assert failures(found).rows == (
        ("does worse: inference +9.0%", "model", "failed", 2, "cam15, cam18"),
        ("does not answer", "transient", "deferred", 1, "cam16"),
    )


def test_a_reason_with_other_figures_addresses_and_ids_is_the_same() -> None:
    found, _ = rolled_out()
    reasons = [
        f"edge@10.0.0.{n}: it takes {17.5 + n} ms a frame, see report {n:012x}" for n in range(3)
    ]
    others = (
        "edge@10.0.0.9: fails the recipe's gates: latency_p90_ms failed",
        "edge@10.0.0.8: fails the recipe's gates: latency_p99_ms failed",
        "edge@10.0.0.7: the agent ended with exit status 1",
        "edge@10.0.0.6: the agent ended with signal 9",
        "edge@10.0.0.5: onnxruntime 1.18, there is 1.17",
    )
    devices = tuple(
        DeviceProgress(device=f"cam{n}", wave=0, state="failed", failure="model", reason=reason)
        for n, reason in enumerate((*reasons, *others))
    )
    rows = failures(found.model_copy(update={"devices": devices})).rows
    assert {row[0]: (row[3], row[4]) for row in rows} == {
        reasons[0].removeprefix("edge@10.0.0.0: "): (3, "cam0, cam1, cam2"),
        **{one.partition(": ")[2]: (1, f"cam{n}") for n, one in enumerate(others, 3)},
    }


def test_every_state_of_a_device_is_counted_in_words() -> None:
    found, _ = rolled_out()
    for state in DEVICE_STATES:
        for failure in (None, *get_args(FailureClass)):
            one = DeviceProgress(device="cam0", wave=0, state=state, failure=failure)
            alone = found.model_copy(update={"state": "done", "reason": "", "devices": (one,)})
            text = Elements(render_rollout_html(alone, [])).text
            healthy = "1 of 1 device is healthy." if state == "healthy" else "0 of 1 device is"
            assert healthy in text and (state == "healthy") != ("healthy, 1 " in text), state


def test_green_only_where_every_device_is_healthy() -> None:
    found, _ = rolled_out()

    def page(*states: DeviceState) -> str:
        devices = tuple(
            DeviceProgress(device=f"cam{n}", wave=0, state=state) for n, state in enumerate(states)
        )
        done = found.model_copy(update={"state": "done", "reason": "", "devices": devices})
        return render_rollout_html(done, [])

    assert 'class="opening passed"' in page("healthy", "healthy")
    assert "1 of 1 device is healthy." in page("healthy")
    assert 'class="opening not-judged"' in page("healthy", "rolled back")
    assert "1 of 2 devices are healthy, 1 back at the release before." in page(
        "healthy", "rolled back"
    )
    assert 'class="opening not-judged"' in page()


def test_one_that_has_only_begun_has_no_time_line_and_costs_nothing_yet() -> None:
    found, _ = rolled_out()
    pending = tuple(DeviceProgress(device=one.device, wave=one.wave) for one in found.devices)
    begun = found.model_copy(update={"state": "running", "reason": "", "devices": pending})

    page = Elements(render_rollout_html(begun, []))

    assert set(page.charts) == {"states"}
    assert "0 of 22 devices are healthy, 22 not begun." in page.text
    assert "no step was finished" in page.text


def test_a_page_of_thousands_of_devices_is_small_and_soon_there() -> None:
    found, _ = rolled_out()
    devices, events = [], []
    for number in range(5000):
        name, at = f"cam{number:04}", NOON + datetime.timedelta(seconds=number)
        devices.append(
            DeviceProgress(
                device=name,
                wave=number % 3,
                state="healthy",
                losses={"inference": 0.01 + 0.0001 * (number % 7)},
            )
        )
        events += [
            RolloutEvent(rollout="3f2a", at=at, state=state, device=name, wave=number % 3)
            for state in ("checking", "healthy")
        ]
    many = found.model_copy(update={"devices": tuple(devices), "state": "done", "reason": ""})
    began_s = time.process_time()

    page = render_rollout_html(many, events)

    assert time.process_time() - began_s < 20
    assert len(page.encode()) < 3_000_000
    chart = timeline_chart(many, events)
    assert chart is not None and len(chart.numbers.rows) < 500


def test_the_journal_of_a_store_becomes_a_page(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    store = open_store(url)
    lease = begin(store, [2, 6])
    strategy = Strategy(canary=Canary(count=2))
    events = list(controller(store, lease, strategy, World({"cam5": ["trouble"]})).run())
    output = tmp_path / "page.html"

    told = CliRunner().invoke(
        app, ["report", "--fleet", lease.rollout[:5], "-o", str(output), "--store", url]
    )

    assert told.exit_code == 0 and f"page: {output}" in told.stdout
    page = Elements(output.read_text(encoding="utf-8"))
    assert "7 of 8 devices are healthy, 1 in trouble." in page.text
    assert "is trouble" in page.text
    assert len(page.links()["events.csv"].splitlines()) == len(events) + 1


def test_runs_and_a_roll_out_are_not_asked_for_together(tmp_path: Path) -> None:
    for arguments in ([], ["1f0c", "--fleet", "3f2a"]):
        told = CliRunner().invoke(app, ["report", *arguments, "-o", str(tmp_path / "page.html")])
        assert told.exit_code == 2


def test_foreign_text_is_text_wherever_it_stands() -> None:
    found, events = rolled_out()
    wild = found.model_copy(
        update={
            "recipe": EVIL,
            "fleet": EVIL,
            "reason": EVIL,
            "waves": (EVIL, f"{EVIL}1", f"{EVIL}2"),
            "devices": tuple(
                one.model_copy(
                    update={
                        "device": f"{EVIL}{one.device}",
                        "reason": one.reason and EVIL,
                        "losses": {f"{EVIL}{name}": loss for name, loss in one.losses.items()},
                        "artifact_id": one.artifact_id and EVIL,
                    }
                )
                for one in found.devices
            ),
        }
    )
    said = [
        one.model_copy(update={"reason": EVIL, "device": one.device and f"{EVIL}{one.device}"})
        for one in events
    ]

    page = Elements(render_rollout_html(wild, said))

    require_no_foreign_element(page)
    assert page.text.count("<evil onload=") > 25


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    with pytest.raises(InputError, match="cannot be written"):
        write_rollout_html("3f2a", tmp_path / "absent" / "page.html", url)
    with pytest.raises(InputError, match="there is no roll-out '3f2a'"):
        write_rollout_html("3f2a", tmp_path / "page.html", url)
