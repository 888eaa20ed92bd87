#pragma once
// Figures that somebody published for a scenario, to stand beside what podsim predicts.

#include "sim/core/figures.hpp"

#include <string>
#include <vector>

namespace podsim {

struct PublishedFigure {
  std::string id;
  const Figure* metric = nullptr; // a row of the table
  double value         = 0;       // in base units; of a ratio, the ratio
  std::string unit;               // as the source gives it
  double base_units = 1;          // one such unit in base units
  std::string convention;         // which FLOPs the source counts
  Counting counting{};            // the same
  std::string statistic;          // best, median, average...
  bool calibration = false;       // a constant was fitted to it, or it is an input: no test of the prediction
  std::string source;
  std::string relative_to;   // of a ratio: the scenario file whose metric it is over, as the figure names it
  std::string relative_file; // and where that is
  std::string family;        // with which others it is averaged, see family_names()
  std::string run;           // figures of one run are one case; empty: those of this scenario are
};

// The families in which errors are averaged: training on each chip, and apart from those what tests no training step.
const std::vector<std::string>& family_names();

// The family of a figure whose file names none: that of the chip ("NVIDIA A100 80 GB" is an A100), but for
// micro-benchmarks and for counts of FLOPs, whose small errors would flatter it.
std::string chip_family(const std::string& chip);
bool is_chip(const std::string& chip, const std::string& name); // "NVIDIA A100 80 GB" is an "A100"
std::string usual_family(const Figure& metric, const std::string& chip);

} // namespace podsim
