#include "sim/engine/clock/heap_clock.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

namespace podsim {
namespace {

// SimGrid's precisions: of dates (simgrid_clock.cpp sets it), of shares of links, and of what is left of a transfer.
// Its seconds and bytes are ticks here, of which there are a power of two in one: the same bits come out.
constexpr double date_precision  = 4e-13 * ticks_per_second;
constexpr double share_precision = 1e-5;
constexpr double usage_precision = share_precision / ticks_per_second;
constexpr double left_precision  = share_precision * date_precision;

void take_away(double& from, double what, double precision)
{
  from -= what;
  if (from < precision)
    from = 0;
}

class HeapClock final : public Clock {
public:
  Processor add_processor() override
  {
    processors_.emplace_back();
    return static_cast<Processor>(processors_.size()) - 1;
  }

  Link add_link(double rate, Ticks latency) override
  {
    latencies_.add_link(latency);
    links_.emplace_back().rate = rate;
    return static_cast<Link>(links_.size()) - 1;
  }

  Port add_port(const std::vector<Link>& out, const std::vector<Link>& in) override
  {
    latencies_.add_port(out, in);
    ports_.push_back({out, in});
    return static_cast<Port>(ports_.size()) - 1;
  }

  void wait(Processor on, double ticks, Token token) override
  {
    const int taken = take(token);
    Activity& own   = activity(taken);
    own.state       = State::working;
    own.on          = on;
    own.left        = ticks;
    own.rate        = 1;
    own.updated     = now_;
    processor(on).working.push_back(taken);
    set_due(taken);
    if (!exact_)
      touch(processor(on), on);
  }

  void send(Port from, Ticks size, Token token) override
  {
    begin(port(from).out, nowhere_, latencies_.out(from), size, token);
  }

  void send(Port from, Port to, Ticks size, Token token) override
  {
    begin(port(from).out, port(to).in, latencies_.between(from, to), size, token);
  }

  void run(const std::function<void()>& started, const std::function<void(const Token&, double since)>& ended) override
  {
    started();
    std::vector<int> done;
    while (catch_up(), forget_past(), !due_.empty()) {
      now_ += due_.front().time - now_;
      done.clear();
      while (!due_.empty() && due_.front().time - now_ < date_precision)
        if (const Due next = pop(); is_current(next))
          pass(next.activity, done);
      for (const int one : done) {
        Activity& own = activity(one);
        ended(own.token, own.since);
        own.under_way = false;
        free_.push_back(one);
      }
    }
  }

  double now() const override { return now_; }

  void each_running(const std::function<void(Token&, double since)>& f) override
  {
    for (Activity& one : activities_)
      if (one.under_way)
        f(one.token, one.since);
  }

  std::int64_t activities() const override { return created_; }

private:
  enum class State : std::uint8_t { working, latent, flowing };
  struct Activity {
    Token token{};
    double since          = 0;
    std::uint32_t version = 0; // of its date: those in the heap with another one are past
    State state           = State::working;
    bool under_way        = false;
    bool unshared         = false; // in a round of share()
    Processor on          = 0;     // of work
    double left = 0, rate = 0, updated = 0;
    // Of a transfer:
    double penalty               = 0; // the latency of its route, by which SimGrid weighs it
    double bound                 = 0; // the least rate on its route
    const std::vector<Link>* out = nullptr;
    const std::vector<Link>* in  = nullptr;
  };
  struct LinkState {
    double rate = 1;
    std::vector<int> flows;
    double remaining = 0, usage = 0;  // in a round of share(): of its rate, and of the inverse penalties on it
    bool dirty = false, open = false; // it may yet be the tightest
  };
  struct ProcessorState {
    std::vector<int> working;
    bool dirty = false;
  };
  struct Ends {
    std::vector<Link> out, in;
  };
  struct Due {
    double time;
    std::uint64_t order;
    int activity;
    std::uint32_t version;
    bool operator<(const Due& other) const { return time != other.time ? time > other.time : order > other.order; }
  };

