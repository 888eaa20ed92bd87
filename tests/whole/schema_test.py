#!/usr/bin/env python3
"""Checks scenarios/scenario.schema.json against every JSON file of the catalogue.

Usage: schema_test.py SOURCE_DIR. Prints what failed; exit code 0 if nothing did, else 1.

What is valid must pass, and every key misspelt, every unit left out and every value of another type must fail: a
schema that accepts everything would be of no help to an editor.
"""

import copy
import json
import pathlib
import sys

import jsonschema

# Folder -> the definition for its files; None: whole scenarios. Other folders below scenarios/ hold scenarios as well.
PARTS = {
    "models": "model_file",
    "topologies/chips": "chip_file",
    "topologies/machines": "machine_file",
    "scenarios/shardings": "sharding_file",
    "scenarios/remats": "remat_file",
    "scenarios/software": "software_file",
    "scenarios/studies": "study_file",
}

# Scenarios that podsim reads but no file in the tree needs: (change to the PaLM scenario, valid?)
FURTHER = [
    ({"note": ["two", "lines"]}, True),
    ({"$schema": "../scenario.schema.json"}, True),
    ({"model": "my-model.json"}, True),
    ({"model": {"base": "palm-8b", "layers": 4}}, True),
    ({"model": {"layers": 4}}, False),  # an object without a base must be complete
    ({"model": {"base": "palm-8b", "layers": "4"}}, False),
    ({"model": {"base": "palm-8b", "schema_version": 1}}, False),
    ({"model": {"base": "palm-8b", "positions": {"learned": 2048}}}, True),
    ({"model": {"base": "palm-8b", "positions": {"learnt": 2048}}}, False),
    ({"model": 8}, False),
    ({"machine": "tpu-v4"}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "tpu-v4", "hbm_capacity": "64 GiB"}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "tpu-v4", "power": "0.4 kW"}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "tpu-v4", "power": 378.5}}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "tpu-v4", "devices": 0}}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "a100-80gb", "split_k": 1}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "a100-80gb", "matrix_tiles": []}}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "chip": {"base": "a100-80gb", "matrix_tiles": [[64, 64]]}}}, False),
    ({"machine": {"base": "dgx-a100-80gb", "nodes": 4, "host": {"nics": 4}}}, True),
    ({"machine": {"base": "dgx-a100-80gb", "nodes": 0}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x8", "twisted": True}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "dcn": {"latency": "50 us"}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "dcn": {"latency": {"value": "50 us", "source": "own"}}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "dcn": {"latency": {"value": "50 us", "sauce": "own"}}}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "dcn": {"latency": None}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "site": {"pue": 1.1, "grid_intensity": "79 g/kWh"}}}, True),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "site": {"pue": 0.9}}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "site": {"grid_intensity": 79}}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x"}}, False),
    ({"machine": {"base": "tpu-v4", "slice": [4, 4, 4]}}, False),
    ({"machine": {"base": "tpu-v4", "slice": "4x4x4", "pods": 0}}, False),
    ({"faults": {"chips": [{"at": {"pod": 0, "x": 3, "y": 4, "z": 5}, "compute": 0.8}]}}, True),
    ({"faults": {"chips": [{"at": 7, "hbm": 0.8, "name": "the old one"}], "jitter": {"seed": 1, "scale": 0.01}}}, True),
    ({"faults": {"chips": [{"at": {"pod": 0}, "compute": 0}]}}, False),
    ({"faults": {"links": [{"at": 7, "axis": "x", "dead": True}], "dead_links": "spare cube"}}, True),
    ({"faults": {"links": [{"at": 7, "axis": "x"}]}}, False),
    ({"faults": {"random": {"seed": 3, "hosts": {"rate": 0.01, "nic": 0.5}}, "pods": [{"pod": 1, "hbm": 0.9}]}}, True),
    ({"faults": {"random": {"hosts": {"rate": 0.01, "nic": 0.5}}}}, False),
    ({"replicated": ["model"]}, True),
    ({"replicated": "model"}, False),
    ({"pipeline": {"schedule": "1f1b", "layers": [0, 118]}}, True),
    ({"mesh": {"anything": {"size": 3072, "on": ["x", "y", "z"]}, "pods": {"size": 2, "on": "dcn"}}}, True),
    ({"mesh": {"a": {"size": 4, "on": {"axis": "x", "length": 4, "stride": 3}}}}, True),
    ({"mesh": {"a": {"size": 4, "on": [{"axis": "x", "length": 4}, "y"]}}}, True),
    ({"mesh": {"a": {"size": 4, "on": {"axis": "x", "lenght": 4}}}}, False),
    ({"mesh": {"a": {"size": 4, "on": {"length": 4}}}}, False),
    ({"mesh": {"a": {"size": 4, "on": "w"}}}, False),
    ({"mesh": {"a": {"on": "x"}}}, False),
    ({"mesh": {"a": None}}, False),  # there is no base to remove it from
    ({"published": None}, False),
    ({"software": {"base": "xla-tpu-2021", "prefetch_layers": 2, "weight_gather_dtype": "f32"}}, True),
    ({"software": {"base": "xla-tpu-2021", "weight_gather_dtype": "f16"}}, False),
    ({"software": {"base": "xla-tpu-2021", "attention": "unfused", "element_wise": "kernels"}}, True),
    ({"software": {"base": "xla-tpu-2021", "attention": {"kernel": "fused", "causal": "half",
                                                         "forward_efficiency": 0.5, "backward_efficiency": 0.42}}}, True),
    ({"software": {"base": "xla-tpu-2021", "attention": {"kernel": "fused", "casual": "half"}}}, False),
    ({"software": {"base": "xla-tpu-2021", "attention": "flash"}}, False),
    ({"software": {"base": "xla-tpu-2024", "attention": {"forward_efficiency": {"value": 0.4, "source": "own",
                                                                               "chip": "TPU v6e"}}}}, True),
    ({"software": {"base": "xla-tpu-2024", "attention": {"forward_efficiency": {"value": 0.4, "chip": 6}}}}, False),
    ({"workload": {"batch": 8, "sequence": 8, "optimizer": "adamw",
                   "remat": {"base": "full", "matrix_fraction": 0.25, "whole_layers": 0.75}}}, True),
    ({"workload": {"batch": 8, "sequence": 8, "optimizer": "adamw",
                   "remat": {"name": "own", "keep": "inputs", "whole_layers": 0.75}}}, False),
    ({"software": {"base": "xla-tpu-2021", "element_wise": "fused"}}, False),
    ({"software": {"base": "xla-tpu-2021", "element_wise_overhead": 0.5}}, False),
    ({"model": {"base": "palm-8b", "biases": True, "positions": "alibi"}}, True),
    ({"model": {"base": "palm-8b", "positions": {"relative": 32}}}, True),
    ({"model": {"base": "palm-8b", "positions": "relativ"}}, False),
    ({"model": {"base": "palm-8b", "experts": {"count": 64, "top_k": 2, "every": 2, "capacity_factor": 1.25,
                                               "mlp": "plain"}}}, True),
    ({"model": {"base": "palm-8b", "experts": {"count": 64, "top_k": 2, "every": 2, "capacity": 1.25,
                                               "mlp": "plain"}}}, True),
    ({"model": {"base": "palm-8b", "experts": {"capacity": "dropless"}}}, True),
    ({"model": {"base": "palm-8b", "experts": {"capacity": "droples"}}}, False),
    ({"model": {"base": "palm-8b", "experts": {"capacity": 0}}}, False),
    ({"model": {"base": "palm-8b", "experts": {"count": 1}}}, False),
    ({"model": {"base": "palm-8b", "experts": {"number": 64}}}, False),
    ({"sharding": {"name": "own", "weights": {}, "activations": {"batch": "a"}, "compute": {"batch": ["a"]}}}, True),
    ({"sharding": {"name": "own", "weights": {}, "activations": {"bach": "data"}, "compute": {}}}, False),
    ({"sharding": {"name": "own", "weights": {}, "activations": {}}}, False),
    ({"sharding": {"base": "fsdp", "gradients": {}, "optimizer": {"embed": "data"}}}, True),
    ({"sharding": {"base": "fsdp", "optimiser": {"embed": "data"}}}, False),
    ({"pipeline": {"schedule": "1f1b"}}, True),
    ({"pipeline": {"schedule": "interleaved", "chunks": 2, "layers": [3, 2, 2, 1]}}, True),
    ({"pipeline": {"schedule": "2f2b"}}, False),
    ({"pipeline": {"chunks": 2}}, False),
    ({"pipeline": {"schedule": "interleaved", "chunks": 1}}, False),
    ({"pipeline": None}, False),
    ({"workload": {"batch": 8, "sequence": 8, "remat": "full", "optimizer": "adamw", "micro_batch": 1}}, True),
    ({"workload": {"batch": 8, "sequence": 8, "remat": "full", "optimizer": "adamw", "micro_batch": 0}}, False),
    ({"software": {"base": "xla-tpu-2021", "gradient_accumulation": "fused", "accumulation_dtype": "bf16",
                   "parameters_dtype": "bf16", "reduce_gradients": "last micro-batch", "blocking_transfers": True,
                   "scattered_transfers": {"value": False, "source": "own"},
                   "multi_axis_collectives": "pipelined"}}, True),
    ({"software": {"base": "xla-tpu-2021", "gradient_accumulation": "both"}}, False),
    ({"software": {"base": "xla-tpu-2021", "reduce_gradients": "last"}}, False),
    ({"software": {"base": "xla-tpu-2021", "blocking_transfers": "yes"}}, False),
]

