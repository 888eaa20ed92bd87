#pragma once
// Rows of a gate made by hand, and programs that judge what is made of them.

#include "reports/gate.hpp"
#include "tests/support/sandbox.hpp"

#include <fmt/format.h>
#include <optional>
#include <string>

namespace podsim::test {

inline std::string tool(const std::string& program, const Words& arguments)
{
  const Outcome outcome = run_program(program, arguments);
  return outcome.code == 0 ? "" : fmt::format("{} {} {}", outcome.code, outcome.out, outcome.err);
}

inline GateRow row_named(const std::string& name, RowStatus status)
{
  GateRow row;
  row.scenario = name;
  row.file     = name;
  row.status   = status;
  row.failure  = status == RowStatus::failed ? std::optional(Status::input) : std::nullopt;
  row.reason   = "because of " + name;
  return row;
}

} // namespace podsim::test
