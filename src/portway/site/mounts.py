"""The applications of a site: all of them loaded, and for each request the one whose route took it.

The engine's table has matched the path already and says which route it was (`portway.mount`). What is
left is to enter the application: its root path, and, for ASGI, what its lifespan left. Where the spelling
of a path hides the root, or has dot segments ("/x/../api/a" is below "/api"), the application of a route
gets the path in its normal form, so that it sees the same path as the rule that chose it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from portway.apps import Application, load
from portway.errors import StartupFailed
from portway.site.patterns import has_dot_segments, matches, normalise, without_dot_segments
from portway.site.site import AppTarget, ProxyTarget, Site

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from portway.config.settings import App, Function

MOUNT = "portway.mount"
"""The key under which the engine says which route it was: its place, or -1 for none."""
PEER = "portway.peer"
"""The key of the scope under which it says who is at the other end of the connection, for proxies alone."""
MAIN = -1

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]


class Mount(Struct, frozen=True):
    """An application in its place.

    Attributes:
        place: The place of its route, or MAIN.
        root_path: "/api", or "".
        application: What was loaded, or None for a proxy.
        proxy: What a proxy does.
    """

    place: int
    root_path: str = ""
    application: Application | None = None
    proxy: ProxyTarget | None = None

    @property
    def is_wsgi(self) -> bool:
        """Whether threads run it."""
        return self.application is not None and self.application.interface == "wsgi"


class SiteApplication(Application, frozen=True, kw_only=True):
    """All applications of a site, as the one that an engine drives.

    Attributes:
        site: Its routes.
        wsgi: The applications that threads drive, or None.
        asgi: The applications that an event loop drives, each with its own lifespan, or None.
        beside: Where there are both: the latter, for a second engine. None otherwise.
    """

    site: Site
    wsgi: WSGIMounts | None = None
    asgi: ASGIMounts | None = None
    beside: SiteApplication | None = None


def load_site(
    site: Site,
    settings: App,
    function: Function | None,
    log: Callable[[str], None],
    main: Application | None = None,
) -> SiteApplication:
    """Import every application of a site, each once.

    Args:
        site: The site.
        settings: How the main one is loaded; the directory and the environment hold for all.
        function: How Lambda handlers are served.
        log: Takes a line about an upstream of a proxy that failed.
        main: The main one, where somebody has it already.

    Raises:
        PortwayError: One of them cannot be loaded, or proxies need a package that is not installed.
    """
    loaded: dict[tuple[str, str, bool], Application] = {}

    def get(app: str, interface: str, factory: bool, **first: str) -> Application:
        key = (app, interface, factory)
        if key not in loaded:
            loaded[key] = load(app, factory=factory, interface=interface, function=function, **first)
        return loaded[key]

    main = main or get(
        settings.app, settings.interface, settings.factory, chdir=settings.chdir, env_file=settings.env_file
    )
    mounts = [Mount(MAIN, application=main)]
    for place, route in enumerate(site.routes):
        match route.target:
            case AppTarget(app, root_path, interface):
                mounts.append(Mount(place, root_path, get(app, interface, False)))
            case ProxyTarget():
                mounts.append(Mount(place, proxy=route.target))
    if site.app is None and not any(mount.is_wsgi for mount in mounts[1:]):
        mounts[0] = Mount(MAIN, application=replace(main, app=nothing, interface="asgi"))
    return _join(site, mounts, log)


async def nothing(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """Answer 404: the ASGI application of a site that has no main one."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    if scope["type"] != "http":
        raise NotImplementedError
    fields = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 404, "headers": fields})
    await send({"type": "http.response.body", "body": b"Not Found\n"})


def _join(site: Site, mounts: list[Mount], log: Callable[[str], None]) -> SiteApplication:
    main = mounts[0].application
    assert main is not None
    wsgi = [mount for mount in mounts if mount.is_wsgi]
    others = [mount for mount in mounts if not mount.is_wsgi]
    applications = {id(one): one for mount in mounts if (one := mount.application) is not None}.values()
    threads = WSGIMounts(site, wsgi) if wsgi else None
    loop = ASGIMounts(site, others, log) if others else None
    beside = None
    if loop and wsgi:
        beside = SiteApplication(loop, "asgi", "ASGI 3", main.name, site=site, asgi=loop)
    return SiteApplication(
        app=threads or loop,  # type: ignore[arg-type]
        interface="wsgi" if wsgi else "asgi",
        label=" and ".join([*(["WSGI"] if threads else []), *(["ASGI 3"] if loop else [])]),
        name=main.name,
        wants_fields=any(one.wants_fields for one in applications),
        warnings=tuple(text for one in applications for text in one.warnings),
        site=site,
        wsgi=threads,
        asgi=loop,
        beside=beside,
    )


