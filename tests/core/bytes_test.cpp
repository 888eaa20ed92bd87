#include "sim/core/bytes.hpp"

#include <catch2/catch.hpp>

namespace podsim {
namespace bytes_test {

struct Inner {
  std::string name;
  std::optional<double> share;
};
struct Outer {
  std::vector<Inner> inner;
  std::vector<std::int32_t> numbers;
  std::pair<bool, Seconds> last;
};

template <class Stream> void members(Stream& stream, Member<Stream, Inner>& inner)
{
  auto& [name, share] = inner;
  stream(name, share);
}
template <class Stream> void members(Stream& stream, Member<Stream, Outer>& outer)
{
  auto& [inner, numbers, last] = outer;
  stream(inner, numbers, last);
}

} // namespace bytes_test

TEST_CASE("what is written as bytes is read again, empty lists too, and neither less nor more")
{
  using bytes_test::Outer;
  const auto bytes_of = [](const Outer& outer) {
    ByteWriter writer;
    writer(outer);
    return writer.bytes;
  };
  for (const Outer& outer :
       {Outer{{{"a", 0.1}, {"", {}}}, {1, -2, 3}, {true, Seconds(2.5)}}, Outer{{}, {}, {false, Seconds(0)}}}) {
    const std::string bytes = bytes_of(outer);
    ByteReader reader(bytes);
    Outer again{{{"before", 1}}, {7}, {}};
    reader(again);
    reader.finish();
    REQUIRE(again.inner.size() == outer.inner.size());
    for (std::size_t i = 0; i < outer.inner.size(); ++i) {
      CHECK(again.inner[i].name == outer.inner[i].name);
      CHECK(again.inner[i].share == outer.inner[i].share);
    }
    CHECK(again.numbers == outer.numbers);
    CHECK(again.last.first == outer.last.first);
    CHECK(again.last.second.value() == outer.last.second.value());

    for (std::size_t kept = 0; kept < bytes.size(); ++kept) {
      const std::string cut = bytes.substr(0, kept);
      ByteReader short_of_some(cut);
      CHECK_THROWS_AS(short_of_some(again), std::logic_error);
    }
    const std::string longer = bytes + "x";
    ByteReader beyond(longer);
    beyond(again);
    CHECK_THROWS_AS(beyond.finish(), std::logic_error);
  }
}

} // namespace podsim
