#pragma once
// Values as bytes, between two processes of one binary: numbers are as this machine has them in memory, so it is no
// file format.
//
// What a struct consists of is said once for both directions, by a function beside whoever sends it, in the struct's
// own namespace (an unnamed one within is not looked in):
//
//     template <class Stream> void members(Stream& stream, Member<Stream, Link>& link)
//     {
//       auto& [name, sent] = link; // names all of them: one that is forgotten does not compile
//       stream(name, sent);
//     }

#include "sim/core/units.hpp"

#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace podsim {

// What goes as it is in memory, a list of them in one piece; a struct without pointers may be declared so.
template <class T> constexpr bool goes_as_it_is                    = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class Unit> constexpr bool goes_as_it_is<Quantity<Unit>> = true;

template <class Stream, class T> using Member = std::conditional_t<Stream::reads, T, const T>;

class ByteWriter {
public:
  static constexpr bool reads = false;
  std::string bytes;

  template <class... T> void operator()(const T&... values) { (one(values), ...); }

private:
  template <class T> void raw(const T* values, std::size_t count)
  {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes.append(reinterpret_cast<const char*>(values), count * sizeof(T));
  }
  void size(std::size_t size) { raw(&size, 1); }
  void one(const std::string& text)
  {
    size(text.size());
    bytes.append(text);
  }
  template <class A, class B> void one(const std::pair<A, B>& pair) { (*this)(pair.first, pair.second); }
  template <class T> void one(const std::optional<T>& value)
  {
    one(value.has_value());
    if (value)
      one(*value);
  }
  template <class T> void one(const std::vector<T>& list)
  {
    size(list.size());
    if constexpr (goes_as_it_is<T>)
      raw(list.data(), list.size());
    else
      for (const T& element : list)
        one(element);
  }
  template <class T> void one(const T& value)
  {
    if constexpr (goes_as_it_is<T>)
      raw(&value, 1);
    else
      members(*this, value);
  }
};

// Throws std::logic_error for what is cut short or, at finish(), goes on.
class ByteReader {
public:
  static constexpr bool reads = true;
  explicit ByteReader(const std::string& bytes) : at_(bytes.data()), left_(bytes.size()) {}

  template <class... T> void operator()(T&... values) { (one(values), ...); }
  void finish() const
  {
    if (left_ > 0)
      throw std::logic_error("the bytes between two processes go on after their end");
  }

private:
  const char* take(std::size_t size)
  {
    if (size > left_)
      throw std::logic_error("the bytes between two processes are cut short");
    left_ -= size;
    return std::exchange(at_, at_ + size);
  }
  template <class T> void raw(T* values, std::size_t count)
  {
    static_assert(std::is_trivially_copyable_v<T>);
    if (count > 0) // or there may be no values to point at
      std::memcpy(static_cast<void*>(values), take(count * sizeof(T)), count * sizeof(T));
  }
  std::size_t size()
  {
    std::size_t size = 0;
    raw(&size, 1);
    if (size > left_) // of anything that has so many parts there are at least so many bytes
      throw std::logic_error("the bytes between two processes are cut short");
    return size;
  }
  void one(std::string& text)
  {
    const std::size_t length = size();
    text.assign(take(length), length);
  }
  template <class A, class B> void one(std::pair<A, B>& pair) { (*this)(pair.first, pair.second); }
  template <class T> void one(std::optional<T>& value)
  {
    bool has = false;
    one(has);
    value.reset();
    if (has)
      one(value.emplace());
  }
  template <class T> void one(std::vector<T>& list)
  {
    list.clear();
    list.resize(size());
    if constexpr (goes_as_it_is<T>)
      raw(list.data(), list.size());
    else
      for (T& element : list)
        one(element);
  }
  template <class T> void one(T& value)
  {
    if constexpr (goes_as_it_is<T>)
      raw(&value, 1);
    else
      members(*this, value);
  }

  const char* at_;
  std::size_t left_;
};

} // namespace podsim
