"""Which shapes are measured: those of transformer layers, and some that show how a library cuts work into tiles.

Lists begin with what a fit needs most, for a run may end before all are measured.
"""

import random

TOKENS = [128, 512, 1024, 2048, 4096, 8192, 16384, 32768]
HEAD_DIMS = [64, 80, 96, 128, 256]
SEQUENCES = [512, 1024, 2048, 4096, 8192, 16384, 32768]

# Outputs and inputs of linear layers: what tensor parallelism splits stands first in a column layer (split outputs),
# second in a row layer (split inputs).
_COLUMN_LAYERS = [
    (3 * 12288, 12288), (49152, 12288), (51200, 12288),  # GPT 175B: QKV, MLP in, logits
    (10240, 8192), (2 * 28672, 8192), (32000, 8192), (128256, 8192),  # Llama 70B: QKV, gate and up, logits of 2 and 3
    (6144, 4096), (2 * 14336, 4096), (32000, 4096), (128256, 4096),  # Llama 8B
]
_ROW_LAYERS = [(12288, 12288), (12288, 49152), (8192, 8192), (8192, 28672), (4096, 4096), (4096, 14336)]


def linear_layers(ways):
    """(outputs, inputs) on each of `ways` devices of tensor parallelism."""
    return [(n // ways, k) for n, k in _COLUMN_LAYERS] + [(n, k // ways) for n, k in _ROW_LAYERS]


def forward(tokens, layer):
    return (tokens, layer[0], layer[1], "nt")


def backward(tokens, layer):
    outputs, inputs = layer
    return [(tokens, inputs, outputs, "nn"), (outputs, inputs, tokens, "tn")]


def shuffled(cases):
    """In an order that leaves an even sample wherever it is cut, the same in each run."""
    cases = list(dict.fromkeys(cases))
    random.Random(1).shuffle(cases)
    return cases


def squares():
    return [(size, size, size, "nt") for size in (256, 512, 1024, 2048, 4096, 8192, 16384)]


def odd_products():
    """Dimensions that are no multiples of a tile, or of what aligned loads want; few steps of depth; part waves."""
    cases = [(8192, 50257, 4096, "nt"), (8192, 50304, 4096, "nt"), (4095, 4095, 4095, "nt"), (4097, 4097, 4097, "nt"),
             (4100, 4100, 4100, "nt"), (4104, 4104, 4104, "nt"), (4128, 4128, 4128, "nt"), (8191, 8192, 8192, "nt"),
             (8192, 8191, 8192, "nt"), (8192, 8192, 8191, "nt"), (8192, 8200, 8192, "nt"), (8192, 8192, 8200, "nt"),
             (1000, 1000, 1000, "nt"), (1, 8192, 8192, "nt"), (16, 8192, 8192, "nt"), (64, 8192, 8192, "nt"),
             (2048, 3 * 1728, 13824, "nt"), (2048, 13824, 1728, "nt"), (2048, 3 * 1800, 14400, "nt"),
             (2048, 14400, 1800, "nt")]
    cases += [(8192, 8192, k, "nt") for k in (16, 32, 64, 128, 256, 512, 1024, 2048)]
    cases += [(4096, n, 4096, "nt") for n in range(256, 6400, 256)]
    cases += [(128 * i, 4096, 4096, "nt") for i in (1, 2, 3, 5, 6, 7, 9, 11, 13, 17, 19, 23, 29, 33, 37, 43)]
    return cases


def products():
    """(m, n, k, layout) in bf16."""
    first, second = [], []
    for ways in (1, 8):
        for layer in linear_layers(ways):
            first += [forward(tokens, layer) for tokens in TOKENS]
            for tokens in (2048, 8192):
                first += backward(tokens, layer)
            for tokens in (512, 32768):
                second += backward(tokens, layer)
    for ways in (2, 4):
        for layer in linear_layers(ways):
            for tokens in (1024, 8192):
                second += [forward(tokens, layer)] + backward(tokens, layer)
    return list(dict.fromkeys(squares() + shuffled(odd_products()) + shuffled(first) + shuffled(second)))


def products_in_other_dtypes():
    """(dtype, m, n, k, layout)."""
    cases = [("fp8", *forward(tokens, layer)) for tokens in (512, 2048, 8192, 32768)
             for layer in linear_layers(1)[3:] + linear_layers(8)[:5]]
    layers = [forward(tokens, layer) for tokens in (2048, 8192)
              for layer in ((6144, 4096), (4096, 14336), (8192, 8192))]
    for dtype in ("fp16", "tf32", "f32"):
        cases += [(dtype, *shape) for shape in squares()[:-1] + layers]
    return [("fp8", *shape) for shape in squares()] + shuffled(cases)


def batched_products():
    """(batch, m, n, k, layout): scores and weighted values of attention that is not fused."""
    cases = []
    for matrices, sequence in ((12, 2048), (96, 2048), (32, 2048), (32, 4096), (16, 8192), (128, 1024), (256, 512)):
        for head_dim in (64, 80, 128):
            cases += [(matrices, sequence, sequence, head_dim, "nt"), (matrices, sequence, head_dim, sequence, "nn"),
                      (matrices, sequence, head_dim, sequence, "tn")]
    cases += [(experts, tokens, 4096, 14336, "nt") for experts in (8, 64) for tokens in (128, 512)]
    return shuffled(cases)


def attention():
    """(batch, heads, kv_heads, head_dim, sequence, causal).

    16384 tokens and a hidden size near 2048, as in the publications of FlashAttention; then what one device of some
    well-known models computes, grouped keys and values among them.
    """
    heads_of = {64: 32, 80: 24, 96: 20, 128: 16, 256: 8}
    main = [(max(1, 16384 // sequence), heads_of[head_dim], heads_of[head_dim], head_dim, sequence, causal)
            for head_dim in HEAD_DIMS for sequence in SEQUENCES for causal in (True, False)]
    models = [(1, 96, 96, 128, 2048, True), (1, 12, 12, 128, 2048, True), (4, 12, 12, 128, 2048, True),
              (1, 32, 8, 128, 2048, True), (1, 32, 8, 128, 8192, True), (2, 32, 8, 128, 4096, True),
              (1, 64, 8, 128, 8192, True), (1, 16, 2, 128, 8192, True), (1, 8, 1, 128, 8192, True),
              (1, 8, 1, 128, 4096, True), (1, 4, 1, 128, 8192, True), (1, 32, 32, 64, 2048, False),
              (16, 16, 16, 64, 512, False), (1, 16, 16, 64, 2048, True), (1, 128, 128, 128, 2048, True),
              (1, 16, 16, 256, 8192, True), (1, 1, 1, 128, 8192, True), (1, 8, 1, 128, 65536, True)]
    return shuffled([case for case in main if case[3] == 128]) + models + shuffled(
        [case for case in main if case[3] != 128])


def attention_flops(batch, heads, head_dim, sequence, causal):
    return 4 * batch * heads * sequence * sequence * head_dim // (2 if causal else 1)


def copy_bytes():
    return [1 << power for power in range(10, 33, 2)]


def element_counts():
    return [1 << power for power in (16, 20, 22, 24, 26, 28)]


def norm_shapes():
    """(rows, width) of activations."""
    return [(2048, 4096), (8192, 4096), (32768, 4096), (2048, 12288), (8192, 8192), (128, 8192)]


def softmax_shapes():
    """(rows, width) of scores that are not fused, and of logits."""
    return [(12 * 2048, 2048), (96 * 2048, 2048), (32 * 4096, 4096), (2048, 32000), (2048, 128256)]


def logits_shapes():
    return [(2048, 32000), (8192, 32000), (2048, 51200), (2048, 128256), (8192, 128256)]


def parameter_counts():
    return [100_000_000, 300_000_000, 1_000_000_000]


def message_bytes(most):
    return [size for size in (1 << power for power in range(10, 33, 2)) if size <= most]
