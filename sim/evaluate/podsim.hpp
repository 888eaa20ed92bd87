#pragma once
// The library's door. CMake: find_package(podsim), target podsim::evaluate.
//
//     const podsim::Catalogue catalogue(PODSIM_CATALOGUE); // a variable of the CMake package
//     const podsim::Scenario scenario =
//         podsim::read_scenario(podsim::resolve("palm-540b.json", {"workload.batch=1024"}, catalogue));
//     const podsim::Evaluation result = podsim::evaluate(scenario);
//     if (result.status == podsim::Status::ok)
//       std::cout << result.metrics->step_time.value() << " s, MFU " << result.metrics->mfu;
//
// What is wrong with a file is an InputError, a mesh that does not fit the machine CannotRun, a mistake of podsim's
// std::logic_error. Evaluations may run on several threads at once; they share nothing but a catalogue, which may be
// shared. Whoever does not trust the code with the process that it runs in forks one (podsim sweep does).

#include "scenarios/catalogue.hpp"
#include "scenarios/resolve.hpp"
#include "scenarios/scenario.hpp"
#include "sim/core/errors.hpp"
#include "sim/evaluate/evaluate.hpp"
