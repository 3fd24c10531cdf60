"""The records of a site: what the configuration says, read and checked, and nothing else.

Pure data: no file is looked at, no name resolved, no secret in it. They are the same wherever the site
runs, and can be pickled.
"""

from __future__ import annotations

from msgspec import Struct

from portway.config.stages import Variable

INDEX = ("index.html",)
PRECOMPRESSED = ("br", "zstd", "gzip")


class CacheRule(Struct, frozen=True):
    """What Cache-Control some files get.

    Attributes:
        path: A pattern, as in a route, for the whole path of the URL; "/*" is every file.
        value: The field's value.
    """

    path: str
    value: str


class AppTarget(Struct, frozen=True):
    """An application of the site.

    Attributes:
        app: What to import: module:attr, module:factory() or path/to/file.py[:attr].
        root_path: Where it is mounted: "/api", or "" at the root.
        interface: What it speaks: "auto", "wsgi", "asgi", "asgi2" or "lambda".
    """

    app: str
    root_path: str = ""
    interface: str = "auto"


class StaticTarget(Struct, frozen=True, kw_only=True):
    """A folder whose files are served.

    Attributes:
        folder: Its path; absolute once the configuration is resolved.
        base: The directory of the URL whose place the folder takes: "/static/".
        index: Names of the file that stands for a directory, the first that exists counts.
        not_found: A file of the folder, relative to it, that is the body of 404; None for the plain one.
        cache: Rules for Cache-Control; the first that matches counts.
        precompressed: Content codings whose files ("x.css.br") are looked for, the preferred one first.
        hidden: Whether names that begin with a dot are served.
        follow: Whether a symbolic link may lead out of the folder.
    """

    folder: str
    base: str = "/"
    index: tuple[str, ...] = INDEX
    not_found: str | None = None
    cache: tuple[CacheRule, ...] = ()
    precompressed: tuple[str, ...] = PRECOMPRESSED
    hidden: bool = False
    follow: bool = False


class RedirectTarget(Struct, frozen=True):
    """Where clients are sent instead.

    Attributes:
        to: A path or an absolute URL. A `*` in it takes what the last `*` of the pattern matched.
        status: 301, 302, 307 or 308.
    """

    to: str
    status: int = 308


class ProxyTarget(Struct, frozen=True, kw_only=True):
    """Servers that answer instead.

    Attributes:
        upstreams: Their URLs without a path, asked in turn; see `upstreams.py`.
        connect_timeout_s: Seconds for a connection to one of them.
        read_timeout_s: Seconds between two pieces of its response.
        keep_host: Whether it gets the client's Host field; else its own.
        strip: What is taken off the front of the path: "/api", or "" for nothing.
    """

    upstreams: tuple[str, ...]
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    keep_host: bool = False
    strip: str = ""


Target = AppTarget | StaticTarget | RedirectTarget | ProxyTarget


class Route(Struct, frozen=True):
    """One rule: the first whose pattern matches a path answers it.

    Attributes:
        pattern: CloudFront's path pattern, with its leading slash: "/static/*".
        target: What answers.
    """

    pattern: str
    target: Target


class Site(Struct, frozen=True, kw_only=True):
    """A whole site.

    Attributes:
        app: The application that gets what no route takes; None: that is 404.
        routes: The rules in their order.
        stage: The stage they are for, or None for the base.
        environment: What it adds to the applications' environment, as it is written.
    """

    app: str | None
    routes: tuple[Route, ...] = ()
    stage: str | None = None
    environment: tuple[Variable, ...] = ()

    @property
    def has_mounts(self) -> bool:
        """Whether it has more than one application; proxies are applications."""
        return any(isinstance(route.target, AppTarget | ProxyTarget) for route in self.routes)
