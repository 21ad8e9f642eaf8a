"""How long the fuzz tests run, and where the door that they knock at comes from."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
# The rooms of these helpers; what this room has of the same name comes first.
for room in ("intake",):
    sys.path.append(str(TESTS / room))
