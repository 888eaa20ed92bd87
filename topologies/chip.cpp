#include "topologies/chip.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace podsim {
namespace {

double tiles_along(double size, std::int64_t tile)
{
  return std::ceil(size / static_cast<double>(tile));
}

double rounded_up(double size, std::int64_t tile)
{
  return tiles_along(size, tile) * static_cast<double>(tile);
}

// The FLOPs that the whole unit could do while it is busy with the product.

Flops occupied(const MatrixShape& matrix, const SystolicArray& array)
{
  return MatrixShape{matrix.batch, rounded_up(matrix.m, array.rows), rounded_up(matrix.k, array.depth),
                     rounded_up(matrix.n, array.columns)}
      .flops();
}

Flops occupied(const MatrixShape& matrix, const TiledProcessors& unit)
{
  const auto processors = static_cast<double>(unit.processors);
  Flops least(std::numeric_limits<double>::infinity());
  const auto consider = [&](std::int64_t rows, std::int64_t columns, double efficiency) {
    const double tiles             = matrix.batch * tiles_along(matrix.m, rows) * tiles_along(matrix.n, columns);
    const std::int64_t most_splits = tiles < 2 * processors ? unit.split_k : 1; // from two waves on nothing is gained
    for (std::int64_t split = 1; split <= most_splits; ++split) {
      const double waves = std::ceil(tiles * static_cast<double>(split) / processors);
      const MatrixShape busy{waves * processors, static_cast<double>(rows),
                             matrix.k / static_cast<double>(split) + unit.depth_fill, static_cast<double>(columns)};
      least = std::min(least, busy.flops() / efficiency);
    }
  };
  for (const TiledProcessors::Tile& tile : unit.tiles) {
    consider(tile.rows, tile.columns, tile.efficiency);
    if (tile.rows != tile.columns)
      consider(tile.columns, tile.rows, tile.efficiency);
  }
  return least;
}

SystolicArray read_array(Reader& chip)
{
  const Reader tile = chip.constant("matrix_tile");
  const auto sizes  = tile.elements();
  if (sizes.size() != 3) {
    tile.misread("a list of three sizes: rows, depth, columns");
    return {1, 1, 1};
  }
  return {sizes[0].count(1, 4096), sizes[1].count(1, 4096), sizes[2].count(1, 4096)};
}

TiledProcessors read_processors(Reader& chip)
{
  TiledProcessors read;
  read.processors    = chip.constant("processors").count(1, 65536);
  const Reader tiles = chip.constant("matrix_tiles");
  for (const Reader& tile : tiles.elements()) {
    const auto parts = tile.elements();
    if (parts.size() == 3)
      read.tiles.push_back({parts[0].count(1, 4096), parts[1].count(1, 4096), parts[2].fraction()});
    else
      tile.misread("a list of three: rows, columns, relative efficiency");
  }
  if (read.tiles.empty())
    tiles.misread("at least one tile");
  read.depth_fill = static_cast<double>(chip.constant("matrix_depth_fill").count(0, 65536));
  read.split_k    = chip.constant("split_k").count(1, 64);
  if (chip.find("collective_processors"))
    read.collective_processors =
        chip.constant("collective_processors").count(0, std::max<std::int64_t>(0, read.processors - 1));
  return read;
}

} // namespace

Seconds OperationTime::total() const
{
  return std::max({matrix, hbm, vector}) + fixed;
}

Chip read_chip(Reader chip)
{
  Chip read;
  read.name = chip.at("name").text();
  if (chip.find("devices"))
    read.devices = chip.constant("devices").count(1, 16);
  const auto devices     = static_cast<double>(read.devices);
  read.matrix_peak       = chip.constant("matrix_peak").quantity<PerSecond<FlopUnit>>() / devices;
  read.matrix_efficiency = chip.constant("matrix_efficiency").fraction();
  const bool tiled       = chip.find("processors").has_value();
  if (tiled)
    read.matrix_unit = read_processors(chip);
  else
    read.matrix_unit = read_array(chip);
  read.hbm_capacity   = chip.constant("hbm_capacity").quantity<ByteUnit>() / devices;
  read.hbm_bandwidth  = chip.constant("hbm_bandwidth").quantity<PerSecond<ByteUnit>>() / devices;
  read.hbm_efficiency = chip.constant("hbm_efficiency").fraction();
  read.vector_rate    = chip.constant("vector_rate").quantity<PerSecond<OpUnit>>() / devices;
  read.dispatch       = chip.constant("dispatch").quantity<SecondUnit>();
  if (!tiled) // a GPU's fill is a tile's
    read.pipeline_fill = chip.constant("pipeline_fill").quantity<ByteUnit>() / devices;
  if (chip.find("power"))
    read.power = chip.constant("power").quantity<WattUnit>() / devices;
  chip.finish();
  return read;
}

Chip at_speed(Chip chip, const Speed& speed)
{
  chip.matrix_peak   = chip.matrix_peak * speed.compute;
  chip.vector_rate   = chip.vector_rate * speed.compute;
  chip.dispatch      = chip.dispatch / speed.compute;
  chip.hbm_bandwidth = chip.hbm_bandwidth * speed.hbm;
  return chip;
}

double collective_share(const Chip& chip)
{
  const auto* unit = std::get_if<TiledProcessors>(&chip.matrix_unit);
  return unit == nullptr ? 0 : static_cast<double>(unit->collective_processors) / static_cast<double>(unit->processors);
}

OperationTime operation_time(const Work& work, const Chip& chip)
{
  OperationTime time;
  if (work.matrix.flops() == Flops(0) && work.hbm == Bytes(0) && work.vector == Ops(0))
    return time;
  const BytesPerSecond hbm = chip.hbm_bandwidth * chip.hbm_efficiency;
  if (work.matrix_efficiency > 0)
    time.matrix = work.matrix.flops() / (chip.matrix_peak * work.matrix_efficiency);
  else
    time.matrix = std::visit([&](const auto& unit) { return occupied(work.matrix, unit); }, chip.matrix_unit) /
                  (chip.matrix_peak * chip.matrix_efficiency);
  time.hbm    = work.hbm / hbm;
  time.vector = work.vector / chip.vector_rate;
  time.fixed  = chip.dispatch;
  if (time.hbm < std::max(time.matrix, time.vector)) // else HBM is busy throughout and hides nothing behind itself
    time.fixed += std::min(std::min(work.hbm, chip.pipeline_fill) / hbm, time.hbm);
  return time;
}

} // namespace podsim
