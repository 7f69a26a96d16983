"""Do the work one way, in this process, and print what it took as JSON: `python -m benchmarks.one WAY INPUT FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.plan import WAYS

if __name__ == "__main__":
    name, source, folder = sys.argv[1:]
    print(json.dumps(WAYS[name].function(Path(source), Path(folder))))
