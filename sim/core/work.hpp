#pragma once
// What one operation asks of one device; topologies/chip.hpp says how long that takes.

#include "sim/core/units.hpp"

namespace podsim {

// A batch of matrix products [m x k] . [k x n] on one device.
struct MatrixShape {
  double batch = 1, m = 1, k = 1, n = 1;
  Flops flops() const { return Flops(2 * batch * m * k * n); }
};

struct Work {
  MatrixShape matrix{0, 0, 0, 0};
  Bytes hbm{}; // read and written
  Ops vector{};
  double matrix_efficiency = 0; // share of the matrix peak that a kernel of its own reaches (fused attention); 0: a
                                // plain product, by the chip's own model
};

} // namespace podsim
