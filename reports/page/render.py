"""The page as text."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from reports.archive import Archive
from reports.page.content import Extras, content

HERE = Path(__file__).parent
LIBRARIES = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")


def render_page(archive: Archive, extras: Extras | None = None) -> str:
    """Return a page of everything that the records show, as one HTML text without links to elsewhere.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    return environment.get_template("page.html.jinja").render(
        **content(archive, extras or Extras()),
        libraries=[_script((HERE / "vendor" / name).read_text()) for name in LIBRARIES],
        script=_script((HERE / "page.js").read_text()),
        style=(HERE / "page.css").read_text(),
    )


def _script(source: str) -> str:
    """Return JavaScript that can stand inside a page and names no file beside it."""
    if re.search(r"</script|<!--", source, re.IGNORECASE):
        raise ValueError("the script would end its own element")
    return re.sub(r"//# sourceMappingURL=.*", "", source)


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
