"""HTML to text by inscriptis, which sits on libxml2.  Loaded by who parses mail alone: it takes 5 MB."""

from __future__ import annotations

from inscriptis import get_text
from inscriptis.model.config import ParserConfig
from lxml.etree import LxmlError

_CONFIG = ParserConfig(table_cell_separator=" ")


def rendered(source: str) -> str:
    """The words of a document, "" where it is none that can be shown."""
    try:
        return str(get_text(source, _CONFIG))
    except (LxmlError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
