"""What mkdocs adds to the pages: the reference, from the code; links out of the site; llms.txt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from edgeq.cli.main import app
from edgeq.spec import recipe, target

ROOT = Path(__file__).parents[1]
_OUTWARD = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([\w./-]+)\)")
_SEEN: dict[str, tuple[str, str]] = {}
"""By page, its title and first sentence, for llms.txt"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation with every decision, in order."""
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    config.nav = [*(config.nav or ()), {"Decisions": [f"decisions/{name}" for name in decisions]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages that are written from the code."""
    schemas = {"recipe": recipe.schema(), "target": target.schema()}
    pages = {f"reference/{name}.md": schema_page(name, found) for name, found in schemas.items()}
    pages["reference/command-line.md"] = command_line_page()
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with names of the repository's other files instead of links, which must be there."""
    _SEEN[page.file.src_uri] = str(page.title), _summary(markdown)
    depth = page.file.src_uri.count("/") + 1

    def named(link: re.Match[str]) -> str:
        outside = link[0].count("../") >= depth
        if not outside:
            return link[0]
        if not (ROOT / link[2]).exists():
            raise PluginError(f"{page.file.src_uri}: {link[2]} is not in the repository")
        return f"{link[1]} (`{link[2]}` in the repository)" if link[1] not in link[2] else link[1]

    return _OUTWARD.sub(named, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """llms.txt (llmstxt.org): what the site has, for programs that read."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    for section in config.nav or ():
        [(title, entries)] = section.items()
        lines += [f"## {title}", "", *_listed(entries), ""]
    (Path(config.site_dir) / "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def _listed(entries: Iterable[str | dict[str, str]]) -> Iterator[str]:
    for entry in entries:
        path = entry if isinstance(entry, str) else next(iter(entry.values()))
        title, summary = _SEEN[path]
        yield f"- [{title}]({path.removesuffix('.md')}.html): {summary}"


def _summary(markdown: str) -> str:
    """The first sentence of a page's text."""
    text = re.sub(r"^#[^\n]*$|^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    plain = re.sub(r"[*`]", "", re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text))
    paragraphs = (part.strip() for part in plain.split("\n\n"))
    first = next((part for part in paragraphs if part and part[0] not in "|-<"), "")
    return re.split(r"(?<=[.:?])\s", " ".join(first.split()))[0]


def schema_page(name: str, schema: Mapping[str, Any]) -> str:
    """A table for each part of a file, from its JSON Schema."""
    parts = [f"# The {name}", "", schema.get("description", ""), ""]
    parts += ["Written from the code. The same for editors: "]
    parts[-1] += f"[{name}.schema.json](../schemas/{name}.schema.json)."
    parts += ["", *_table(schema, schema["$defs"])]
    for title, part in schema.get("$defs", {}).items():
        if part.get("properties"):
            parts += [
                "",
                f"## {title}",
                "",
                part.get("description", ""),
                "",
                *_table(part, schema["$defs"]),
            ]
    return "\n".join(parts) + "\n"


def _table(part: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | kind | default | meaning |"
    yield "|---|---|---|---|"
    needed = part.get("required", ())
    for key, value in part["properties"].items():
        plain = not isinstance(value.get("default"), (dict, list)) or not value["default"]
        default = f"`{json.dumps(value['default'])}`" if "default" in value and plain else ""
        default = "**needed**" if key in needed else default.replace("`null`", "")
        meaning = " ".join(_meaning(value, parts).split()).replace("|", "\\|")
        yield f"| `{key}` | {_kind(value)} | {default} | {meaning} |"


def _meaning(value: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """What is said of a key, or of the part of the file that it has."""
    said: str = value.get("description", "")
    names = [one.get("$ref", "").rpartition("/")[2] for one in (value, *value.get("anyOf", ()))]
    below = (parts[name].get("description", "").split("\n\n")[0] for name in names if name)
    return said or next(below, "")


def _kind(value: Mapping[str, Any]) -> str:
    """What a value may be, in words; parts of the file by a link to their table."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in value:
            kinds = (_kind(one) for one in value[key] if one.get("type") != "null")
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in value or "const" in value:
        return ", ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    kind = value.get("type", "anything")
    if kind == "array":
        items = value.get("items") or {}
        return f"list of {_kind(items)}" if items else "list"
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"name: {_kind(value['additionalProperties'])}"
    return f"{kind}{_bounds(value)}"


def _bounds(value: Mapping[str, Any]) -> str:
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    found = [f"{sign} {value[key]:g}" for key, sign in signs.items() if key in value]
    return f" {', '.join(found)}" if found else ""


def command_line_page() -> str:
    """Every command's own help."""
    lines = ["# The command line", "", "Every command's own `--help`.", ""]
    for names, command in _commands(("edgeq",), typer.main.get_command(app)):
        context = command.context_class(command, info_name=" ".join(names), max_content_width=100)
        lines += [f"## {' '.join(names)}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(names: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield names, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands((*names, name), below)
