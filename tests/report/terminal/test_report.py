from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from edgeq.records.measurement import LeftOut, Minute
from edgeq.records.report import Verdict
from edgeq.report.figures import three_digits
from edgeq.report.terminal.report import render
from edgeq.spec.gates import Gates, judge

from ..reports import (
    ARTIFACT_BYTES,
    column,
    divergence,
    full_columns,
    interval,
    measurement,
    report,
)

if TYPE_CHECKING:
    from edgeq.records.report import Report, VerdictStatus


def _text(shown: Report, width: int = 80, color: bool = False) -> str:
    output = io.StringIO()
    console = Console(
        file=output,
        width=width,
        force_terminal=color,
        color_system="truecolor" if color else None,
        no_color=not color,
    )
    console.print(render(shown))
    return output.getvalue()


def _row(text: str, label: str) -> list[str]:
    """The cells of the row that begins with `label`, told apart by two spaces or more."""
    (line,) = [line for line in text.splitlines() if line.startswith(label + "  ")]
    return [cell.strip() for cell in line[len(label) :].split("  ") if cell.strip()]


def _verdict(gate: str, status: VerdictStatus, reason: str = "") -> Verdict:
    return Verdict(gate=gate, limit=10, measured=1, status=status, reason=reason)


@pytest.mark.parametrize("width", [80, 120])
def test_figures_of_the_three_columns_stand_in_one_line_each(width: int) -> None:
    text = _text(report(full_columns()), width)
    assert _row(text, "mask AP") == ["0.2525", "0.2491", "0.2462"]
    assert _row(text, "  at IoU 0.50") == ["0.4400", "0.4400", "0.4400"]
    assert _row(text, "  medium") == ["-", "-", "-"]
    assert _row(text, "mask AP drop") == ["0.0063", "0.0063"]
    assert _row(text, "box AP") == ["0.3025", "0.2991", "0.2962"]
    assert _row(text, "mask agreement") == ["0.8870", "0.8870"]
    assert _row(text, "box agreement") == ["0.8700", "0.8700"]
    assert text.count("0.8550 to 0.8850") == 2
    assert _row(text, "inference p50, ms") == ["not measured", "not measured", "40.0 (<= 40.4)"]
    assert _row(text, "postprocess p99, ms")[2] == "0.494 (<= 0.495)"
    assert _row(text, "frame p90, ms")[2] == "47.0 (<= 47.3)"
    assert _row(text, "memory peak, MiB")[2] == "143"
    assert _row(text, "load, ms")[2] == "812"
    assert _row(text, "model size, MiB") == ["8.00", "not measured", "2.00"]
    assert text.count("-0.0021 to 0.0134") == 10  # of AP, and at the deploy threshold


@pytest.mark.parametrize("count, said", [(63, "63 of 64"), (64, "43.1 (<= 43.9)")])
def test_what_too_few_samples_cannot_tell_says_how_many_could(count: int, said: str) -> None:
    text = _text(report(full_columns(measurement(count=count))))
    assert said in _row(text, "inference p90, ms")[2]
    assert _row(text, "inference p99, ms")[2] == f"unresolved: {count} of 662"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("color", [False, True])
def test_no_line_is_cut_or_wider_than_the_terminal(width: int, color: bool) -> None:
    gates = Gates(
        mask_ap_drop=0.01, latency_p50_ms=1234, peak_memory_bytes=2**30, divergence_snr_db=20
    )
    verdicts = judge(gates, full_columns(), ARTIFACT_BYTES, divergence())
    shown = report(full_columns(), verdicts, ("a long note " * 20,), divergence())
    lines = _text(shown, width, color).splitlines()
    if not color:
        assert max(len(line) for line in lines) <= width
    assert not any("…" in line for line in lines)


def test_section_of_the_deploy_threshold_is_there_where_it_was_scored() -> None:
    text = _text(report(full_columns()))
    assert _row(text, "mask recall") == ["not measured", "not measured", "0.6200"]
    assert _row(text, "score shift, median") == ["not measured", "-0.010"]
    assert _row(text, "  objects compared") == ["not measured", "740 of 765"]
    # Rounded down: at .244 one object less would be found.
    assert _row(text, "threshold for recall") == ["not measured", "0.243"]
    without = tuple(c.model_copy(update={"deployed": None}) for c in full_columns())
    assert "threshold" not in _text(report(without))


def test_without_color_there_are_no_escape_codes() -> None:
    assert "\x1b" not in _text(report(full_columns(), (_verdict("mask_ap_drop", "failed"),)))
    assert "\x1b" in _text(report(full_columns(), (_verdict("m", "failed"),)), color=True)


def test_header_says_what_ran_where_and_how_small_it_became() -> None:
    text = _text(report(full_columns()))
    assert "c0ffeec0ffee, 2.00 MiB, 25% of the float model's 8.00 MiB" in text
    assert "57 int8, 20 float" in text
    for words in ("recipes/pig-int8.yaml", "raspberry-pi-5", "barn-07", "device engine 1.2"):
        assert words in text


