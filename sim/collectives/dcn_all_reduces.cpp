#include "sim/collectives/dcn_all_reduces.hpp"

#include "sim/collectives/dcn_ring.hpp"
#include "sim/collectives/double_binary_tree.hpp"
#include "sim/collectives/halving_doubling.hpp"

namespace podsim {

const std::vector<std::pair<std::string, DcnAllReduce>>& dcn_all_reduces()
{
  static const std::vector<std::pair<std::string, DcnAllReduce>> rows{
      {"ring", dcn_ring_all_reduce},
      {"tree", double_binary_tree},
      {"halving doubling", halving_doubling},
  };
  return rows;
}

} // namespace podsim
