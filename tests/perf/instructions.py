#!/usr/bin/env python3
"""How many instructions podsim executes, against stored counts: a measure of its speed that does not depend on what
else the machine does.

    instructions.py PROGRAM [--update]

Runs PROGRAM under valgrind's callgrind on the scenarios below and fails where a count has grown by more than 5 %.
`--update` stores the counts instead; `cmake --build --preset release --target instructions` does so.

Counted is all that happens within main(), in the program and in its children, to which callgrind adds what the parent
had done before it forked. Symbols are bound before main(): loading SimGrid and what it is linked with costs more than
most runs, and is not ours. Counts are the same on every run of one build; another compiler or another version of SimGrid
gives others.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOLERANCE = 0.05

HERE = pathlib.Path(__file__).resolve().parent
STORED = HERE / "instructions.json"
SCENARIOS = HERE.parent.parent / "scenarios"
PALM = "training/palm-540b.json"
CASES = {
    "show PaLM 540B": ["show", PALM],
    "run PaLM 540B": ["run", PALM, "--json", "-"],
    "run PaLM 540B by chunks": ["run", PALM, "--quiet", "--granularity", "chunk"],
    "run PaLM 540B on 32 pods": ["run", PALM, "--quiet", "--set", "machine.pods=32", "--set", "mesh.pod.size=32",
                                 "--set", "workload.batch=32768"],
    "run GPT 145.6B, a pipeline": ["run", "training/a100/narayanan21-t1-145.6b.json", "--quiet"],
    "PaLM 540B on the heap": ["run", PALM, "--quiet", "--engine", "heap"],
    "a slow chip on the heap": ["run", "faults/palm-540b-straggler.json", "--quiet", "--engine", "heap"],
    "MT-NLG 530B by recurrence": ["run", "training/a100/mtnlg530-2240.json", "--quiet", "--engine", "heap"],
}


def instructions(program, arguments):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--trace-children=yes", "--toggle-collect=main",
             f"--callgrind-out-file={folder}/%p", program, *arguments],
            cwd=SCENARIOS, env={**os.environ, "LD_BIND_NOW": "1"}, stdout=subprocess.DEVNULL, check=True)
        profiles = [file.read_text(errors="replace") for file in pathlib.Path(folder).iterdir()]
    return sum(int(total) for profile in profiles for total in re.findall(r"^totals: (\d+)", profile, re.MULTILINE))


def main():
    update = "--update" in sys.argv[2:]
    program = os.path.abspath(sys.argv[1])
    counts = {name: instructions(program, arguments) for name, arguments in CASES.items()}
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    grown = False
    print(f"{'':<28} {'stored':>13} {'now':>13} {'':>8}")
    for name, count in counts.items():
        before = stored.get(name, 0)
        change = count / before - 1 if before else float("inf")
        too_many = change > TOLERANCE
        grown = grown or too_many
        print(f"{name:<28} {before:>13,} {count:>13,} {change:>+8.1%}" + (" GROWN" if too_many and not update else ""))
    if update:
        STORED.write_text(json.dumps(counts, indent=2) + "\n")
        print(f"stored in {STORED}; say in the commit what made them change")
        return 0
    if grown:
        print(f"more than {TOLERANCE:.0%} more instructions; where that is intended:\n"
              "    cmake --build --preset release --target instructions")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
