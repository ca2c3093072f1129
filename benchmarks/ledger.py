"""What has been measured, a line of JSON for each result, so that a run can be resumed."""

import json


def results(path):
    """The results that earlier runs have written, in their order."""
    if not path.exists():
        return []
    *lines, last = path.read_text(encoding="utf-8").split("\n")
    if last:
        # A run was ended while it wrote: that line is as if it were not there.
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [json.loads(line) for line in lines]


def add(path, result):
    """Write one more."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")
