"""Read what the system says about itself, and note why where it does not."""

from __future__ import annotations

from pathlib import Path


class Reader:
    """Reads small text files; `not_readable` maps the name of each missing figure to a reason."""

    def __init__(self) -> None:
        self.not_readable: dict[str, str] = {}

    def text(self, name: str, *paths: str) -> str | None:
        """The text of the first readable path, without NULs and white space around it."""
        for path in paths:
            try:
                text = Path(path).read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
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
        paths = sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))
        if not paths:
            self.note(name, f"this system has no {pattern}")
        return paths

    def note(self, name: str, reason: str) -> None:
        """Say why the figure `name` is missing; the first reason stands."""
        self.not_readable.setdefault(name, reason)
