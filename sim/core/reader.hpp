#pragma once
// Reading JSON that people write. A Reader is a value inside a JSON tree together with its path and the
// file it came from, so that every complaint names the place, what was found and what was expected:
//
//     Reader workload = scenario.at("workload");
//     batch = workload.at("batch").count();
//     workload.finish();                        // complains of keys that nobody asked for
//
// All members throw InputError on a value of the wrong kind or outside its range; of a document that keeps its mistakes
// they note it there, give a value that is harmless to go on with, and the last to read throws all of them at once
// (Document::tell_mistakes). What is read of a value that is missing or wrong by itself is wrong in no further way.

#include "sim/core/errors.hpp"
#include "sim/core/units.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

using Json = nlohmann::json;

// Which file (or command-line option) each part of a merged tree came from: the longest path that
// leads to a value wins.
class Origins {
public:
  void set(const std::string& path, const std::string& origin); // of the value and of all within it
  const std::string& of(std::string path) const;

private:
  std::map<std::string, std::string> by_path_;
};

// A constant of the catalogue as a run used it. `value` is the text of the file ("45 GB/s").
struct UsedConstant {
  std::string path;
  std::string value;
  std::string source;
  std::vector<std::string> calibrated_on; // ids of published cases; empty for a sourced constant
  std::vector<std::string> chips{};       // for which it holds ("A100"), where its file says so
};

// A line that the user will be told.
struct Mistake {
  enum class Kind : std::uint8_t { misspelt, misread, wrong, missing };
  Kind kind;
  std::string path;     // of the value; of a key that is missing, of the object which lacks it
  std::string line;     // file: path: complaint
  std::string key;      // that is missing,
  std::string wanted;   // and what it may be
  bool dropped = false; // the key is there, misspelt
};

// A JSON tree with all its references resolved, and what a reading of it notes down.
struct Document {
  Document();
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  std::unique_ptr<Json> json;
  Origins origins;
  std::vector<UsedConstant> constants;
  std::vector<std::string> files; // catalogue files that were read, by their names in the catalogue

  bool keeps_mistakes = false;
  std::vector<Mistake> mistakes;
  std::set<std::string> unreadable;                        // paths whose mistake has been noted: nothing is read there
  std::map<std::string, std::vector<std::string>> choices; // by path: names of the catalogue that may stand there

  std::map<std::string, std::string> named_by; // by path: the file or option that named the catalogue's file for it

  // Of a document that was read before, without a mistake: where its values are others now, and what was noted then.
  struct FirstReading {
    std::vector<std::string> changed;
    const std::vector<UsedConstant>* constants;
  };
  std::optional<FirstReading> before;

  void note(Mistake mistake);
  bool of_the_user(const std::string& path) const; // whether no file of the catalogue gave the value
  void tell_mistakes() const; // throws them, if there are any: misspelt keys first, missing ones last
};

std::string child_path(const std::string& path, const std::string& key); // "a" + "b" -> "a.b"
bool is_within(const std::string& path, const std::string& of);          // whether it is that path or leads on from it

class Reader {
public:
  explicit Reader(Document& document);

  Reader at(const std::string& key);                  // the key must be there
  std::optional<Reader> find(const std::string& key); // or may be
  void finish() const; // after all keys have been asked for; "note" is allowed everywhere
  std::vector<std::string> keys();
  std::vector<Reader> elements() const; // of an array

  bool is_text() const;
  bool is_array() const;
  bool is_object() const;

  bool flag() const;
  std::string text() const;
  std::vector<std::string> texts() const; // an array of texts, or one text
  double number() const;                  // any finite number
  double fraction() const;                // from 0.001 to 1: less is a slip
  std::int64_t count(std::int64_t least = 1, std::int64_t most = 1'000'000'000) const;
  template <class Unit> Quantity<Unit> quantity() const; // with its unit, within what machines have

  // One of a closed set of names.
  template <class T> T choice(const std::vector<std::pair<std::string, T>>& names) const;

  // A constant: {"value": ..., "source": ..., "calibrated_on": [ids], "chip": "A100"}, or its bare value where a
  // scenario overrides one; noted in Document::constants. The reader returned stands on the value.
  Reader constant(const std::string& key);

  // Of a document that is read again: whether nothing within is another than before. Then its constants are noted as
  // they were, and it need not be read.
  bool taken_as_before();

  const std::string& path() const { return path_; }
  const std::string& origin() const;                          // the file or the option that gave the value
  bool of_the_user() const;                                   // no file of the catalogue gave it
  [[noreturn]] void fail(const std::string& complaint) const; // file: path: complaint
  [[noreturn]] void expected(const std::string& what, const std::string& hint = "") const; // ..., found X
  void complain(const std::string& complaint) const; // as fail(), where the reading can go on
  void
  complain_to_user(const std::string& complaint) const; // of a catalogue's value, where the user named the catalogue's
  void misread(const std::string& what, const std::string& hint = "") const; // as expected()

  // Runs a part of the reading; what that throws is noted where the document keeps mistakes, unless it may come of one
  // noted in that part before. Returns whether all of it was right.
  template <class Part> bool attempt(const Part& part) const;
  bool sound() const; // no mistake in it has been noted

private:
  Reader(Document& document, const Json& json, std::string path);
  std::size_t choose(const std::vector<std::string>& names) const;
  std::string placed(const std::string& complaint) const; // with the file and the path
  Reader absent(const std::string& key);
  Reader nothing(std::string path) const; // which nobody can read anything of
  void want(const std::string& what) const;
  void note_thrown(const InputError& error, std::size_t before) const;

  Document* document_;
  const Json* json_;
  std::string path_;
  std::vector<std::string> known_;
  bool void_ = false;                  // missing, or wrong by itself
  std::optional<std::size_t> mistake_; // of a missing key: its mistake, which learns what it may be
};

template <class Part> bool Reader::attempt(const Part& part) const
{
  const std::size_t before = document_->mistakes.size();
  try {
    part();
  } catch (const InputError& error) {
    if (!document_->keeps_mistakes)
      throw;
    note_thrown(error, before);
  }
  return document_->mistakes.size() == before;
}

template <class T> T Reader::choice(const std::vector<std::pair<std::string, T>>& names) const
{
  std::vector<std::string> spelled;
  for (const auto& [name, value] : names)
    spelled.push_back(name);
  return names[choose(spelled)].second;
}

// Parses JSON, checking depth (64) and duplicate keys, and of a file its size (16 MiB); complains with the origin,
// which is a file or a command-line option, and with line and column.
Json parse_json(const std::string& text, const std::string& origin);
Json parse_json_file(const std::string& file);

} // namespace podsim
