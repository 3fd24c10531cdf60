"""The resources of a REST API, and which of them takes a path.

As API Gateway chooses: segment by segment, a literal one before a parameter, a parameter before a greedy
one, and a slash at the end does not count. Parameters keep the encoding that the path has.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from .request import Match

_LONGEST = 2048
"""Characters; a longer path matches nothing that an API declares."""


class _Node:
    __slots__ = ("greedy", "literal", "name", "parameter", "resource")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.name = ""
        self.greedy: tuple[str, str] | None = None
        self.resource: str | None = None


class Routes:
    """A table of resources. Read only once it is made; any thread may match.

    Args:
        templates: "/", "/users/{id}", "/files/{path+}".
    """

    def __init__(self, templates: Iterable[str]) -> None:
        self._root = _Node()
        self._plain: set[str] = set()  # those without parameters: nothing comes before a literal one
        self._names: dict[str, list[str]] = {}
        for template in templates:
            self._add(template)

    def _add(self, template: str) -> None:
        if "{" not in template:
            self._plain.add(template)
        node, names = self._root, []
        for segment in _segments(template):
            if segment[:1] == "{" and segment[-2:] == "+}":
                node.greedy = (segment[1:-2], template)
                names.append(segment[1:-2])
                self._names[template] = names
                return
            if segment[:1] == "{" and segment[-1:] == "}":
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        node.resource = template
        self._names[template] = names

    def match(self, path: str) -> Match | None:
        """Return the resource for a path, percent encoded as sent, or None.

        Args:
            path: The path below the stage, "/" at least.
        """
        if path in self._plain:
            return Match(path, {})
        if len(path) > _LONGEST:
            return None
        segments = _segments(path)
        values: list[str] = []
        template = self._find(self._root, segments, 0, values)
        return (
            None
            if template is None
            else Match(template, dict(zip(self._names[template], values, strict=True)))
        )

    def _find(self, node: _Node, segments: list[str], depth: int, values: list[str]) -> str | None:
        if depth == len(segments):
            return node.resource
        segment = segments[depth]
        literal = node.literal.get(segment)
        if literal is None and "%" in segment:
            literal = node.literal.get(unquote(segment))
        if literal is not None:
            found = self._find(literal, segments, depth + 1, values)
            if found is not None:
                return found
        if node.parameter is not None and segment:
            values.append(segment)
            found = self._find(node.parameter, segments, depth + 1, values)
            if found is not None:
                return found
            values.pop()
        if node.greedy is not None:
            values.append("/".join(segments[depth:]))
            return node.greedy[1]
        return None


def _segments(path: str) -> list[str]:
    inner = path[1:]
    return inner.removesuffix("/").split("/") if inner else []
