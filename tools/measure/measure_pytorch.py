#!/usr/bin/env python3
"""Micro-benchmarks of one GPU with PyTorch, and with torchrun of the collectives between several; see README.md."""

import argparse
import contextlib
import ctypes
import functools
import gc
import math
import os
import platform
import subprocess
import sys
import threading
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F

import shapes
import table as tables

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "f32": torch.float32, "tf32": torch.float32}


class Sampler:
    """Clock and power as nvidia-smi shows them, read by a process beside the measuring."""

    def __init__(self, device):
        self.samples = []  # (time, MHz, W)
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
        command = ["nvidia-smi", f"--id=GPU-{uuid}" if uuid else f"--id={device}", "--loop-ms=50",
                   "--query-gpu=clocks.sm,power.draw.instant", "--format=csv,noheader,nounits"]
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            self.process = None
            return
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # a field that this driver does not know
                clock, power = line.split(",")
                self.samples.append((time.monotonic(), float(clock), float(power)))

    def between(self, start, end):
        within = [sample for sample in reversed(self.samples[-2000:]) if start <= sample[0] <= end]
        if not within:
            return {}
        return {"clock_mhz": round(sum(s[1] for s in within) / len(within)),
                "power_w": round(sum(s[2] for s in within) / len(within))}

    def close(self):
        if self.process:
            self.process.terminate()


class Bench:
    """Times calls on a device, and writes a row for each."""

    def __init__(self, device, table):
        self.device = device
        self.table = table
        self.on_gpu = device.type == "cuda"
        if self.on_gpu:
            # Not the default stream: graphs cannot be captured there.
            self.stream = torch.cuda.Stream()
            torch.cuda.set_stream(self.stream)
            self.sampler = Sampler(device.index)
            properties = torch.cuda.get_device_properties(device)
            self.cache_bytes = getattr(properties, "L2_cache_size", 50 << 20)
            self.memory_bytes = properties.total_memory

    def close(self):
        if self.on_gpu:
            self.sampler.close()

    def normal(self, *shape, dtype="bf16", gradient=False):
        """Normally distributed: zeros would run faster, as they switch fewer transistors."""
        return torch.randn(*shape, dtype=DTYPES[dtype], device=self.device).requires_grad_(gradient)

    def measure(self, fields, build, touched, timing="graph", seconds=0.12, **more):
        """One row. `build` allocates inputs and returns the call to time; `touched`: bytes that a call touches."""
        sets = 1
        if self.on_gpu and touched < 3 * self.cache_bytes:
            sets = min(64, math.ceil(3 * self.cache_bytes / touched))
        if not self.on_gpu:
            timing = "host"
        try:
            if self.on_gpu and torch.cuda.memory_reserved() > self.memory_bytes // 2:
                torch.cuda.empty_cache()  # what earlier graphs held cannot be freed while the next one is captured
            calls = [build() for _ in range(sets)]
            self.began = time.monotonic()
            times = getattr(self, "_times_by_" + timing)(calls, seconds)
            if self.on_gpu:
                more |= self.sampler.between(self.began, time.monotonic())
                more["cache"] = "cold" if sets * touched > 2 * self.cache_bytes else "warm"
            self.table.row(fields, times, timing=timing, **more)
        except Exception as error:  # no memory, no such kernel: the next shape may do
            self.table.skip({**fields, "library": more.get("library", "")}, error)
            calls = None
            if self.on_gpu:
                torch.cuda.empty_cache()

    def _times_by_graph(self, calls, seconds):
        """Launches cost the processor more than small kernels the GPU; a graph of them leaves the GPU's time alone."""
        for call in calls:
            call()
        estimate = max(1e-6, self._elapsed(calls, 1)[0])
        launches = max(len(calls), min(400, math.ceil(0.01 / estimate)))
        graph = torch.cuda.CUDAGraph()
        gc.disable()  # what a collection frees within a capture would break it
        try:
            graph.capture_begin()
            try:
                for launch in range(launches):
                    calls[launch % len(calls)]()
            finally:
                graph.capture_end()
        finally:
            gc.enable()
        replay = [graph.replay]
        estimate = self._elapsed(replay, 1)[0]
        self._elapsed(replay, math.ceil(seconds / 2 / estimate))  # for the clock to settle
        return [t / launches for t in self._elapsed(replay, max(5, min(40, math.ceil(seconds / estimate))))]

    def _times_by_stream(self, calls, seconds):
        for call in calls:
            call()
        estimate = max(1e-6, self._elapsed(calls, 2)[1])
        rounds = math.ceil(0.005 / (estimate * len(calls)))
        repetitions = max(5, min(40, math.ceil(seconds / (estimate * len(calls) * rounds))))
        return self._elapsed(calls * rounds, repetitions)

    def _times_by_host(self, calls, seconds):
        calls[0]()
        times = []
        end = time.perf_counter() + seconds
        while len(times) < 5 or (len(times) < 1000 and time.perf_counter() < end):
            start = time.perf_counter()
            calls[len(times) % len(calls)]()
            if self.on_gpu:
                self.stream.synchronize()
            times.append(time.perf_counter() - start)
        return times

    def _elapsed(self, calls, repetitions):
        """Seconds a call, of `repetitions` rounds of all calls that queue without a gap."""
        self.began = time.monotonic()
        events = [torch.cuda.Event(enable_timing=True) for _ in range(repetitions + 1)]
        events[0].record()
        for event in events[1:]:
            for call in calls:
                call()
            event.record()
        events[-1].synchronize()
        return [a.elapsed_time(b) / 1000 / len(calls) for a, b in zip(events, events[1:])]


