#pragma once
// The figures that there are of a run: a row each, with what they are called, how they are counted and shown, and where
// they are given. Whatever reads, keeps, compares or prints figures loops over this table, so that a new one is a new
// row of sim/core/figure_rows.hpp, which also says how it is got from an evaluation (sim/evaluate/figures.hpp).
//
// Sources count FLOPs in ways of their own. A figure is compared in its source's convention: the table says which
// figures know which conventions, and podsim counts the predicted side the same way.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

// Which FLOPs of a token are counted. N: parameters that a token meets; L layers, H heads of size Q, T tokens a
// sequence, h channels, V vocabulary. Without lookup: N without the parameters that no product reads, an untied
// embedding of the input and learned positions.
enum class Counting {
  none,
  palm,          // 6N + 12 L H Q T (arXiv:2204.02311, appendix B)
  palm_hardware, // the same and what this scenario recomputes
  six_n,         // 6N
  six_n_causal,  // 6N + 6 L H Q T: causal attention is half (MaxText's tables for v5)
  palm_without_lookup,
  six_n_without_lookup,
  six_n_causal_without_lookup,
  executed, // what the step executes: no lookup, the masked half of attention only where a kernel computes it, what
            // remat and kernels repeat, and of experts what they have room for
  two_n,    // 2N: inference
  eight_n,  // 8N: full recomputation, without attention
  slowest_stage, // no FLOPs: of a bubble, that of the stage which waits least
  narayanan,     // 96 L h^2 (1 + T/6h + V/16Lh): full recomputation (arXiv:2104.04473, section 5.1)
};

enum class Direction : std::uint8_t { more_is_better, less_is_better, neither };

// How a number is written for people.
enum class Form : std::uint8_t {
  with_unit, // three digits and the first unit
  count,     // a whole number
  tenths,    // one digit after the point
  percent,
  time,
  rate, // four digits, or thousands; the unit is in the label
  size,
  bandwidth,
  energy,
  thousands, // with k or M
  money,     // the same, in the study's currency
};

// In which lists a figure stands.
enum class Listing : std::uint8_t {
  published  = 1,  // a scenario may have what somebody published of it
  study      = 2,  // a study may ask for it
  stored     = 4,  // a sweep keeps it of each run
  json       = 8,  // at the top of a run's JSON; what is not may stand in one of its objects
  gate       = 16, // a baseline keeps it
  comparison = 32, // a row of podsim compare
  report     = 64, // a row of each run's report
};

class Listings {
public:
  constexpr Listings() = default;
  constexpr Listings(Listing one) : bits_(static_cast<std::uint8_t>(one)) {} // NOLINT: a set of one is meant
  constexpr bool contains(Listing one) const { return (bits_ & static_cast<std::uint8_t>(one)) != 0; }
  friend constexpr Listings operator|(Listings a, Listings b)
  {
    a.bits_ = static_cast<std::uint8_t>(a.bits_ | b.bits_);
    return a;
  }

private:
  std::uint8_t bits_ = 0;
};
constexpr Listings operator|(Listing a, Listing b)
{
  return Listings(a) | Listings(b);
}

struct Figure {
  std::string name{};      // in scenarios, studies and tables for programs: "step_time"
  std::string json_name{}; // in the JSON of runs, comparisons and baselines, with its unit; empty in a row: the name
  std::string label{};     // for people
  // What one of a unit is in base units (fractions of 1, seconds, bytes a second...). The first is the one that is
  // shown.
  std::vector<std::pair<std::string, double>> units{};
  // In which sources give it, podsim's own first; none in a row: "none".
  std::vector<std::pair<std::string, Counting>> conventions{};
  Form form         = Form::with_unit;
  Direction better  = Direction::neither;
  double rounding   = 0; // a change below this, in base units, is none: of shares that come out of a difference
  double json_scale = 1; // JSON has so many times the base unit's number
  std::string family{};  // in which `podsim validate` averages it, where that is not the chip's
  bool of_some = false;  // where no scenario of a table has it, the table has no row of it
  bool of_a_plan =
      false; // follows from a budget, a price... and not from the run alone (sim/studies/training_plan.hpp)
  Listings in{};
};

const std::vector<Figure>& figure_table();
std::vector<const Figure*> figures_in(Listing list); // in the table's order
std::vector<std::string> figure_names(Listing list);
const Figure* find_figure(Listing list, const std::string& name); // nullptr: there is none of this name
const Figure& figure(const std::string& name);                    // one that there must be

// Numbers of a run by the names of its figures, in base units.
using Figures = std::map<std::string, double>;

} // namespace podsim
