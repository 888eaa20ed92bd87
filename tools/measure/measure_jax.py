#!/usr/bin/env python3
"""Micro-benchmarks of one accelerator, and of the collectives between a host's, with JAX; see README.md."""

import argparse
import functools
import importlib.metadata
import math
import os
import platform
import sys
import time

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

import shapes
import table as tables

DTYPES = {"bf16": jnp.bfloat16, "fp16": jnp.float16, "f32": jnp.float32, "fp8": jnp.float8_e4m3fn}


class Bench:
    """Times an operation in a loop within one compiled program, so that the host's part is small, and taken off."""

    def __init__(self, table):
        self.table = table
        self.device = jax.devices()[0]
        self.platform = self.device.platform
        self.library = f"XLA of jaxlib {importlib.metadata.version('jaxlib')}"
        self.key = jax.random.key(0)
        nothing = jax.jit(lambda x: x)
        one = jnp.ones(())
        nothing(one).block_until_ready()
        self.round_trip = tables.summary([_seconds(nothing, one) for _ in range(50)])["median_s"]

    def normal(self, *shape, dtype="bf16"):
        self.key, key = jax.random.split(self.key)
        return jax.random.normal(key, shape, jnp.bfloat16).astype(DTYPES[dtype])

    def measure(self, fields, operation, build, flops=0, touched=0, chain=False, **more):
        """One row. `build` makes the operation's arguments; with `chain` its result is the next one's argument."""
        try:
            times = self.times(operation, build(), flops, touched, chain)
            self.table.row(fields, times, timing="loop", **{"library": self.library, **more})
        except Exception as error:  # no memory, no such kernel: the next shape may do
            self.table.skip({**fields, "library": more.get("library", self.library)}, error)

    def times(self, operation, arguments, flops, touched, chain):
        # By what a fast chip of today could reach: a slower one takes longer than the 20 ms that this aims at.
        fast = max(flops / 1e15, touched / 4e12, 2e-6)
        if self.platform == "cpu":
            fast *= 1000
        launches = max(1, min(2000, math.ceil(0.02 / fast)))
        program = jax.jit(functools.partial(_chained if chain else _repeated, operation, launches))
        jax.block_until_ready(program(*arguments))  # compiles
        first = _seconds(program, *arguments)
        repetitions = max(5, min(20, math.ceil(0.15 / first)))
        return [max(1e-9, _seconds(program, *arguments) - self.round_trip) / launches for _ in range(repetitions)]


def _seconds(program, *arguments):
    start = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    return time.perf_counter() - start


def _repeated(operation, launches, *arguments):
    """The barrier hides from the compiler that every round computes the same."""
    def body(_, state):
        arguments, _ = state
        return lax.optimization_barrier((arguments, operation(*arguments)))

    shape = jax.eval_shape(operation, *arguments)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
    return lax.fori_loop(0, launches, body, (arguments, nothing))[1]


def _chained(operation, launches, argument):
    return lax.fori_loop(0, launches, lambda _, x: lax.optimization_barrier(operation(x)), argument)


def launches(bench):
    one = jnp.ones(())
    nothing = jax.jit(lambda x: x + 1)
    nothing(one).block_until_ready()
    bench.table.row({"kind": "launch"}, [_seconds(nothing, one) for _ in range(50)], timing="host",
                    library=bench.library, note="a program of one addition, with the wait for its result")

    def many():
        x = one
        for _ in range(1000):
            x = nothing(x)
        return x
    bench.table.row({"kind": "launch"}, [_seconds(many) / 1000 for _ in range(5)], timing="stream",
                    library=bench.library, note="programs of one addition, queued")
    bench.measure({"kind": "launch"}, lambda x: x + 1, lambda: [jnp.ones(8)], chain=True,
                  note="a step of a loop with one addition of 8 elements")


