"""How often a process hashes the images of a project while it deploys it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes.exchange import answer, arguments


def main() -> None:
    """Deploy {recipe} here, and count over the images in {folders}."""
    given = arguments()
    import edgeq
    from tests.hashes import counted

    files = [file for folder in given["folders"] for file in Path(folder).iterdir()]
    with counted(files) as hashed:
        edgeq.deploy(given["recipe"], "local")
    answer({"images": len(files), "hashes": hashed.total()})


if __name__ == "__main__":
    main()
