#pragma once
// Mutations of JSON. Nearly all changes of single bytes end in the parser; these keep the input JSON and mostly
// plausible: numbers become edge values, texts others that stand under the same key somewhere in the catalogue.

#include "sim/core/reader.hpp"
#include "tests/fuzz/target.hpp"

namespace podsim::fuzz {

// Changes a value, or what an object or a list has, at any place.
void change_anything(Json& json, Random& random);

// The same for a scenario, or values deep within a reference ("machine.chip.tile") are laid over it, or its mesh and
// its machine grow together.
void change_scenario(Json& scenario, Random& random);

// One to some changes. Nothing where the input is no JSON object.
std::optional<std::string> mutated_json(const std::string& input, Random& random, void (*change)(Json&, Random&));

// A part of one input in the place of the part under the same key of another, or of any.
std::optional<std::string> crossed_json(const std::string& input, const std::string& donor, Random& random);

std::string any_key(Random& random);                                         // that some file has
Json other_value(const Json& value, const std::string& key, Random& random); // in its place

} // namespace podsim::fuzz
