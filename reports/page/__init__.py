"""The page: all records as one HTML file that needs no network."""

from reports.page.content import Example, Extras
from reports.page.render import render_page

__all__ = ["Example", "Extras", "render_page"]
