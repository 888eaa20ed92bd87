// The library by itself, as another program uses it: scenarios from two threads come out as from one, to the last bit.
// Built with the rest, from an installed podsim (tests/whole/install_test.sh), and under ThreadSanitizer (preset tsan).

#include "sim/evaluate/podsim.hpp"

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace podsim;

namespace {

struct Asked {
  std::string name;
  std::vector<std::string> changes;
};

// Each way through: events, chunks, a recurrence, faults, a micro-benchmark, what does not fit.
const std::vector<Asked> asked{
    {"training/palm-540b", {}},
    {"training/palm-62b", {"software.multi_axis_collectives=sequential"}},
    {"training/a100/korthikanti22-175b-full", {}},
    {"training/a100/mpt-7b-8", {}},
    {"training/palm-8b", {R"(faults={"chips": [{"at": 3, "compute": 0.8}]})"}},
    {"training/palm-540b", {"workload.batch=65536"}},
};

std::vector<double> numbers(const Evaluation& result)
{
  std::vector<double> all{static_cast<double>(result.status)};
  if (!result.metrics)
    return all;
  all.push_back(result.metrics->step_time.value());
  all.push_back(result.metrics->hfu);
  for (const Breakdown& breakdown : result.metrics->breakdowns)
    for (const auto& [name, time] : breakdown)
      all.push_back(time.value());
  return all;
}

std::vector<std::vector<double>> all_of(const Catalogue& catalogue)
{
  std::vector<std::vector<double>> all;
  for (const Asked& one : asked)
    all.push_back(
        numbers(evaluate(read_scenario(resolve(catalogue.file(Shelf::scenarios, one.name), one.changes, catalogue)))));
  return all;
}

bool same(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b)
{
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(double)) != 0)
      return false;
  return a.size() == b.size();
}

} // namespace

int main(int argc, char** argv)
{
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " FOLDER OF THE CATALOGUE\n";
    return EXIT_FAILURE;
  }
  const Catalogue catalogue(argv[1]);
  const auto alone = all_of(catalogue);
  std::vector<std::vector<std::vector<double>>> together(2);
  std::vector<std::thread> threads;
  for (auto& own : together)
    threads.emplace_back([&] {
      for (int i = 0; i < 3; ++i)
        own = all_of(catalogue);
    });
  for (std::thread& thread : threads)
    thread.join();
  for (const auto& own : together)
    if (!same(own, alone)) {
      std::cerr << "two threads came to other figures than one\n";
      return EXIT_FAILURE;
    }
  std::cout << alone.size() << " scenarios, " << alone.front()[1] << " s a step of the first\n";
  return EXIT_SUCCESS;
}
