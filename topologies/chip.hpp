#pragma once
// One device as a set of units: a chip, or a core where the mesh counts cores. An operation takes the longest of its
// units' times, plus what cannot overlap:
//   matrix  the FLOPs for which a product occupies the matrix unit, over the peak times an efficiency
//   hbm     bytes over bandwidth times an achieved fraction
//   vector  element operations over the vector unit's rate
//   fixed   a dispatch time (a GPU's kernel launch), and the time in which the first tiles come in and the last ones
//           go out: until then no unit works (this is what makes small products slow)
// An operation without any work was fused into another and takes no time.

#include "sim/core/reader.hpp"
#include "sim/core/units.hpp"
#include "sim/core/work.hpp"
#include "topologies/overrides.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace podsim {

// A TPU's matrix unit: each dimension of a product is rounded up to the tile.
struct SystolicArray {
  std::int64_t rows = 1, depth = 1, columns = 1;
};

// A GPU's matrix units, one a processor (SM): the result is cut into tiles, each computed by one processor, and all
// processors wait for the last of a wave. A library chooses among the tiles, either way round, and may split the
// depth among processors where tiles alone are few.
struct TiledProcessors {
  struct Tile {
    std::int64_t rows = 1, columns = 1;
    double efficiency = 1; // beside the best tile's
  };
  std::int64_t processors = 1;
  std::vector<Tile> tiles;
  double depth_fill = 0; // depth that would take as long as what a tile waits for before its first and after its
                         // last product
  std::int64_t split_k               = 1; // at most
  std::int64_t collective_processors = 0; // that a collective occupies while it runs beside the computation
};

// The constants of a chip, a device's share of them.
struct Chip {
  std::string name;
  std::int64_t devices = 1;   // of the mesh, that the chip is: two where its cores work apart
  FlopsPerSecond matrix_peak; // bf16 (V100: fp16)
  double matrix_efficiency = 1;
  std::variant<SystolicArray, TiledProcessors> matrix_unit;
  Bytes hbm_capacity;
  BytesPerSecond hbm_bandwidth;
  double hbm_efficiency = 1;
  OpsPerSecond vector_rate;
  Seconds dispatch;
  Bytes pipeline_fill;        // bytes that move before and after the units overlap
  std::optional<Watts> power; // with the device's share of its host
};

struct OperationTime {
  Seconds matrix, hbm, vector, fixed;
  Seconds total() const;
};

Chip read_chip(Reader chip);

// The chip at other speeds: the clock moves its units and its dispatch, HBM moves bytes.
Chip at_speed(Chip chip, const Speed& speed);

OperationTime operation_time(const Work& work, const Chip& chip);

// The share of the processors that an asynchronous collective takes from the computation beside it.
double collective_share(const Chip& chip);

} // namespace podsim