# Each of the following measures one section.

def launches(bench):
    if not bench.on_gpu:
        bench.table.comment("launch: only on a GPU")
        return
    one = bench.normal(1)
    kernels = {"an empty kernel": lambda: torch.cuda._sleep(0), "an addition to one element": lambda: one.add_(1)}
    for note, kernel in kernels.items():
        for timing in ("graph", "stream", "host"):
            bench.measure({"kind": "launch"}, lambda: kernel, 1, timing, library=f"PyTorch {torch.__version__}",
                          note=note)
    graph = torch.cuda.CUDAGraph()
    graph.capture_begin()
    torch.cuda._sleep(0)
    graph.capture_end()
    bench.measure({"kind": "launch"}, lambda: graph.replay, 1, "stream", library=f"PyTorch {torch.__version__}",
                  note="a graph of one empty kernel")


def copies(bench):
    for size in bench.table.until_out_of_time(shapes.copy_bytes()):
        def build():
            source = bench.normal(size // 2)
            target = torch.empty_like(source)
            return lambda: target.copy_(source)
        fields = {"kind": "copy", "dtype": "bf16", "bytes": size, "traffic_bytes": 2 * size}
        for timing in ("graph", "stream"):
            bench.measure(fields, build, 2 * size, timing, library=f"PyTorch {torch.__version__}")


def products(bench):
    """One in another dtype after each three in bf16."""
    cases = [("bf16", *shape) for shape in shapes.products()]
    others = shapes.products_in_other_dtypes()
    mixed = [case for pair in zip(cases[::3], cases[1::3], cases[2::3], others) for case in pair]
    for case in bench.table.until_out_of_time(list(dict.fromkeys(mixed + cases + others))):
        product(bench, *case)


def product(bench, dtype, m, n, k, layout):
    width = {"fp8": 1, "f32": 4, "tf32": 4}.get(dtype, 2)
    traffic = width * (m * k + k * n) + (2 if dtype == "fp8" else width) * m * n
    fields = {"kind": "matmul", "dtype": dtype, "m": m, "n": n, "k": k, "layout": layout, "flops": 2 * m * n * k,
              "traffic_bytes": traffic}
    torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"

    def build():
        if dtype == "fp8":
            one = torch.ones((), device=bench.device)
            a, b = (bench.normal(*shape).to(torch.float8_e4m3fn) for shape in ((m, k), (n, k)))
            return lambda: torch._scaled_mm(a, b.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16,
                                            use_fast_accum=True)
        a = bench.normal(k, m, dtype=dtype).t() if layout == "tn" else bench.normal(m, k, dtype=dtype)
        b = bench.normal(n, k, dtype=dtype).t() if layout == "nt" else bench.normal(k, n, dtype=dtype)
        out = torch.empty(m, n, dtype=a.dtype, device=bench.device)
        return lambda: torch.mm(a, b, out=out)

    bench.measure(fields, build, traffic, library=products_library(bench),
                  note="e4m3, one scale a tensor, fast accumulation, bf16 result" if dtype == "fp8" else "")


def batched_products(bench):
    for batch, m, n, k, layout in bench.table.until_out_of_time(shapes.batched_products()):
        traffic = 2 * batch * (m * k + k * n + m * n)

        def build():
            a = bench.normal(batch, k, m).transpose(1, 2) if layout == "tn" else bench.normal(batch, m, k)
            b = bench.normal(batch, n, k).transpose(1, 2) if layout == "nt" else bench.normal(batch, k, n)
            out = torch.empty(batch, m, n, dtype=a.dtype, device=bench.device)
            return lambda: torch.bmm(a, b, out=out)

        bench.measure({"kind": "batched_matmul", "dtype": "bf16", "batch": batch, "m": m, "n": n, "k": k,
                       "layout": layout, "flops": 2 * batch * m * n * k, "traffic_bytes": traffic},
                      build, traffic, library=products_library(bench))


def sustained(bench):
    """A large product from a cool start, and then for half a minute: what power and heat leave of the clock."""
    if not bench.on_gpu:
        bench.table.comment("sustained: only on a GPU")
        return
    size = 8192
    fields = {"kind": "matmul", "dtype": "bf16", "m": size, "n": size, "k": size, "layout": "nt", "flops": 2 * size**3,
              "traffic_bytes": 6 * size**2}
    a, b, out = (bench.normal(size, size) for _ in range(3))
    call = functools.partial(torch.mm, a, b.t(), out=out)
    more = {"timing": "stream", "cache": "cold", "library": products_library(bench)}
    bench._elapsed([call], 10)
    time.sleep(3)
    cool = bench._elapsed([call], 100)
    bench.table.row(fields, cool[:10], note="burst: first 10 launches after 3 s idle", **more)
    bench.table.row(fields, cool[-20:], note="burst: launches 81 to 100 after 3 s idle", **more)

    start = time.monotonic()
    end = min(bench.table.section_end, start + 30)
    chunks = []  # (time, seconds a product)
    while time.monotonic() < end:
        for seconds in bench._elapsed([call] * 20, 8):
            chunks.append((time.monotonic(), seconds))
    for second in range(0, math.ceil(chunks[-1][0] - start)):
        within = [t for at, t in chunks if second <= at - start < second + 1]
        if within:
            sample = bench.sampler.between(start + second, start + second + 1)
            bench.table.comment(f"sustained, second {second + 1}: {2 * size**3 / min(within) / 1e12:.0f} to "
                                f"{2 * size**3 / max(within) / 1e12:.0f} TFLOP/s, {sample}")
    late = [t for at, t in chunks if at > (start + chunks[-1][0]) / 2]
    bench.table.row(fields, late, note=f"sustained: second half of {chunks[-1][0] - start:.0f} s without a pause",
                    **more, **bench.sampler.between((start + chunks[-1][0]) / 2, chunks[-1][0]))


def element_wise(bench):
    def with_backward(name, function, *shape, traffic, backward_traffic, parameters=(), **fields):
        size = 2 * math.prod(shape)
        library = f"PyTorch {torch.__version__}"

        def forward():
            x = bench.normal(*shape, gradient=True)  # or dropout would keep no mask
            return lambda: function(x)

        def backward():
            x = bench.normal(*shape, gradient=True)
            y = function(x)
            gradient = torch.randn_like(y)
            return lambda: torch.autograd.grad(y, (x, *parameters), gradient, retain_graph=True)

        bench.measure({"kind": name, "dtype": "bf16", **fields, "traffic_bytes": int(traffic * size)}, forward,
                      traffic * size, seconds=0.05, library=library)
        bench.measure({"kind": name + "_backward", "dtype": "bf16", **fields,
                       "traffic_bytes": int(backward_traffic * size)}, backward, backward_traffic * size, seconds=0.05,
                      library=library)

    for count in bench.table.until_out_of_time(shapes.element_counts()):
        for dtype, width in (("bf16", 2), ("f32", 4)):
            def build():
                a, b = bench.normal(count, dtype=dtype), bench.normal(count, dtype=dtype)
                out = torch.empty_like(a)
                return lambda: torch.add(a, b, out=out)
            fields = {"kind": "add", "dtype": dtype, "elements": count, "traffic_bytes": 3 * width * count}
            for timing in ("graph", "stream"):
                bench.measure(fields, build, 3 * width * count, timing, seconds=0.05,
                              library=f"PyTorch {torch.__version__}")
        with_backward("gelu", functools.partial(F.gelu, approximate="tanh"), count, traffic=2, backward_traffic=3,
                      elements=count)
        # The mask takes a byte an element.
        with_backward("dropout", functools.partial(F.dropout, p=0.1), count, traffic=2.5, backward_traffic=2.5,
                      elements=count)
    for rows, width in bench.table.until_out_of_time(shapes.norm_shapes()):
        weight, bias = bench.normal(width, gradient=True), bench.normal(width, gradient=True)
        with_backward("layer_norm", lambda x: F.layer_norm(x, (width,), weight, bias), rows, width, traffic=2,
                      backward_traffic=3, parameters=(weight, bias), m=rows, n=width)
        with_backward("rms_norm", lambda x: F.rms_norm(x, (width,), weight), rows, width, traffic=2,
                      backward_traffic=3, parameters=(weight,), m=rows, n=width)
    for rows, width in bench.table.until_out_of_time(shapes.softmax_shapes()):
        with_backward("softmax", functools.partial(F.softmax, dim=-1), rows, width, traffic=2, backward_traffic=3,
                      m=rows, n=width)


def losses(bench):
    for rows, width in bench.table.until_out_of_time(shapes.logits_shapes()):
        for dtype, bytes_ in (("f32", 4), ("bf16", 2)):
            def build():
                logits = bench.normal(rows, width, dtype=dtype, gradient=True)
                labels = torch.randint(width, (rows,), device=bench.device)
                return logits, labels

            def forward():
                logits, labels = build()
                return lambda: F.cross_entropy(logits, labels)

            def backward():
                logits, labels = build()
                loss = F.cross_entropy(logits, labels)
                return lambda: torch.autograd.grad(loss, logits, retain_graph=True)

            traffic = 2 * bytes_ * rows * width
            for kind, call in (("cross_entropy", forward), ("cross_entropy_backward", backward)):
                bench.measure({"kind": kind, "dtype": dtype, "m": rows, "n": width, "traffic_bytes": traffic}, call,
                              traffic, seconds=0.05, library=f"PyTorch {torch.__version__}",
                              note="logarithms of the probabilities are written, then read")


def optimizers(bench):
    """AdamW reads a parameter, its gradient and two moments, and writes all but the gradient."""
    for count in bench.table.until_out_of_time(shapes.parameter_counts()):
        for dtype, width in (("f32", 4), ("bf16", 2)):
            for how, note in (("fused", "one kernel"), ("foreach", "a kernel for each step of the formula")):
                def build():
                    tensors = [bench.normal(count // 10, dtype=dtype, gradient=True) for _ in range(10)]
                    for tensor in tensors:
                        tensor.grad = torch.randn_like(tensor)
                    return torch.optim.AdamW(tensors, **{how: True}).step
                bench.measure({"kind": "adam", "dtype": dtype, "elements": count, "traffic_bytes": 7 * width * count},
                              build, 7 * width * count, "stream", library=f"PyTorch {torch.__version__}",
                              note="parameters, gradients and moments in this dtype; " + note)


def attention_backends():
    """(library, function of queries, keys and values as batch x sequence x heads x head_dim)."""
    def pytorch(backend):
        from torch.nn.attention import sdpa_kernel

        def attend(q, k, v, causal):
            with sdpa_kernel(backend):
                out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2),
                                                     is_causal=causal, enable_gqa=q.shape[2] != k.shape[2])
            return out.transpose(1, 2)
        return attend

    backends = []
    with contextlib.suppress(ImportError):
        from torch.nn.attention import SDPBackend
        backends += [(f"FlashAttention 2 of PyTorch {torch.__version__}", pytorch(SDPBackend.FLASH_ATTENTION)),
                     (f"cuDNN {version_of_cudnn()}", pytorch(SDPBackend.CUDNN_ATTENTION))]
    with contextlib.suppress(ImportError):
        import flash_attn
        backends.append((f"flash-attn {flash_attn.__version__}",
                         lambda q, k, v, causal: flash_attn.flash_attn_func(q, k, v, causal=causal)))
    with contextlib.suppress(ImportError):
        import flash_attn_interface

        def attend_3(q, k, v, causal):
            out = flash_attn_interface.flash_attn_func(q, k, v, causal=causal)
            return out[0] if isinstance(out, tuple) else out
        backends.append(("FlashAttention 3", attend_3))
    return backends


def attention(bench):
    backends = attention_backends()
    bench.table.comment("attention by " + (", ".join(name for name, _ in backends) or "nothing: none is installed"))
    for batch, heads, kv_heads, head_dim, sequence, causal in bench.table.until_out_of_time(shapes.attention()):
        for library, attend in backends:
            def build(gradient=False):
                q = bench.normal(batch, sequence, heads, head_dim, gradient=gradient)
                k, v = (bench.normal(batch, sequence, kv_heads, head_dim, gradient=gradient) for _ in range(2))
                return q, k, v

            def forward():
                q, k, v = build()
                return lambda: attend(q, k, v, causal)

            def backward():
                q, k, v = build(True)
                out = attend(q, k, v, causal)
                gradient = torch.randn_like(out)
                return lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True)

            flops = shapes.attention_flops(batch, heads, head_dim, sequence, causal)
            queries, keys = (2 * batch * sequence * head_dim * h for h in (heads, kv_heads))
            fields = {"dtype": "bf16", "batch": batch, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim,
                      "sequence": sequence, "causal": causal}
            for kind, call, operations, traffic in (
                    ("attention_forward", forward, flops, 2 * queries + 2 * keys),
                    # Reads queries, keys, values, result and its gradient; writes three gradients.
                    ("attention_backward", backward, flops * 5 // 2, 4 * queries + 4 * keys)):
                bench.measure({"kind": kind, **fields, "flops": operations, "traffic_bytes": traffic}, call, traffic,
                              library=library)


class LlamaLayer(torch.nn.Module):
    def __init__(self, hidden, heads, kv_heads, head_dim, feed_forward, **device):
        super().__init__()
        self.sizes = [heads * head_dim, kv_heads * head_dim, kv_heads * head_dim]
        self.head_dim = head_dim
        self.norms = torch.nn.ParameterList(torch.ones(hidden, **device) for _ in range(2))
        self.qkv = torch.nn.Linear(hidden, sum(self.sizes), bias=False, **device)
        self.projection = torch.nn.Linear(heads * head_dim, hidden, bias=False, **device)
        self.gate_up = torch.nn.Linear(hidden, 2 * feed_forward, bias=False, **device)
        self.down = torch.nn.Linear(feed_forward, hidden, bias=False, **device)

    def forward(self, x, attend, cosine, sine):
        y = self.qkv(F.rms_norm(x, x.shape[-1:], self.norms[0]))
        q, k, v = (part.unflatten(-1, (-1, self.head_dim)) for part in y.split(self.sizes, -1))
        q, k = (part * cosine + torch.cat((-part[..., self.head_dim // 2:], part[..., :self.head_dim // 2]), -1) * sine
                for part in (q, k))
        x = x + self.projection(attend(q, k, v, True).flatten(2))
        gate, up = self.gate_up(F.rms_norm(x, x.shape[-1:], self.norms[1])).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class GptLayer(torch.nn.Module):
    """One device's part of a layer that tensor parallelism splits, without its collectives."""

    def __init__(self, hidden, heads, kv_heads, head_dim, feed_forward, **device):
        super().__init__()
        self.head_dim = head_dim
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(hidden, **device) for _ in range(2))
        self.qkv = torch.nn.Linear(hidden, 3 * heads * head_dim, **device)
        self.projection = torch.nn.Linear(heads * head_dim, hidden, **device)
        self.up = torch.nn.Linear(hidden, feed_forward, **device)
        self.down = torch.nn.Linear(feed_forward, hidden, **device)

    def forward(self, x, attend, cosine, sine):
        q, k, v = (part.unflatten(-1, (-1, self.head_dim)) for part in self.qkv(self.norms[0](x)).chunk(3, -1))
        x = x + self.projection(attend(q, k, v, True).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x)), approximate="tanh"))


def layers(bench):
    """Whole layers, as a check of what is put together from parts."""
    cases = [("layer of Llama 3 8B", LlamaLayer, 4096, 32, 8, 128, 14336, 1, 8192),
             ("layer of GPT 175B, an eighth of it, without collectives", GptLayer, 12288, 12, 12, 128, 6144, 1, 2048)]
    for (note, layer, hidden, heads, kv_heads, head_dim, feed_forward, batch, sequence), (library, attend) in (
            (case, backend) for case in cases for backend in attention_backends()):
        device = {"dtype": torch.bfloat16, "device": bench.device}
        fields = {"dtype": "bf16", "batch": batch, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim,
                  "sequence": sequence, "causal": True, "hidden": hidden, "feed_forward": feed_forward}
        module = layer(hidden, heads, kv_heads, head_dim, feed_forward, **device)
        parameters = list(module.parameters())
        linear = 2 * batch * sequence * sum(p.numel() for p in parameters if p.dim() == 2)
        attended = shapes.attention_flops(batch, heads, head_dim, sequence, True)

        def build():
            x = bench.normal(batch, sequence, hidden, gradient=True)
            angles = torch.rand(sequence, 1, head_dim, device=bench.device) * 6
            cosine, sine = angles.cos().bfloat16(), angles.sin().bfloat16()
            return lambda: module(x, attend, cosine, sine), x

        def forward():
            call, _ = build()

            def without_gradients():
                with torch.no_grad():
                    return call()
            return without_gradients

        def both():
            call, x = build()
            gradient = bench.normal(batch, sequence, hidden)
            return lambda: torch.autograd.grad(call(), [x, *parameters], gradient)

        for timing in ("graph", "stream"):
            for kind, call, flops in (("layer_forward", forward, linear + attended),
                                      ("layer_forward_backward", both, 3 * linear + attended * 7 // 2)):
                bench.measure({"kind": kind, **fields, "flops": flops}, call, 1 << 40, timing, seconds=0.4,
                              library=library, note=note)


def collectives(bench):
    """All ranks run this; what rank 0 takes part in is written, each time that of the slowest rank."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", ranks))
    nodes = ranks // local
    arrangements = [([list(range(size))], 1, "") for size in powers_of_two(2, local)]
    for count in powers_of_two(2, nodes):
        arrangements.append(([list(range(count * local))], count, ""))
        if local > 1:
            rows = [[node * local + index for node in range(count)] for index in range(local)]
            arrangements += [(rows[:1], count, "one rank a node"),
                             (rows, count, f"one rank a node, {local} such groups at once")]
    for groups, count, note in arrangements:
        handles = [dist.new_group(group) for group in groups]  # by all ranks, members or not
        for members, handle in zip(groups, handles):
            if rank in members:
                for kind in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv"):
                    if kind != "send_recv" or len(members) == 2:
                        collective(bench, kind, members, handle, count, note)
        dist.barrier()


def powers_of_two(first, last):
    """And the last, if it is none."""
    sizes = [1 << power for power in range(20) if first <= 1 << power < last]
    return sizes + [last] if last >= first else []


def collective(bench, kind, members, group, nodes, note):
    dtype = "bf16" if bench.on_gpu else "f32"  # Gloo does not add bf16 everywhere
    width = 2 if bench.on_gpu else 4
    library = f"NCCL {version_of_nccl()}" if bench.on_gpu else f"Gloo of PyTorch {torch.__version__}"
    ranks = len(members)
    for size in shapes.message_bytes((1 << 30) if bench.on_gpu else (1 << 22)):
        part = size // width // ranks
        fields = {"kind": kind, "dtype": dtype, "bytes": size, "ranks": ranks, "nodes": nodes}
        if part == 0 or any_of(bench, bench.table.out_of_time(), group):
            continue
        try:
            whole, other = (torch.zeros(part * ranks, dtype=DTYPES[dtype], device=bench.device) for _ in range(2))
            piece = torch.zeros(part, dtype=DTYPES[dtype], device=bench.device)
            call = {
                "all_reduce": lambda: dist.all_reduce(whole, group=group),
                "all_gather": lambda: dist.all_gather_into_tensor(whole, piece, group=group),
                "reduce_scatter": lambda: dist.reduce_scatter_tensor(piece, whole, group=group),
                "all_to_all": lambda: dist.all_to_all_single(other, whole, group=group),
                "send_recv": lambda: (dist.send(whole, members[1], group=group) if dist.get_rank() == members[0]
                                      else dist.recv(whole, members[0], group=group)),
            }[kind]
            times = times_of_slowest(bench, call, group)
        except Exception as error:  # the same on all ranks: the backend has no such collective
            if dist.get_rank() == 0:
                bench.table.skip(fields, error)
            return
        if dist.get_rank() == 0:
            bench.table.row(fields, times, timing="stream" if bench.on_gpu else "host", library=library, note=note)


def times_of_slowest(bench, call, group):
    """Several calls make a repetition, as many on each rank, for a collective may end later on one than on another."""
    for _ in range(3):
        call()
    once = max_of(bench, timed(bench, call, 3), group)[0]
    calls = max(1, min(200, int(0.005 / once)))
    repetitions = max(5, min(20, int(0.2 / (once * calls))))
    times = []
    for _ in range(repetitions):
        dist.barrier(group=group)
        times += timed(bench, call, calls)
    return max_of(bench, times, group)


def timed(bench, call, calls):
    if bench.on_gpu:
        return bench._elapsed([call] * calls, 1)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return [(time.perf_counter() - start) / calls]


def max_of(bench, values, group):
    tensor = torch.tensor(values, dtype=torch.float32, device=bench.device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=group)
    return tensor.tolist()


def any_of(bench, value, group):
    return max_of(bench, [float(value)], group)[0] > 0


# Versions, for the header.

def version_of_cudnn():
    version = torch.backends.cudnn.version() or 0
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def version_of_nccl():
    with contextlib.suppress(Exception):  # a PyTorch without NCCL
        return ".".join(str(part) for part in torch.cuda.nccl.version())
    return ""


@functools.lru_cache
def version_of_cublas():
    """Of the library that this process has loaded, whose path the system lists; PyTorch does not tell."""
    with contextlib.suppress(OSError):
        torch.ones(16, 16, device="cuda").mm(torch.ones(16, 16, device="cuda"))
        with open("/proc/self/maps", encoding="utf-8") as maps:
            path = next((line.split()[-1] for line in maps if "libcublas.so" in line), None)
        if path:
            library, value, parts = ctypes.CDLL(path), ctypes.c_int(), []
            for which in range(3):
                library.cublasGetProperty(which, ctypes.byref(value))
                parts.append(str(value.value))
            return ".".join(parts)
    return ""


def products_library(bench):
    return f"cuBLAS {version_of_cublas()}" if bench.on_gpu else f"PyTorch {torch.__version__}"


def nvidia_smi(device, *names):
    query = ["nvidia-smi", f"--id={device}", "--query-gpu=" + ",".join(names), "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    return ""


def facts(device):
    """The header's lines; no names of hosts or users, nor paths."""
    command = " ".join(os.path.basename(argument) for argument in sys.argv)
    lines = {"command": command, "Python": platform.python_version(), "PyTorch": torch.__version__}
    if device.type != "cuda":
        return {"device": "CPU", **lines}
    properties = torch.cuda.get_device_properties(device)
    board = ("name", "driver_version", "clocks.max.sm", "clocks.max.memory", "power.limit", "ecc.mode.current")
    return {
        "device": properties.name,
        "board": f"{properties.multi_processor_count} processors, {properties.total_memory >> 20} MiB, "
                 f"L2 {getattr(properties, 'L2_cache_size', 0) >> 20} MiB, "
                 f"compute capability {properties.major}.{properties.minor}",
        "nvidia-smi " + ", ".join(board): nvidia_smi(device.index, *board),
        **lines,
        "CUDA": torch.version.cuda, "cuBLAS": version_of_cublas(), "cuDNN": version_of_cudnn(),
        "NCCL": version_of_nccl(), "data": "normally distributed",
    }


SECTIONS = [  # with their shares of the time; what a fit needs most comes first
    ("launch", 1, launches), ("copy", 3, copies), ("sustained", 10, sustained), ("matmul", 38, products),
    ("attention", 26, attention), ("layer", 5, layers), ("adam", 3, optimizers), ("elementwise", 7, element_wise),
    ("batched_matmul", 5, batched_products), ("cross_entropy", 2, losses),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cuda", "cpu"))
    options = tables.arguments(parser, [name for name, _, _ in SECTIONS] + ["collective"])
    tables.interrupt_on_termination()
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    device = torch.device(options.device, int(os.environ.get("LOCAL_RANK", 0)) if options.device == "cuda" else None)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if several:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    writes = not several or dist.get_rank() == 0
    table = tables.Table(options.output if writes else os.devnull, options.seconds, options.kinds)
    table.header(facts(device))
    bench = Bench(device, table)
    sections = [("collective", 1, collectives)] if several else SECTIONS
    try:
        table.sections([(name, share, functools.partial(run, bench)) for name, share, run in sections])
    finally:
        bench.close()
        if several:
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
