#pragma once
// From a scenario file to one JSON tree with everything in it: its "base" scenario, the files that it names
// ("model": "palm-540b"), and the changes of the command line.
//
// A reference is a name from the catalogue, a path to a .json file (from the folder of the file that names it), or an
// object, which may begin from one with "base". An object laid over another replaces single values; null removes one.

#include "scenarios/catalogue.hpp"
#include "sim/core/reader.hpp"

#include <string>
#include <vector>

namespace podsim {

// `changes`: "workload.batch=1024"; the value is JSON, or else a text. Throws InputError.
Document resolve(const std::string& file, const std::vector<std::string>& changes, const Catalogue& catalogue);

// The same for a scenario that is no file yet: `file` is where it would lie, from which it names others.
Document resolve_text(const std::string& text, const std::string& file, const Catalogue& catalogue);

// 32 hexadecimal digits that depend on every value of the resolved scenario but not on notes and layout.
std::string content_hash(const Document& document);
std::string hash_of(const std::string& bytes);

} // namespace podsim