  Activity& activity(int index) { return activities_[static_cast<std::size_t>(index)]; }
  LinkState& link(Link index) { return links_[static_cast<std::size_t>(index)]; }
  ProcessorState& processor(Processor index) { return processors_[static_cast<std::size_t>(index)]; }
  const Ends& port(Port index) const { return ports_[static_cast<std::size_t>(index)]; }

  int take(Token token)
  {
    if (free_.empty()) {
      free_.push_back(static_cast<int>(activities_.size()));
      activities_.emplace_back();
    }
    const int taken = free_.back();
    free_.pop_back();
    Activity& own = activity(taken);
    own.token     = token;
    own.since     = now_;
    own.under_way = true;
    ++created_;
    return taken;
  }

  void begin(const std::vector<Link>& out, const std::vector<Link>& in, Ticks latency, Ticks size, Token token)
  {
    const int taken = take(token);
    Activity& own   = activity(taken);
    own.state       = State::latent;
    own.penalty     = static_cast<double>(latency);
    own.left        = static_cast<double>(size);
    own.rate        = 0;
    own.out         = &out;
    own.in          = &in;
    own.bound       = std::numeric_limits<double>::infinity();
    each_link(own, [&](Link one) {
      own.bound = std::min(own.bound, link(one).rate);
      if (!exact_)
        touch(link(one), one);
    });
    push(now_ + own.penalty, taken);
  }

  void push(double time, int index)
  {
    due_.push_back({time, order_++, index, ++activity(index).version});
    std::push_heap(due_.begin(), due_.end());
  }

  Due pop()
  {
    std::pop_heap(due_.begin(), due_.end());
    const Due next = due_.back();
    due_.pop_back();
    return next;
  }

  // Time must not stop at dates that no longer hold: it would be rounded there.
  void forget_past()
  {
    while (!due_.empty() && !is_current(due_.front()))
      pop();
  }

  bool is_current(const Due& due)
  {
    const Activity& own = activity(due.activity);
    return own.under_way && own.version == due.version;
  }

  // What is due begins to move, or has ended.
  void pass(int index, std::vector<int>& done)
  {
    Activity& own = activity(index);
    if (own.state == State::latent) {
      own.state   = State::flowing;
      own.updated = now_;
      each_link(own, [&](Link one) {
        link(one).flows.push_back(index);
        touch(link(one), one);
      });
      return;
    }
    if (own.state == State::flowing) {
      each_link(own, [&](Link one) {
        std::erase(link(one).flows, index);
        touch(link(one), one);
      });
    } else {
      std::erase(processor(own.on).working, index);
      if (!exact_)
        touch(processor(own.on), own.on);
    }
    ++own.version;
    done.push_back(index);
  }

  template <class F> static void each_link(const Activity& own, const F& f)
  {
    for (const Link one : *own.out)
      f(one);
    for (const Link one : *own.in)
      f(one);
  }

  void touch(LinkState& own, Link index)
  {
    if (!own.dirty)
      dirty_links_.push_back(index);
    own.dirty = true;
  }

  void touch(ProcessorState& own, Processor index)
  {
    if (!own.dirty)
      dirty_processors_.push_back(index);
    own.dirty = true;
  }

  // Before time goes on: what began or ended on a link or a processor changes what others on it have, and SimGrid takes
  // stock of them. Where all sums are exact, taking stock by itself changes nothing and is left out.
  void catch_up()
  {
    for (const Processor one : dirty_processors_) {
      ProcessorState& own = processor(one);
      own.dirty           = false;
      for (const int index : own.working)
        take_stock(index, 1);
    }
    dirty_processors_.clear();
    if (!dirty_links_.empty())
      share();
  }

  void take_stock(int index, double rate)
  {
    Activity& own = activity(index);
    if (own.left > 0) {
      const double gone = own.rate * (now_ - own.updated);
      const double left = own.left - gone;
      exact_            = exact_ && left + gone == own.left;
      take_away(own.left, gone, left_precision);
    }
    own.updated = now_;
    own.rate    = rate;
    set_due(index);
  }

  void set_due(int index)
  {
    const Activity& own  = activity(index);
    const double takes   = own.left > 0 ? own.left / own.rate : 0;
    const double time    = now_ + takes;
    int exponent         = 0;
    const bool power_of2 = std::frexp(own.rate, &exponent) == 0.5;
    exact_               = exact_ && power_of2 && time - now_ == takes;
    push(time, index);
  }

