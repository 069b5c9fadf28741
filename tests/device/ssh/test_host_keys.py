from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.device.ssh import host_keys
from edgeq.device.ssh.config import Hop
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import DeviceError
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd, fingerprint, generate, need, public

home, start_sshd, server = sshd.home, sshd.start_sshd, sshd.server
connect, transport = sshd.connect, sshd.transport

Connect = Callable[..., SshTransport]


def refusal(transport: SshTransport) -> DeviceError:
    with pytest.raises(DeviceError) as found:
        transport.connect()
    return found.value


def test_known_host_is_connected_to(transport: SshTransport) -> None:
    transport.connect()


def test_unknown_host_is_refused_with_the_way_to_accept_it(
    transport: SshTransport, server: Sshd, home: Home
) -> None:
    home.known_hosts.unlink()
    error = refusal(transport)
    assert error.kind == "host-key-unknown"
    assert fingerprint(server.host_keys["ed25519"]) in error.what
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in error.remedy
    command = f"ssh-keyscan -p {server.port} -t ed25519 127.0.0.1 >> ~/.ssh/known_hosts"
    assert error.remedy.endswith(command)
    need("ssh-keyscan")
    subprocess.run(["sh", "-c", command], check=True, stderr=subprocess.DEVNULL)
    transport.connect()


def test_hashed_entry_is_found(transport: SshTransport, home: Home) -> None:
    path = str(home.known_hosts)
    subprocess.run([need("ssh-keygen"), "-q", "-H", "-f", path], check=True, capture_output=True)
    assert home.known_hosts.read_text().startswith("|1|")
    transport.connect()


@pytest.mark.parametrize("name", ["127.0.0.1", "*.0.0.1", "[127.0.0.?]:*", "other,127.0.0.1"])
def test_other_forms_of_the_name_are_found(
    transport: SshTransport, server: Sshd, home: Home, name: str
) -> None:
    home.known_hosts.write_text(server.known(name))
    transport.connect()


@pytest.mark.parametrize("name", ["[127.0.0.1]:1", "127.0.0.2", "!*127.0.0.1*,*", "#[127.0.0.1]"])
def test_entries_of_others_do_not_count(
    transport: SshTransport, server: Sshd, home: Home, name: str
) -> None:
    home.known_hosts.write_text(server.known(name))
    assert refusal(transport).kind == "host-key-unknown"


def test_another_key_for_the_host_without_a_port_is_no_change(
    transport: SshTransport, home: Home, tmp_path: Path
) -> None:
    home.known_hosts.write_text(f"127.0.0.1 {public(generate(tmp_path / 'other'))}\n")
    assert refusal(transport).kind == "host-key-unknown"


def test_changed_key_is_refused_with_both_and_where_the_old_one_is(
    transport: SshTransport, server: Sshd, home: Home, tmp_path: Path
) -> None:
    other = generate(tmp_path / "other")
    home.known_hosts.write_text(f"# mine\n[127.0.0.1]:{server.port} {public(other)}\n")
    error = refusal(transport)
    assert error.kind == "host-key-changed"
    assert fingerprint(server.host_keys["ed25519"]) in error.what
    assert fingerprint(other) in error.what
    assert f"{home.known_hosts}:2" in error.what
    assert f"ssh-keygen -f {home.known_hosts} -R '[127.0.0.1]:{server.port}'" in error.remedy


@pytest.mark.parametrize("known", ["ed25519", "ecdsa", "rsa"])
def test_the_known_kind_of_key_is_asked_for(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect, known: str
) -> None:
    server = start_sshd(kinds=("rsa", "ecdsa", "ed25519"))
    server.authorize(home.key)
    home.known_hosts.write_text(server.known(kind=known))
    connect(f"{USER}@127.0.0.1", server.port).connect()


def test_another_kind_than_known_is_a_change(
    transport: SshTransport, server: Sshd, home: Home, tmp_path: Path
) -> None:
    other = generate(tmp_path / "other", "ecdsa")
    home.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(other)}\n")
    error = refusal(transport)
    assert error.kind == "host-key-changed"
    assert fingerprint(other) in error.what


def test_revoked_key_is_refused(transport: SshTransport, server: Sshd, home: Home) -> None:
    home.known_hosts.write_text(f"{server.known()}@revoked * {public(server.host_keys['ed25519'])}")
    error = refusal(transport)
    assert error.kind == "host-key-changed"
    assert f"revoked in {home.known_hosts}:2" in error.what


def test_certificate_authority_is_named_as_not_supported(
    transport: SshTransport, home: Home, tmp_path: Path
) -> None:
    authority = generate(tmp_path / "authority")
    home.known_hosts.write_text(f"@cert-authority * {public(authority)}\n")
    error = refusal(transport)
    assert error.kind == "host-key-unknown"
    assert f"{home.known_hosts}:1 trusts it by a certificate" in error.what


def test_files_of_the_configuration_are_read(
    transport: SshTransport, server: Sshd, home: Home, tmp_path: Path
) -> None:
    home.known_hosts.unlink()
    (tmp_path / "known").write_text(server.known("board"))
    home.config.write_text(
        f"UserKnownHostsFile {tmp_path}/absent {tmp_path}/known\nHostKeyAlias board\n"
    )
    transport.connect()


def test_host_with_a_name_of_its_own_is_accepted_by_ssh_itself(
    transport: SshTransport, server: Sshd, home: Home
) -> None:
    home.config.write_text("HostKeyAlias board\n")
    command = f"ssh -o HostKeyAlgorithms=ssh-ed25519 -p {server.port} {USER}@127.0.0.1 true"
    assert command in refusal(transport).remedy


@given(st.binary(max_size=200))
def test_no_content_of_a_file_is_too_much(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("known") / "known_hosts"
    path.write_bytes(content + b"\n|1|x|y ssh-ed25519 AAAA\n@revoked\n|1|bad ssh-rsa AAAA\n")
    hop = Hop("b", "b", "b", 22, "u", (), False, (path,), None, None, None, None)
    host_keys.known_keys(hop)
    host_keys.known_keys(replace(hop, port=23))
