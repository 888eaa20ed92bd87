#pragma once
// The JSON files that come with podsim: models, chips, machines, shardings, remats, software, scenarios and studies.
//
// They are taken not to change while the program runs: what was listed and read once is kept, for a process that
// resolves many scenarios and for the children that it forks.

#include "sim/core/reader.hpp"

#include <memory>
#include <string>
#include <vector>

namespace podsim {

enum class Shelf { models, chips, machines, shardings, remats, software, scenarios, studies };

class Catalogue {
public:
  // `root` holds models/, topologies/ and scenarios/.
  explicit Catalogue(std::string root);

  // Beside the running program: in share/podsim where it is installed, else in the source tree around the
  // build folder. Throws InputError if there is none.
  static Catalogue beside_program();

  std::vector<std::string> names(Shelf shelf) const; // sorted, without ".json"; scenarios as "training/palm-540b"
  std::string file(Shelf shelf, const std::string& name) const;

  // The names that people give scenarios and studies: "palm-540b" and "a100/palm-62b" below scenarios/training,
  // "faults/palm-540b-straggler" below scenarios, "palm-pods" below scenarios/studies.
  std::vector<std::string> short_names(Shelf shelf) const; // sorted
  static std::string short_name(Shelf shelf, const std::string& name);

  // The file that such a name stands for. A file comes first, as it is named or with ".json", beside `beside` (the file
  // in which the name stands, which is never meant itself) or, where that is empty, in the working directory. Throws
  // InputError for what is neither, with the nearest name that there is.
  std::string find(Shelf shelf, const std::string& name, const std::string& beside = "") const;

  // The file's path from the root, for messages and provenance that do not depend on where podsim lies.
  std::string within(const std::string& file) const;

  // The JSON of a file, which need not be of the catalogue.
  Json read(const std::string& file) const;

private:
  struct Kept;
  std::string nearest(Shelf shelf, const std::string& name, const std::string& missing) const;

  std::string root_;
  std::shared_ptr<Kept> kept_;
};

} // namespace podsim
