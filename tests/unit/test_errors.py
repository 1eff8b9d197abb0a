import inspect
import re

import pytest

from core import errors
from core.errors import GeomachineError
from triggers.http.errors import status_of

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, GeomachineError)]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [c.code for c in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z_]+", code) for code in codes)


def test_the_tree_at_the_top_of_the_file_names_every_class() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"GeomachineError"}
    assert drawn == {c.__name__ for c in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_without_words_says_its_docstring(cls: type[GeomachineError]) -> None:
    assert str(cls()) == (cls.__doc__ or "").splitlines()[0]


@pytest.mark.parametrize(
    ("cls", "status"),
    [
        (errors.InvalidRequest, 400),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.Unauthenticated, 401),
        (errors.Forbidden, 403),
        (errors.PayloadTooLarge, 413),
        (errors.SourceNotFound, 404),
        (errors.UnreadableSource, 400),
        (errors.DatabaseUnavailable, 503),
        (errors.ContractViolation, 500),
    ],
)
def test_http_status_follows_from_the_class(cls: type[GeomachineError], status: int) -> None:
    assert status_of(cls()) == status


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_says_its_own_cause_and_fix(cls: type[GeomachineError]) -> None:
    """One that inherits them from a parent with another code would explain itself wrongly."""
    assert {"code", "cause", "fix"} <= vars(cls).keys()
