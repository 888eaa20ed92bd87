// Studies: `study` reads one, makes combinations of it and their scenarios; `constraint` works out conditions alone.

#include "scenarios/scenario.hpp"
#include "sim/app/study_output.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/evaluation_bytes.hpp"
#include "sim/studies/sweep.hpp"
#include "tests/fuzz/json_mutator.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

namespace podsim::fuzz {
namespace {

namespace fs = std::filesystem;

fs::path study_file() // where the input is said to lie
{
  return source_folder() / "scenarios/studies/fuzzed.json";
}

// What podsim sweep does with a combination before it is simulated.
void prepare(const Sweep& sweep, std::size_t number, SweepScenarios& scenarios)
{
  const Combination one = combination(sweep, number);
  require(one.labels.size() == sweep.axes.size(), "a combination has a label of each axis");
  const Document& document = scenarios.resolve(one);
  const int unmet          = unmet_constraint(sweep, one, document, study_file().string());
  require(unmet < static_cast<int>(sweep.constraints.size()), "a constraint that is not met is one of the study");
  Document alone = resolve(scenarios.file_of(one), one.changes, catalogue());
  require(content_hash(document) == content_hash(alone), "a scenario is the same alone");
  const auto told = [](const auto& read) {
    try {
      return to_bytes(describe(podsim::prepare(read()), nullptr));
    } catch (const InputError& wrong) {
      return std::string(wrong.what());
    } catch (const CannotRun& wrong) { // a row of the table
      return std::string(wrong.what());
    }
  };
  require(told([&] { return scenarios.read(one); }) == told([&] { return read_scenario(std::move(alone)); }),
          "a scenario reads the same alone");
}

bool study_input(const std::string& input)
{
  constexpr std::size_t tried = 4; // of the combinations

  if (names_foreign_file(parse_json(input, study_file().string()), study_file()))
    return false;
  const Sweep sweep = read_sweep_text(input, study_file().string());
  require(read_sweep_text(sweep.text, study_file().string()).size() == sweep.size(),
          "the text that is stored is the same study");
  StudyOutput output;
  output.view.sort = sweep.metrics.front();
  check(output, sweep);
  SweepScenarios scenarios(study_file().string(), catalogue());
  for (std::size_t i = 0; i < tried && i < sweep.size(); ++i)
    prepare(sweep, i * 7'919 % sweep.size(), scenarios);
  return true;
}

std::optional<std::string> mutated_study(const std::string& input, Random& random)
{
  return mutated_json(input, random, change_anything);
}

const Sweep& small_sweep()
{
  static const Sweep sweep = [] {
    const std::string text = R"({
      "schema_version": 1, "name": "small", "scenario": "../training/palm-8b.json",
      "axes": [{ "name": "batch", "path": "workload.batch", "values": [512, 1024] },
               { "name": "NIC", "path": "machine.host.nic_bandwidth", "values": ["26.35 Gb/s", "105 Gb/s"] },
               { "name": "two words", "path": "workload.sequence", "values": [1024, 2048] }],
      "metrics": ["mfu"] })";
    return read_sweep_text(text, study_file().string());
  }();
  return sweep;
}

bool constraint_input(const std::string& input)
{
  constexpr std::size_t longest  = 1'000; // that a study may have
  static const Combination first = combination(small_sweep(), 0);
  static const Document resolved =
      resolve(catalogue().find(Shelf::scenarios, first.scenario, study_file().string()), first.changes, catalogue());

  if (input.size() > longest)
    return false;
  Sweep sweep       = small_sweep();
  sweep.constraints = {input};
  unmet_constraint(sweep, first, resolved, study_file().string());
  return true;
}

// Words, numbers, texts in quotes, single signs; spaces stay with what they follow.
std::vector<std::string> tokens_of(const std::string& input)
{
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; };
  std::vector<std::string> tokens;
  for (std::size_t at = 0; at < input.size();) {
    std::size_t end = at + 1;
    if (input[at] == '\'' || input[at] == '"')
      end = std::min(input.find(input[at], end), input.size() - 1) + 1;
    else if (in_word(input[at]))
      while (end < input.size() && in_word(input[end]))
        ++end;
    while (end < input.size() && input[end] == ' ')
      ++end;
    tokens.push_back(input.substr(at, end - at));
    at = end;
  }
  return tokens;
}

const std::vector<std::string>& known_tokens()
{
  static const std::vector<std::string> tokens{"batch ",
                                               "NIC ",
                                               "\"two words\" ",
                                               "workload.batch ",
                                               "machine.slice ",
                                               "machine.pods ",
                                               "workload.remat ",
                                               "mesh.data.size ",
                                               "machine.chip.matrix_peak ",
                                               "machine.dcn.latency ",
                                               "workload ",
                                               "model.tied_embedding ",
                                               "name ",
                                               "and ",
                                               "or ",
                                               "not ",
                                               "product(",
                                               "(",
                                               ") ",
                                               "+ ",
                                               "- ",
                                               "* ",
                                               "/ ",
                                               "% ",
                                               "== ",
                                               "!= ",
                                               "<= ",
                                               ">= ",
                                               "< ",
                                               "> ",
                                               "0 ",
                                               "1 ",
                                               "-1 ",
                                               "1e308 ",
                                               "1e-320 ",
                                               "0.5 ",
                                               "1e999 ",
                                               "inf ",
                                               "nan ",
                                               "0x10 ",
                                               "''",
                                               "'",
                                               "\"",
                                               "'10 GB/s' ",
                                               "'1 us' ",
                                               "'2x2' ",
                                               "'1 TB' ",
                                               "'79 g/kWh' ",
                                               "'nan' ",
                                               "'inf s' ",
                                               "'xx' ",
                                               "'300 W' ",
                                               "'12x16x16' ",
                                               "'1e308x1e308' ",
                                               "'0 B' "};
  return tokens;
}

std::string joined(const std::vector<std::string>& tokens)
{
  std::string text;
  for (const std::string& token : tokens)
    text += token;
  return text;
}

std::optional<std::string> mutated_constraint(const std::string& input, Random& random)
{
  std::vector<std::string> tokens = tokens_of(input);
  for (bool more = true; more; more = below(2, random) == 0) {
    const auto at          = static_cast<std::ptrdiff_t>(below(tokens.size() + 1, random));
    const std::size_t kind = below(8, random);
    if (kind < 3 || at == static_cast<std::ptrdiff_t>(tokens.size())) {
      tokens.insert(tokens.begin() + at, any_of(known_tokens(), random));
    } else if (kind < 5) {
      tokens[static_cast<std::size_t>(at)] = any_of(known_tokens(), random);
    } else if (kind == 5) {
      tokens.erase(tokens.begin() + at);
    } else if (kind == 6) { // some of them once more
      const std::vector<std::string> again(tokens.begin() + at, tokens.end());
      tokens.insert(tokens.begin() + static_cast<std::ptrdiff_t>(below(tokens.size() + 1, random)), again.begin(),
                    again.end());
    } else {
      tokens[static_cast<std::size_t>(at)] = "(" + tokens[static_cast<std::size_t>(at)] + ") ";
    }
  }
  return joined(tokens);
}

std::optional<std::string> crossed_constraints(const std::string& input, const std::string& donor, Random& random)
{
  static const std::vector<std::string> signs{" and ", " or ", " == ", " + ", " % ", " < "};
  return "(" + input + ")" + any_of(signs, random) + "(" + donor + ")";
}

} // namespace

const Target study_target{"study", study_input, mutated_study, crossed_json};
const Target constraint_target{"constraint", constraint_input, mutated_constraint, crossed_constraints};

} // namespace podsim::fuzz
