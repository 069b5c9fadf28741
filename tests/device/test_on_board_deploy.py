"""An empty arm64 board is set up, and the demo is deployed to it, over real SSH."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgeq
from edgeq.artifact import archive, signing
from edgeq.artifact.folder import Artifact
from edgeq.device.installing import install
from edgeq.records.examination import Examination
from edgeq.records.report import Report
from edgeq.spec import target as targets
from edgeq.spec.recipe import Compare
from edgeq.store import open_store
from edgeq.verbs import boards
from edgeq.verbs.releases import rollback, status

from ..regression.sessions import EXAMPLE, pytest_in, settings
from .board.board import Board
from .board.site import Site
from .boards_support import (
    MEGABYTE,
    User,
    address,
    agents,
    at_home,
    carried_bytes,
    commands,
    current,
    device,
    eventually,
    listing,
    refusal,
    root,
    user,
)
from .boards_support import edgeq as command_line
from .sshd import generate, public

__all__ = ["user"]

TARGET = "arm-cpu-ort"
MEASURE = "{warmup_s: 0, max_warmup_s: 1, min_duration_s: 0.1, min_count: 2, max_duration_s: 60}"
# ONNX Runtime's kernels for ARM round in other places than those for x86 that simulate; int8
# makes each such difference a whole step. Seen: 43 and 25.6 dB; outputs of another image, or a
# wrong zero point, come to less than 10.
LEAST_SNR_DB = {"boxes": 35.0, "scores": 25.0, "coefficients": 20.0, "prototypes": 20.0}


@dataclass
class Ready:
    """A board that was set up once, and what was seen on the way."""

    board: Board
    before: Examination
    touched_by_check: bool
    after: Examination
    carried_bytes: int
    carried_again_bytes: int


@dataclass
class Deployed:
    """The first deploy to it."""

    recipe: Path
    home: Path
    report: Report
    carried_bytes: int


@pytest.fixture(scope="module")
def ready(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """A board of its own."""
    [board] = site.start(1)
    home = tmp_path_factory.mktemp("setup") / "home"
    with pytest.MonkeyPatch.context() as patch, at_home(home, patch) as user:
        user.meet(board)
        disk = listing(board.folder / "upper")
        before = boards.check(TARGET, address(board))
        touched = listing(board.folder / "upper") != disk
        carried = pull_plug_while_it_installs(board, site)
        after = boards.setup(TARGET, address(board))
        again = carried_bytes(site, board)
    yield Ready(board, before, touched, after, carried, again)
    site.stop([board])


def pull_plug_while_it_installs(board: Board, site: Site) -> int:
    """A first attempt at setting it up, which comes to nothing; what has been sent for it."""
    where = address(board)
    command = command_line("targets", "setup", TARGET, "-H", str(where.host))
    command += ["-i", str(where.identity)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert eventually(lambda: runs(board, "/pip install"), 90.0), client.communicate()
        time.sleep(2.0)
        carried = carried_bytes(site, board)
        board.crash()
        client.kill()
        client.communicate()
    board.start()
    return carried


@pytest.fixture(scope="module")
def deployed(
    ready: Ready, site: Site, small_demo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """The demo, with few images and a short measurement."""
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copytree(small_demo, folder / "demo")
    recipe = folder / "demo" / "recipe.yaml"
    text = re.sub(r"measure: .*", f"measure: {MEASURE}", recipe.read_text())
    text = text.replace("annotations: instances.json", "annotations: instances.json\n  count: 4")
    # Emulation makes no statement about accuracy on four images; what counts is below.
    text = text.replace("mask_ap_drop: 0.02", "mask_ap_drop: 0.2")
    recipe.write_text(text)
    home = folder / "edgeq-home"
    with pytest.MonkeyPatch.context() as patch, at_home(folder / "home", patch) as user:
        patch.setenv("EDGEQ_HOME", str(home))
        user.meet(ready.board)
        carried = carried_bytes(site, ready.board)
        report = edgeq.deploy(recipe, TARGET, address=address(ready.board))
        carried = carried_bytes(site, ready.board) - carried
    return Deployed(recipe, home, report, carried)


@pytest.fixture
def developer(
    user: User, deployed: Deployed, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> User:
    """Who has deployed before: the board is known, and what was built is kept."""
    user.meet(ready.board)
    monkeypatch.setenv("EDGEQ_HOME", str(deployed.home))
    return user


def states(examination: Examination) -> dict[str, str]:
    return {finding.name: finding.state for finding in examination.findings}


def test_board_has_no_network_but_the_cable(ready: Ready) -> None:
    routes = ready.board.run(["cat", "/proc/net/route"]).stdout.splitlines()[1:]
    assert all(line.split()[1] != "00000000" for line in routes)
    done = ready.board.run(["ls", "/etc/resolv.conf", "/usr/bin/pip3", "/usr/bin/gcc"])
    assert done.stdout == ""
    assert ready.board.run(["python3", "-m", "ensurepip"]).returncode == 1


def test_check_says_what_is_missing_and_touches_nothing(ready: Ready) -> None:
    assert not ready.before.ready
    found = states(ready.before)
    missing = {name for name, state in found.items() if state == "missing"}
    assert {"numpy", "onnxruntime"} <= missing
    assert "wrong" not in found.values()
    assert found["emulated"] == "note"
    assert ready.before.environment is None
    assert not ready.touched_by_check


def test_setup_installs_the_engine_without_pip_or_network(ready: Ready) -> None:
    assert ready.after.ready and ready.after.changed
    assert not {"missing", "wrong"} & set(states(ready.after).values())
    assert ready.after.environment is not None
    # The plug was pulled during a first attempt; its wheels are not sent again.
    assert ready.carried_bytes > 20 * MEGABYTE
    assert ready.carried_again_bytes < MEGABYTE
    assert not list((root(ready.board) / "work").iterdir())
    assert not list((root(ready.board) / "incoming").iterdir())


def test_setup_again_changes_nothing(developer: User, ready: Ready, site: Site) -> None:
    folder = root(ready.board) / "env"
    before, carried = listing(folder), carried_bytes(site, ready.board)
    again = boards.setup(TARGET, address(ready.board))
    assert again.ready and not again.changed
    assert again.environment == ready.after.environment
    assert carried_bytes(site, ready.board) - carried < MEGABYTE // 2
    assert listing(folder) == before


def test_deploy_measures_on_the_board(deployed: Deployed, ready: Ready) -> None:
    report = deployed.report
    assert report.exit_code == 0, report.verdicts
    assert [column.name for column in report.columns] == ["float", "simulated", "device"]
    column = report.column("device")
    assert column is not None and column.measurement is not None
    assert column.where == f"edge@{ready.board.address}"
    assert column.measurement.emulated
    assert len(column.measurement.inference_ns) >= 2
    assert report.probe["emulated"]["emulated"]


def test_board_computes_what_was_simulated(deployed: Deployed) -> None:
    divergence = deployed.report.divergence
    assert divergence is not None
    for name, least_db in LEAST_SNR_DB.items():
        found_db = divergence.snr_db[name]
        assert found_db is None or found_db > least_db, divergence
    assert divergence.mask_ap is not None
    assert abs(divergence.mask_ap) < 0.05


def test_deployed_release_is_current(deployed: Deployed, ready: Ready, developer: User) -> None:
    assert current(ready.board) == deployed.report.artifact_id
    found = status(TARGET, address(ready.board))
    assert found.current == deployed.report.artifact_id
    assert found.environment == ready.after.environment
    assert found.lock is None


@pytest.mark.usefixtures("developer")
def test_board_has_compiled_the_agent_and_runs_that(ready: Ready) -> None:
    [copy] = (root(ready.board) / "agent").glob("*.cpython-*.pyz")
    with device(ready.board) as there:
        probed = there.begin_probe()
        assert eventually(lambda: runs(ready.board, f"{copy.name} probe "), 60.0)
        assert probed().arch == "aarch64"


def variant(deployed: Deployed) -> Path:
    """A recipe of another artifact."""
    recipe = deployed.recipe.with_name("other.yaml")
    text = deployed.recipe.read_text()
    recipe.write_text(text.replace("calibrator: percentile, percentile: 99.99", "calibrator: max"))
    assert recipe.read_text() != text
    return recipe


def start_deploy(recipe: Path, board: Board) -> subprocess.Popen[str]:
    where = address(board)
    report = recipe.with_name("report-of-command.json")
    command = command_line("deploy", recipe, "-t", TARGET, "-H", str(where.host))
    command += ["-i", str(where.identity), "--report", str(report)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def runs(board: Board, words: str) -> bool:
    return any(words in line for line in commands(board))


@pytest.mark.long
def test_two_releases_take_turns_on_the_board(
    deployed: Deployed, ready: Ready, developer: User
) -> None:
    """Its times are emulated, and compared with its own alone."""
    short = Compare(images=deployed.recipe.parent / "evaluation", duration_s=0.3, reloads=3)
    short = short.model_copy(update={"warmup_s": 0.0})
    found = edgeq.compare("current", "current", TARGET, None, short, address=address(ready.board))
    assert found.emulated
    assert found.a.artifact_id == found.b.artifact_id == deployed.report.artifact_id
    assert {"inference", "frame", "peak memory"} <= {one.metric for one in found.metrics}
    size = found.metric("size")
    assert size is not None and size.outcome == "same"
    assert current(ready.board) == deployed.report.artifact_id


@pytest.mark.usefixtures("interruptible")
def test_interrupted_deploy_ends_what_runs_on_the_board(
    deployed: Deployed, ready: Ready, developer: User
) -> None:
    with start_deploy(variant(deployed), ready.board) as client:
        assert eventually(lambda: runs(ready.board, ".pyz predict "), 60.0), client.communicate()
        error = refusal(lambda: rollback(TARGET, address(ready.board)), "locked")
        assert f"process {client.pid} is using this device (deploy " in error.what
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=20)
        assert client.returncode == 130
        assert "a device keeps the release that it had" in errors and "Traceback" not in errors
    assert eventually(lambda: not agents(ready.board), 5.0)
    assert current(ready.board) == deployed.report.artifact_id


@pytest.mark.long
def test_deploy_after_a_killed_one_sends_nothing_again(
    deployed: Deployed, ready: Ready, developer: User, site: Site
) -> None:
    with start_deploy(deployed.recipe, ready.board) as client:
        # Both models are there by then, int8 and what it is measured beside.
        assert eventually(lambda: runs(ready.board, ".pyz bench "), 180.0), client.communicate()
        client.send_signal(signal.SIGKILL)
        client.communicate(timeout=20)
    assert eventually(lambda: not agents(ready.board), 5.0)
    carried = carried_bytes(site, ready.board)
    report = edgeq.deploy(deployed.recipe, TARGET, address=address(ready.board))
    assert report.artifact_id == deployed.report.artifact_id
    assert report.divergence == deployed.report.divergence
    assert current(ready.board) == deployed.report.artifact_id
    carried = carried_bytes(site, ready.board) - carried
    # The agent's answers are on the way back; the model alone is larger than this.
    assert carried < deployed.carried_bytes / 4
    assert carried < deployed.report.artifact_bytes / 4


def built(deployed: Deployed) -> Artifact:
    """What was deployed, as it is kept here."""
    return archive.read(deployed.home / "cache" / "artifacts" / deployed.report.artifact_id)


def test_board_without_tensorrt_is_told_apart_and_left_alone(
    deployed: Deployed, ready: Ready, developer: User
) -> None:
    before = listing(root(ready.board), "agent", "lock")
    where = address(ready.board)
    command = command_line("deploy", deployed.recipe, "-t", "jetson-orin", "-H", str(where.host))
    done = subprocess.run(
        [*command, "-i", str(where.identity)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3
    assert f"edge@{ready.board.address}: no TensorRT on this board; on a Jetson" in done.stderr
    assert "nvidia-jetpack" in done.stderr and "Traceback" not in done.stderr
    assert listing(root(ready.board), "agent", "lock") == before
    found = boards.check("jetson-orin", where)
    [finding] = [finding for finding in found.findings if finding.name == "tensorrt"]
    assert (finding.state, finding.found) == ("missing", "no TensorRT on this board")


def test_damaged_release_is_sent_again(deployed: Deployed, ready: Ready, developer: User) -> None:
    link = root(ready.board) / "current" / "model.onnx"
    blob = root(ready.board) / "blobs/sha256" / link.readlink().name
    content = blob.read_bytes()
    blob.write_bytes(content[:1000] + bytes(len(content) - 1000))
    with device(ready.board) as board:
        board.lock("push")
        board.push(built(deployed))
        assert board.files.sent.blobs == 1
    assert blob.read_bytes() == content
    assert current(ready.board) == deployed.report.artifact_id


def test_board_verifies_signatures_itself(
    deployed: Deployed, ready: Ready, developer: User, tmp_path: Path
) -> None:
    good, stranger = (generate(tmp_path / name) for name in ("good", "stranger"))
    text = f"release@example.org {public(good)}\n"
    (tmp_path / "allowed_signers").write_text(text)
    kind = targets.load(TARGET).model_copy(update={"allowed_signers": tmp_path / "allowed_signers"})
    assert not boards.setup(kind, address(ready.board)).changed
    assert (root(ready.board) / "allowed_signers").read_text() == text

    # From now on whoever deploys has to sign.
    refusal(
        lambda: edgeq.deploy(deployed.recipe, TARGET, address=address(ready.board)), "not-signed"
    )
    with device(ready.board) as board:
        board.lock("deploy")
        board.send(signing.sign(built(deployed), stranger))
        error = refusal(lambda: board.activate(deployed.report.artifact_id), "not-signed")
        assert "is by nobody of" in error.what
        board.send(signing.sign(built(deployed), good))
        board.activate(deployed.report.artifact_id)
    # As the documentation says that it is taken back.
    (root(ready.board) / "allowed_signers").unlink()


def test_another_environment_leaves_release_and_way_back(
    deployed: Deployed, ready: Ready, developer: User
) -> None:
    folder = root(ready.board) / "env"
    own = ready.after.environment
    assert own is not None
    before = listing(folder / own)
    with device(ready.board) as board:
        board.lock("setup")
        assert install(board, "another", {}, [])
        board.collect()
    assert (folder / "current").readlink() == Path("another")
    assert (folder / "previous").readlink() == Path(own)
    assert listing(folder / own) == before
    assert current(ready.board) == deployed.report.artifact_id
    found = states(boards.check(TARGET, address(ready.board)))
    assert found["onnxruntime"] == "missing"

    with device(ready.board) as board:
        board.lock("setup")
        assert not install(board, own, {}, [])
    assert status(TARGET, address(ready.board)).environment == own


def test_broken_environment_is_none(deployed: Deployed, ready: Ready, developer: User) -> None:
    with device(ready.board) as board:
        board.lock("setup")
        pip = "pip-1.0-py3-none-any.whl"
        wheel = deployed.recipe.with_name(pip)
        wheel.write_bytes(os.urandom(1000))
        error = refusal(lambda: install(board, "broken", {pip: wheel}, ["numpy"]), "environment")
        assert "cannot be built" in error.what
        board.collect()
    assert not (root(ready.board) / "env" / "broken").exists()
    assert status(TARGET, address(ready.board)).environment == ready.after.environment


@pytest.mark.long
def test_damaged_engine_is_missing_and_is_installed_anew(
    deployed: Deployed, ready: Ready, developer: User
) -> None:
    [module] = (root(ready.board) / "env/current").glob("lib/*/site-packages/cv2/__init__.py")
    module.write_text("raise ImportError('damaged')")
    found = boards.check(TARGET, address(ready.board))
    assert states(found)["opencv-python-headless"] == "missing" and not found.ready
    error = refusal(
        lambda: edgeq.deploy(deployed.recipe, TARGET, address=address(ready.board)),
        "missing-engine",
    )
    assert "importing it failed: ImportError: damaged" in error.what
    mended = boards.setup(TARGET, address(ready.board))
    assert mended.changed and mended.ready
    assert mended.environment == ready.after.environment


@pytest.mark.long
def test_example_suite_of_regression_tests_runs_on_the_board(
    deployed: Deployed, ready: Ready, developer: User, tmp_path: Path
) -> None:
    """In two workers, of which one deploys; what was deployed before is the baseline."""
    edgeq.set_baseline(f"main-{TARGET}", deployed.report.id, replace=True, force=True)
    where = address(ready.board)
    fleet = f"- {{target: {TARGET}, host: {where.host}, identity: {where.identity}}}\n"
    (tmp_path / "fleet.yaml").write_text(fleet)
    recipe = deployed.recipe.with_name("regression.yaml")
    short = "\ncompare: {duration_s: 0.3, reloads: 3, warmup_s: 0}\n"
    recipe.write_text(deployed.recipe.read_text() + short)
    suite = EXAMPLE.read_text().replace("FRAME_P50_MS = 500.0", "FRAME_P50_MS = 60_000.0")
    (tmp_path / "test_regression.py").write_text(suite)
    settings(tmp_path, "edgeq_fleet = fleet.yaml", f"edgeq_recipe = {recipe}")
    options = ("--edgeq-require", "--edgeq-unstable=skip", "--edgeq-baseline", "main-{target}")
    done = pytest_in(tmp_path, "-p", "xdist", "-n", "2", *options)
    assert done.returncode == 0, done.stdout
    assert f"{TARGET}@{where.host}" in done.stdout and f"main-{TARGET}" in done.stdout
    [found] = open_store().comparisons()
    assert found.emulated and found.a.artifact_id == deployed.report.artifact_id
