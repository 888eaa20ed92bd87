#include "sim/app/study_output.hpp"

#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/terminal.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sstream>

namespace podsim {

void add_study_output(CLI::App& command, StudyOutput& output)
{
  command.add_option("--sort", output.view.sort, "order by a metric, best first, or by an axis of the study")
      ->type_name("METRIC");
  command.add_option("--top", output.view.top, "only the first N rows")
      ->type_name("N")
      ->transform(whole_number(1, 1'000'000));
  command.add_option("--pareto", output.pareto, "mark the rows that no other beats in all of these metrics")
      ->type_name("METRIC,METRIC");
  add_file(command, "--csv", output.csv, "also write the rows as CSV to FILE; - for standard output, alone");
  add_file(command, "--json", output.json,
           "also write the rows as JSON, an object a line, to FILE; - for standard output, alone");
  command.add_flag("--list-failures", output.view.list_failures, "list each combination that could not run, and why");
  command.add_flag("--quiet", output.quiet, "no table, no progress");
}

void check(StudyOutput& output, const Sweep& sweep)
{
  if (output.csv == "-" && output.json == "-")
    throw InputError("--csv - and --json -: only one of them can have standard output");
  std::istringstream names(output.pareto);
  for (std::string name; std::getline(names, name, ',');)
    output.view.pareto.push_back(name);
  if (!output.pareto.empty() && output.view.pareto.size() < 2)
    throw InputError(
        fmt::format("--pareto: expected two or more metrics, like days,cost, found \"{}\"", printable(output.pareto)));
  StudyTable empty;
  for (const SweepAxis& axis : sweep.axes)
    empty.axes.push_back(axis.name);
  arrange(empty, output.view);
  const auto need = [&](const char* option, const std::string& metric) {
    if (const char* missing = find_figure(Listing::study, metric) ? missing_for(metric, sweep) : nullptr)
      throw InputError(fmt::format("{}: \"{}\" needs a \"plan\" with \"{}\" in the study", option, metric, missing));
  };
  need("--sort", output.view.sort);
  for (const std::string& metric : output.view.pareto)
    need("--pareto", metric);
}

StudyTable study_table(const Store& store, const Sweep& sweep)
{
  const StoredStudy study = store.study();
  const auto results      = store.results(study.version);
  StudyTable table{.name     = sweep.name,
                   .question = sweep.question,
                   .currency = sweep.plan.currency,
                   .axes     = {},
                   .metrics  = sweep.metrics,
                   .rows     = {},
                   .left_out = {},
                   .reasons  = {},
                   .counts   = {}};
  for (const SweepAxis& axis : sweep.axes)
    table.axes.push_back(axis.name);
  for (std::size_t i = 0; i < sweep.constraints.size() && i < study.left_out.size(); ++i)
    table.left_out.emplace_back(sweep.constraints[i], study.left_out[i]);
  for (const StoredCombination& stored : store.combinations()) {
    if (!stored.mine) {
      ++table.other_shards;
      continue;
    }
    if (stored.number >= sweep.size())
      throw InputError(fmt::format("{}: is not as podsim sweep writes it: combination {} of {}", store.file(),
                                   stored.number, sweep.size()));
    const Combination one = combination(sweep, stored.number);
    StudyRow row{
        .number = stored.number, .settings = one.labels, .status = Status::not_run, .reason = "", .figures = {}};
    if (const auto found = results.find(stored.hash); found != results.end()) {
      row.status  = found->second.status;
      row.reason  = found->second.reason;
      row.figures = found->second.figures;
      add_planned(one.plan, row.figures);
    }
    if (!one.plan.currency.empty())
      table.currency = one.plan.currency;
    table.rows.push_back(std::move(row));
  }
  return table;
}

int write_study(StudyTable table, const StudyOutput& output)
{
  const std::size_t all = table.rows.size();
  arrange(table, output.view);
  Outputs outputs;
  if (!output.quiet && output.csv != "-" && output.json != "-")
    outputs.print(to_text(table, output.view, Style(stdout_has_colour())));
  if (!output.csv.empty())
    outputs.write({"--csv", output.csv}, to_csv(table, output.view));
  if (!output.json.empty())
    outputs.write({"--json", output.json}, to_json_lines(table, output.view));
  outputs.finish();
  const auto bug = std::find_if(table.reasons.begin(), table.reasons.end(),
                                [](const StudyTable::Reason& reason) { return is_bug(reason.status); });
  if (bug != table.reasons.end()) {
    complain(fmt::format("{} {}, by a bug of podsim's: {}", bug->rows, word(bug->status), bug->text));
    return exit_internal_error;
  }
  if (all == 0 || table.failed < all)
    return exit_done;
  complain(fmt::format("no combination could run{}",
                       table.reasons.empty() ? "" : "; the first: " + table.reasons.front().text));
  return exit_cannot_run;
}

} // namespace podsim
