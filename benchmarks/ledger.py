"""A file with a line of JSON for each result, so that an interrupted run can be resumed."""

import json


def results(path):
    """The results that earlier runs have written, in their order."""
    if not path.exists():
        return []
    *lines, last = path.read_text(encoding="utf-8").split("\n")
    if last:
        # A run was interrupted while it wrote this line, so the line is ignored.
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [json.loads(line) for line in lines]


def add(path, result):
    """Append a result."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")
