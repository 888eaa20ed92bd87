#include "sim/program/pointwise.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

std::string passes_text(const char* what, const PointwisePasses& passes)
{
  return fmt::format("{} reads {}, writes {}, {} operations an element", what, fmt::join(passes.reads, " + "),
                     passes.writes, passes.vector_ops);
}

} // namespace

std::string PointwiseKind::describe() const
{
  std::string text = passes_text("forward", forward);
  if (statistics_over)
    text += "; " + passes_text("gradient's statistics", statistics);
  if (backward)
    text += "; " + passes_text("backward", *backward);
  return text;
}

} // namespace podsim

namespace podsim::pointwise {

const PointwiseKind moments{.name = "moments", .forward = {.reads = {1}, .vector_ops = 2}};

const PointwiseKind normalise{.name            = "normalise",
                              .forward         = {.reads = {1, 0}, .vector_ops = 4},
                              .gradients_of    = {0},
                              .gradient_reads  = {0, 1},
                              .statistics_over = Dim::embed,
                              .statistics      = {.reads = {1, 0, 1}, .vector_ops = 4},
                              .backward        = PointwisePasses{.reads = {1, 0, 1, 0}, .vector_ops = 8}};

const PointwiseKind softmax{.name                  = "softmax",
                            .forward               = {.reads = {3}, .vector_ops = 10},
                            .gradients_of          = {0},
                            .gradient_reads_output = true,
                            .backward              = PointwisePasses{.reads = {2, 2}, .vector_ops = 6}};

const PointwiseKind gate{.name           = "gate",
                         .forward        = {.reads = {1, 1}, .vector_ops = 8},
                         .gradients_of   = {0, 1},
                         .gradient_reads = {0, 1},
                         .backward       = PointwisePasses{.reads = {1, 1, 1}, .vector_ops = 14}};

const PointwiseKind activation{.name           = "activation",
                               .forward        = {.reads = {1}, .vector_ops = 6},
                               .gradients_of   = {0},
                               .gradient_reads = {0},
                               .backward       = PointwisePasses{.reads = {1, 1}, .vector_ops = 8}};

const PointwiseKind rotary{.name         = "rotary",
                           .forward      = {.reads = {1}, .vector_ops = 4},
                           .gradients_of = {0},
                           .backward     = PointwisePasses{.reads = {1}, .vector_ops = 4}};

const PointwiseKind residual{.name = "residual", .forward = {.reads = {1, 1}, .vector_ops = 1}, .gradients_of = {0, 1}};

const PointwiseKind add{.name = "add", .forward = {.reads = {1, 1}, .vector_ops = 1}, .gradients_of = {0, 1}};

const PointwiseKind log_sum_exp{.name = "log-sum-exp", .forward = {.reads = {2}, .vector_ops = 6}};

const PointwiseKind loss_gradient{.name = "loss gradient", .forward = {.reads = {1, 0}, .vector_ops = 8}};

const PointwiseKind square_sum{.name = "square sum", .forward = {.reads = {1}, .vector_ops = 2}};

const PointwiseKind update{.name = "update", .forward = {.reads = {1, 0, 1, 1, 1}, .vector_ops = 16}};

const PointwiseKind factored_update{.name = "factored update", .forward = {.reads = {2, 0, 1, 1, 1}, .vector_ops = 16}};

} // namespace podsim::pointwise
