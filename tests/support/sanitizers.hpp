#pragma once

namespace podsim::test {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool under_sanitizers = true;
#elif defined(__has_feature)
constexpr bool under_sanitizers = __has_feature(address_sanitizer);
#else
constexpr bool under_sanitizers = false;
#endif

} // namespace podsim::test
