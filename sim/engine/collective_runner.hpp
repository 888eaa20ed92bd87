#pragma once
// Runs collectives on the folded network, as one event or chunk by chunk, from the moment that all members of a
// group have arrived: of the whole group where the collective is one event or an all-to-all, of each ring in turn where
// it goes by chunks.
//
// As one event a collective ends for all of its group at once, when the last of its chunks would have come over the
// slowest link of its rings; by chunks a device goes on when it has its own. So one event is a bound from above where
// links differ, and the same where they do not.

#include "sim/engine/network.hpp"
#include "sim/engine/state.hpp"
#include "sim/engine/timed_program.hpp"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace podsim {

class CollectiveRunner {
public:
  // Hears of each device class and slot: the collective begins to move data; it has ended.
  using Listener = std::function<void(int device_class, std::int32_t slot)>;

  CollectiveRunner(Clock& clock, const std::vector<Processor>& processors, const Machine& machine,
                   const Placement& placement, const DeviceClasses& partition, Network& network);
  void listen(Listener started, Listener ended);

  // A device class has reached the collective. `operation` must outlive the run.
  void arrive(int device_class, std::int32_t slot, const TimedOperation& operation, AxisMask axes);

  // The groups over these axes that the class belongs to have no member of another class, and no link is slow.
  bool is_alone(int device_class, AxisMask axes);

  // Activities that ended: their tokens are of these kinds.
  static constexpr std::int32_t event_token = 1, chunk_token = 2, pace_token = 5, rest_token = 6;
  void on_end(const Token& token);

  // All that decides what comes next, besides the activities under way; slots from the first of
  // each class on; those of which that is -1 are left out.
  void describe(State& state, const std::vector<std::int32_t>& first_slot) const;

  // What is under way becomes what is under way so many slots of each class later; classes with -1 stay.
  void move_on(const std::vector<std::int32_t>& slots);

private:
  struct Part { // of a collective that goes by chunks, on one class
    std::size_t phase = 0;
    const Phase* ring = nullptr;
    int line          = 0; // of the network, that the ring is on
    RingPlace place;
    bool running = false;
    std::array<std::int64_t, 2> to_send{}, to_receive{};       // by direction
    std::array<std::int64_t, 2> started{}, sent{}, received{}; // so far
    std::array<std::int64_t, 2> in_flight{};                   // transfers of the chunk being sent
  };
  struct Active { // a collective that goes by chunks, on one class
    int device_class;
    std::int32_t slot;
    const TimedOperation* operation;
    AxisMask axes;
    std::vector<Part> parts;
    std::size_t parts_left;
  };
  // Who waits for whom: the whole group of some axes, or a ring of a phase.
  struct Barrier {
    enum class At : std::uint8_t { beginning, end, ring, ring_end } at;
    std::uint32_t where; // mesh axes, or the network's line
    std::size_t part, phase;
    int group;
    std::int32_t slot;
    friend auto operator<=>(const Barrier&, const Barrier&) = default;
  };

  const Groups& whole_groups(AxisMask axes);
  const std::vector<int>& group_of(int device_class, AxisMask axes);

  bool arrive_at(const Barrier& barrier, std::size_t members); // whether all are there
  bool arrive_at_group(Barrier::At at, int device_class, AxisMask axes, std::int32_t slot);
  void begin(int device_class, std::int32_t slot);
  void begin_phase(int device_class, std::int32_t slot, std::size_t part);
  std::optional<std::int32_t> common(const Barrier& barrier, const std::vector<std::int32_t>& slots) const;
  Ticks duration(const TimedOperation& operation, const std::vector<int>& classes) const;
  Active& active(int device_class, std::int32_t slot);
  void enter_phase(Active& on, std::size_t part);
  void arrive_at_phase(int device_class, std::int32_t slot, std::size_t part);
  void start(Active& on, std::size_t part);
  void send_next(Active& on, std::size_t part, int direction);
  void finish_phase(int device_class, std::int32_t slot, std::size_t part);
  Ticks pace(const Part& own, const std::vector<int>& classes) const;
  void arrive_at_ring_end(int device_class, std::int32_t slot, std::size_t part);
  void end_ring(int device_class, std::int32_t slot, std::size_t part);
  const std::vector<int>& ring_of(const Part& own, int device_class) const;
  void next_phase(int device_class, std::int32_t slot, std::size_t part);
  void finish(const std::vector<int>& classes, std::int32_t slot);

  Clock& clock_;
  const std::vector<Processor>& processors_;
  const Machine& machine_;
  const Placement& placement_;
  const DeviceClasses& partition_;
  Network& network_;
  Listener started_, ended_;
  std::map<AxisMask, Groups> whole_groups_;
  std::map<Barrier, std::size_t> arrived_;  // how many
  std::vector<std::vector<Active>> active_; // by class; few at a time
};

} // namespace podsim
