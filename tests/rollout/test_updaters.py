"""The scripts of examples/updaters: hawkBit's pause, Mender's state script, Ansible's play.

hawkBit is a server of ours that speaks its API, and Mender's part is its way to start a script;
Ansible is Ansible, and SSH is SSH. What edgeq finds is given here: as a record, or as the exit code
of a program of that name, and what that was started with is given to edgeq afterwards. edgeq finds
it itself in the `long` tests.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from typer.testing import CliRunner

from edgeq.artifact import archive
from edgeq.cli.main import app
from edgeq.device.connection import Address
from edgeq.errors import DeviceError, InputError
from edgeq.records.comparison import Comparison
from edgeq.significance.outcome import Outcome
from edgeq.spec.target import Target

from ..device.artifacts import demo, made
from ..device.sshd import USER, Home, Sshd, need
from ..store.comparisons import comparison
from . import hawkbit_server
from .barn import Barn, make
from .hawkbit_server import Group, HawkBit, served

UPDATERS = Path(__file__).parents[2] / "examples" / "updaters"
STATE_SCRIPT = UPDATERS / "mender" / "ArtifactCommit_Enter_50_edgeq"
ANSWER = UPDATERS / "mender" / "answer.sh"
PLAY = UPDATERS / "ansible.yaml"
COMMIT, ROLL_BACK, RETRY_LATER = 0, 1, 21
"""What a state script of Mender may end with."""
# Limits that noise does not reach: what is no larger is then 'same', on a busy machine too.
WIDE = "\ncompare: {duration_s: 1, reloads: 5, warmup_s: 0, slower_by: 95%, larger_by: 95%}\n"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One, the same again under another id, and one that is larger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(tmp_path_factory.mktemp("artifacts")))
        files = {name: demo().path(name).read_bytes() for name in demo().manifest.files}
        larger = {**files, "more.bin": bytes(3 * sum(map(len, files.values())))}
        return {
            "old": archive.pack(demo()),
            "new": archive.pack(made({**files, "plan.json": b"{ }"})),
            "larger": archive.pack(made(larger)),
        }


@pytest.fixture
def boards(small_demo: Path, artifacts: dict[str, bytes], tmp_path: Path) -> Barn:
    """Three boards that are folders, a recipe by which no time is worse, and the artifacts."""
    barn = make(small_demo, tmp_path / "barn", 3)
    barn.recipe.write_text(barn.recipe.read_text() + WIDE)
    for name, packed in artifacts.items():
        (tmp_path / f"{name}.edgeq").write_bytes(packed)
    return barn


# hawkBit


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hawkbit_example", UPDATERS / "hawkbit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def groups(*, first: str = "finished", action: str = "PAUSE") -> list[Group]:
    """One that is through, with a board where installing failed and one that edgeq does not know,
    and two that wait."""
    done = {"cam0": "in_sync", "other": "in_sync", "cam2": "error", "cam1": "in_sync"}
    return [
        Group("one", first, done, action),
        Group("two", "scheduled", {"cam3": "pending"}),
        Group("three", "scheduled", {"cam4": "pending"}),
    ]


@pytest.fixture
def asks(
    script: ModuleType, boards: Barn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """What the script ends with, asked of a hawkBit."""

    def run(hawkbit: HawkBit, new: str = "new", *options: str) -> int:
        for name, value in (
            ("URL", hawkbit.url),
            ("USER", hawkbit_server.USER),
            ("PASSWORD", hawkbit_server.PASSWORD),
        ):
            monkeypatch.setenv(f"HAWKBIT_{name}", value)
        # A target's name may stand in that of an artifact.
        old = tmp_path / "old-{target}.edgeq"
        for name in boards.boards:
            shutil.copy(tmp_path / "old.edgeq", tmp_path / f"old-{name}.edgeq")
        asked = [hawkbit_server.ROLLOUT, boards.recipe, boards.fleet, old, tmp_path / new]
        code = script.main([*options, *(str(one) for one in asked)])
        assert isinstance(code, int)
        return code

    return run


@pytest.fixture
def found(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Outcome | None]:
    """What is found on each board, by its target's name; None where it cannot be reached."""
    outcomes: dict[str, Outcome | None] = {}

    def turns(old: str, new: str, recipe: str, target: Target, address: Address) -> Comparison:
        if (outcome := outcomes[target.name]) is None:
            raise DeviceError(target.name, "is not there")
        whole = comparison(target=target.name)
        told = [one.model_copy(update={"outcome": outcome}) for one in whole.metrics[:1]]
        return whole.model_copy(update={"metrics": tuple(told)})

    monkeypatch.setattr(script, "turns", turns)
    return outcomes


