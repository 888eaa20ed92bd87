#pragma once
// Runs collectives on the folded network, as one event or chunk by chunk, from the moment that all members of a
// group have arrived: of the whole group where the collective is one event, of each ring in turn where it goes
// by chunks.

#include "sim/engine/network.hpp"
#include "sim/engine/timed_program.hpp"

#include <functional>
#include <map>
#include <tuple>
#include <vector>

namespace podsim {

class CollectiveRunner {
public:
  // Hears of each device class and slot: the collective begins to move data; it has ended.
  using Listener = std::function<void(int device_class, std::int32_t slot)>;

  CollectiveRunner(SimgridEngine& engine, const std::vector<Processor>& processors, const Machine& machine,
                   const Placement& placement, const DeviceClasses& partition, Network& network);
  void listen(Listener started, Listener ended);

  // A device class has reached the collective. `operation` must outlive the run.
  void arrive(int device_class, std::int32_t slot, const TimedOperation& operation, AxisMask axes);

  // The groups over these axes that the class belongs to have no member of another class.
  bool is_alone(int device_class, AxisMask axes);

  // Activities that ended: their tokens are of these kinds.
  static constexpr std::int32_t event_token = 1, chunk_token = 2;
  void on_end(const Token& token);

private:
  struct Part { // of a collective that goes by chunks, on one class
    std::size_t phase = 0;
    bool running      = false;
    std::array<std::int64_t, 2> started{}, sent{}, received{}; // by direction
    std::array<std::int64_t, 2> in_flight{};                   // transfers of the chunk being sent
  };
  struct Active {
    int device_class;
    std::int32_t slot;
    const TimedOperation* operation;
    std::vector<Part> parts;
    std::size_t parts_left;
  };

  const Groups& whole_groups(AxisMask axes);
  bool last_to_arrive(std::size_t barrier, const Groups& groups, int group, std::int32_t slot);
  Active& active(int device_class, std::int32_t slot);
  static const RingPhase& phase(const Active& on, std::size_t part);
  void arrive_at_phase(int device_class, std::int32_t slot, std::size_t part);
  void send_next(Active& on, std::size_t part, int direction);
  void finish_phase(int device_class, std::int32_t slot, std::size_t part);

  SimgridEngine& engine_;
  const std::vector<Processor>& processors_;
  const Machine& machine_;
  const Placement& placement_;
  const DeviceClasses& partition_;
  Network& network_;
  Listener started_, ended_;
  std::map<AxisMask, Groups> whole_groups_;
  std::map<std::tuple<const Groups*, std::size_t, int, std::int32_t>, std::size_t> arrived_; // members there
  std::vector<std::vector<Active>> active_;                                                  // by class; few at a time
};

} // namespace podsim
