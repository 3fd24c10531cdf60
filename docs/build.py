"""Build the documentation: docs/*.md to HTML in one folder.

It fails on an internal link that leads nowhere, and on a page that no link leads to.

    python docs/build.py OUTPUT

A link may name another page, a heading of a page (with GitHub's names for headings, so that the same
links work there) or a file of the repository. The Markdown files beside docs/ that a user reads are
checked with the pages. Links to other sites are left alone: a build must not depend on the network.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
BESIDE = ("README.md", "CHANGES.md", "bench/README.md", "examples/README.md")

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{up}style.css">
</head>
<body>
<header><a href="{up}index.html">Portway</a></header>
<main>
{body}</main>
</body>
</html>
"""


@dataclass
class Page:
    """A Markdown file, parsed: its title, the names of its headings, its links, whether one leads to it."""

    path: Path
    tokens: list[Token]
    title: str = ""
    names: set[str] = field(default_factory=set)
    linked: bool = False
    links: list[Token] = field(default_factory=list)


def heading_name(text: str, taken: set[str]) -> str:
    """Return GitHub's name for a heading: lower case, spaces to dashes, a number where it repeats."""
    base = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
    name, number = base, 0
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def read(path: Path, markdown: MarkdownIt) -> Page:
    """Parse a file, and give every heading its name."""
    page = Page(path, markdown.parse(path.read_text(encoding="utf-8")))
    for index, token in enumerate(page.tokens):
        if token.type == "heading_open":
            pieces = page.tokens[index + 1].children or []
            text = "".join(piece.content for piece in pieces)
            name = heading_name(text, page.names)
            page.names.add(name)
            page.title = page.title or text
            token.attrSet("id", name)
        page.links += [piece for piece in token.children or [] if piece.type in ("link_open", "image")]
    return page


def check(page: Page, pages: dict[Path, Page]) -> list[str]:
    """Return what is wrong with the page's links, and point those between pages at the HTML files."""
    problems = []
    for link in page.links:
        attribute = "src" if link.type == "image" else "href"
        target = str(link.attrGet(attribute) or "")
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        if not path.exists() or not path.is_relative_to(ROOT):
            problems.append(f"{page.path.relative_to(ROOT)}: no file {target!r}")
        elif parts.fragment and path in pages and parts.fragment not in pages[path].names:
            problems.append(f"{page.path.relative_to(ROOT)}: no heading {target!r}")
        if path in pages and path != page.path:
            pages[path].linked = True
        if path in pages and path.is_relative_to(DOCS) and parts.path:
            link.attrSet(attribute, parts._replace(path=parts.path.removesuffix("md") + "html").geturl())
        elif parts.path:
            # The page moves to another folder, the file that it links to does not.
            link.attrSet(attribute, path.as_uri())
    return problems


def write(page: Page, markdown: MarkdownIt, output: Path) -> None:
    """Write one page of docs/ as HTML."""
    relative = page.path.relative_to(DOCS)
    target = output / relative.with_suffix(".html")
    target.parent.mkdir(parents=True, exist_ok=True)
    body = markdown.renderer.render(page.tokens, markdown.options, {})
    up = "../" * (len(relative.parts) - 1)
    target.write_text(TEMPLATE.format(title=html.escape(page.title), up=up, body=body), encoding="utf-8")


def build(output: Path) -> list[str]:
    """Check every page and write it; return what is wrong."""
    markdown = MarkdownIt("commonmark").enable("table")
    paths = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in BESIDE if (ROOT / name).exists())]
    pages = {path: read(path, markdown) for path in paths}
    problems = [problem for page in pages.values() for problem in check(page, pages)]
    problems += [
        f"{page.path.relative_to(ROOT)}: no page links to it"
        for page in pages.values()
        if page.path.is_relative_to(DOCS) and not page.linked
    ]
    output.mkdir(parents=True, exist_ok=True)
    shutil.copy(DOCS / "style.css", output)
    for page in pages.values():
        if page.path.is_relative_to(DOCS):
            write(page, markdown, output)
    return problems


def main(arguments: list[str]) -> int:
    """Build into the folder that the command line names."""
    if len(arguments) != 1:
        print("usage: python docs/build.py OUTPUT", file=sys.stderr)
        return 1
    output = Path(arguments[0])
    problems = build(output)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print(output / "index.html")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
