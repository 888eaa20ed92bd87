#include "topologies/chip.hpp"

#include <algorithm>
#include <cmath>

namespace podsim {
namespace {

double rounded_up(double size, std::int64_t tile)
{
  const auto t = static_cast<double>(tile);
  return std::ceil(size / t) * t;
}

Flops padded_flops(const MatrixShape& matrix, const Chip& chip)
{
  const MatrixShape padded{matrix.batch, rounded_up(matrix.m, chip.tile_rows), rounded_up(matrix.k, chip.tile_depth),
                           rounded_up(matrix.n, chip.tile_columns)};
  return padded.flops();
}

} // namespace

Seconds OperationTime::total() const
{
  return std::max({matrix, hbm, vector}) + fixed;
}

Chip read_chip(Reader chip)
{
  Chip read;
  read.name              = chip.at("name").text();
  read.matrix_peak       = chip.constant("matrix_peak").quantity<PerSecond<FlopUnit>>();
  read.matrix_efficiency = chip.constant("matrix_efficiency").fraction();
  const Reader tile      = chip.constant("matrix_tile");
  const auto sizes       = tile.elements();
  if (sizes.size() != 3)
    tile.expected("a list of three sizes: rows, depth, columns");
  read.tile_rows      = sizes[0].count(1, 4096);
  read.tile_depth     = sizes[1].count(1, 4096);
  read.tile_columns   = sizes[2].count(1, 4096);
  read.hbm_capacity   = chip.constant("hbm_capacity").quantity<ByteUnit>();
  read.hbm_bandwidth  = chip.constant("hbm_bandwidth").quantity<PerSecond<ByteUnit>>();
  read.hbm_efficiency = chip.constant("hbm_efficiency").fraction();
  read.vector_rate    = chip.constant("vector_rate").quantity<PerSecond<OpUnit>>();
  read.dispatch       = chip.constant("dispatch").quantity<SecondUnit>();
  read.pipeline_fill  = chip.constant("pipeline_fill").quantity<ByteUnit>();
  chip.finish();
  return read;
}

OperationTime operation_time(const Work& work, const Chip& chip)
{
  const BytesPerSecond hbm = chip.hbm_bandwidth * chip.hbm_efficiency;
  OperationTime time;
  time.matrix = work.matrix_efficiency > 0
                    ? work.matrix.flops() / (chip.matrix_peak * work.matrix_efficiency)
                    : padded_flops(work.matrix, chip) / (chip.matrix_peak * chip.matrix_efficiency);
  time.hbm    = work.hbm / hbm;
  time.vector = work.vector / chip.vector_rate;
  time.fixed  = chip.dispatch;
  if (time.hbm < std::max(time.matrix, time.vector)) // else HBM is busy throughout and hides nothing behind itself
    time.fixed += std::min(std::min(work.hbm, chip.pipeline_fill) / hbm, time.hbm);
  return time;
}

} // namespace podsim
