from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeq.device.ssh.config import Way
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import DeviceError, InputError
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd, generate, need

home, start_sshd, server = sshd.home, sshd.start_sshd, sshd.server
connect, transport = sshd.connect, sshd.transport

Connect = Callable[..., SshTransport]


@pytest.fixture
def agent(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent that holds nothing yet."""
    need("ssh-add")
    path = tmp_path / "agent"
    run = subprocess.Popen([need("ssh-agent"), "-D", "-a", path], stdout=subprocess.PIPE)
    assert run.stdout is not None
    run.stdout.readline()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield
    run.terminate()
    run.wait()
    run.stdout.close()


def add(key: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)


def refusal(transport: SshTransport) -> DeviceError:
    with pytest.raises(DeviceError) as found:
        transport.connect()
    return found.value


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_logs_in(
    server: Sshd, connect: Connect, tmp_path: Path, kind: str
) -> None:
    key = generate(tmp_path / "key", kind)
    server.authorize(key)
    connect(f"{USER}@127.0.0.1", server.port, identity=key).connect()


def test_refused_key_is_named_with_what_the_server_accepts(
    server: Sshd, transport: SshTransport, home: Home
) -> None:
    server.authorized.write_text("")
    error = refusal(transport)
    assert error.kind == "auth-failed"
    assert f"tried {home.key}; the server accepts: publickey" in error.what
    assert error.remedy == f"run: ssh-copy-id -p {server.port} {USER}@127.0.0.1"


def test_no_key_at_all_is_said(transport: SshTransport, home: Home) -> None:
    home.key.unlink()
    error = refusal(transport)
    assert error.kind == "auth-failed"
    assert "tried no key" in error.what


def test_file_that_is_no_key_is_said(transport: SshTransport, home: Home) -> None:
    home.key.write_text("no key\n")
    error = refusal(transport)
    assert error.kind == "auth-failed"
    assert f"could not be used: {home.key}" in error.what


def test_server_without_keys_says_what_it_accepts(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect
) -> None:
    server = start_sshd("PubkeyAuthentication no\nPasswordAuthentication yes")
    home.known_hosts.write_text(server.known())
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert error.kind == "auth-failed"
    assert "the server accepts: password" in error.what


def test_second_factor_is_said_to_be_missing(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect
) -> None:
    settings = "PasswordAuthentication yes\nAuthenticationMethods publickey,password"
    server = start_sshd(settings)
    server.authorize(home.key)
    home.known_hosts.write_text(server.known())
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert error.kind == "auth-failed"
    assert "asks for more: password" in error.what


@pytest.fixture
def locked(server: Sshd, home: Home) -> Path:
    """The user's only key, with a passphrase."""
    home.key.unlink()
    home.key.with_name("id_ed25519.pub").unlink()
    key = generate(home.key, passphrase="secret")
    server.authorize(key)
    return key


def test_key_with_a_passphrase_needs_the_agent(transport: SshTransport, locked: Path) -> None:
    error = refusal(transport)
    assert error.kind == "passphrase"
    assert f"{locked} needs its passphrase" in error.what
    assert error.remedy == f"run: ssh-add {locked}"


def test_passphrase_is_asked_for(server: Sshd, connect: Connect, locked: Path) -> None:
    prompts: list[str] = []
    answers = iter(["wrong", "secret"])

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    connect(f"{USER}@127.0.0.1", server.port, ask=ask).connect()
    assert prompts == [f"Passphrase of {locked}: "] * 2


@pytest.mark.parametrize(("answer", "times"), [("wrong", 3), ("", 1)])
def test_passphrase_is_asked_for_three_times(
    server: Sshd, connect: Connect, locked: Path, answer: str, times: int
) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return answer

    error = refusal(connect(f"{USER}@127.0.0.1", server.port, ask=ask))
    assert error.kind == "passphrase"
    assert len(prompts) == times


def test_end_of_input_is_no_passphrase(server: Sshd, connect: Connect, locked: Path) -> None:
    def ask(prompt: str) -> str:
        raise EOFError

    assert refusal(connect(f"{USER}@127.0.0.1", server.port, ask=ask)).kind == "passphrase"


def test_nobody_is_asked_when_another_key_logs_in(
    server: Sshd, connect: Connect, home: Home, locked: Path
) -> None:
    server.authorize(generate(home.ssh / "id_rsa", "rsa"))
    connect(f"{USER}@127.0.0.1", server.port, ask=lambda _: pytest.fail("asked")).connect()


def test_agent_logs_in(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    key = generate(tmp_path / "of_the_agent", "rsa")
    add(key)
    key.unlink()
    home.key.unlink()
    server.authorized.write_text("")
    server.authorize(key)
    connect(f"{USER}@127.0.0.1", server.port).connect()


@pytest.mark.parametrize(
    "value", ["{path}", "$MY_AGENT", "${{MY_FOLDER}}/agent", "%d/../agent", "SSH_AUTH_SOCK"]
)
def test_identity_agent_is_asked_as_ssh_does(
    server: Sshd,
    connect: Connect,
    home: Home,
    agent: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
) -> None:
    key = generate(tmp_path / "of_the_agent")
    add(key)
    key.unlink()
    home.key.unlink()
    server.authorized.write_text("")
    server.authorize(key)
    path = os.environ["SSH_AUTH_SOCK"]
    if value != "SSH_AUTH_SOCK":
        monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere")
    monkeypatch.setenv("MY_AGENT", path)
    monkeypatch.setenv("MY_FOLDER", str(Path(path).parent))
    (home.ssh / "config").write_text(f"IdentityAgent {value.format(path=path)}\n")
    connect(f"{USER}@127.0.0.1", server.port).connect()


def test_no_identity_agent_is_none(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    add(generate(tmp_path / "of_the_agent"))
    server.authorized.write_text("")
    (home.ssh / "config").write_text("IdentityAgent none\n")
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert f"tried {home.key};" in error.what


def test_setting_that_is_not_read_is_named_when_a_login_fails(
    server: Sshd, connect: Connect, home: Home
) -> None:
    server.authorized.write_text("")
    settings = "PKCS11Provider /lib/token.so\nPubkeyAuthentication yes\nMACs hmac-sha2-256\n"
    (home.ssh / "config").write_text(settings)
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert "does not read: MACs hmac-sha2-256, PKCS11Provider /lib/token.so;" in error.remedy


def test_agent_without_the_key_is_named(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    add(generate(tmp_path / "of_the_agent"))
    server.authorized.write_text("")
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert f"tried {home.key}, of_the_agent (of the agent)" in error.what


def test_agent_that_is_gone_does_no_harm(
    transport: SshTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    transport.connect()


def test_named_key_goes_before_the_many_of_an_agent(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    for number in range(8):
        add(generate(tmp_path / f"agent{number}"))
    connect(f"{USER}@127.0.0.1", server.port).connect()


def test_too_many_keys_are_said(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    for number in range(8):
        add(generate(tmp_path / f"agent{number}"))
    server.authorized.write_text("")
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert error.kind == "auth-failed"
    assert "ended the login" in error.what
    assert "IdentitiesOnly" in error.remedy


def test_only_the_named_keys_of_an_agent_are_shown(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    key = generate(tmp_path / "key")
    add(key)
    key.unlink()
    add(generate(tmp_path / "other"))
    home.config.write_text(f"IdentityFile {key}\nIdentitiesOnly yes\n")
    server.authorized.write_text("")
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert "tried key (of the agent); the server" in error.what
    server.authorize(key)
    connect(f"{USER}@127.0.0.1", server.port).connect()


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize("by_agent", [True, False])
def test_certificate_logs_in(
    server: Sshd,
    connect: Connect,
    home: Home,
    agent: None,
    tmp_path: Path,
    kind: str,
    by_agent: bool,
) -> None:
    authority, key = generate(tmp_path / "authority"), generate(tmp_path / "signed", kind)
    sign = ["-q", "-s", str(authority), "-I", "me", "-n", USER, f"{key}.pub"]
    subprocess.run([need("ssh-keygen"), *sign], check=True)
    server.authorized.write_text("")
    server.authorize(authority, "cert-authority")
    home.key.unlink()
    if by_agent:
        add(key)
        connect(f"{USER}@127.0.0.1", server.port).connect()
    else:
        os.environ.pop("SSH_AUTH_SOCK")
        connect(f"{USER}@127.0.0.1", server.port, identity=key).connect()
    assert "ED25519-CERT" in server.log.read_text() or "RSA-CERT" in server.log.read_text()


@pytest.mark.parametrize("name", ["nope", ".", "id_ed25519/nope", "~no-such-user/key"])
def test_identity_that_is_not_there_is_said_at_once(home: Home, name: str) -> None:
    path = Path(name) if name.startswith("~") else home.ssh / name
    with pytest.raises(InputError) as found:
        SshTransport("board", way=Way(path))
    assert str(found.value).startswith(f"--identity: there is no key '{path}'; ")


def test_identity_may_begin_with_a_tilde(server: Sshd, connect: Connect, home: Home) -> None:
    home.key.rename(home.ssh / "mine")
    connect(f"{USER}@127.0.0.1", server.port, identity=Path("~/.ssh/mine")).connect()


def test_identity_is_shown_first_and_default_files_are_not(
    server: Sshd, connect: Connect, home: Home, agent: None, tmp_path: Path
) -> None:
    identity, named = generate(tmp_path / "identity"), generate(tmp_path / "named")
    add(named)
    add(generate(tmp_path / "other"))
    home.config.write_text(f"IdentityFile {named}\n")
    server.authorized.write_text("")
    error = refusal(connect(f"{USER}@127.0.0.1", server.port, identity=identity))
    assert f"tried {identity}, named (of the agent), other (of the agent); the" in error.what