class WSGIMounts:
    """The WSGI applications of a site as one.

    Args:
        site: The site.
        mounts: The applications.
    """

    def __init__(self, site: Site, mounts: Iterable[Mount]) -> None:
        self._site = site
        self._mounts: dict[int, tuple[WSGIApplication, str]] = {
            mount.place: (mount.application.app, mount.root_path) for mount in mounts if mount.application
        }

    @property
    def places(self) -> frozenset[int]:
        """The places of their routes."""
        return frozenset(self._mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application of the route that took the request."""
        place = environ.pop(MOUNT, None)
        if place is None:  # nobody has matched it: the server asks itself
            place = _place(self._site, (environ["SCRIPT_NAME"] + environ["PATH_INFO"]).encode("latin-1"))
        app, root = self._mounts.get(place) or _AS_IF
        if place != MAIN:
            enter_environ(environ, root)
        return app(environ, start_response)


def enter_environ(environ: WSGIEnvironment, root: str) -> None:
    """Move a root path from PATH_INFO to SCRIPT_NAME (PEP 3333)."""
    root = root.encode().decode("latin-1")
    script, path = environ["SCRIPT_NAME"], environ["PATH_INFO"]
    if "/." in path and has_dot_segments(path.encode("latin-1")):
        _enter_normal_environ(environ, root)
    elif path.startswith(root + "/"):
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = script + root, path[len(root) :]
    elif (script + path).startswith(root + "/"):  # the pattern names what was taken off already
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = root, (script + path)[len(root) :]
    else:
        _enter_normal_environ(environ, root)


def _enter_normal_environ(environ: WSGIEnvironment, root: str) -> None:
    # PATH_INFO has been decoded, and RAW_URI may be a whole URL
    script, path = environ["SCRIPT_NAME"], _plain(environ["PATH_INFO"])
    if not path.startswith(root + "/"):
        script, path = "", _plain(script + environ["PATH_INFO"])
    environ["SCRIPT_NAME"], environ["PATH_INFO"] = script + root, path.removeprefix(root)


def _plain(path: str) -> str:
    return without_dot_segments(path.encode("latin-1"))[0].decode("latin-1")


class ASGIMounts:
    """The ASGI applications of a site as one; proxies are among them.

    Args:
        site: The site.
        mounts: The applications.
        log: Takes a line about an upstream of a proxy that failed.

    Attributes:
        proxies: Whether some of them are proxies.
    """

    def __init__(self, site: Site, mounts: Iterable[Mount], log: Callable[[str], None]) -> None:
        self._site = site
        self.proxies = False
        self._mounts: dict[int, tuple[ASGIApplication, str, bool]] = {}
        self._states: dict[int, dict[str, Any]] = {}
        for mount in mounts:
            app = mount.application.app if mount.application else _proxy(mount, log)
            own = mount.application is None
            self.proxies |= own
            self._mounts[mount.place] = (app, mount.root_path, own)

    @property
    def places(self) -> frozenset[int]:
        """The places of their routes."""
        return frozenset(self._mounts)

    def applications(self) -> Iterable[tuple[ASGIApplication, bool]]:
        """Return each application once, in the order of the routes, and whether it is Portway's own."""
        return {id(app): (app, own) for app, _, own in self._mounts.values()}.values()

    def keep_state(self, app: ASGIApplication, state: dict[str, Any]) -> None:
        """Let an application's requests have copies of what its lifespan left."""
        for place, (mounted, _, _) in self._mounts.items():
            if mounted is app:
                self._states[place] = state

    def passes_on(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a proxy answers a request: what it asks for, the server behind decides."""
        mount = self._mounts.get(scope[MOUNT])
        return mount is not None and mount[2]

    def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Awaitable[None]:
        """Call the application of the route that took the request."""
        place = scope.pop(MOUNT, None)
        if place is None:
            place = _place(self._site, scope["raw_path"])
        app, root, own = self._mounts.get(place) or _AS_IF_ASGI
        if not own:
            scope.pop(PEER, None)
            if place != MAIN:
                enter_scope(scope, root)
            if place in self._states:
                scope["state"] = self._states[place].copy()
        return app(scope, receive, send)


def enter_scope(scope: dict[str, Any], root: str) -> None:
    """Add a root path to the scope's; its path keeps it (ASGI HTTP specification 2.5, `root_path`)."""
    before, path = scope["root_path"], scope["path"]
    if "/." in path and has_dot_segments(scope["raw_path"]):
        _enter_normal_scope(scope, root)
    elif path.startswith(f"{before}{root}/"):
        scope["root_path"] = before + root
    elif path.startswith(root + "/"):
        scope["root_path"] = root
    else:
        _enter_normal_scope(scope, root)


def _enter_normal_scope(scope: dict[str, Any], root: str) -> None:
    before = "" if root.startswith(scope["root_path"]) else scope["root_path"]
    plain = normalise(scope["raw_path"]).path.decode("utf-8", "replace")
    scope["root_path"] = before + root
    scope["path"] = plain if plain.startswith(f"{before}/") else before + plain


def _place(site: Site, target: bytes) -> int:
    path = normalise(target).path
    return next((n for n, route in enumerate(site.routes) if matches(route.pattern, path)), MAIN)


def _proxy(mount: Mount, log: Callable[[str], None]) -> ASGIApplication:
    assert mount.proxy is not None
    try:
        from portway.site.proxy.application import Proxy
    except ModuleNotFoundError as error:
        if error.name not in ("aiohttp", "yarl"):
            raise
        raise StartupFailed(
            "routes with proxy need aiohttp, which is not installed", "pip install 'portway[proxy]'."
        ) from error
    return Proxy(mount.proxy, log)


def _as_if(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer the server's own question about a path that no application of this interface has."""
    start_response("204 No Content", [])
    return []


async def _as_if_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


_AS_IF: tuple[WSGIApplication, str] = (_as_if, "")
_AS_IF_ASGI: tuple[ASGIApplication, str, bool] = (_as_if_asgi, "", False)
