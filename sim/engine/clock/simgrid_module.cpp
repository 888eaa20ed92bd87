#include "sim/engine/clock/simgrid_module.hpp"

#include "sim/core/errors.hpp"

#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>

namespace podsim {
namespace {

namespace fs = std::filesystem;

// Beside the program where it was built, or where it was installed to.
SimgridModule load()
{
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  fs::path file         = folder / PODSIM_SIMGRID_MODULE;
  if (!fs::exists(file, error))
    file = (folder / PODSIM_MODULE_FOLDER / PODSIM_SIMGRID_MODULE).lexically_normal();
  void* const library      = dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  const void* const module = library ? dlsym(library, "podsim_simgrid_module") : nullptr;
  if (!module)
    throw OutOfResources(fmt::format("SimGrid cannot be loaded: {}", dlerror()));
  return *static_cast<const SimgridModule*>(module);
}

const SimgridModule& module()
{
  static const SimgridModule loaded = load(); // for as long as the process lives
  return loaded;
}

} // namespace

std::unique_ptr<Clock> simgrid_clock()
{
  return std::unique_ptr<Clock>(module().make_clock());
}

void start_simgrid()
{
  module().start();
}

std::string simgrid_version()
{
  return PODSIM_SIMGRID_VERSION;
}

} // namespace podsim
