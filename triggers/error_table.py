"""How does the error catalogue look on the reference page?"""

from __future__ import annotations

import re

from core.error_catalogue import ErrorFacts, catalogue
from triggers.http.error_catalogue import entry

_TABLE = re.compile(r"^\| Code \| .*?\n\n", re.MULTILINE | re.DOTALL)
_HEAD = "| Code | HTTP | Kind | Mended by | Cause | Fix |\n| --- | --- | --- | --- | --- | --- |\n"


def written(page: str) -> str:
    """The page with the table of every code that the code has now."""
    table = _HEAD + "".join(_row(facts) for facts in catalogue())
    return _TABLE.sub(lambda _: f"{table}\n", page)


def _row(facts: ErrorFacts) -> str:
    status = entry(facts).http_status
    cells = (f"`{facts.code}`", str(status or "-"), facts.kind.value, facts.fixed_by.value, facts.cause, facts.fix)
    return f"| {' | '.join(cells)} |\n"
