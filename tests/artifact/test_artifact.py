from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq import places
from edgeq.agent.manifest import parse_manifest
from edgeq.artifact import archive as archives
from edgeq.artifact import shelf
from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import Input, Manifest, ManifestTask, RuntimeEntry, describe
from edgeq.errors import EdgeqError, InputError, InputErrors

FILES = {"model.onnx": b"weights" * 1000, "plan.json": b"{}"}


def manifest(files: dict[str, bytes], note: str = "") -> Manifest:
    return Manifest(
        runtime=RuntimeEntry(name="onnxruntime", model="model.onnx"),
        task=ManifestTask(
            decoder="yolov8-seg",
            classes=("pig", "Kälbchen"),
            score_threshold=0.001,
            iou_threshold=0.6,
            max_detections=100,
            multi_label=True,
            mask_threshold=0.5,
        ),
        preprocess=Input(
            size=(480, 640),
            letterbox=True,
            pad_value=114,
            color="rgb",
            scale=1 / 255,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        files=describe(files),
        provenance={"note": note, "scales": [0.1, 1e-9], "nested": {"a": None}},
    )


def kept(files: dict[str, bytes] = FILES, note: str = "") -> Artifact:
    return shelf.keep(manifest(files, note), files)


def refused(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        archives.read(path)
    return [line.replace(str(path), "A") for line in str(caught.value).splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact in a folder of its own."""
    return archives.copy(kept(), tmp_path / "artifact")


def test_manifest_that_the_agent_would_refuse_is_found_here(edgeq_home: Path) -> None:
    wrong = manifest(FILES).model_copy(
        update={"runtime": RuntimeEntry(name="abacus", model="model.onnx")}
    )
    with pytest.raises(EdgeqError, match=r"runtime\.name is 'abacus'; it must be one of") as caught:
        shelf.keep(wrong, FILES)
    assert caught.value.exit_code == 5
    assert not list((edgeq_home / "cache").rglob("manifest.json"))


def test_id_is_the_hash_of_the_manifest_file(folder: Path) -> None:
    found = archives.read(folder)
    digest = subprocess.run(
        ["sha256sum", folder / "manifest.json"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert found.id == digest
    assert found.size_bytes == sum(len(content) for content in FILES.values())


def test_same_inputs_give_the_same_id_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept()
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "elsewhere"))
    second = shelf.keep(manifest(dict(reversed(FILES.items()))), FILES)
    assert first.id == second.id
    assert first.folder != second.folder


def test_any_difference_gives_another_id() -> None:
    ids = {kept().id, kept(note="x").id, kept({**FILES, "plan.json": b"[]"}).id}
    assert len(ids) == 3


def test_delegate_is_written_only_where_it_is_not_the_default() -> None:
    plain = manifest(FILES)
    assert b"delegate" not in plain.encoded()
    engine = RuntimeEntry(name="litert", model="model.onnx", delegate="none")
    without = plain.model_copy(update={"runtime": engine})
    written = json.loads(without.encoded())["runtime"]
    assert written == {"name": "litert", "model": "model.onnx", "delegate": "none"}
    assert Manifest.model_validate_json(without.encoded()) == without
    assert parse_manifest(without.encoded(), Path()).runtime.delegate == "none"
    usual = plain.model_copy(update={"runtime": RuntimeEntry(name="litert", model="model.onnx")})
    assert Manifest.model_validate_json(usual.encoded()) == usual
    assert parse_manifest(usual.encoded(), Path()).runtime.delegate == "xnnpack"


def test_single_file_is_the_same_bytes_twice_and_round_trips(folder: Path, tmp_path: Path) -> None:
    first = archives.copy(archives.read(folder), tmp_path / "a.edgeq")
    second = archives.copy(archives.read(first), tmp_path / "elsewhere" / "b.edgeq")
    unpacked = archives.copy(archives.read(second), tmp_path / "unpacked")
    assert first.read_bytes() == second.read_bytes()
    assert {f.name: f.read_bytes() for f in unpacked.iterdir()} == {
        f.name: f.read_bytes() for f in folder.iterdir()
    }
    assert archives.read(unpacked).manifest == manifest(FILES)


def test_single_file_opens_with_any_unzip(folder: Path, tmp_path: Path) -> None:
    path = archives.copy(archives.read(folder), tmp_path / "a.edgeq")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["manifest.json", "model.onnx", "plan.json"]
        assert archive.read("model.onnx") == FILES["model.onnx"]


@settings(max_examples=20)
@given(st.dictionaries(st.from_regex(r"\A[a-z0-9_]{1,8}\Z"), st.binary(max_size=50), max_size=4))
def test_any_files_round_trip(files: dict[str, bytes]) -> None:
    files = {**files, "model.onnx": b"m"}
    packed = archives.pack(kept(files))
    path = places.cache("test") / "packed"
    path.write_bytes(packed)
    found = archives.read(path)
    assert {name: found.path(name).read_bytes() for name in found.manifest.files} == files


# What was tampered with is refused, and named.


def change(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"x" * len(FILES["model.onnx"]))


def lose(folder: Path) -> None:
    (folder / "plan.json").unlink()


def add(folder: Path) -> None:
    (folder / "extra.so").write_bytes(b"code")


def add_folder(folder: Path) -> None:
    (folder / "extra").mkdir()


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (change, "A/model.onnx: is not what the manifest says (sha256 differs); build or copy it "),
        (lose, "A/plan.json: is missing; build or copy it again"),
        (add, "A/extra.so: is not in the manifest; build or copy it again"),
        (add_folder, "A/extra: is not in the manifest; build or copy it again"),
    ],
)
def test_tampered_folder_is_refused_by_name(
    folder: Path, tamper: Callable[[Path], None], message: str
) -> None:
    tamper(folder)
    [line] = refused(folder)
    assert line.startswith(message)


def test_everything_that_is_wrong_is_reported_together(folder: Path) -> None:
    change(folder)
    lose(folder)
    add(folder)
    assert [line.split(":")[0] for line in refused(folder)] == [
        "A/extra.so",
        "A/model.onnx",
        "A/plan.json",
    ]


def packed(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {**FILES, "model.onnx": b"x"},
            "A/model.onnx: is not what the manifest says (1 bytes inst",
        ),
        ({"model.onnx": FILES["model.onnx"]}, "A/plan.json: is missing; build or copy it again"),
        ({**FILES, "extra": b""}, "A/extra: is not in the manifest; build or copy it again"),
        ({**FILES, "../../evil": b""}, "A/../../evil: is not in the manifest; build or copy it ag"),
    ],
)
def test_tampered_single_file_is_refused_by_name(
    tmp_path: Path, content: dict[str, bytes], message: str
) -> None:
    path = tmp_path / "a.edgeq"
    packed(path, {"manifest.json": manifest(FILES).encoded(), **content})
    [line] = refused(path)
    assert line.startswith(message)


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "..", ".", "", "a/b", "manifest.json", "a\\b", ".x", "a\x00"]
)
def test_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    files = {**FILES, name: b"evil"}
    encoded = manifest(files).encoded()
    path = packed(tmp_path / "a.edgeq", {"manifest.json": encoded})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(encoded)
    for place in (path, folder):
        assert refused(place) == [f"A: its manifest names '{name}'; build it again"]


def test_tampered_manifest_is_another_artifact(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    content["provenance"]["note"] = "trust me"
    (folder / "manifest.json").write_text(json.dumps(content))
    assert archives.read(folder).id != kept().id


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "A: its manifest is broken: "),
        ("{", "A: its manifest is broken: "),
        ("[]", "A: its manifest is broken: "),
        ('{"format": 2}', "A: its manifest is broken: format: "),
    ],
)
def test_broken_manifest_is_refused(folder: Path, content: str, message: str) -> None:
    (folder / "manifest.json").write_text(content)
    [line] = refused(folder)
    assert line.startswith(message)


def test_model_that_is_not_among_the_files_is_refused(tmp_path: Path) -> None:
    files = {"other.onnx": b"m"}
    path = packed(tmp_path / "a.edgeq", {"manifest.json": manifest(files).encoded(), **files})
    assert refused(path) == ["A: its model 'model.onnx' is not among its files; build it again"]


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.edgeq").write_text("text")
    packed(tmp_path / "zip.edgeq", FILES)
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "text.edgeq", tmp_path / "zip.edgeq"):
        [line] = refused(path)
        assert line.startswith("A: is no artifact")
        assert line.endswith("run 'edgeq build'")


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_damaged_single_file_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int, cut: bool
) -> None:
    content = bytearray(archives.pack(kept({"model.onnx": b"m" * 20})))
    place %= len(content)
    content[place] ^= flip
    path = tmp_path_factory.getbasetemp() / "damaged.edgeq"
    path.write_bytes(content[:place] if cut else content)
    try:
        assert archives.read(path).path("model.onnx").read_bytes() == b"m" * 20
    except InputError as exc:
        assert str(exc).startswith(str(path))


def test_encrypted_file_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("manifest.json", manifest(FILES).encoded())
    data = bytearray(content.getvalue())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    (tmp_path / "a.edgeq").write_bytes(data)
    assert "encrypted" in refused(tmp_path / "a.edgeq")[0]


# A file that lies about its size.


def written(path: Path, content: dict[str, bytes], compression: int, name: str = "") -> Path:
    """An archive with one kind of compression, of one member or of all."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, data in content.items():
            how = compression if name in ("", key) else zipfile.ZIP_STORED
            archive.writestr(key, data, how)
    return path


COMPRESSED = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("compression", COMPRESSED)
def test_compressed_member_is_refused_before_it_is_unpacked(
    tmp_path: Path, edgeq_home: Path, compression: int
) -> None:
    files = {**FILES, "model.onnx": bytes(2**24)}
    content = {"manifest.json": manifest(files).encoded(), **files}
    path = written(tmp_path / "a.edgeq", content, compression, "model.onnx")
    assert path.stat().st_size < 2**16
    assert refused(path) == [
        "A/model.onnx: is compressed, where an artifact holds its files as they are; "
        "build or copy it again"
    ]
    assert not (edgeq_home / "cache").exists()


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_damaged_compressed_member_is_refused(tmp_path: Path, compression: int, name: str) -> None:
    content = {"manifest.json": manifest(FILES).encoded(), **FILES}
    path = written(tmp_path / "a.edgeq", content, compression, name)
    data = bytearray(path.read_bytes())
    start = data.index(name.encode()) + len(name)
    data[start : start + 30] = b"\xff" * 30
    path.write_bytes(data)
    assert refused(path)


def test_member_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.edgeq", {"manifest.json": manifest(FILES).encoded(), **FILES})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"model.onnx"))
    data[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2  # stored, and as it is
    size = len(data)
    path.write_bytes(data)
    [line] = refused(path)
    assert line.startswith("A: claims to hold 21474")
    assert line.endswith(f" bytes, and has {size} itself; build or copy it again")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.edgeq", {"manifest.json": manifest(FILES).encoded(), **FILES})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("plan.json", b"{}")
    assert refused(path) == ["A/plan.json: is in it more than once; build or copy it again"]


def test_many_members_are_counted(tmp_path: Path) -> None:
    content = {f"{number}": b"" for number in range(3000)}
    path = packed(tmp_path / "a.edgeq", {"manifest.json": manifest(FILES).encoded(), **content})
    lines = refused(path)
    assert lines[-1] == "and 2982 more problems"
    assert len(lines) == 21


def test_list_of_files_without_end_is_refused_unread(tmp_path: Path) -> None:
    content = {f"{number:0100}": b"" for number in range(8000)}
    path = packed(tmp_path / "a.edgeq", {"manifest.json": manifest(FILES).encoded(), **content})
    assert refused(path) == ["A: is no artifact (its list of files is too long); run 'edgeq build'"]


# Copying never destroys anything else.


def test_copy_replaces_an_artifact(folder: Path) -> None:
    other = kept(note="newer")
    archives.copy(other, folder)
    assert archives.read(folder).id == other.id


def test_copy_onto_itself_changes_nothing(folder: Path) -> None:
    archives.copy(archives.read(folder), folder)
    assert archives.read(folder).id == kept().id


def test_copy_takes_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert archives.read(archives.copy(kept(), tmp_path / "empty")).id == kept().id


@pytest.mark.parametrize("name", ["thesis.tex", "manifest.json"])
def test_copy_to_a_folder_of_other_things_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('{"name": "a browser extension"}')
    with pytest.raises(InputError, match="exists and holds something else; name another place"):
        archives.copy(kept(), tmp_path / "mine")
    assert (tmp_path / "mine" / name).exists()


def test_copy_to_an_artifact_with_something_else_in_it_is_refused(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and holds something else"):
        archives.copy(kept(note="newer"), folder)


def test_copy_to_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="exists and holds something else"):
        archives.copy(kept(), tmp_path / "file")


@pytest.mark.parametrize("name", ["file/below", "file/below.edgeq", "folder.edgeq"])
def test_copy_to_where_nothing_can_be_written_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.edgeq" / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match=r"cannot be written|holds something else"):
        archives.copy(kept(), tmp_path / name)


# The cache.


def test_kept_artifact_is_found_by_its_id() -> None:
    assert shelf.kept(kept().id) == kept()


def test_unknown_or_damaged_artifact_is_not_kept() -> None:
    stored = kept()
    assert shelf.kept("0" * 64) is None
    stored.path("model.onnx").write_bytes(b"")
    assert shelf.kept(stored.id) is None


def test_artifact_under_a_foreign_id_is_not_kept() -> None:
    stored = kept()
    stored.folder.rename(stored.folder.with_name("0" * 64))
    assert shelf.kept("0" * 64) is None


def test_keeping_mends_a_damaged_artifact() -> None:
    stored = kept()
    stored.path("model.onnx").write_bytes(b"")
    assert shelf.kept(kept().id) is not None


def test_keeping_leaves_an_intact_artifact_alone() -> None:
    before = kept().path("model.onnx").stat()
    after = kept().path("model.onnx").stat()
    assert before.st_ino == after.st_ino


def test_cache_holds_nothing_but_artifacts_afterwards() -> None:
    stored = kept()
    assert [entry.name for entry in stored.folder.parent.iterdir()] == [stored.id]


KEEPER = """
import shutil, sys
sys.path.insert(0, sys.argv[1])
import test_artifact as t
print("ready", flush=True)
while True:
    stored = t.kept()
    shutil.rmtree(stored.folder)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.01, 0.02])
def test_killed_keeper_leaves_a_whole_artifact_or_none(delay_s: float) -> None:
    here = str(Path(__file__).parent)
    with subprocess.Popen([sys.executable, "-c", KEEPER, here], stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            keeper.wait(timeout=delay_s)
        keeper.send_signal(signal.SIGKILL)
    assert shelf.kept(kept().id) is not None


RIVAL = """
import sys
sys.path.insert(0, sys.argv[1])
import test_artifact as t
print("ready", flush=True)
sys.stdin.readline()
for number in range(30):
    stored = t.kept(note=str(number))
    assert stored.path("model.onnx").read_bytes() == t.FILES["model.onnx"]
"""


def test_keeping_at_the_same_time_is_harmless() -> None:
    command = [sys.executable, "-c", RIVAL, str(Path(__file__).parent)]
    with ExitStack() as stack:
        rivals = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(3)
        ]
        for rival in rivals:
            assert rival.stdout is not None
            rival.stdout.readline()
        for rival in rivals:
            assert rival.stdin is not None
            rival.stdin.write(b"go\n")
            rival.stdin.flush()
    assert [rival.returncode for rival in rivals] == [0, 0, 0]


def test_several_problems_are_input_errors(folder: Path) -> None:
    change(folder)
    add(folder)
    with pytest.raises(InputErrors):
        archives.read(folder)
