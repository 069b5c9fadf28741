"""Read what the system says about itself, and note why where it does not."""

from __future__ import annotations

from pathlib import Path


class Reader:
    """Reads small text files; `not_readable` maps the name of each missing figure to a reason.

    Paths are those of the device whose files lie below `root`, in arguments, answers and reasons.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.not_readable: dict[str, str] = {}

    def at(self, path: str) -> Path:
        """Where a file of the device lies."""
        return self.root / path.lstrip("/")

    def text(self, name: str, *paths: str) -> str | None:
        """The text of the first readable path, without NULs and white space around it."""
        for path in paths:
            try:
                text = self.at(path).read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
            except PermissionError:
                self.note(name, "not readable without root")
            except OSError as exc:
                self.note(name, f"{path}: {exc.strerror or 'cannot be read'}")
            else:
                self.not_readable.pop(name, None)
                return text
        return None

    def integer(self, name: str, path: str) -> int | None:
        """The whole number in a file."""
        text = self.text(name, path)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            self.note(name, f"{path} holds '{text[:40]}', which is not a number")
            return None

    def found(self, name: str, pattern: str) -> list[str]:
        """The paths that match a glob pattern, sorted; none is noted."""
        found = self.root.glob(pattern.lstrip("/"))
        paths = sorted(f"/{path.relative_to(self.root)}" for path in found)
        if not paths:
            self.note(name, f"this system has no {pattern}")
        return paths

    def note(self, name: str, reason: str) -> None:
        """Say why the figure `name` is missing; the first reason stands."""
        self.not_readable.setdefault(name, reason)