# Texts for a bandwidth: (text, valid?)
BANDWIDTHS = [
    ("45 GB/s", True), ("45GB/s", True), ("0.5 GB/s", True), ("1e3 GiB/s", True), ("52.7 Gb/s", True), ("45 B/s", True),
    ("45", False), (45, False), ("", False), ("GB/s", False), ("0 GB/s", False), ("0.0e5 GB/s", False),
    ("-45 GB/s", False), ("45 GB", False), ("45 gb/s", False), ("45 GBs", False), ("45 GB/s ", False),
    ("45 GBps", True), ("45 Gbps", True), ("45 Gbit/s", True), ("45 Gbyte/s", True), ("45 GBytes/s", False),
    ("45 GB/s extra", False), ("inf GB/s", False), ("45 mB/s", False), ("45 kiB/s", False),
]  # fmt: skip


def places(value, path=()):
    """Every path to a value within a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield path + (key,)
        yield from places(child, path + (key,))


def at(value, path):
    for key in path:
        value = value[key]
    return value


class Checks:
    def __init__(self, source):
        self.source = source
        self.schema = json.loads((source / "scenarios/scenario.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.failed = 0
        self.count = 0

    def validator(self, definition):
        if definition is None:
            return jsonschema.Draft202012Validator(self.schema)
        return jsonschema.Draft202012Validator({"$ref": "#/$defs/" + definition, "$defs": self.schema["$defs"]})

    def expect(self, what, definition, value, valid):
        self.count += 1
        error = jsonschema.exceptions.best_match(self.validator(definition).iter_errors(value))
        if (error is None) == valid:
            return
        self.failed += 1
        where = "" if error is None else f": {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        print(f"{what}: {'should be valid' if valid else 'is wrong, but the schema accepts it'}{where}")

    def file(self, path, definition):
        name = str(path.relative_to(self.source))
        whole = json.loads(path.read_text(encoding="utf-8"))
        self.expect(name, definition, whole, True)
        for place in places(whole):
            if {"set", "values", "zip"} & set(place[:-1]):  # any path of a scenario and any value
                continue
            shown = f"{name}: {'.'.join(map(str, place))}"
            free = definition is None and len(place) == 2 and place[0] == "mesh"  # mesh axes have any name
            if isinstance(place[-1], str) and not free:
                spoilt = copy.deepcopy(whole)
                holder = at(spoilt, place[:-1])
                holder[place[-1] + "x"] = holder.pop(place[-1])
                self.expect(f"{shown} misspelt", definition, spoilt, False)
            if "note" in place:
                continue
            spoilt = copy.deepcopy(whole)
            old = at(whole, place)
            other = 7.5 if isinstance(old, (str, list, bool, type(None))) else "7"
            if isinstance(old, dict):  # of a constant with its source the bare number is as good
                other = [[7.5]]
            at(spoilt, place[:-1])[place[-1]] = other
            self.expect(f"{shown} of another type", definition, spoilt, False)

    def run(self):
        for folder, definition in PARTS.items():
            for path in sorted((self.source / folder).glob("*.json")):
                self.file(path, definition)
        scenarios = [path for path in sorted((self.source / "scenarios").glob("*/**/*.json"))
                     if str(path.parent.relative_to(self.source)) not in PARTS]
        if not scenarios:
            self.failed += 1
            print("no scenario found")
        for path in scenarios:
            self.file(path, None)

        palm = json.loads((self.source / "scenarios/training/palm-540b.json").read_text(encoding="utf-8"))
        for change, valid in FURTHER:
            self.expect(f"PaLM with {json.dumps(change)}", None, {**palm, **change}, valid)
        for key in palm:
            without = {other: value for other, value in palm.items() if other != key}
            self.expect(f"PaLM without {key}", None, without, key in ("note", "published"))
        overlay = {"base": "palm-540b.json"}
        for change, valid in [({}, True), ({"mesh": {"pod": None}}, True), ({"published": None}, True),
                              ({"workload": {"batch": 512}}, True), ({"workload": {"bach": 512}}, False),
                              ({"base": 1}, False), ({"model": {"layers": 2}}, True)]:
            self.expect(f"overlay {json.dumps(change)}", None, {**overlay, **change}, valid)
        for text, valid in BANDWIDTHS:
            machine = {"base": "tpu-v4", "slice": "4x4x4", "ici": {"link_bandwidth": text}}
            self.expect(f"link_bandwidth {json.dumps(text)}", None, {**palm, "machine": machine}, valid)
        for value in ([], "palm", 1, None):
            self.expect(f"top level {json.dumps(value)}", None, value, False)

        shelves = {"model": "models", "sharding": "scenarios/shardings", "software": "scenarios/software"}
        for key, shelf in shelves.items():
            for example in self.schema["properties"][key]["examples"]:  # an editor proposes these
                self.count += 1
                if not (self.source / shelf / (example + ".json")).exists():
                    self.failed += 1
                    print(f"the schema's example {example} is not in {shelf}/")
        print(f"{self.count} checks, {self.failed} failed")
        return 1 if self.failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: schema_test.py SOURCE_DIR")
    sys.exit(Checks(pathlib.Path(sys.argv[1])).run())
