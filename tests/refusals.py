"""Tests that array functions refuse bad arguments."""

import pytest
from twins import untouched


def refused(*replacements):
    """Parameters of a test: the position of an argument, a bad value for it, and the message."""
    return pytest.mark.parametrize(
        ("position", "bad", "message"),
        [(position, bad, message) for position, bads in replacements for bad, message in bads],
    )


def assert_refused(function, arguments, position, bad, message):
    arguments = [*arguments[:position], bad, *arguments[position + 1 :]]
    with pytest.raises(ValueError, match=message):
        untouched(function, *arguments)
