#include "sim/app/commands.hpp"
#include "sim/app/output.hpp"
#include "sim/app/study_output.hpp"

#include <memory>

namespace podsim {
namespace {

struct ResultsOptions {
  std::string file;
  StudyOutput output;
};

int results(ResultsOptions options)
{
  const Store store = Store::to_read(options.file);
  const Sweep sweep = read_sweep_text(store.study().text, options.file);
  check(options.output, sweep);
  check_outputs({{"--csv", options.output.csv}, {"--json", options.output.json}}, options.file);
  return write_study(study_table(store, sweep), options.output);
}

} // namespace

Action setup_results(CLI::App& command)
{
  auto options = std::make_shared<ResultsOptions>();
  command.add_option("FILE", options->file, "file in which podsim sweep stored a study")->required();
  add_study_output(command, options->output);
  return [options] { return results(*options); };
}

} // namespace podsim