def test_section_without_figures_takes_one_line() -> None:
    text = _text(report((column("float"),)))
    for section in ("accuracy", "latency", "memory"):
        assert _row(text, section) == ["not measured"] * 3
    assert "inference" not in text


def test_unstable_and_emulated_measurements_are_marked() -> None:
    unstable = _text(report(full_columns(measurement(unstable=("the clock moved",)))))
    assert _row(unstable, "conditions")[2] == "unstable"
    assert _row(unstable, "inference p50, ms")[2] == "unstable"
    assert _row(unstable, "throughput, 1/s")[2] == "unstable"
    assert _row(unstable, "memory peak, MiB")[2] != "unstable"
    assert "- unstable (device): the clock moved" in unstable
    emulated = _text(report(full_columns(measurement(emulated=True))))
    assert _row(emulated, "conditions")[2] == "emulated"
    assert "say nothing about a real device" in emulated


def test_few_classes_are_all_shown() -> None:
    text = _text(report(full_columns()))
    assert _row(text, "pig") == ["0.2525", "0.2491", "0.2462", "0.0063"]
    assert _row(text, "cow") == ["-", "-", "-", "-"]


def test_of_many_classes_the_five_that_lost_most_are_shown() -> None:
    before: dict[str, float | None] = {f"class {n:02}": 0.5 for n in range(20)}
    after: dict[str, float | None] = {f"class {n:02}": 0.5 - 0.01 * n for n in range(20)}
    shown = report((column("float", 0.5, before), column("device", 0.4, after, drop=interval())))
    text = _text(shown)
    names = [line[:8] for line in text.splitlines() if line.startswith("class ")]
    assert names == [f"class {n}" for n in (19, 18, 17, 16, 15)]
    assert "5 largest drops of 20" in text


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("passed", "PASS"),
        ("failed", "FAIL"),
        ("unstable", "UNSTABLE"),
        ("not measured", "NOT MEASURED"),
    ],
)
def test_verdict_is_one_word(status: VerdictStatus, word: str) -> None:
    text = _text(report(full_columns(), (_verdict("latency_p50_ms", status),)))
    assert _row(text, "latency_p50_ms") == ["at most 10.0 ms", "1.00 ms", word]


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([], "NOTHING JUDGED: the recipe sets no gates."),
        (["passed"], "PASSED: 1 of 1 gate passed."),
        (["passed", "passed"], "PASSED: 2 of 2 gates passed."),
        (["passed", "failed"], "FAILED: 1 of 2 gates failed: gate1."),
        (["unstable"], "NOT JUDGED: 1 of 1 gate could not be judged: gate0."),
        (
            ["failed", "not measured"],
            "FAILED: 1 of 2 gates failed: gate0; 1 of 2 gates could not be judged: gate1.",
        ),
    ],
)
def test_last_line_says_the_outcome_in_words(statuses: list[VerdictStatus], outcome: str) -> None:
    verdicts = tuple(_verdict(f"gate{n}", status) for n, status in enumerate(statuses))
    assert _text(report(full_columns(), verdicts), 120).splitlines()[-1].rstrip() == outcome


def test_reasons_notes_and_divergence_are_listed_word_for_word() -> None:
    verdicts = (_verdict("a", "passed", "because"), _verdict("b", "passed", "because"))
    text = _text(report(full_columns(), verdicts, ("[bold]kept[/bold]",), divergence()))
    assert "- a, b: because" in text
    assert "- note: [bold]kept[/bold]" in text
    assert "mask AP -0.0029, output0 31.2 dB, output1 equal" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00123, "0.0012"),
        (0.4567, "0.457"),
        (9.996, "10.0"),
        (41.26, "41.3"),
        (1234.4, "1234"),
        (float("nan"), "not measured"),
    ],
)
def test_figures_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert three_digits(value) == text


def test_what_was_left_out_is_said_with_its_reasons() -> None:
    gone = LeftOut(stretches=3, samples=30, duration_ns=1_500_000_000, reasons={"contention": 3})
    measured = measurement().model_copy(update={"left_out": gone})
    text = " ".join(_text(report(full_columns(measured)), 120).split())
    assert "left out (device): 1.5 s with 30 inferences, in 3 stretches" in text
    assert "(contention in 3)" in text


def test_long_run_says_where_it_ended_and_when_it_was_slowed_down() -> None:
    minutes = tuple(
        Minute(
            passes=900,
            median_ns=ns,
            p99_ns=2 * ns,
            frame_median_ns=ns + 10**6,
            hottest_c=50.0 + 10 * n,
            slowest_khz=2_400_000,
            reasons=("throttled",) if n > 2 else (),
        )
        for n, ns in enumerate((40_000_000, 41_000_000, 42_000_000, 48_000_000))
    )
    measured = measurement().model_copy(update={"soak": minutes})
    text = _text(report(full_columns(measured)), 200)
    said = "4 min: median 40.0 ms at first, 48.0 ms at last; 50 C, then up to 80 C; slowed down "
    assert said + "from minute 4 on; still changing at the end" in text
