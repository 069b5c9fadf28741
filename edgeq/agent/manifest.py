"""The manifest of a release: what is in the folder, how to feed the model, how to read it."""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from .errors import BAD_ARTIFACT, AgentError, raise_problems
from .names import runtime_names
from .wire.fields import Fields

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.json.sig"
REMEDY = "push the release again"
DELEGATES = ("xnnpack", "none")


class ReleaseRuntime(NamedTuple):
    """The engine that runs the release, the file that it loads, and LiteRT's delegate."""

    name: str
    model: str
    delegate: str = "xnnpack"


class ReleaseTask(NamedTuple):
    """How raw outputs become detections; thresholds as in the recipe, counts per image."""

    decoder: str
    classes: tuple[str, ...]
    score_threshold: float
    iou_threshold: float
    max_detections: int
    multi_label: bool
    mask_threshold: float


class ReleaseInput(NamedTuple):
    """How pixels become the input: tensor = (pixel * scale - mean) / std after the letterbox."""

    size: tuple[int, int]
    letterbox: bool
    pad_value: int
    color: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: str
    dtype: str


class FileEntry(NamedTuple):
    """One file of the release; its path is relative to the folder, with forward slashes."""

    path: str
    sha256: str
    size_bytes: int


class ReleaseManifest(NamedTuple):
    """A release folder that was described completely; `id` is the sha256 of manifest.json."""

    id: str
    folder: Path
    runtime: ReleaseRuntime
    task: ReleaseTask
    preprocess: ReleaseInput
    files: tuple[FileEntry, ...]

    @property
    def model_path(self) -> Path:
        """The file that the engine loads."""
        return self.folder / self.runtime.model


def read_manifest(folder: Path) -> ReleaseManifest:
    """The manifest in `folder`; AgentError (bad-artifact) lists everything that is wrong in it."""
    path = folder / MANIFEST_NAME
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise AgentError(
            BAD_ARTIFACT, str(path), f"cannot be read ({exc.strerror})", REMEDY
        ) from exc
    return parse_manifest(raw, folder)


def parse_manifest(raw: bytes, folder: Path) -> ReleaseManifest:
    """The manifest in the bytes of manifest.json; AgentError as `read_manifest`."""
    where = str(folder / MANIFEST_NAME)
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise AgentError(BAD_ARTIFACT, where, f"is not JSON ({exc})", REMEDY) from exc
    problems: list[str] = []
    fields = Fields(document, problems)
    version = fields.integer("format", 0)
    if not problems and version != FORMAT:
        raise AgentError(
            BAD_ARTIFACT,
            where,
            f"has format {version} and this agent reads format {FORMAT}",
            "build the release and push the agent with the same edgeq",
        )
    manifest = ReleaseManifest(
        id=hashlib.sha256(raw).hexdigest(),
        folder=folder,
        runtime=_runtime(fields.section("runtime")),
        task=parse_task(fields.section("task")),
        preprocess=parse_preprocess(fields.section("preprocess")),
        files=_files(fields.section("files")),
    )
    if not problems and manifest.runtime.model not in {entry.path for entry in manifest.files}:
        problems.append(f"runtime.model is '{manifest.runtime.model}', which is not among files")
    raise_problems(BAD_ARTIFACT, where, problems, "build the release again")
    return manifest


def parse_task(fields: Fields) -> ReleaseTask:
    """The `task` section."""
    task = ReleaseTask(
        decoder=fields.text("decoder"),
        classes=fields.texts("classes"),
        score_threshold=fields.number("score_threshold", 0.0, 1.0),
        iou_threshold=fields.number("iou_threshold", 0.0, 1.0),
        max_detections=fields.integer("max_detections", 1),
        multi_label=fields.flag("multi_label"),
        mask_threshold=fields.number("mask_threshold", 0.0, 1.0),
    )
    if "mask_threshold" in fields and task.mask_threshold in (0.0, 1.0):
        fields.note("mask_threshold", f"is {task.mask_threshold:g}; it must lie between 0 and 1")
    return task


def parse_preprocess(fields: Fields) -> ReleaseInput:
    """The `preprocess` section."""
    height, width = fields.numbers("size", 2)
    if "size" in fields and (min(height, width) < 1 or height % 1 or width % 1):
        fields.note("size", "must be [height, width] in whole pixels")
    preprocess = ReleaseInput(
        size=(int(height), int(width)),
        letterbox=fields.flag("letterbox"),
        pad_value=fields.integer("pad_value", 0),
        color=fields.choice("color", ("rgb", "bgr")),
        scale=fields.number("scale", 0.0, 1e6),
        mean=fields.numbers("mean", 3),
        std=fields.numbers("std", 3),
        layout=fields.choice("layout", ("nchw", "nhwc")),
        dtype=fields.choice("dtype", ("float32", "uint8")),
    )
    if preprocess.pad_value > 255:
        fields.note("pad_value", f"is {preprocess.pad_value}; it must lie from 0 to 255")
    if "std" in fields and 0.0 in preprocess.std:
        fields.note("std", "has a zero, by which nothing can be divided")
    untouched = (preprocess.scale, preprocess.mean, preprocess.std) == (1.0, (0.0,) * 3, (1.0,) * 3)
    if preprocess.dtype == "uint8" and not untouched:
        fields.note("dtype", "is uint8, which takes pixels as they are: scale 1, mean 0, std 1")
    return preprocess


def _runtime(fields: Fields) -> ReleaseRuntime:
    return ReleaseRuntime(
        name=fields.choice("name", runtime_names()),
        model=fields.text("model"),
        delegate=fields.choice("delegate", DELEGATES, "xnnpack"),
    )


def _files(fields: Fields) -> tuple[FileEntry, ...]:
    entries = []
    for path in fields.names():
        if posixpath.normpath(path) != path or path.startswith(("/", "..")) or "\\" in path:
            fields.note(path, "is not a plain path inside the release")
            continue
        entry = fields.section(path)
        digest = entry.text("sha256")
        if digest and (len(digest) != 64 or set(digest) - set("0123456789abcdef")):
            entry.note("sha256", "is not 64 hexadecimal digits")
        entries.append(FileEntry(path, digest, entry.integer("bytes", 0)))
    return tuple(entries)