def copies(bench):
    for size in bench.table.until_out_of_time(shapes.copy_bytes()):
        bench.measure({"kind": "copy", "dtype": "bf16", "bytes": size, "traffic_bytes": 2 * size}, jnp.negative,
                      lambda: [bench.normal(size // 2)], touched=2 * size, chain=True,
                      note="a negation, for XLA leaves out what is only a copy")


def products(bench):
    """One in another dtype after each three in bf16."""
    cases = [("bf16", *shape) for shape in shapes.products()]
    others = [case for case in shapes.products_in_other_dtypes() if case[0] in DTYPES]
    mixed = [case for four in zip(cases[::3], cases[1::3], cases[2::3], others) for case in four]
    for dtype, m, n, k, layout in bench.table.until_out_of_time(list(dict.fromkeys(mixed + cases + others))):
        product(bench, "matmul", dtype, (), m, n, k, layout)


def batched_products(bench):
    for batch, m, n, k, layout in bench.table.until_out_of_time(shapes.batched_products()):
        product(bench, "batched_matmul", "bf16", (batch,), m, n, k, layout)


def product(bench, kind, dtype, batch, m, n, k, layout):
    width = {"fp8": 1, "f32": 4}.get(dtype, 2)
    count = math.prod(batch)
    flops = 2 * count * m * n * k
    traffic = count * (width * (m * k + k * n) + (2 if dtype == "fp8" else width) * m * n)
    first = (*batch, k, m) if layout == "tn" else (*batch, m, k)
    second = (*batch, n, k) if layout == "nt" else (*batch, k, n)
    axes = len(batch)
    numbers = (((axes + (0 if layout == "tn" else 1),), (axes + (1 if layout == "nt" else 0),)),
               (tuple(range(axes)), tuple(range(axes))))

    def multiply(a, b):
        return lax.dot_general(a, b, numbers, preferred_element_type=jnp.bfloat16 if dtype == "fp8" else a.dtype,
                               precision="highest" if dtype == "f32" else None)

    fields = {"kind": kind, "dtype": dtype, "m": m, "n": n, "k": k, "layout": layout, "flops": flops,
              "traffic_bytes": traffic}
    bench.measure({**fields, "batch": batch[0]} if batch else fields, multiply,
                  lambda: [bench.normal(*first, dtype=dtype), bench.normal(*second, dtype=dtype)], flops, traffic)


def element_wise(bench):
    def with_backward(name, function, shape, **fields):
        size = 2 * math.prod(shape)
        bench.measure({"kind": name, "dtype": "bf16", **fields, "traffic_bytes": 2 * size}, function,
                      lambda: [bench.normal(*shape)], touched=2 * size)
        bench.measure({"kind": name + "_backward", "dtype": "bf16", **fields, "traffic_bytes": 3 * size},
                      lambda x, gradient: jax.vjp(function, x)[1](gradient)[0],
                      lambda: [bench.normal(*shape), bench.normal(*shape)], touched=3 * size,
                      note="with what XLA computes again of forward")

    for count in bench.table.until_out_of_time(shapes.element_counts()):
        for dtype, width in (("bf16", 2), ("f32", 4)):
            bench.measure({"kind": "add", "dtype": dtype, "elements": count, "traffic_bytes": 3 * width * count},
                          jnp.add, lambda: [bench.normal(count, dtype=dtype), bench.normal(count, dtype=dtype)],
                          touched=3 * width * count)
        with_backward("gelu", jax.nn.gelu, (count,), elements=count)
    for rows, width in bench.table.until_out_of_time(shapes.norm_shapes()):
        with_backward("layer_norm", functools.partial(jax.nn.standardize, axis=-1), (rows, width), m=rows, n=width)
    for rows, width in bench.table.until_out_of_time(shapes.softmax_shapes()):
        with_backward("softmax", jax.nn.softmax, (rows, width), m=rows, n=width)


def optimizers(bench):
    """Adam reads a parameter, its gradient and two moments, and writes all but the gradient."""
    def step(state):
        parameter, gradient, first, second = state
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        return parameter - 1e-4 * first / (jnp.sqrt(second) + 1e-8), gradient, first, second

    for count in bench.table.until_out_of_time(shapes.parameter_counts()):
        bench.measure({"kind": "adam", "dtype": "f32", "elements": count, "traffic_bytes": 28 * count}, step,
                      lambda: [tuple(jnp.full(count, value, jnp.float32) for value in (1, 1e-3, 1e-3, 1e-6))],
                      touched=28 * count, chain=True)


def attention_kernel(bench):
    """(library, function of queries, keys and values as batch x sequence x heads x head_dim and whether causal)."""
    if bench.platform == "gpu":
        return "cuDNN through JAX", lambda q, k, v, causal: jax.nn.dot_product_attention(
            q, k, v, is_causal=causal, implementation="cudnn")
    if bench.platform == "tpu":
        from jax.experimental.pallas.ops.tpu.flash_attention import flash_attention

        def attend(q, k, v, causal):
            if k.shape[2] != q.shape[2]:
                raise NotImplementedError("this kernel has no grouped keys and values")
            q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
            return flash_attention(q, k, v, causal=causal, sm_scale=q.shape[-1]**-0.5).transpose(0, 2, 1, 3)
        return "Pallas flash_attention of JAX, its default blocks", attend
    return bench.library, lambda q, k, v, causal: jax.nn.dot_product_attention(q, k, v, is_causal=causal)


def attention(bench):
    library, attend = attention_kernel(bench)
    for batch, heads, kv_heads, head_dim, sequence, causal in bench.table.until_out_of_time(shapes.attention()):
        kernel = functools.partial(attend, causal=causal)

        def build():
            return [bench.normal(batch, sequence, h, head_dim) for h in (heads, kv_heads, kv_heads)]

        def build_backward():
            q, k, v = build()
            _, pull = jax.jit(functools.partial(jax.vjp, kernel))(q, k, v)  # what forward kept for backward is in it
            return [pull, bench.normal(*q.shape)]

        flops = shapes.attention_flops(batch, heads, head_dim, sequence, causal)
        queries, keys = (2 * batch * sequence * head_dim * h for h in (heads, kv_heads))
        fields = {"dtype": "bf16", "batch": batch, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim,
                  "sequence": sequence, "causal": causal}
        bench.measure({"kind": "attention_forward", **fields, "flops": flops, "traffic_bytes": 2 * queries + 2 * keys},
                      kernel, build, 0.5 * flops, library=library)
        bench.measure({"kind": "attention_backward", **fields, "flops": flops * 5 // 2,
                       "traffic_bytes": 4 * queries + 4 * keys},
                      lambda pull, gradient: pull(gradient), build_backward, 1.25 * flops, library=library)


def collectives(bench):
    """Over the first 2, 4 and so on of this host's devices, or with --distributed over all of the slice's."""
    devices = jax.devices()
    hosts = jax.process_count()
    counts = [count for count in (2, 4, 8, 16) if count < len(devices)] if hosts == 1 else []
    for count in counts + [len(devices)] * (len(devices) > 1):
        mesh = jax.make_mesh((count,), ("x",), devices=devices[:count])
        operations = {  # (of a device's part, by which the bytes that count are more than that part)
            "all_reduce": (lambda x: lax.psum(x, "x"), 1),
            "all_gather": (lambda x: lax.all_gather(x, "x", tiled=True), count),
            "reduce_scatter": (lambda x: lax.psum_scatter(x, "x", tiled=True), 1),
            "all_to_all": (lambda x: lax.all_to_all(x, "x", 0, 0, tiled=True), 1),
            "send_recv": (lambda x: lax.ppermute(x, "x", [(i, (i + 1) % count) for i in range(count)]), 1),
        }
        for kind, (operation, split) in operations.items():
            for size in bench.table.until_out_of_time(shapes.message_bytes(1 << 28)):
                if bench.platform == "cpu" and size > 1 << 20:
                    continue
                elements = size // 4 // split // count * count
                fields = {"kind": kind, "dtype": "f32", "bytes": size, "ranks": count, "nodes": hosts}
                if elements:
                    spec = PartitionSpec("x")
                    mapped = jax.shard_map(operation, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)

                    def build():
                        return [jax.device_put(jnp.ones(elements * count, jnp.float32), NamedSharding(mesh, spec))]
                    bench.measure(fields, mapped, build, touched=8 * size,
                                  note="to the next in a ring" if kind == "send_recv" else "")


def facts(bench):
    """The header's lines; no names of hosts or users, nor paths."""
    lines = {"command": " ".join(os.path.basename(argument) for argument in sys.argv),
             "device": bench.device.device_kind, "devices": f"{jax.device_count()} on {jax.process_count()} hosts",
             "Python": platform.python_version(), "JAX": jax.__version__,
             "data": "normally distributed",
             "round trip of an empty program, taken off": f"{bench.round_trip:.3g} s"}
    for package in ("jaxlib", "libtpu", "jax-cuda13-plugin", "jax-cuda12-plugin", "nvidia-cudnn-cu13",
                    "nvidia-cudnn-cu12", "nvidia-cublas", "nvidia-cublas-cu12"):
        try:
            lines[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return lines


SECTIONS = [  # with their shares of the time; what a fit needs most comes first
    ("launch", 2, launches), ("copy", 6, copies), ("matmul", 44, products), ("attention", 22, attention),
    ("collective", 10, collectives), ("adam", 3, optimizers), ("elementwise", 10, element_wise),
    ("batched_matmul", 6, batched_products),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distributed", action="store_true", help="several hosts: run this on each at the same time")
    options = tables.arguments(parser, [name for name, _, _ in SECTIONS])
    tables.interrupt_on_termination()
    if options.distributed:
        jax.distributed.initialize()
        options.kinds = ["collective"]
    table = tables.Table(options.output if jax.process_index() == 0 else os.devnull, options.seconds, options.kinds)
    bench = Bench(table)
    table.header(facts(bench))
    table.sections([(name, share, functools.partial(run, bench)) for name, share, run in SECTIONS])


if __name__ == "__main__":
    main()
