#pragma once
// An evaluation between two processes of one binary: the one form in which a worker hands over what it found, so that
// whoever asked takes from it what is needed.
//
// Complete and exact to the last bit, metrics, faults, constants and all; nothing is left out, since constants and
// files are what is large and the gate needs them. It is no file format: numbers are as this machine has them in
// memory.

#include "sim/evaluate/evaluation.hpp"

#include <string>

namespace podsim {

std::string to_bytes(const Evaluation& evaluation);
Evaluation evaluation_from_bytes(const std::string& bytes); // throws std::logic_error for what is cut short or goes on

} // namespace podsim
