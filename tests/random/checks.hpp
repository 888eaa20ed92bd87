#pragma once
// What must hold of every scenario, each a function that says in one line what does not. A check that has nothing to
// say of a scenario (one device, no second order of its axes) says that.

#include "tests/random/dice.hpp"

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podsim::test {

// A scenario, and for checks that compare two of them the other; `fault` is empty where all is well.
struct Case {
  std::string check;
  nlohmann::json scenario, other;
};

struct Verdict {
  enum class Kind { holds, fails, passed_over, anomaly } kind = Kind::holds; // anomaly: does not hold, as it may not
  std::string says; // one line, of a failure or an anomaly; or why it was passed over
};

const Verdict well{};
inline Verdict fails(std::string says)
{
  return {Verdict::Kind::fails, std::move(says)};
}
inline Verdict passed_over(std::string why)
{
  return {Verdict::Kind::passed_over, std::move(why)};
}

struct Check {
  const char* name;
  std::function<Verdict(const Case&)> holds;
  // Makes the other scenario; nothing where the check needs none.
  std::function<nlohmann::json(nlohmann::json& scenario, Dice& dice)> other;
  double share = 1;     // of the draws that it is asked of
  bool rewords = false; // the other scenario is the same in other words, each of which matters
};

const std::vector<Check>& checks();
const Check& check_called(const std::string& name);

// "" if the reader takes the scenario and a simulation of all its devices is short; else why not.
std::string refusal(const nlohmann::json& scenario);

// The operations whose times differ first between the simulations that a failing case compares; a line each.
std::vector<std::string> first_differences(const Case& failing);

} // namespace podsim::test
