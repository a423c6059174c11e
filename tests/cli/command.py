"""The `workbench` command, run in a process of its own."""

import json
import subprocess
import sys

MAIN = "from workbench.cli import main; main()"


def start(*arguments, **options):
    """Start the command with pipes for stdout and stderr."""
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def last_json(text):
    """Return the JSON object on the last line of `text`."""
    return json.loads(text.strip().splitlines()[-1])
