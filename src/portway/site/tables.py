"""From a site's records to the route table of an engine."""

from __future__ import annotations

from collections.abc import Container

from portway.engine.folder import Folder, MediaTypes
from portway.engine.table import Table
from portway.site.media_types import TYPES
from portway.site.site import RedirectTarget, Site, StaticTarget


def make_table(site: Site, elsewhere: Container[int] = ()) -> Table:
    """Return the table of a site: what the engine answers by itself. No file is looked at.

    Args:
        site: The site.
        elsewhere: Places of the routes that another engine of the process answers; -1 is what no route takes.

    Raises:
        ValueError: A redirect goes where none may go.
    """
    table = Table()
    types = MediaTypes(TYPES)
    for route in site.routes:
        pattern = route.pattern.encode()
        match route.target:
            case StaticTarget():
                table.add_files(pattern, make_folder(route.target, types))
            case RedirectTarget(to, status):
                table.add_redirect(pattern, to.encode(), status)
            case _ if table.count in elsewhere:
                table.add_elsewhere(pattern, table.count)
            case _:
                table.add_app(pattern, table.count)
    if -1 in elsewhere:
        table.add_elsewhere(b"/*", -1)
    return table


def make_folder(target: StaticTarget, types: MediaTypes | None = None) -> Folder:
    """Return the engine's side of a folder."""
    return Folder(
        target.folder,
        types or MediaTypes(TYPES),
        target.base,
        index=target.index,
        not_found=target.not_found,
        cache=[(rule.path, rule.value) for rule in target.cache],
        precompressed=target.precompressed,
        hidden=target.hidden,
        follow=target.follow,
    )