  // Shares the links anew that are reached from those that changed, over flows that they have in common.
  void share()
  {
    flows_.clear();
    for (std::size_t i = 0; i < dirty_links_.size(); ++i) // it grows on the way
      for (const int index : link(dirty_links_[i]).flows)
        if (Activity& own = activity(index); !own.unshared) {
          own.unshared = true;
          flows_.push_back(index);
          each_link(own, [&](Link one) { touch(link(one), one); });
        }
    if (flows_.size() == 1) {
      Activity& own      = activity(flows_.front());
      const double usage = own.bound / (1 / own.penalty);
      give(flows_.front(), own.bound * own.penalty < usage ? own.bound : usage / own.penalty);
    } else if (!flows_.empty()) {
      share_among_many();
    }
    for (const Link one : dirty_links_)
      link(one).dirty = false;
    dirty_links_.clear();
  }

  void share_among_many()
  {
    std::size_t open = 0;
    for (const Link one : dirty_links_) {
      LinkState& own = link(one);
      own.remaining  = own.rate;
      own.usage      = 0;
      for (const int index : own.flows)
        own.usage += 1 / activity(index).penalty;
      own.open = own.usage > 0;
      open += own.open ? 1 : 0;
    }
    while (open > 0)
      open -= share_tightest();
  }

  // Those on the tightest links get their share, or only those that may not have so much what they may; all leave the
  // others the rest. Returns how many links are done with.
  std::size_t share_tightest()
  {
    double least = std::numeric_limits<double>::infinity(); // of what is left for an inverse penalty
    for (const Link one : dirty_links_)
      if (const LinkState& own = link(one); own.open)
        least = std::min(least, own.remaining / own.usage);
    tightest_.clear();
    double bound = least;
    for (const Link one : dirty_links_)
      if (const LinkState& own = link(one); own.open && own.remaining / own.usage == least)
        for (const int index : own.flows)
          if (const Activity& flow = activity(index); flow.unshared) {
            tightest_.push_back(index);
            bound = std::min(bound, flow.bound * flow.penalty);
          }
    std::size_t closed = 0;
    for (const int index : tightest_) {
      Activity& own = activity(index);
      if (!own.unshared) // it is on several of them
        continue;
      if (bound == least)
        closed += give_of(index, least / own.penalty);
      else if (std::abs(bound - own.bound * own.penalty) < share_precision)
        closed += give_of(index, own.bound);
    }
    return closed;
  }

  std::size_t give_of(int index, double rate)
  {
    std::size_t closed  = 0;
    const Activity& own = activity(index);
    each_link(own, [&](Link one) {
      LinkState& crossed = link(one);
      take_away(crossed.remaining, rate, crossed.rate * share_precision);
      take_away(crossed.usage, 1 / own.penalty, usage_precision);
      if (crossed.open && (crossed.usage <= usage_precision || crossed.remaining <= crossed.rate * share_precision)) {
        crossed.open = false;
        ++closed;
      }
    });
    give(index, rate);
    return closed;
  }

  void give(int index, double rate)
  {
    activity(index).unshared = false;
    take_stock(index, rate);
  }

  RouteLatencies latencies_;
  const std::vector<Link> nowhere_{}; // the links into it
  std::vector<LinkState> links_;
  std::vector<Ends> ports_;
  std::vector<ProcessorState> processors_;
  std::deque<Activity> activities_; // whose addresses stay: a callback has that of its own, and begins others
  std::vector<int> free_;
  std::vector<Due> due_; // a heap, the earliest first
  std::vector<Link> dirty_links_;
  std::vector<Processor> dirty_processors_;
  std::vector<int> flows_, tightest_; // of a round of share()
  double now_           = 0;
  std::uint64_t order_  = 0;
  std::int64_t created_ = 0;
  bool exact_           = true; // so far each sum was
};

} // namespace

std::unique_ptr<Clock> heap_clock()
{
  return std::make_unique<HeapClock>();
}

} // namespace podsim
