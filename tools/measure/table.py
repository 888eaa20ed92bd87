"""The CSV file that the measuring scripts write: `#` lines, a line of column names, one row a measured point.

A row is written whole and at once, so that a run which is cut short leaves a valid file.
"""

import csv
import datetime
import io
import signal
import statistics
import sys
import time

COLUMNS = [
    "kind", "dtype",
    "m", "n", "k", "layout",  # products; m rows of n for softmax, norms and losses
    "batch", "heads", "kv_heads", "head_dim", "sequence", "causal", "hidden", "feed_forward",
    "elements", "bytes",  # of element-wise operations; of copies and collectives
    "ranks", "nodes",
    "flops", "traffic_bytes",  # multiply and add count as two; the fewest bytes that cross the memory's bus
    "median_s", "lower_quartile_s", "upper_quartile_s", "least_s", "repetitions",
    "timing", "cache", "clock_mhz", "power_w", "library", "note",
]

CONVENTIONS = """\
bytes: copy: of the source. all_reduce: of the buffer. all_gather: of the gathered result. reduce_scatter: of the input.
 all_to_all: of a rank's whole input. send_recv: of the message.
layout of a product of m x k by k x n: nt: the second factor is stored n x k (a linear layer, forward);
 nn: both as written (its input's gradient); tn: the first is stored k x m (its weight's gradient).
flops of causal attention: of the half that is not masked; backward is 2.5 times forward.
traffic_bytes: each input read once, each output written once.
timing: graph: CUDA graphs of many launches, replayed back to back. stream: launches queued by the framework.
 host: with the wait for the result. loop: a loop within one compiled program.
cache: cold where the inputs rotate among buffers that together exceed the last cache, warm where they do not.
clock_mhz, power_w: means of what nvidia-smi showed during the row, empty where the row was too short."""


class Table:
    """The file, and the time there is to fill it."""

    def __init__(self, path, seconds, kinds):
        self.stream = sys.stdout if path == "-" else open(path, "w", encoding="utf-8", newline="")
        self.end = time.monotonic() + seconds
        self.kinds = kinds
        self.section_end = self.end
        self.rows = 0

    def comment(self, text):
        for line in str(text).splitlines():
            self.stream.write(f"# {line}\n")
        self.stream.flush()

    def header(self, facts):
        self.comment("podsim micro-benchmarks; see tools/measure/README.md")
        for name, value in facts.items():
            self.comment(f"{name}: {value}")
        self.comment(f"date: {datetime.date.today().isoformat()}")
        self.comment(CONVENTIONS)
        self._write(COLUMNS)

    def row(self, fields, times, **more):
        values = {**fields, **more, **summary(times)}
        unknown = set(values) - set(COLUMNS)
        assert not unknown, unknown
        self._write([_cell(values.get(column, "")) for column in COLUMNS])
        self.rows += 1

    def skip(self, fields, reason):
        shape = " ".join(f"{name}={_cell(value)}" for name, value in fields.items()
                         if name not in ("flops", "traffic_bytes"))
        first_line = (str(reason).strip() or type(reason).__name__).splitlines()[0][:160]
        self.comment(f"skipped: {shape}: {first_line}")

    def out_of_time(self):
        return time.monotonic() > min(self.section_end, self.end)

    def until_out_of_time(self, cases):
        for index, case in enumerate(cases):
            if self.out_of_time():
                self.comment(f"out of time: {len(cases) - index} of {len(cases)} shapes not measured")
                return
            yield case

    def sections(self, sections):
        """Runs each section for its share of the time; what one leaves over goes to those after it."""
        wanted = [section for section in sections if not self.kinds or section[0] in self.kinds]
        for index, (name, share, run) in enumerate(wanted):
            left = self.end - time.monotonic()
            self.section_end = time.monotonic() + left * share / sum(s for _, s, _ in wanted[index:])
            start, rows = time.monotonic(), self.rows
            try:
                run()
            except KeyboardInterrupt:
                self.comment(f"interrupted in {name}")
                return
            except Exception as error:  # one broken section must not cost the others
                self.comment(f"{name} stopped: {type(error).__name__}: {str(error).splitlines()[:1]}")
            self.comment(f"{name}: {self.rows - rows} rows in {time.monotonic() - start:.0f} s")

    def _write(self, cells):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        self.stream.write(line.getvalue())
        self.stream.flush()


def summary(times):
    if len(times) > 1:
        lower, median, upper = statistics.quantiles(times, n=4, method="inclusive")
    else:
        lower = median = upper = times[0]
    return {"median_s": median, "lower_quartile_s": lower, "upper_quartile_s": upper, "least_s": min(times),
            "repetitions": len(times)}


def _cell(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value


def arguments(parser, kinds):
    """The options that both scripts have."""
    parser.add_argument("--output", default="measurements.csv", help="CSV file to write, - for standard output")
    parser.add_argument("--seconds", type=float, default=360, help="time to measure for, start-up aside")
    parser.add_argument("--kinds", default="", help="only these, comma between: " + ", ".join(kinds))
    options = parser.parse_args()
    options.kinds = [kind for kind in options.kinds.split(",") if kind]
    for kind in options.kinds:
        if kind not in kinds:
            parser.error(f"--kinds: no {kind}; there are {', '.join(kinds)}")
    return options


def interrupt_on_termination():
    """A batch system's SIGTERM ends the file as Ctrl-C does."""
    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
