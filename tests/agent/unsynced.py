"""A disk that loses what was not synced: records the store's operations and replays them.

Pessimistic: every unsynced content may be lost, empty or cut, and of the unsynced changes of names
any subset may be lost, the halves of one rename among them.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import pytest

from edgeq.agent.store import disk


class Operation(NamedTuple):
    """One change or sync of the disk, or what was answered (`name` is 'answered')."""

    name: str
    path: str = ""
    other: str = ""
    offset: int = 0
    content: bytes = b""


Log = List[Operation]


def record(root: Path, log: Log, patch: pytest.MonkeyPatch) -> None:
    """Note everything that disk.py does below `root`."""

    def inside(path: Path) -> str:
        return path.relative_to(root).as_posix()

    def wrap(name: str, describe: Callable[..., Operation]) -> None:
        real = getattr(disk, name)

        def wrapped(*arguments: Any) -> Any:
            operation = describe(*arguments)
            result = real(*arguments)
            log.append(operation)
            return result

        patch.setattr(disk, name, wrapped)

    def writing(file: disk.DurableFile, content: bytes) -> Operation:
        offset = os.lseek(file.fd, 0, os.SEEK_CUR)
        return Operation("write", inside(file.path), offset=offset, content=bytes(content))

    wrap("open_file", lambda path: Operation("create", inside(path)))
    wrap("write", writing)
    wrap("truncate", lambda file, size: Operation("truncate", inside(file.path), offset=size))
    wrap("mkdir", lambda path: Operation("mkdir", inside(path)))
    wrap("symlink", lambda target, path: Operation("symlink", inside(path), target))
    wrap("rename", lambda before, after: Operation("rename", inside(before), inside(after)))
    wrap("remove", lambda path: Operation("remove", inside(path)))
    wrap("sync", lambda path: Operation("sync", inside(path)))
    wrap("sync_all", lambda root, files: Operation("sync_all"))


class Node:
    """A file, link or folder: what programs see, and what the disk has for certain."""

    def __init__(self, kind: str, target: str = "") -> None:
        self.kind = kind
        self.target = target
        self.content = b""
        self.safe_content = b""
        self.names: Dict[str, Node] = {}
        self.safe_names: Dict[str, Node] = {}
        self.pending: List[Tuple[str, Optional[Node]]] = []

    def put(self, name: str, node: Optional[Node]) -> None:
        if node is None:
            del self.names[name]
        else:
            self.names[name] = node
        self.pending.append((name, node))

    def sync(self) -> None:
        self.safe_content = self.content
        self.safe_names = dict(self.names)
        self.pending.clear()


class Disk:
    """The root folder after some operations."""

    def __init__(self) -> None:
        self.root = Node("folder")

    def apply(self, operation: Operation) -> None:
        name, path = operation.name, operation.path
        if name == "answered":
            return
        if name == "sync_all":
            self._sync_all(self.root)
            return
        if name == "sync":
            self._node(path).sync()
            return
        folder, _, last = path.rpartition("/")
        parent = self._node(folder)
        if name == "create":
            if last not in parent.names:
                parent.put(last, Node("file"))
        elif name == "write":
            node, end = parent.names[last], operation.offset + len(operation.content)
            old = node.content.ljust(operation.offset, b"\0")
            node.content = old[: operation.offset] + operation.content + old[end:]
        elif name == "truncate":
            parent.names[last].content = parent.names[last].content[: operation.offset]
        elif name == "mkdir":
            parent.put(last, Node("folder"))
        elif name == "symlink":
            parent.put(last, Node("link", operation.other))
        elif name == "remove":
            parent.put(last, None)
        elif name == "rename":
            node = parent.names[last]
            parent.put(last, None)
            after, _, new = operation.other.rpartition("/")
            self._node(after).put(new, node)
        else:
            raise ValueError(name)

    def write_to(self, folder: Path, choose: Callable[[], bool], fate: random.Random) -> None:
        """Make what a power cut leaves: `choose` says of each unsynced change whether it is there.

        What is not there of a file's content is replaced by something `fate` finds.
        """
        self._write(self.root, folder, choose, fate)

    def _write(
        self, node: Node, path: Path, choose: Callable[[], bool], fate: random.Random
    ) -> None:
        if node.kind == "link":
            path.symlink_to(node.target)
        elif node.kind == "file":
            path.write_bytes(node.content if choose() else _damaged(node, fate))
        else:
            path.mkdir()
            names = dict(node.safe_names)
            for name, child in node.pending:
                if choose():
                    if child is None:
                        names.pop(name, None)
                    else:
                        names[name] = child
            for name, child in names.items():
                self._write(child, path / name, choose, fate)

    def _node(self, path: str) -> Node:
        node = self.root
        for name in path.split("/"):
            if name and name != ".":
                node = node.names[name]
        # A sync opens what a link points to.
        return node

    def _sync_all(self, node: Node) -> None:
        node.sync()
        for child in node.names.values():
            self._sync_all(child)


def _damaged(node: Node, fate: random.Random) -> bytes:
    if node.content == node.safe_content:
        return node.content
    ways = [
        node.safe_content,
        b"",
        bytes(len(node.content)),
        node.content[: len(node.content) // 2],
    ]
    return fate.choice(ways)
