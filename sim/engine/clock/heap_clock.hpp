#pragma once
// The clock in this process: a heap of what is due, and max-min sharing worked out anew round the links that change.
// No global state: any number of them, on any threads. It repeats SimGrid 3.32's arithmetic step by step, so that what
// leaves the grid of ticks (three flows on a link, a NIC at an odd fraction of its rate) comes out the same to the last
// bit: when sums are taken, by what they are divided, and that what is due within 4e-13 s of now is due now.

#include "sim/engine/clock/clock.hpp"

#include <memory>

namespace podsim {

std::unique_ptr<Clock> heap_clock();

} // namespace podsim
