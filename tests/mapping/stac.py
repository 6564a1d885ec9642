"""What the rules of STAC say of a document, as far as they are known without a network."""

from __future__ import annotations

from typing import Any

import pytest
from pystac.validation import validate_dict


def check_schema(document: dict[str, Any]) -> None:
    """See that the core schemas of STAC 1.1, which pystac ships, allow a document; those of extensions are online."""
    pytest.importorskip("jsonschema")
    validate_dict(document, stac_version="1.1.0", extensions=[])
