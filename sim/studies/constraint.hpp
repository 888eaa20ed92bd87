#pragma once
// A condition that combinations of a study must meet, as its file writes it:
//
//     "workload.batch % (mesh.data.size * machine.pods) == 0 and product(machine.slice) <= 3072"
//
// Names are axes of the study or paths of the resolved scenario. Numbers, texts in single quotes, + - * / %,
// comparisons, `and`, `or`, `not`, parentheses; product('12x16x16') is 3072. Texts that are quantities compare as such.

#include <functional>
#include <optional>
#include <string>
#include <variant>

namespace podsim {

using Term   = std::variant<double, std::string, bool>;
using Lookup = std::function<std::optional<Term>(const std::string& name)>;

// A text as a term: a number if it is one.
Term as_term(const std::string& text);

// Throws std::invalid_argument, saying what is wrong and where, for what is no condition or names what there is not.
bool holds(const std::string& condition, const Lookup& lookup);

} // namespace podsim
