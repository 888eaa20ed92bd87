// The two clocks by hand, and against each other.

#include "sim/engine/clock/heap_clock.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/jobs/fleet.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace podsim;

namespace {

using MakeClock = std::unique_ptr<Clock> (*)();

// What ends when, by token; in a process of its own, as SimGrid has one engine in each.
std::map<int, double> ends(MakeClock make_clock, const std::function<void(Clock&, std::map<int, double>&)>& story)
{
  std::string bytes;
  run_jobs(
      1,
      [&](std::size_t) {
        std::map<int, double> all;
        const std::unique_ptr<Clock> clock = make_clock();
        story(*clock, all);
        std::string text;
        for (const auto& [slot, time] : all) {
          text.append(reinterpret_cast<const char*>(&slot), sizeof slot);
          text.append(reinterpret_cast<const char*>(&time), sizeof time);
        }
        return text;
      },
      [&](std::size_t, const JobOutcome& outcome) {
        CAPTURE(describe(outcome));
        REQUIRE(outcome.status == Status::ok);
        bytes = outcome.bytes;
      },
      {.workers = 1});
  std::map<int, double> all;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(int) + sizeof(double)) {
    int slot    = 0;
    double time = 0;
    std::memcpy(&slot, bytes.data() + at, sizeof slot);
    std::memcpy(&time, bytes.data() + at + sizeof slot, sizeof time);
    all[slot] = time;
  }
  return all;
}

Token token(int slot)
{
  return {0, 0, slot, 0, 0};
}

} // namespace

TEST_CASE("a link is shared by those that are on it, and is all of one's that is alone")
{
  // Over a link of rate 1 and 10 ticks of latency: 100 ticks from 0, 100 more from 50 on. Alone the first has sent 50
  // when the second begins to move at 60; they share until the first ends, at 60 + 2 x 50, and the second has 50 left.
  for (const MakeClock make : {&heap_clock, &simgrid_clock}) {
    const auto all = ends(make, [](Clock& clock, auto& ended) {
      const Processor one = clock.add_processor();
      const Port port     = clock.add_port({clock.add_link(1, 10)}, {});
      clock.run(
          [&] {
            clock.send(port, 100, token(1));
            clock.compute(one, 50, token(2));
          },
          [&](const Token& own, double) {
            ended[own.slot] = clock.now();
            if (own.slot == 2)
              clock.send(port, 100, token(3));
          });
    });
    CHECK(all == std::map<int, double>{{1, 160}, {2, 50}, {3, 210}});
  }
}

// A true anomaly of sharing: what a slow sender has not begun yet leaves the link to what goes before.
TEST_CASE("the first of three messages arrives sooner where its sender takes longer for each")
{
  // After c, 2 c and 3 c ticks 100 each leave for the same link, 10 ticks away. The first has c of it alone and half of
  // as much, and a third of what is left: it arrives at 10 + 3 c + 3 (100 - 1.5 c).
  const auto first = [](MakeClock make, Ticks each) {
    return ends(make,
                [&](Clock& clock, auto& ended) {
                  const Processor one = clock.add_processor();
                  const Port port     = clock.add_port({clock.add_link(1, 10)}, {});
                  clock.run([&] { clock.compute(one, each, token(1)); },
                            [&](const Token& own, double) {
                              ended[own.slot] = clock.now();
                              if (own.slot > 3)
                                return;
                              clock.send(port, 100, token(3 + own.slot));
                              if (own.slot < 3)
                                clock.compute(one, each, token(own.slot + 1));
                            });
                })
        .at(4);
  };
  for (const MakeClock make : {&heap_clock, &simgrid_clock}) {
    CHECK(first(make, 20) == 280);
    CHECK(first(make, 40) == 250);
  }
}

TEST_CASE("of links in a row the tightest decides, and who is held up elsewhere leaves the rest")
{
  // Two senders on buses of rate 2 to one NIC of rate 1, and a third on a bus of rate .25 to the same: it gets .25, the
  // others share .75.
  for (const MakeClock make : {&heap_clock, &simgrid_clock}) {
    const auto all = ends(make, [](Clock& clock, auto& ended) {
      const Link nic = clock.add_link(1, 8);
      std::vector<Port> ports;
      for (const double bus : {2.0, 2.0, 0.25})
        ports.push_back(clock.add_port({clock.add_link(bus, 0), nic}, {}));
      clock.run(
          [&] {
            for (int i = 0; i < 3; ++i)
              clock.send(ports[static_cast<std::size_t>(i)], 96, token(i));
          },
          [&](const Token& own, double) { ended[own.slot] = clock.now(); });
    });
    // 96 at .375: 256 ticks, in which the third sent 64; the other 32 at .25 take 128 more.
    CHECK(all == std::map<int, double>{{0, 264}, {1, 264}, {2, 392}});
  }
}

TEST_CASE("the clocks say the same to the last bit, off the grid as well")
{
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    const auto story = [seed](Clock& clock, std::map<int, double>& ended) {
      std::mt19937 random(seed);
      const auto below       = [&](std::uint32_t most) { return static_cast<std::uint32_t>(random() % most); };
      const Processor one    = clock.add_processor();
      const std::size_t nics = 1 + below(3);
      std::vector<Link> out, in;
      for (std::size_t i = 0; i < nics; ++i) {
        out.push_back(clock.add_link(seed % 3 == 0 ? 0.3 : 1, 997));
        in.push_back(clock.add_link(seed % 5 == 0 ? 0.7 : 1, 0));
      }
      std::vector<Port> from, to;
      for (std::size_t i = 0; i < nics + 2; ++i) {
        // As the network's lines do, each begins on a link of its own and has one destination.
        from.push_back(clock.add_port({clock.add_link(0x1p20, 0), clock.add_link(3, 0), out[i % nics]}, {}));
        to.push_back(clock.add_port({}, {in[below(static_cast<std::uint32_t>(nics))], clock.add_link(3, 0)}));
      }
      int begun        = 0;
      const auto begin = [&] {
        if (begun == 200)
          return;
        const int slot = begun++;
        random.seed(1000 * seed + static_cast<std::uint32_t>(slot)); // or the order of what ends at once would matter
        const std::uint32_t size = 1 + below(1'000'000);
        const std::size_t port   = below(static_cast<std::uint32_t>(from.size()));
        if (below(3) == 0)
          clock.compute(one, size, token(slot));
        else
          clock.send(from[port], to[port], size, token(slot));
      };
      clock.run(
          [&] {
            for (int i = 0; i < 8; ++i)
              begin();
          },
          [&](const Token& own, double) {
            ended[own.slot] = clock.now();
            begin();
          });
      ended[-1] = static_cast<double>(clock.activities());
    };
    CAPTURE(seed);
    CHECK(ends(heap_clock, story) == ends(simgrid_clock, story));
  }
}

TEST_CASE("routes that share a link are equally long, or SimGrid would share it by their latencies")
{
  for (const bool alike : {true, false}) {
    const std::unique_ptr<Clock> clock = heap_clock();
    const Link nic                     = clock->add_link(1, 10);
    const Link near                    = clock->add_link(8, 0);
    const Link far                     = clock->add_link(8, 5);
    clock->add_port({near, nic}, {});
    if (alike)
      CHECK_NOTHROW(clock->add_port({near, nic}, {}));
    else
      CHECK_THROWS_WITH(clock->add_port({far, nic}, {}), Catch::Contains("differ in latency"));
  }
}
