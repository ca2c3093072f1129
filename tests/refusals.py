"""Tests that array functions refuse bad arguments."""

import pytest
from twins import untouched


def refused(*replacements):
    """Each of the valid arguments replaced in turn by bad ones."""
    return pytest.mark.parametrize(
        ("position", "bad", "message"),
        [(position, bad, message) for position, bads in replacements for bad, message in bads],
    )


def assert_refused(door, arguments, position, bad, message):
    arguments = [*arguments[:position], bad, *arguments[position + 1 :]]
    with pytest.raises(ValueError, match=message):
        untouched(door, *arguments)
