"""Fails if a report of pytest (``--junitxml``) has no test, or a test that was skipped."""

import sys
from xml.etree import ElementTree

suites = ElementTree.parse(sys.argv[1]).getroot().findall("testsuite")
tests, skipped = (sum(int(suite.get(key)) for suite in suites) for key in ("tests", "skipped"))
sys.exit(None if tests and not skipped else f"{tests} tests, {skipped} skipped")