def test_hawkbit_goes_on_where_the_boards_of_the_group_do_no_worse(
    asks: Callable[..., int],
    found: dict[str, Outcome | None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found.update(cam0="same", cam1="better")
    with served(HawkBit(groups())) as hawkbit:
        assert asks(hawkbit) == 0
        assert hawkbit.requests == ["POST /resume"]
        assert [group.status for group in hawkbit.groups] == ["finished", "running", "scheduled"]
        assert asks(hawkbit) == 0
        assert hawkbit.requests == ["POST /resume"]
    assert capsys.readouterr().out.splitlines() == [
        "cam0: inference same",
        "cam1: inference better",
        "roll-out 7 goes on after one",
        "roll-out 7 is running: nothing to check",
    ]


def test_hawkbits_group_is_asked_on_some_of_its_boards_the_same_ones_again(
    asks: Callable[..., int],
    found: dict[str, Outcome | None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found.update(cam0="cannot tell", cam1="cannot tell")
    with served(HawkBit(groups())) as hawkbit:
        assert [asks(hawkbit, "new", "--boards", "1") for _ in range(2)] == [4, 4]
    first, _, second, _ = capsys.readouterr().out.splitlines()
    assert first == second


@pytest.mark.parametrize(
    ("cam0", "cam1", "code"),
    [
        ("same", "worse", 1),
        (None, "worse", 1),
        (None, "cannot tell", 3),
        ("cannot tell", "same", 4),
    ],
)
def test_hawkbit_stays_paused_where_one_board_does_worse_or_does_not_tell(
    asks: Callable[..., int],
    found: dict[str, Outcome | None],
    cam0: Outcome | None,
    cam1: Outcome | None,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found.update(cam0=cam0, cam1=cam1)
    with served(HawkBit(groups())) as hawkbit:
        assert asks(hawkbit) == code
        assert (hawkbit.status, hawkbit.requests) == ("paused", [])
    assert capsys.readouterr().out.endswith("roll-out 7 stays paused after one\n")


def test_hawkbit_stays_paused_where_edgeq_cannot_be_asked(
    asks: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with served(HawkBit(groups())) as hawkbit:
        assert asks(hawkbit, "gone.edgeq") == 2
        assert (hawkbit.status, hawkbit.requests) == ("paused", [])
    *said, _ = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all("gone.edgeq" in line for line in said)


@pytest.mark.long
def test_hawkbit_stays_paused_where_edgeq_itself_finds_it_worse(
    asks: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with served(HawkBit(groups())) as hawkbit:
        assert asks(hawkbit, "larger.edgeq", "--boards", "1") == 1
        assert (hawkbit.status, hawkbit.requests) == ("paused", [])
    assert "size worse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("those", "why"),
    [
        (groups(first="error"), "installing failed in one"),
        (groups(action="NEXTGROUP"), "somebody has paused it"),
        ([Group("one", "running", {"cam0": "in_sync", "cam1": "pending"})], "before one was thr"),
        ([Group("one", "scheduled", {"cam0": "pending"})], "somebody has paused it"),
    ],
)
def test_hawkbits_pause_for_other_reasons_is_left_to_a_person(
    asks: Callable[..., int], those: list[Group], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(HawkBit(those)) as hawkbit:
        assert asks(hawkbit) == 4
        assert hawkbit.requests == []
    assert why in capsys.readouterr().out


def test_hawkbit_that_refuses_or_has_other_boards_is_told(
    asks: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = Group("one", "running", {"other": "in_sync", "cam0": "pending"}, threshold=50)
    with served(HawkBit([half])) as hawkbit:
        with pytest.raises(InputError, match="has none of the 1 boards that one"):
            asks(hawkbit)
        monkeypatch.setattr(hawkbit_server, "PASSWORD", "changed")
        with pytest.raises(DeviceError, match="401"):
            asks(hawkbit)


# A board over SSH, for Mender and Ansible


class Machine:
    """Where edgeq is: a home with a board in its ~/.ssh/config, and programs found before others.

    `edgeq` ends with the next of `codes`, and notes what it was started with.
    """

    def __init__(self, folder: Path, home: Home, server: Sshd) -> None:
        server.authorize(home.key)
        home.known_hosts.write_text(server.known())
        home.config.write_text(
            f"Host cam0\n  HostName 127.0.0.1\n  Port {server.port}\n  User {USER}\n"
            f"  IdentityFile {home.key}\n  UserKnownHostsFile {home.known_hosts}\n"
        )
        self.home, self.port = home, server.port
        self._calls, self._codes = folder / "calls", folder / "codes"
        self.programs = folder / "bin"
        self.programs.mkdir()
        # OpenSSH looks for its files where the user's home really is.
        self._program("ssh", f'exec {need("ssh")} -F {home.config} "$@"\n')
        self._program(
            "edgeq",
            f'for said; do printf "%s\\n" "$said" >>{self._calls}; done; echo >>{self._calls}\n'
            f"read -r code <{self._codes}; sed -i 1d {self._codes}\n"
            'echo "frame worse"; exit "$code"\n',
        )

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{text}")
        (self.programs / name).chmod(0o755)

    def with_edgeq(self) -> Machine:
        """With edgeq itself."""
        (self.programs / "edgeq").unlink()
        return self

    def will_end_with(self, *codes: int) -> None:
        self._codes.write_text("".join(f"{code}\n" for code in codes))

    def calls(self) -> list[list[str]]:
        """What edgeq was started with, which it would do."""
        if not self._calls.exists():
            return []
        found = [call.splitlines() for call in self._calls.read_text().split("\n\n")[:-1]]
        for call in map(list, {tuple(call) for call in found}):
            checked = CliRunner().invoke(app, [*call, "--dry-run"])
            assert checked.exit_code == 0, checked.output
        return found

    def run(self, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        path = [str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        environment = {**os.environ, "PATH": os.pathsep.join(path), **more}
        command = [str(argument) for argument in arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """It, and a board of its own kind."""
    need("sshd")
    home = Home(tmp_path / "home")
    monkeypatch.setenv("HOME", str(home.folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    board = {
        "description": "a board like this machine",
        "runtime": "onnxruntime",
        "architecture": "host",
        "activation_type": "probe",
        "transport": "ssh",
        "python": sys.executable,
        "root": "~/edgeq",
    }
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(board))
    (tmp_path / "sshd").mkdir()
    server = Sshd(tmp_path / "sshd")
    try:
        yield Machine(tmp_path, home, server)
    finally:
        server.stop()


# Mender


class Mender:
    """What Mender does with a state script: its name says when, its exit code what follows."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.scripts, self.folder, self._model = folder / "scripts", folder / "asked", model
        self.scripts.mkdir()
        self.folder.mkdir()
        for state in ("ArtifactInstall_Enter", "ArtifactCommit_Enter", "ArtifactFailure_Enter"):
            shutil.copy(STATE_SCRIPT, self.scripts / f"{state}_50_edgeq")

    def enter(self, state: str) -> tuple[int, str]:
        """Its exit code and what goes to the log; scripts get no arguments."""
        told = {"EDGEQ_FOLDER": str(self.folder), "EDGEQ_MODEL": str(self._model)}
        script = [str(self.scripts / f"{state}_Enter_50_edgeq")]
        done = subprocess.run(
            script, env={**os.environ, **told}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr


@pytest.fixture
def answers(machine: Machine, boards: Barn, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """What the other half ends with and complains of."""

    def run(new: str = "new", host: str = "cam0") -> tuple[int, str]:
        sides = [tmp_path / "old.edgeq", tmp_path / f"{new}.edgeq"]
        asked = [tmp_path / "board.yaml", *sides, boards.recipe]
        done = machine.run(ANSWER, host, *asked, EDGEQ_FOLDER=str(tmp_path / "asked"))
        return done.returncode, done.stderr

    return run


def test_mender_waits_for_an_answer_and_does_what_it_says(
    machine: Machine, answers: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    mender = Mender(tmp_path, tmp_path / "new.edgeq")
    assert answers() == (0, "")  # nothing was asked

    assert mender.enter("ArtifactInstall") == (0, "")
    assert mender.enter("ArtifactCommit") == (RETRY_LATER, "")
    asked = (mender.folder / "question").read_text().split()
    assert asked[1] == hashlib.sha256((tmp_path / "new.edgeq").read_bytes()).hexdigest()
    machine.will_end_with(4, 3, 0)
    for code in (4, 3):  # whatever is neither yes nor no is asked again
        assert answers()[0] == code
        assert mender.enter("ArtifactCommit") == (RETRY_LATER, "")
    assert answers() == (0, "")
    assert mender.enter("ArtifactCommit") == (COMMIT, "")
    assert mender.enter("ArtifactCommit") == (COMMIT, "")  # as after a loss of power
    assert answers() == (0, "")  # and nobody measures again
    calls = machine.calls()
    assert len(calls) == 3 and calls[0][0] == "compare" and "cam0" in calls[0]

    # The next update: what was said of this one is forgotten.
    assert mender.enter("ArtifactInstall") == (0, "")
    assert mender.enter("ArtifactCommit") == (RETRY_LATER, "")
    machine.will_end_with(1)
    assert answers()[0] == 1
    code, log = mender.enter("ArtifactCommit")
    assert code == ROLL_BACK and "new.edgeq is worse than" in log
    assert mender.enter("ArtifactFailure") == (0, "")
    assert list(mender.folder.iterdir()) == []


def test_mender_is_given_no_answer_of_another_model_or_question(
    machine: Machine, answers: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    mender = Mender(tmp_path, tmp_path / "new.edgeq")
    assert mender.enter("ArtifactCommit") == (RETRY_LATER, "")
    code, said = answers("larger")
    assert code == 2 and "cam0 has another model than" in said
    assert machine.calls() == []

    (mender.folder / "answer").write_text(f"{'0' * 8}-0000 yes\n")  # late, of an update before
    assert mender.enter("ArtifactCommit") == (RETRY_LATER, "")
    code, said = answers(host="no-such-host.invalid")
    assert code == 3 and "could not be asked" in said


def test_mender_goes_back_where_there_is_no_model_or_nowhere_to_ask(tmp_path: Path) -> None:
    mender = Mender(tmp_path, tmp_path / "none.edgeq")
    code, log = mender.enter("ArtifactCommit")
    assert code == ROLL_BACK and "has brought no" in log
    mender.folder.rmdir()
    code, log = mender.enter("ArtifactInstall")
    assert code == ROLL_BACK and "there is no folder" in log


@pytest.mark.long
def test_mender_commits_where_edgeq_itself_finds_nothing_worse(
    machine: Machine, answers: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    machine.with_edgeq()
    mender = Mender(tmp_path, tmp_path / "new.edgeq")
    assert mender.enter("ArtifactCommit") == (RETRY_LATER, "")
    for _ in range(5):
        code, said = answers()
        assert code in (0, 4), said
        if code == 0:  # it could be told, or is asked again
            break
    assert mender.enter("ArtifactCommit") == (COMMIT, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", STATE_SCRIPT, ANSWER], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# Ansible


@pytest.fixture
def plays(machine: Machine, boards: Barn, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """What the play ends with and prints: of three boards, which are one machine."""
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        "[cameras]\ncam[0:2]\n"
        f"[cameras:vars]\nansible_connection=local\nansible_python_interpreter={sys.executable}\n"
        f"ansible_host=127.0.0.1\nansible_port={machine.port}\nansible_user={USER}\n"
        f"edgeq_target={tmp_path / 'board.yaml'}\n"
    )
    for number in range(3):
        shutil.copy(tmp_path / "old.edgeq", tmp_path / f"cam{number}.edgeq")

    def run(new: str = "new") -> tuple[int, str]:
        said = {
            "old": tmp_path / "old.edgeq",
            "new": tmp_path / f"{new}.edgeq",
            "recipe": boards.recipe,
            "model": tmp_path / "{{ inventory_hostname }}.edgeq",
        }
        values = [part for name, value in said.items() for part in ("-e", f"{name}='{value}'")]
        told = {"ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_NOCOLOR": "1"}
        done = machine.run("ansible-playbook", "-i", inventory, PLAY, *values, **told)
        return done.returncode, done.stdout + done.stderr

    return run


def installed(folder: Path) -> list[str]:
    """Which of the artifacts each board has."""
    names = {(folder / f"{name}.edgeq").read_bytes(): name for name in ("old", "new", "larger")}
    return [names[(folder / f"cam{number}.edgeq").read_bytes()] for number in range(3)]


def test_ansible_goes_no_further_than_the_board_where_it_is_worse(
    machine: Machine, plays: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    machine.will_end_with(0, 1)
    code, said = plays()
    assert code == 2, said
    assert installed(tmp_path) == ["new", "old", "old"]
    assert "NO MORE HOSTS LEFT" in said and "frame worse" in said
    calls = machine.calls()
    assert [call[0] for call in calls] == ["compare", "compare"]
    assert f"--host={USER}@127.0.0.1:{machine.port}" in calls[0]


@pytest.mark.long
def test_ansible_goes_no_further_where_edgeq_itself_finds_it_worse(
    machine: Machine, plays: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    machine.with_edgeq()
    code, said = plays("larger")
    assert code == 2, said
    assert installed(tmp_path) == ["old"] * 3
    assert "WORSE" in said
