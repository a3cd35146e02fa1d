"""The page: all records as one HTML file that needs no network."""

from reports.page.render import render_page

__all__ = ["render_page"]
